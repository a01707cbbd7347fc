package station

import (
	"os"
	"runtime/debug"
)

// heapGrowth is how far the heap grows before it is collected, in percent of
// what is in use. What runs for months makes next to no garbage (room for
// readings is used again), so that collecting it early costs nothing, and the
// box shares its memory with the page cache and the children.
const heapGrowth = 50

// lean holds the heap close to what is in use, unless whoever starts the box
// says otherwise.
func lean() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}

// returnMemory gives back what the start took: reading and proving the site's
// file leaves more garbage than a day of measuring.
func returnMemory() { debug.FreeOSMemory() }
