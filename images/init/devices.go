package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// boxUser is whom edged runs as, and the group of what it may open, with all that it starts.
// The root image names it in /etc/passwd.
const boxUser = 900

// owned are the devices that are edged's: what instruments, horns and clocks hang on.
var owned = []string{"ttyS", "ttyUSB", "ttyACM", "ttyAMA", "snd/", "gpiochip", "i2c-", "spidev", "pps", "rtc", "hidraw", "dma_heap/"}

// looked are those that it may read and not write: whoever could write into the button's
// device could press it, and init takes that for a hand at the box.
var looked = []string{"input/event"}

func startsWithAny(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

func boxOwns(name string) bool { return startsWithAny(name, owned) }

// settleDevices gives edged the devices that are there already.
func (b *board) settleDevices() {
	_ = filepath.WalkDir("/dev", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeDevice != 0 {
			b.give(strings.TrimPrefix(path, "/dev/"))
		}
		return nil
	})
}

var stickName = regexp.MustCompile(`^sd[a-z]+[0-9]*$`)

// onUSB tells whether a disk, or the disk of a partition, hangs on USB.
func onUSB(name string) bool {
	real, err := filepath.EvalSymlinks("/sys/class/block/" + name)
	return err == nil && strings.Contains(real, "/usb")
}

func (b *board) give(name string) {
	group, mode := b.slots.rights(name, onUSB)
	if mode == 0 {
		return
	}
	_ = os.Chown("/dev/"+name, 0, group)
	_ = os.Chmod("/dev/"+name, mode)
	if boxOwns(name) {
		if err := nameBySocket("/sys", "/dev", name); err != nil {
			b.say("devices: %s has no name by its socket: %v", name, err)
		}
	}
}

// rights are a device's group and mode; 0 for those that the kernel gave it.
func (s slotPlaces) rights(name string, onUSB func(string) bool) (group int, mode fs.FileMode) {
	switch {
	case s.Disk != "" && strings.HasPrefix("/dev/"+name, s.Disk):
		// Of the board's own disk edged gets descriptors, one by one (slot.go): what it starts
		// is of its group, too. Before the disk was known it may have been taken for a stick.
		return 0, 0o600
	case stickName.MatchString(name) && onUSB(name):
		// Never mounted: edged reads what a stick brings off the bare device, and writes nothing.
		return boxUser, 0o640
	case startsWithAny(name, looked):
		return boxUser, 0o640
	case boxOwns(name):
		return boxUser, 0o660
	}
	return 0, 0
}

// watchDevices gives edged those that come later: an adapter that was pulled and put back.
func (b *board) watchDevices(ctx context.Context) {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err == nil {
		err = unix.Bind(s, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1})
	}
	if err != nil {
		b.say("devices that come later are not seen: %v", err)
		return
	}
	_ = unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
	buf := make([]byte, 16<<10)
	for ctx.Err() == nil {
		n, from, err := unix.Recvfrom(s, buf, 0)
		if err != nil {
			if err == unix.EINTR || err == unix.ENOBUFS {
				b.settleDevices() // some may have been missed
				continue
			}
			return
		}
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue // not the kernel's
		}
		e := parseEvent(buf[:n])
		name := e["DEVNAME"]
		switch {
		case name == "" || strings.Contains(name, ".."):
		case e["ACTION"] == "add", e["ACTION"] == "change":
			b.give(name)
		case e["ACTION"] == "remove":
			forgetSocket("/dev", name)
		}
	}
}

// parseEvent reads the kernel's message: words that end in a zero byte, the first of which
// has no =.
func parseEvent(msg []byte) map[string]string {
	e := map[string]string{}
	for w := range bytes.SplitSeq(msg, []byte{0}) {
		if k, v, ok := strings.Cut(string(w), "="); ok {
			e[k] = v
		}
	}
	return e
}
