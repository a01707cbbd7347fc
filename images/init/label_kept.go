package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// labelBefore is what the label said before a reset: it is printed inside the box, and stays
// true. The newest folder that was set aside counts; no link is followed.
func labelBefore(dir string) []byte {
	all, _ := filepath.Glob(filepath.Join(dir, "before-reset*"))
	slices.SortFunc(all, func(a, b string) int { // before-reset-9 is older than before-reset-10
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(b, a)
	})
	for _, d := range all {
		root, err := os.OpenRoot(d)
		if err != nil {
			continue
		}
		f, err := root.OpenFile(filepath.Join("data", filepath.Base(apFile())), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		root.Close()
		if err != nil {
			continue
		}
		t, err := io.ReadAll(io.LimitReader(f, mostPreset))
		f.Close()
		if err == nil && len(t) > 0 {
			return t
		}
	}
	return nil
}
