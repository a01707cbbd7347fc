package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// card is a disk in memory whose power can be cut: writes after the cut are lost.
type card struct {
	b     []byte
	steps int // writes and flushes that are still done; below 0 without end
	wrote int
}

var errCut = errors.New("the power was cut")

func newCard() *card { return &card{b: make([]byte, spareEnd+1<<20), steps: -1} }

func (c *card) step() error {
	if c.steps == 0 {
		return errCut
	}
	c.steps--
	return nil
}

func (c *card) ReadAt(p []byte, at int64) (int, error) { return copy(p, c.b[at:]), nil }
func (c *card) WriteAt(p []byte, at int64) (int, error) {
	if err := c.step(); err != nil {
		copy(c.b[at:], p[:len(p)/2]) // torn
		return 0, err
	}
	c.wrote++
	return copy(c.b[at:], p), nil
}
func (c *card) Sync() error { return c.step() }

// box makes a box's folder.
func box(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func packed(t *testing.T, dir string) []byte {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	b, err := packSpare(root, keptFiles(root))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestABoxThatWasLostComesBackFromItsSpareCopy(t *testing.T) {
	from := box(t, map[string]string{
		"site/site.yaml": "version: 1\n", "site/secrets/hub.key": "secret", "site/plans/own.yaml": "steps",
		"data/box.key": "key", "data/stop-token": "s", "data/revisions/000001.yaml": "v", "data/access-point.json": "{}",
		"data/journal.db": "events", "data/history.db-wal": "values", "data/audit.log": "who", "data/blackbox/0": "frames", "data/video/a.ts": "film", "data/empty": "",
	})
	if err := os.Symlink("/etc/passwd", filepath.Join(from, "site/link.yaml")); err != nil {
		t.Fatal(err)
	}
	c := newCard()
	if err := writeSpare(c, packed(t, from), time.Unix(1800000000, 0)); err != nil {
		t.Fatal(err)
	}
	h, content, place := readSpare(c)
	if place != 0 || h.number != 1 || h.at != 1800000000 {
		t.Fatalf("%+v at %d", h, place)
	}
	// What was saved of the broken partition is newer, and stays; an empty file is none.
	to := box(t, map[string]string{"site/site.yaml": "version: 1 # newer\n", "data/stop-token": ""})
	n, err := restoreSpare(to, content)
	if err != nil || n != 6 {
		t.Fatal(n, err)
	}
	want := map[string]string{"site/site.yaml": "version: 1 # newer\n", "site/secrets/hub.key": "secret", "site/plans/own.yaml": "steps",
		"data/box.key": "key", "data/stop-token": "s", "data/revisions/000001.yaml": "v", "data/access-point.json": "{}"}
	_ = filepath.WalkDir(to, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(to, p)
		b, _ := os.ReadFile(p)
		if want[name] != string(b) {
			t.Errorf("%s: %q", name, b)
		}
		if i, _ := d.Info(); i.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", name, i.Mode())
		}
		delete(want, name)
		return nil
	})
	if len(want) > 0 {
		t.Error("missing:", want)
	}
	if got := fileOfSpare(content, "site/site.yaml"); string(got) != "version: 1\n" {
		t.Errorf("%q", got)
	}
}

func TestACutOfThePowerLeavesASpareCopyThatIsWhole(t *testing.T) {
	for steps := range 12 {
		c := newCard()
		if err := writeSpare(c, []byte("the first"), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if err := writeSpare(c, []byte("the second"), time.Unix(2, 0)); err != nil {
			t.Fatal(err)
		}
		c.steps = steps
		err := writeSpare(c, []byte("the third"), time.Unix(3, 0))
		c.steps = -1
		_, got, _ := readSpare(c)
		if s := string(got); s != "the second" && s != "the third" || err == nil && s != "the third" {
			t.Errorf("cut after %d steps (%v): %q", steps, err, s)
		}
	}
}

func TestOneSpareCopyIsNotWrittenTwice(t *testing.T) {
	c := newCard()
	for range 3 {
		if err := writeSpare(c, []byte("the same"), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if c.wrote != 3 {
		t.Errorf("%d writes", c.wrote)
	}
}

func TestADamagedSpareCopyGivesWayToTheOneBefore(t *testing.T) {
	for name, spoil := range map[string]int64{"head": sparePlace(1) + 9, "content": sparePlace(1) + sector + 3} {
		c := newCard()
		for _, s := range []string{"the first", "the second"} {
			if err := writeSpare(c, []byte(s), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		c.b[spoil] ^= 1
		if _, got, _ := readSpare(c); string(got) != "the first" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestNothingComesBackAfterAReset(t *testing.T) {
	c := newCard()
	c.b[spareAt-1], c.b[spareEnd] = 7, 9
	for _, s := range []string{"the first", "the second"} {
		if err := writeSpare(c, []byte(s), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := eraseSpare(c); err != nil {
		t.Fatal(err)
	}
	if _, got, _ := readSpare(c); got != nil || bytes.Contains(c.b, []byte("the ")) {
		t.Errorf("%q", got)
	}
	if c.b[spareAt-1] != 7 || c.b[spareEnd] != 9 {
		t.Error("it erased its neighbours")
	}
}

// A card whose boot loader lies between its table and its first partition, as Rockchip's does.
func TestASpareCopyTakesNothingsPlace(t *testing.T) {
	c := newCard()
	copy(c.b[8<<20:], "\xd0\x0d\xfe\xed")
	if err := writeSpare(c, []byte("a box"), time.Now()); !errors.Is(err, errNoRoom) || c.wrote != 0 {
		t.Errorf("%v, %d writes", err, c.wrote)
	}
	if err := eraseSpare(c); err != nil || c.wrote != 0 {
		t.Errorf("%v, %d writes", err, c.wrote)
	}
	// One whose very first writing was cut is taken for ours.
	for steps := 2; steps < 6; steps++ {
		c = newCard()
		c.steps = steps
		_ = writeSpare(c, []byte("a box"), time.Now())
		c.steps = -1
		if err := writeSpare(c, []byte("a box, later"), time.Now()); err != nil {
			t.Errorf("cut after %d steps: %v", steps, err)
		}
		if _, got, _ := readSpare(c); string(got) != "a box, later" {
			t.Errorf("cut after %d steps: %q", steps, got)
		}
	}
}

func TestTheSpareCopyKeepsToItsBounds(t *testing.T) {
	big := map[string]string{"site/site.yaml": "version: 1\n", "site/huge.wav": strings.Repeat("x", spareFile+1)}
	for n := range 5 { // of these not all fit
		big["data/big-"+string(rune('a'+n))] = strings.Repeat(string(rune('a'+n)), spareFile-100)
	}
	root, err := os.OpenRoot(box(t, big))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	files := keptFiles(root)
	if len(files) != 3 || files[2].name != "site/site.yaml" {
		t.Fatalf("%+v", files)
	}
	if b, err := packSpare(root, files); err != nil || len(b) > spareEach-sector {
		t.Error(len(b), err)
	}
}

func TestAFirstPartitionInItsPlaceLeavesNoRoomForASpareCopy(t *testing.T) {
	table := func(start uint32) []byte {
		b := make([]byte, sector)
		b[510], b[511] = 0x55, 0xaa
		binary.LittleEndian.PutUint32(b[440:], diskID)
		binary.LittleEndian.PutUint32(b[446+8:], start)
		binary.LittleEndian.PutUint32(b[446+12:], 2048)
		return b
	}
	if err := roomForSpare(table(spareEnd / sector)); err != nil {
		t.Error(err)
	}
	if err := roomForSpare(table(8192)); !errors.Is(err, errNoRoom) {
		t.Error("a card as it was made before has none:", err)
	}
	if err := roomForSpare(make([]byte, sector)); err == nil || errors.Is(err, errNoRoom) {
		t.Error("another's disk:", err)
	}
}
