package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// files lists a folder's, each with its text.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		out[name] = string(b)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return out
}

// The power may go before the start anew that puts all of it there.
func TestWhatWasObeyedInMemoryIsOnTheMendedDiskSoon(t *testing.T) {
	dir := box(t, map[string]string{"site/site.yaml": "s", "data/journal.db-wal": "w1", "data/clock.floor": "f", "data/history.db": "h"})
	disk := t.TempDir()
	aside := filepath.Join(disk, asideMemory+"-1")
	var there atomic.Bool
	there.Store(true)
	b := &board{log: newRing(4000), mended: func() string {
		if there.Load() {
			return disk
		}
		return filepath.Join(dir, "site", "site.yaml") // no folder
	}}
	b.data.How = "memory"
	b.dataMended.Store(true)
	synctest.Test(t, func(t *testing.T) {
		ended := false
		must(t, os.Rename(filepath.Join(dir, "data"), filepath.Join(dir, "later"))) // edged has not begun
		go func() { b.followMemory(t.Context(), dir); ended = true }()
		passes(time.Minute)
		if got := files(t, disk); len(got) != 0 || b.log.text() != "" {
			t.Fatalf("%v\n%s", got, b.log.text())
		}
		must(t, os.Rename(filepath.Join(dir, "later"), filepath.Join(dir, "data")))
		must(t, os.WriteFile(filepath.Join(dir, "data", "journal.db"), []byte("d1"), 0o600))
		passes(memoryLook)
		if got := files(t, aside); len(got) != 3 || got["data/journal.db"] != "d1" || got["data/journal.db-wal"] != "w1" || got["data/clock.floor"] != "f" {
			t.Fatalf("%v\n%s", got, b.log.text())
		}
		must(t, os.WriteFile(filepath.Join(dir, "data", "journal.db-wal"), []byte("w1w2"), 0o600))
		there.Store(false)
		passes(memoryEach)
		if got := files(t, aside); got["data/journal.db-wal"] != "w1" || !strings.Contains(b.log.text(), "what was obeyed in memory is not on the disk") {
			t.Fatalf("a disk that took nothing: %v\n%s", got, b.log.text())
		}
		there.Store(true)
		passes(memoryEach)
		if got := files(t, aside); got["data/journal.db-wal"] != "w1w2" {
			t.Fatalf("what failed is not tried again: %v", got)
		}
		// What has not changed is not written again.
		must(t, os.WriteFile(filepath.Join(aside, "mark"), nil, 0o600))
		passes(2 * memoryEach)
		if _, there := files(t, aside)["mark"]; !there {
			t.Error("the card is worn for nothing")
		}
		// The start anew puts all there, and has the last word.
		must(t, b.saveMemory(dir))
		want := files(t, dir)
		if got := files(t, aside); len(got) != len(want) || got["site/site.yaml"] != "s" || got["data/journal.db-wal"] != "w1w2" || got["data/history.db"] != "h" {
			t.Errorf("%v", got)
		}
		must(t, os.WriteFile(filepath.Join(dir, "data", "journal.db-wal"), []byte("x"), 0o600))
		passes(2 * memoryEach)
		if got := files(t, aside); got["data/journal.db-wal"] != "w1w2" || !ended {
			t.Errorf("it goes on amid a start: %v", got)
		}
	})
	for name := range files(t, disk) {
		if !strings.HasPrefix(name, asideMemory+"-1/") {
			t.Errorf("%s is left", name)
		}
	}
}

// Without a hardware watchdog nothing else would start the board.
func TestAStartAnewWaitsForNoDiskThatHangs(t *testing.T) {
	for what, c := range map[string]struct {
		memory, mount, flush bool // what hangs
		want                 time.Duration
	}{
		"one under way":       {memory: true, want: memoryWait},
		"one under way, sync": {memory: true, flush: true, want: 2 * memoryWait},
		"its own":             {mount: true, flush: true, want: saveMost + memoryWait},
		"nothing":             {},
	} {
		box, disk := t.TempDir(), t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			hang := make(chan struct{})
			defer close(hang)
			began, after, flushed := time.Now(), time.Duration(-1), false
			b := &board{log: newRing(4000), inMemory: box,
				reboot: func() error { after = time.Since(began); return nil },
				sync: func() {
					if flushed = true; c.flush {
						<-hang
					}
				},
				mended: func() string {
					if c.mount {
						<-hang
					}
					return disk
				}}
			b.data.How = "memory"
			b.dataMended.Store(true)
			if c.memory {
				b.memory.Lock()
				defer b.memory.Unlock()
			}
			go b.restart("asked by a test")
			time.Sleep(time.Hour)
			synctest.Wait()
			if after < 0 || after > c.want+time.Second || !flushed {
				t.Errorf("%s: started anew after %v, flushed: %v\n%s", what, after, flushed, b.log.text())
			}
			if said := b.log.text(); strings.Contains(said, "data: ") == (what == "nothing") {
				t.Errorf("%s: %s", what, said)
			}
		})
	}
}

func TestWhatIsKeptInMemoryGoesToTheDiskOnlyWhereItIsTheBoxs(t *testing.T) {
	for what, c := range map[string]struct {
		how    string
		mended bool
		box    map[string]string
		want   string // the journals that lie aside after it, the oldest first
	}{
		"on the disk":        {"disk", true, map[string]string{"data/journal.db": "new"}, "old"},
		"not mended":         {"memory", false, map[string]string{"data/journal.db": "new"}, "old"},
		"mended":             {"memory", true, map[string]string{"data/journal.db": "new"}, "old new"},
		"without a journal":  {"memory", true, map[string]string{"site/site.yaml": "s"}, "old "},
		"it was reset":       {"memory", true, nil, "old"}, // and the reset takes that along
		"a folder in memory": {"memory", true, map[string]string{"data/journal.db/x": "new"}, "old"},
	} {
		disk, from := t.TempDir(), filepath.Join(t.TempDir(), "none")
		if c.box != nil {
			from = box(t, c.box)
		}
		must(t, os.MkdirAll(filepath.Join(disk, asideMemory, "data"), 0o750))
		must(t, os.WriteFile(filepath.Join(disk, asideMemory, "data", "journal.db"), []byte("old"), 0o600))
		b := &board{log: newRing(4000), mended: func() string { return disk }}
		b.data.How = c.how
		b.dataMended.Store(c.mended)
		if err := b.saveMemory(from); (err != nil) != (what == "a folder in memory") {
			t.Errorf("%s: %v", what, err)
		}
		if got := aside(t, disk, "data/journal.db"); got != c.want {
			t.Errorf("%s: %q lie aside, not %q", what, got, c.want)
		}
	}
}

// aside gives a file of each that was kept in memory, the oldest first.
func aside(t *testing.T, disk, file string) string {
	t.Helper()
	names, _, err := memories(disk)
	must(t, err)
	for n := range names {
		names[n] = files(t, filepath.Join(disk, names[n]))[file]
	}
	return strings.Join(names, " ")
}

// A disk that does not mount again has the box in memory a second time before edged has taken over
// what was kept there the first.
func TestATimeInMemoryTakesNoEarlierOnesPlace(t *testing.T) {
	disk := t.TempDir()
	boot := func(journal string) {
		t.Helper()
		b := &board{log: newRing(4000), mended: func() string { return disk }}
		b.data.How = "memory"
		b.dataMended.Store(true)
		dir := box(t, map[string]string{"data/journal.db": "amid"})
		synctest.Test(t, func(t *testing.T) {
			go b.followMemory(t.Context(), dir)
			passes(memoryLook)
			must(t, os.WriteFile(filepath.Join(dir, "data", "journal.db"), []byte(journal+"'"), 0o600))
			passes(memoryEach)
			must(t, os.WriteFile(filepath.Join(dir, "data", "journal.db"), []byte(journal), 0o600))
			must(t, b.saveMemory(dir))
			passes(memoryEach)
		})
	}
	must(t, os.MkdirAll(filepath.Join(disk, asideMemory, "data"), 0o750)) // an earlier release's
	must(t, os.WriteFile(filepath.Join(disk, asideMemory, "data", "journal.db"), []byte("0"), 0o600))
	for n, want := range []string{"0 1", "0 1 2", "0 1 2 3", "1 2 3 4", "2 3 4 5"} {
		boot(fmt.Sprint(n + 1))
		if got := aside(t, disk, "data/journal.db"); got != want {
			t.Fatalf("after boot %d %q lie aside, not %q", n+1, got, want)
		}
	}
	if got, want := memoryList(disk), strings.ReplaceAll("D/in-memory-2/data:D/in-memory-3/data:D/in-memory-4/data:D/in-memory-5/data", "D", disk); got != want {
		t.Errorf("edged is told %s", got)
	}
	if got := memoryList(t.TempDir()) + memoryList("/nowhere"); got != "" {
		t.Errorf("edged is told %s where nothing lies", got)
	}

	// A partition that is made anew has them back.
	memory, anew := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(disk, asideMemory+"-5", "data", "history.db"), make([]byte, 1<<20), 0o600))
	salvage(disk, memory)
	must(t, copyTree(memory, filepath.Join(anew, "aside")))
	b := &board{log: newRing(4000)}
	b.putBack(anew, filepath.Join(anew, "aside"))
	if got := aside(t, anew, "data/journal.db"); got != "2 3 4 5" || b.log.text() != "" {
		t.Errorf("%q lie there anew\n%s", got, b.log.text())
	}
	// And a box that is reset obeys by none of them.
	must(t, os.Mkdir(filepath.Join(disk, "tocsin"), 0o755))
	must(t, setBoxAside(filepath.Join(disk, "tocsin")))
	if got := memoryList(disk) + aside(t, filepath.Join(disk, "before-reset-1"), "data/journal.db"); got != "2 3 4 5" {
		t.Error(got)
	}
}

// A database and a WAL of two moments are none: it is copied again, and where that does not end it
// is not taken.
func TestAJournalThatChangesWhileItIsCopiedIsNotTaken(t *testing.T) {
	dir, to := box(t, map[string]string{"data/journal.db": "d0", "data/journal.db-wal": "w0"}), filepath.Join(t.TempDir(), "to")
	db := filepath.Join(dir, "data", "journal.db")
	changes := func(most int) copier {
		n := 0
		return func(from *os.Root, name, to string) error {
			if strings.HasSuffix(name, "-wal") && n < most {
				n++
				must(t, os.WriteFile(db, []byte{'d', byte('0' + n)}, 0o600))
				must(t, os.Chtimes(db, time.Unix(int64(n), 0), time.Unix(int64(n), 0)))
			}
			return copyFile(from, name, to)
		}
	}
	if err := layFirst(dir, to, changes(99)); !errors.Is(err, errChanging) {
		t.Fatal(err)
	}
	for _, name := range []string{to, filepath.Join(filepath.Dir(to), asideMemory+".new")} {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("%s is there", name)
		}
	}
	must(t, layFirst(dir, to, changes(2)))
	if got := files(t, to); got["data/journal.db"] != "d2" || got["data/journal.db-wal"] != "w0" {
		t.Error(got)
	}
	// A WAL that grows is whole up to some commit; one that begins anew has other salts, and the
	// database stays as it is.
	head := func(n int) string { return "0123456789abcdef" + fmt.Sprintf("%08d", n) + "sum-sum-" }
	wal := filepath.Join(dir, "data", "journal.db-wal")
	must(t, os.WriteFile(wal, []byte(head(0)+"old"), 0o600))
	writes := func(most int, what func(n int) string) copier {
		n := 0
		return func(from *os.Root, name, to string) error {
			err := copyFile(from, name, to)
			if strings.HasSuffix(name, "-wal") && n < most {
				n++
				must(t, os.WriteFile(wal, []byte(what(n)), 0o600))
			}
			return err
		}
	}
	must(t, layFirst(dir, to, writes(99, func(n int) string { return head(0) + "old" + strings.Repeat("+", n) })))
	if err := layFirst(dir, to, writes(99, func(n int) string { return head(n) + "new" })); !errors.Is(err, errChanging) {
		t.Error("a WAL that began anew amid its copying is taken:", err)
	}
	must(t, layFirst(dir, to, writes(2, func(n int) string { return head(n+100) + "new" })))
	if got := files(t, to); got["data/journal.db-wal"] != head(102)+"new" {
		t.Error(got)
	}
}

// Its folder is edged's, and may change between a look at it and the copying.
func TestOfABoxsFolderNothingButItsFilesIsCopied(t *testing.T) {
	out := filepath.Join(box(t, map[string]string{"data/clock.floor": "root's"}), "data")
	for what, put := range map[string]func(data string) error{
		"a link": func(data string) error {
			return os.Symlink(filepath.Join(out, "clock.floor"), filepath.Join(data, "clock.floor"))
		},
		"a pipe":             func(data string) error { return unix.Mkfifo(filepath.Join(data, "clock.floor"), 0o600) },
		"a folder":           func(data string) error { return os.Mkdir(filepath.Join(data, "clock.floor"), 0o700) },
		"a link of a folder": func(data string) error { return errors.Join(os.RemoveAll(data), os.Symlink(out, data)) },
	} {
		dir, to := box(t, map[string]string{"data/journal.db": "d"}), filepath.Join(t.TempDir(), "to")
		end := make(chan error, 1)
		go func() {
			end <- layFirst(dir, to, func(from *os.Root, name, to string) error {
				if strings.HasSuffix(name, "clock.floor") {
					must(t, put(filepath.Join(dir, "data")))
				}
				return copyFile(from, name, to)
			})
		}()
		select {
		case err := <-end:
			if err == nil {
				t.Errorf("%s is taken for a file", what)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s is waited for", what)
		}
		if got := files(t, to); len(got) != 0 {
			t.Errorf("%s: %v", what, got)
		}
	}
}
