//go:build linux

package audio

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// kernel is the part of the system that a Card uses; the tests have another.
type kernel interface {
	// cards gives /proc/asound/cards.
	cards() ([]byte, error)
	// open opens without waiting for a device that is busy.
	open(path string) (int, error)
	ioctl(fd int, req uintptr, arg unsafe.Pointer) error
	// wait waits until samples can be written, at most d.
	wait(fd int, d time.Duration)
	close(fd int) error
}

type linux struct{}

func (linux) cards() ([]byte, error) { return os.ReadFile("/proc/asound/cards") }

func (linux) open(path string) (int, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return -1, fmt.Errorf("open %s: %w", path, err)
		}
		return fd, nil
	}
}

func (linux) ioctl(fd int, req uintptr, arg unsafe.Pointer) error {
	for {
		_, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), req, uintptr(arg))
		switch e {
		case 0:
			return nil
		case syscall.EINTR:
			continue
		}
		return e
	}
}

type pollFd struct {
	fd      int32
	events  int16
	revents int16
}

// wait polls for POLLOUT; ppoll is the call that every architecture has.
func (linux) wait(fd int, d time.Duration) {
	p := pollFd{fd: int32(fd), events: 4}
	ts := syscall.NsecToTimespec(int64(d))
	syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	runtime.KeepAlive(&p)
}

func (linux) close(fd int) error { return syscall.Close(fd) }
