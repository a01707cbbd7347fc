package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// mountKernel mounts what the kernel gives, before there is a root.
func mountKernel(b *board) {
	for _, m := range []struct {
		fs, at string
		flags  uintptr
		opts   string
	}{
		{"proc", "/proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"sysfs", "/sys", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"devtmpfs", "/dev", unix.MS_NOSUID, "mode=0755"},
		{"tmpfs", "/run", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755,size=32m"},
		{"tmpfs", "/tmp", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, "mode=1777,size=64m"},
		{"cgroup2", "/sys/fs/cgroup", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"pstore", "/sys/fs/pstore", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	} {
		_ = os.MkdirAll(m.at, 0o755) // those of sysfs are there already
		if err := unix.Mount(m.fs, m.at, m.fs, m.flags, m.opts); err != nil && !errors.Is(err, unix.EBUSY) {
			b.say("mount %s: %v", m.at, err)
		}
	}
}

// enterRoot mounts the slot that this boot came from and makes its root the root. Without
// one (a kernel that was started with an initramfs alone) what is in it goes on.
func (b *board) enterRoot() error {
	b.slots = b.args.slots()
	if b.args["slot"] == "" {
		if s := slotOfTree("/proc/device-tree/chosen"); s != "" {
			b.slots.Slot = s
		}
	}
	switch b.slots.Disk {
	case "":
		return nil
	case "auto":
		d, err := findDisk("/sys/class/block", "/dev", diskWait)
		if b.slots.Disk = d; err != nil {
			return err
		}
	}
	dev := b.slots.device(b.slots.Slot)
	if err := waitFor(dev, 5*time.Second); err != nil {
		return err
	}
	const slot, root = "/slot", "/root"
	for _, d := range []string{slot, root} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount(dev, slot, "vfat", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("slot %s on %s: %w", b.slots.Slot, dev, err)
	}
	loop, err := loopOver(filepath.Join(slot, "root.sqfs"))
	if err != nil {
		return err
	}
	if err := unix.Mount(loop, root, "squashfs", unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID, ""); err != nil {
		return fmt.Errorf("root on %s: %w", loop, err)
	}
	for _, d := range []string{"proc", "sys", "dev", "run", "tmp", "slot"} {
		if err := unix.Mount("/"+d, filepath.Join(root, d), "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("moving /%s: %w", d, err)
		}
	}
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("the new root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return unix.Chdir("/")
}

// warmStep is how much is asked for at once: a kernel cuts what is more than its device takes in one piece.
const warmStep = 128 << 10

// warm has a file read into memory, one piece after the other as it lies on its card: a program that begins asks for its pages here and
// there, and waits for each.
func warm(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil {
		return err
	}
	for at := int64(0); at < i.Size(); at += warmStep {
		if err := unix.Fadvise(int(f.Fd()), at, warmStep, unix.FADV_WILLNEED); err != nil {
			return fmt.Errorf("reading %s ahead: %w", path, err)
		}
	}
	return nil
}

// waitFor waits for a device to appear.
func waitFor(path string, most time.Duration) error {
	for end := time.Now().Add(most); ; time.Sleep(20 * time.Millisecond) {
		_, err := os.Stat(path)
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// loopOver puts a loop device over a file, read-only.
func loopOver(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	ctl, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer ctl.Close()
	n, err := unix.IoctlRetInt(int(ctl.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return "", fmt.Errorf("a free loop device: %w", err)
	}
	dev := fmt.Sprintf("/dev/loop%d", n)
	l, err := os.OpenFile(dev, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer l.Close()
	c := unix.LoopConfig{Fd: uint32(f.Fd()), Size: 4096}
	c.Info.Flags = unix.LO_FLAGS_READ_ONLY
	if err := unix.IoctlLoopConfigure(int(l.Fd()), &c); err != nil {
		return "", fmt.Errorf("%s over %s: %w", dev, path, err)
	}
	return dev, nil
}
