//go:build image

package images

import (
	"os"
	"slices"
	"strings"
	"testing"

	"tocsin/images/bench"
)

// brokenOnce gives a board on which a release with a broken init is started once, and has
// it come back to what was good before.
func brokenOnce(t *testing.T, how string) *bench.Board {
	t.Helper()
	b := card(t)
	r, err := bench.OpenReleases(b.Disk, os.Getenv("TOCSIN_KEYS"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Try(b, bench.Variant{Version: "v2-" + how, Init: how}); err != nil {
		t.Fatal(err)
	}
	boots(t, b)
	c := b.Console()
	if !strings.Contains(c, "init: a broken one: "+how) || !strings.Contains(c, "back to A") || strings.Count(c, "\nU-Boot 20") != 2 {
		t.Fatal("it came up otherwise")
	}
	return b
}

func TestTheWatchdogsHardwareStartsABoardAnewThatSaysNothing(t *testing.T) {
	b := brokenOnce(t, "starve")
	if e := b.Events(); !slices.Contains(e, "WATCHDOG") || !slices.Contains(e, "RESET") {
		t.Fatalf("the emulator tells of %v, and of no watchdog", e)
	}
	if strings.Contains(b.Console(), "Kernel panic") {
		t.Fatal("it was the kernel that started it anew")
	}
	t.Logf("armed %.1f s after the power", b.SinceOn().Seconds())
}

func TestABoardKnowsAfterAPanicWhatItsKernelSaidLast(t *testing.T) {
	b := brokenOnce(t, "panic")
	if e := b.Events(); slices.Contains(e, "WATCHDOG") {
		t.Fatal("it was the watchdog that started it anew")
	}
	const words = "init: the last words of a boot before this one: "
	_, told, _ := strings.Cut(b.Console(), words)
	if l, _, _ := strings.Cut(told, "\n"); !strings.Contains(l, "Kernel panic - not syncing: Attempted to kill init!") {
		t.Fatalf("it tells %q", l)
	}
	// The next start is after no panic, and says so: what init said of the one before is nobody's last word.
	if err := b.Reset(); err != nil {
		t.Fatal(err)
	}
	if err := b.Says(bench.Armed, 2, most); err != nil {
		t.Fatal(err)
	}
	if c := b.Console(); strings.Count(c, words) != 1 || strings.Count(c, "the one before ended in a panic") != 1 {
		t.Fatal("it tells of the panic again, after a boot that had none")
	}
}
