package main

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// diskID is the disk identifier in the partition table of a board's own disk ("tocs"), by
// which it is found: how Linux numbers disks is not how a boot loader does.
const diskID = 0x746f6373

// diskWait is for a card that is slow to answer.
const diskWait = 8 * time.Second

// kinds of disks, those that are soldered or sit in a slot first: a USB stick with a
// board's image on it never takes the place of the board's own card.
var kinds = []string{"mmcblk", "vd", "nvme", "sd"}

// findDisk finds the board's own disk; sys is /sys/class/block, dev /dev.
func findDisk(sys, dev string, most time.Duration) (string, error) {
	for end := time.Now().Add(most); ; time.Sleep(20 * time.Millisecond) {
		if d := ownDisk(sys, dev); d != "" {
			return d, nil
		}
		if time.Now().After(end) {
			return "", errors.New("no disk has this board's partition table")
		}
	}
}

func ownDisk(sys, dev string) string {
	all, err := os.ReadDir(sys)
	if err != nil {
		return ""
	}
	for _, k := range kinds {
		for _, e := range all {
			if !strings.HasPrefix(e.Name(), k) {
				continue
			}
			if _, err := os.Stat(filepath.Join(sys, e.Name(), "partition")); err == nil {
				continue
			}
			if path := filepath.Join(dev, e.Name()); isOwn(path) {
				return path
			}
		}
	}
	return ""
}

func isOwn(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var b [512]byte
	_, err = f.ReadAt(b[:], 0)
	return err == nil && b[510] == 0x55 && b[511] == 0xaa && binary.LittleEndian.Uint32(b[440:]) == diskID
}

// slotOfTree is the slot that a Raspberry Pi 5's firmware started, which says in the
// device tree which partition that was (chosen/bootloader/partition, a big-endian cell):
// 2 is A, 3 is B. "" where it says nothing.
func slotOfTree(chosen string) string {
	b, err := os.ReadFile(filepath.Join(chosen, "bootloader/partition"))
	if err != nil || len(b) != 4 {
		return ""
	}
	n := int(binary.BigEndian.Uint32(b)) - 2
	if slots := []string{"A", "B"}; slices.Contains([]int{0, 1}, n) {
		return slots[n]
	}
	return ""
}
