package station

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// heapGrowth is how far the heap grows before it is collected, in percent of
// what is in use. What runs for months makes next to no garbage (room for
// readings is used again), so that collecting it early costs nothing, and the
// box shares its memory with the page cache and the children.
const heapGrowth = 15

// startGrowth is the same while the box begins: what it reads then is garbage a moment later, and to collect it early takes a third of the
// time until it stands watch. It ends with that, and by itself after startMost.
const (
	startGrowth = 200
	startMost   = time.Minute
)

// Begin lets the heap grow until the box stands watch. It is for the first thing that a
// process does whose only work is Run.
func Begin() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(startGrowth)
		time.AfterFunc(startMost, lean)
	}
}

// lean holds the heap close to what is in use, unless whoever starts the box
// says otherwise.
func lean() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}

// settled is after how long memory is given back, one after the other: when the box is armed,
// when its links have been opened, and when those that dial long have done so.
var settled = []time.Duration{0, 15 * time.Second, 2 * time.Minute}

// returnMemory gives back what the start took: reading and proving the site's
// file leaves more garbage than a day of measuring, and the program's own pages that only the
// start ran through (schemas, tables, parsers) stay mapped until something else needs the room.
func returnMemory() {
	debug.FreeOSMemory()
	if !linkedWhole() {
		return
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for _, r := range programPages(string(maps), exe) {
		// What is run on comes back from the page cache, as it came first. An error leaves all as it was.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, r.from, r.to-r.from, unix.MADV_DONTNEED)
	}
}

// linkedWhole tells whether nothing wrote into the program's read-only pages when it was loaded: no
// relocations. Elsewhere giving them back would lose those.
func linkedWhole() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	has := map[string]string{}
	for _, s := range info.Settings {
		has[s.Key] = s.Value
	}
	return has["-buildmode"] == "exe" && has["CGO_ENABLED"] == "0"
}

type pages struct{ from, to uintptr }

// programPages reads the read-only mappings of a program's file from /proc/self/maps
// (proc_pid_maps(5)).
func programPages(maps, exe string) (all []pages) {
	for l := range strings.Lines(maps) {
		f := strings.Fields(l)
		if len(f) != 6 || f[5] != exe || f[1] != "r-xp" && f[1] != "r--p" {
			continue
		}
		from, to, _ := strings.Cut(f[0], "-")
		a, err := strconv.ParseUint(from, 16, 64)
		b, err2 := strconv.ParseUint(to, 16, 64)
		if err == nil && err2 == nil && a < b {
			all = append(all, pages{uintptr(a), uintptr(b)})
		}
	}
	return all
}
