package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"tocsin/firmware/update/slots"
)

// A Raspberry Pi 5 has no boot loader of ours: its firmware starts the partition that
// autoboot.txt names, and once another where a restart asks for it. What it did it writes into
// the device tree (Raspberry Pi documentation, "Device trees: bootloader properties").
const firmwareTree = "/proc/device-tree/chosen/bootloader"

// fromFirmware takes the slot and the trial from the firmware where no boot loader said them,
// and tells whether it did.
func (c cmdline) fromFirmware(tree string) bool {
	if c["slot"] != "" {
		return false
	}
	number := func(name string) uint32 {
		b, err := os.ReadFile(filepath.Join(tree, name))
		if err != nil || len(b) != 4 {
			return 0
		}
		return binary.BigEndian.Uint32(b) // Devicetree Specification, 2.2.4
	}
	switch number("partition") {
	case 2:
		c["slot"] = "A"
	case 3:
		c["slot"] = "B"
	default:
		return false
	}
	if number("tryboot") == 1 {
		c["next"] = c["slot"]
	}
	return true
}

var errNoAutoboot = errors.New("the first partition has no autoboot.txt of ours, or more than one")

// autoboot says which slot starts by itself, and changes that where one is given: one sector,
// that held the other form. What is neither form is not touched.
func (b *board) autoboot(slot string) (string, error) {
	if slot != "" && slot != "A" && slot != "B" {
		return "", errors.New("a slot is A or B")
	}
	if b.slots.Disk == "" {
		return "", errors.New("this board was not started from slots")
	}
	f, err := os.OpenFile(part(b.slots.Disk, "1"), os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return pointAutoboot(f, slot)
}

func pointAutoboot(f *os.File, slot string) (string, error) {
	was, at, err := findAutoboot(f)
	if err != nil || slot == "" || slot == was {
		return was, err
	}
	form, err := slots.Autoboot(slot)
	if err != nil {
		return was, err
	}
	if _, err := f.WriteAt(form, at); err != nil {
		return was, err
	}
	if err := f.Sync(); err != nil {
		return was, err
	}
	is, _, err := findAutoboot(f)
	if err == nil && is != slot {
		err = errors.New("autoboot.txt reads otherwise than it was written")
	}
	return is, err
}

// mostSelector bounds the partition that is looked through.
const mostSelector = 512 << 20

func findAutoboot(f io.ReaderAt) (slot string, at int64, err error) {
	forms := map[string][]byte{}
	for _, s := range []string{"A", "B"} {
		if forms[s], err = slots.Autoboot(s); err != nil {
			return "", 0, err
		}
	}
	block := make([]byte, 256<<10)
	for from := int64(0); from < mostSelector; from += int64(len(block)) {
		n, err := f.ReadAt(block, from)
		if err != nil && err != io.EOF {
			return "", 0, err
		}
		for o := 0; o+slots.AutobootSize <= n; o += slots.AutobootSize {
			for s, form := range forms {
				if bytes.Equal(block[o:o+slots.AutobootSize], form) {
					if slot != "" {
						return "", 0, errNoAutoboot
					}
					slot, at = s, from+int64(o)
				}
			}
		}
		if n < len(block) {
			break
		}
	}
	if slot == "" {
		return "", 0, errNoAutoboot
	}
	return slot, at, nil
}

// tryOnce starts the machine anew with the other slot, once (reboot(2), LINUX_REBOOT_CMD_RESTART2).
func tryOnce() error {
	arg := []byte("0 tryboot\x00")
	_, _, e := unix.Syscall6(unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1, unix.LINUX_REBOOT_MAGIC2, unix.LINUX_REBOOT_CMD_RESTART2, uintptr(unsafe.Pointer(&arg[0])), 0, 0)
	if e != 0 {
		return e
	}
	return nil
}
