package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Where drivers lie that a kernel does not have built in: those that the disk needs, in the
// initramfs, and those that instruments, networks and watchdogs need, in the root.
const (
	firstDrivers = "/lib/drivers"
	rootDrivers  = "/usr/lib/drivers"
)

// loadDrivers loads the drivers of a folder in the order of its list: each after those that
// it needs. A board has few of the parts that they drive; one that finds nothing to drive
// is no fault.
func loadDrivers(b *board, dir string) {
	list, err := os.ReadFile(filepath.Join(dir, "list"))
	if err != nil {
		return // a kernel that has all built in
	}
	for name := range strings.FieldsSeq(string(list)) {
		f, err := os.Open(filepath.Join(dir, filepath.Base(name)))
		if err != nil {
			b.say("driver %s: %v", name, err)
			continue
		}
		if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENODEV) {
			b.say("driver %s: %v", name, err)
		}
		f.Close()
	}
}
