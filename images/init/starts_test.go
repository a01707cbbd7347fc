package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/firmware/trust"
	"tocsin/firmware/update"
	"tocsin/firmware/update/pack"
	"tocsin/firmware/update/slots"
)

// releaser signs the releases of a test; its board believes it.
type releaser struct{ ed, sm *trust.PrivateKey }

func newReleaser(t *testing.T) releaser {
	t.Helper()
	ed, err := trust.NewSigner(trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	sm, err := trust.NewSigner(trust.SM2)
	if err != nil {
		t.Fatal(err)
	}
	return releaser{ed, sm}
}

// believed is the folder that an image has of it.
func (r releaser) believed(t *testing.T, boards string) believes {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*trust.PrivateKey{"a.pem": r.ed, "b.pem": r.sm} {
		p, err := trust.PublicPEM(s.Public())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "keys", name), p, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "boards"), []byte(boards), 0o600); err != nil {
		t.Fatal(err)
	}
	v := readBelieves(dir)
	if len(v.rule.Keys) != 2 || len(v.rule.Need) != 2 {
		t.Fatalf("%d keys, %d kinds", len(v.rule.Keys), len(v.rule.Need))
	}
	return v
}

// put makes a slot hold a release.
func put(t *testing.T, b *board, slot string, r update.Release, by ...trust.Signer) {
	t.Helper()
	image := bytes.Repeat([]byte("what slot "+slot+" holds; "), 100000)
	var w bytes.Buffer
	h, err := pack.Write(&w, r, image, nil, by...)
	if err != nil {
		t.Fatal(err)
	}
	change(t, b.slots.device(slot), 0, image)
	change(t, b.slots.device(slot), 3<<20, h.Raw)
}

func change(t *testing.T, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt(b, at)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// twoSlots is a card of files: the disk with its boot environment, and two slots.
func twoSlots(t *testing.T, sealed bool) *board {
	t.Helper()
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk1")
	for name, size := range map[string]int64{"disk1": 8 << 20, "disk1p2": 4 << 20, "disk1p3": 4 << 20} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, name), size); err != nil {
			t.Fatal(err)
		}
	}
	r := newReleaser(t)
	b := &board{log: newRing(1 << 16), args: cmdline{"slot": "A", "good": "A"}, slots: slotPlaces{Disk: disk, Slot: "A"}, believes: r.believed(t, "pi3\npi4\n")}
	e, err := slots.Choice{Good: "A", Floor: 41, Bad: 42}.Environment()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.environment(e); err != nil {
		t.Fatal(err)
	}
	if sealed { // below the floor: what was good before
		put(t, b, "B", update.Release{Version: "before", Number: 40, Hardware: []string{"pi4"}}, r.ed, r.sm)
	}
	return b
}

func TestABoardIsGivenOnlyToAReleaseThatItBelieves(t *testing.T) {
	good := update.Release{Version: "before", Number: 40, Hardware: []string{"pi4"}}
	for name, c := range map[string]struct {
		put  func(t *testing.T, b *board, r releaser)
		says string // "" where it may take over
	}{
		"the one before": {func(t *testing.T, b *board, r releaser) { put(t, b, "B", good, r.ed, r.sm) }, ""},
		"a mark and no more": {func(t *testing.T, b *board, r releaser) {
			change(t, b.slots.device("B"), 3<<20, []byte{0x89, 'T', 'C', 'S', 'N', '\r', '\n', 0x1a})
		}, "no release"},
		"half signed": {func(t *testing.T, b *board, r releaser) { put(t, b, "B", good, r.ed) }, "signature"},
		"a stranger's": {func(t *testing.T, b *board, r releaser) {
			s := newReleaser(t)
			put(t, b, "B", good, s.ed, s.sm)
		}, "signature"},
		"a header that was changed": {func(t *testing.T, b *board, r releaser) {
			put(t, b, "B", good, r.ed, r.sm)
			raw, err := os.ReadFile(b.slots.device("B"))
			if err != nil {
				t.Fatal(err)
			}
			at := bytes.Index(raw[3<<20:], []byte(`"payload":"`)) + 40
			if at < 40 {
				t.Fatal("the envelope has another form")
			}
			change(t, b.slots.device("B"), int64(3<<20+at), []byte("AAAA"))
		}, ""},
		"an image that was changed": {func(t *testing.T, b *board, r releaser) {
			put(t, b, "B", good, r.ed, r.sm)
			change(t, b.slots.device("B"), 1234567, []byte("another"))
		}, "read back"},
		"another board's": {func(t *testing.T, b *board, r releaser) {
			put(t, b, "B", update.Release{Version: "x", Number: 40, Hardware: []string{"armv7"}}, r.ed, r.sm)
		}, "armv7"},
		"the one that went back": {func(t *testing.T, b *board, r releaser) {
			put(t, b, "B", update.Release{Version: "bad", Number: 42, Hardware: []string{"pi4"}}, r.ed, r.sm)
		}, "did not stay"},
		"an image without keys": {func(t *testing.T, b *board, r releaser) {
			put(t, b, "B", good, r.ed, r.sm)
			b.believes.rule = pack.Rule{}
		}, "key"},
	} {
		t.Run(name, func(t *testing.T) {
			b := twoSlots(t, false)
			r := newReleaser(t)
			b.believes = r.believed(t, "pi3\npi4\n")
			c.put(t, b, r)
			given := false
			for range startsMost {
				given = b.startFailed("root: bad superblock")
			}
			want := name == "the one before"
			if given != want || (chosen(t, b).Good == "B") != want {
				t.Fatalf("given %t, good %s: %s", given, chosen(t, b).Good, b.log.text())
			}
			if !want && (!strings.Contains(b.log.text(), "no way out") || !strings.Contains(b.log.text(), c.says)) {
				t.Fatalf("it does not say why: %s", b.log.text())
			}
		})
	}
}

func chosen(t *testing.T, b *board) slots.Choice {
	t.Helper()
	both, err := b.environment(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := slots.ParseEnvironment(both[:environmentSize], both[environmentSize:])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAReleaseThatNeverProvesItselfGivesTheBoardToTheOtherSlot(t *testing.T) {
	b := twoSlots(t, true)
	for range startsMost - 1 {
		b.startFailed("root: bad superblock")
	}
	if chosen(t, b).Good != "A" {
		t.Fatal("too soon")
	}
	b.startWorked()
	for range startsMost - 1 {
		b.startFailed("root: bad superblock")
	}
	if chosen(t, b).Good != "A" {
		t.Fatal("a start that worked is not forgotten: they are no longer in a row")
	}
	b.startFailed("root: bad superblock")
	c := chosen(t, b)
	if c.Good != "B" || c.Next != "" || c.Floor != 41 || c.Why.Code != "update.good_lost" || c.Why.Params["slot"] != "A" {
		t.Fatalf("%+v", c)
	}
}

func TestABoardWithOneReleaseOrOnTrialKeepsItsChoice(t *testing.T) {
	b := twoSlots(t, false)
	for range 2 * startsMost {
		b.startFailed("x")
	}
	if chosen(t, b).Good != "A" || !strings.Contains(b.log.text(), "slot B: this is no release file") {
		t.Fatal("it was given a slot in which nothing is")
	}
	b = twoSlots(t, true)
	b.args["next"] = "A"
	for range 2 * startsMost {
		b.startFailed("x")
	}
	if chosen(t, b).Good != "A" {
		t.Fatal("a trial is the boot loader's to count")
	}
}

func TestOnlyTheBootRightBeforeCountsAsOneThatPanicked(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dmesg-ramoops-0"), []byte("Kernel panic - of last year"), 0o600); err != nil {
		t.Fatal(err)
	}
	if panicked(dir) {
		t.Fatal("an old record counts at every start")
	}
	if err := os.WriteFile(filepath.Join(dir, "console-ramoops-0"), []byte("x\nKernel panic - not syncing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !panicked(dir) {
		t.Fatal("it is not seen")
	}
}

// A reset while things are kept in memory reaches the box on the partition at the next start that can use it.
func TestAResetReachesABoxWhosePartitionCouldNotBeUsed(t *testing.T) {
	dir := t.TempDir()
	disk, box := filepath.Join(dir, "disk"), filepath.Join(dir, "tocsin")
	must(t, os.WriteFile(disk, make([]byte, startsAt+512), 0o600))
	b := &board{log: newRing(4000), slots: slotPlaces{Disk: disk, Slot: "A"}, args: cmdline{}}
	must(t, os.Mkdir(box, 0o750))
	must(t, b.resetLate(box))
	if _, err := os.Stat(box); err != nil {
		t.Fatal("a box that nobody reset is set aside")
	}
	must(t, markReset(disk, true))
	b.startFailed("a test") // starts are counted beside it
	b.startWorked()
	must(t, b.resetLate(box))
	if _, err := os.Stat(box); err == nil {
		t.Fatal("the box that was reset is back")
	}
	must(t, os.Mkdir(box, 0o750))
	must(t, b.resetLate(box))
	if _, err := os.Stat(box); err != nil {
		t.Fatal("the new box is set aside as well")
	}
}
