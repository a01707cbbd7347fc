package station

import (
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
