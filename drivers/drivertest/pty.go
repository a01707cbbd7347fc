package drivertest

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// PTY is a pseudo terminal: a serial port as a program sees it, with the test
// at the other end of the wire.
type PTY struct {
	// Path is the port.
	Path string
	// Far is the other end. Reads and writes on it end when it is closed.
	Far *os.File

	hold *os.File
	once sync.Once
}

// OpenPTY makes one that lives as long as the test.
func OpenPTY(t testing.TB) *PTY {
	t.Helper()
	p, err := openPTY()
	if err != nil {
		t.Fatalf("pty: %v", err)
	}
	t.Cleanup(p.Pull)
	return p
}

func openPTY() (*PTY, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	p := &PTY{Far: os.NewFile(uintptr(fd), "pty")}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, err
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, err
	}
	p.Path = fmt.Sprintf("/dev/pts/%d", n)
	// The near end is held open, so that the far end does not see a hang-up
	// while no program has the port.
	near, err := unix.Open(p.Path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	p.hold = os.NewFile(uintptr(near), p.Path)
	t, err := unix.IoctlGetTermios(near, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL
	return p, unix.IoctlSetTermios(near, unix.TCSETS, t)
}

// Pull hangs the port up, as an adapter does that is pulled out.
func (p *PTY) Pull() {
	p.once.Do(func() {
		p.Far.Close()
		p.hold.Close()
	})
}

// Termios gives the port's settings.
func (p *PTY) Termios(t testing.TB) *unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(p.hold.Fd()), unix.TCGETS2)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
