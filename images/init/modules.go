package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// loadModules loads the drivers that the initramfs names, in its order: each after those
// that it needs.
func loadModules(b *board) {
	list, err := os.ReadFile("/lib/modules.list")
	if err != nil {
		return // a kernel that has all built in
	}
	for name := range strings.FieldsSeq(string(list)) {
		f, err := os.Open(filepath.Join("/lib/mod", filepath.Base(name)))
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
