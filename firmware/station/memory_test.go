package station

import (
	"runtime/debug"
	"slices"
	"testing"
)

func TestOnlyTheProgramsReadOnlyPagesAreGivenBack(t *testing.T) {
	const maps = `00400000-01471000 r-xp 00000000 fe:00 1037 /opt/edged
01471000-024aa000 r--p 01071000 fe:00 1037 /opt/edged
024aa000-02600000 rw-p 020aa000 fe:00 1037 /opt/edged
02600000-02700000 r--p 00000000 fe:00 9 /opt/edged (deleted)
c000000000-c001000000 rw-p 00000000 00:00 0
7f0000000000-7f0000001000 r-xp 00000000 00:00 0 [vdso]
zz-1 r--p 00000000 fe:00 1037 /opt/edged
`
	if got, want := programPages(maps, "/opt/edged"), []pages{{0x400000, 0x1471000}, {0x1471000, 0x24aa000}}; !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestTheHeapGrowsWhileABoxBeginsAndNotAfterwards(t *testing.T) {
	was := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(was) })
	now := func() int {
		n := debug.SetGCPercent(100)
		debug.SetGCPercent(n)
		return n
	}
	t.Setenv("GOGC", "70") // whoever starts the box has said how
	Begin()
	lean()
	if n := now(); n != 100 {
		t.Errorf("%d %%, though it was said from outside", n)
	}
	t.Setenv("GOGC", "")
	if Begin(); now() != startGrowth {
		t.Errorf("%d %% while it begins", now())
	}
	if lean(); now() != heapGrowth {
		t.Errorf("%d %% once it stands watch", now())
	}
}
