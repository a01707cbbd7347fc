package stick

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Device is a stick's partition, or a stick that has none.
type Device struct {
	Path string
	Size int64
	// ID changes each time that a stick is put in.
	ID string
}

const (
	mostSticks     = 4
	mostPartitions = 4
	sectorUnit     = 512 // of sysfs' sizes, whatever the device's own
)

// Find lists what is on USB as a disk: sys is /sys/block, dev /dev. Of each stick its
// partitions are named, and it itself where it has none.
func Find(sys, dev string) (out []Device) {
	disks, _ := filepath.Glob(filepath.Join(sys, "sd*"))
	for _, d := range disks[:min(len(disks), mostSticks)] {
		real, err := filepath.EvalSymlinks(d)
		if err != nil || !strings.Contains(real, "/usb") {
			continue
		}
		name := filepath.Base(d)
		parts, _ := filepath.Glob(filepath.Join(d, name+"[0-9]*"))
		if len(parts) == 0 {
			parts = []string{d}
		}
		for _, p := range parts[:min(len(parts), mostPartitions)] {
			n, err := strconv.ParseInt(word(filepath.Join(p, "size")), 10, 64)
			if err != nil || n <= 0 || n > 1<<40 {
				continue
			}
			part := filepath.Base(p)
			out = append(out, Device{Path: filepath.Join(dev, part), Size: n * sectorUnit, ID: part + "/" + word(filepath.Join(d, "diskseq"))})
		}
	}
	return out
}

func word(path string) string {
	b, err := os.ReadFile(path)
	if err != nil || len(b) > 64 {
		return ""
	}
	return strings.TrimSpace(string(b))
}
