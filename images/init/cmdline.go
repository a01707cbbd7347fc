package main

import (
	"os"
	"strings"
)

// cmdline is what the boot loader said: key=value words; a word alone has the value "".
type cmdline map[string]string

func readCmdline(path string) cmdline {
	b, err := os.ReadFile(path)
	if err != nil {
		return cmdline{}
	}
	return parseCmdline(string(b))
}

func parseCmdline(s string) cmdline {
	c := cmdline{}
	for _, w := range strings.Fields(s) {
		k, v, _ := strings.Cut(w, "=")
		c[k] = v
	}
	return c
}

// slotPlaces are the devices that a slot's board boots from.
type slotPlaces struct {
	Disk string // /dev/vda, /dev/mmcblk0
	Slot string // A or B: which of them this is
}

// part names a partition of a disk: the kernel puts a p between a name that ends in a digit and the number.
func part(disk string, n string) string {
	if disk != "" && disk[len(disk)-1] >= '0' && disk[len(disk)-1] <= '9' {
		return disk + "p" + n
	}
	return disk + n
}

func (c cmdline) slots() slotPlaces {
	s := slotPlaces{Disk: c["disk"], Slot: c["slot"]}
	if s.Slot != "B" {
		s.Slot = "A"
	}
	return s
}

// device is where a slot lies.
func (s slotPlaces) device(slot string) string {
	if slot == "B" {
		return part(s.Disk, "3")
	}
	return part(s.Disk, "2")
}

func (s slotPlaces) data() string { return part(s.Disk, "4") }
