package gateway

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tocsin/firmware/reach/letter"
)

var epoch = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)

func TestNoCounterIsGivenTwiceWhateverHappens(t *testing.T) {
	dir := t.TempDir()
	now := epoch
	last := uint64(0)
	for name, before := range map[string]func(){
		"a plain restart":        func() {},
		"a kill at once":         func() {},
		"a clock ten years back": func() { now = epoch.AddDate(-10, 0, 0) },
		"a lost file": func() {
			// The clock alone is left, and is later than it was.
			now = epoch.Add(24 * time.Hour)
			if err := os.Remove(filepath.Join(dir, "counter")); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		},
	} {
		before()
		c, err := openCounters(dir, now)
		if err != nil {
			t.Fatal(name, err)
		}
		for range 1000 {
			n, err := c.take()
			if err != nil {
				t.Fatal(name, err)
			}
			if n <= last || n >= 1<<48 {
				t.Fatalf("%s: %d after %d", name, n, last)
			}
			last = n
		}
	}
}

func TestNoCounterIsGivenThatCouldNotBeReserved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	c, err := openCounters(dir, epoch)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.take(); err == nil {
		t.Errorf("gave %d with no disk", n)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openCounters(dir, epoch); err == nil {
		t.Error("a damaged file was taken")
	}
}

func TestATornWriteOfAWindowLeavesTheOneBefore(t *testing.T) {
	dir := t.TempDir()
	s := letter.Station("330483105203")
	var w letter.Window
	for n := range uint64(6) {
		w.Accept(n + 1)
		if err := writeWindow(dir, s, &w, n%2 == 1); err != nil {
			t.Fatal(err)
		}
		got, err := readWindow(dir, s)
		if err != nil || got != w {
			t.Fatalf("after %d: %+v, %v", n+1, got, err)
		}
	}
	// The next write, into the first place, is torn after a few bytes.
	b, err := os.ReadFile(windowFile(dir, s))
	if err != nil {
		t.Fatal(err)
	}
	copy(b, []byte{0, 0, 0, 0, 0, 0, 0, 9, 9})
	if err := os.WriteFile(windowFile(dir, s), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readWindow(dir, s); err != nil || got != w {
		t.Errorf("torn: %+v, %v", got, err)
	}
	// Both damaged: it is not known what was seen, and nothing is guessed.
	if err := os.WriteFile(windowFile(dir, s), make([]byte, 2*slot), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readWindow(dir, s); err == nil {
		t.Error("a damaged window was taken for an empty one")
	}
}
