package main

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// BuiltUnix is when the image was built, set by the linker: the clock is never before it.
var BuiltUnix = "0"

// floorClock moves a clock that is before the image's own time up to it. The kernel has
// read a clock chip by then where there is one; edged keeps a floor of its own.
func (b *board) floorClock() error {
	n, err := strconv.ParseInt(BuiltUnix, 10, 64)
	if err != nil || n <= 0 || time.Now().Unix() >= n {
		return err
	}
	b.say("clock: it stood at %s, before this image was built", time.Now().UTC().Format(time.RFC3339))
	tv := unix.NsecToTimeval(n * 1e9)
	return unix.Settimeofday(&tv)
}
