package powercut

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// loopOver makes a loop device over a file. The descriptor keeps it until
// something has mounted it; then it clears itself with the last user.
func loopOver(path string) (dev string, fd int, err error) {
	ctl, err := unix.Open("/dev/loop-control", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", -1, fmt.Errorf("/dev/loop-control: %w", err)
	}
	defer unix.Close(ctl)
	back, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", -1, fmt.Errorf("opening the disk's file: %w", err)
	}
	defer unix.Close(back)
	for range 20 { // another process may take the free one first
		n, err := unix.IoctlRetInt(ctl, unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return "", -1, fmt.Errorf("no free loop device: %w", err)
		}
		dev = fmt.Sprintf("/dev/loop%d", n)
		fd, err = unix.Open(dev, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		err = unix.IoctlLoopConfigure(fd, &unix.LoopConfig{
			Fd: uint32(back), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR},
		})
		if err == nil {
			return dev, fd, nil
		}
		unix.Close(fd)
		if err != unix.EBUSY {
			return "", -1, fmt.Errorf("%s: %w", dev, err)
		}
	}
	return "", -1, fmt.Errorf("no free loop device")
}
