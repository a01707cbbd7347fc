// Package port is a serial port of the bench: a pseudo terminal whose near end is
// a path that a program opens as its port, and whose far end a simulator serves.
// It imports nothing of firmware or drivers.
package port

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Port is one.
type Port struct {
	// Path is what the program opens.
	Path string
	// File is the simulator's end. Reads end when the port is closed.
	*os.File

	hold *os.File // the near end, so that nobody sees a hang-up while no program has it
	once sync.Once
}

// Open makes one, with the settings of a plain port.
func Open() (*Port, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/ptmx: %w", err)
	}
	p := &Port{File: os.NewFile(uintptr(fd), "pty")}
	if err := p.settle(fd); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Port) settle(fd int) error {
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return fmt.Errorf("unlock pty: %w", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return fmt.Errorf("number of pty: %w", err)
	}
	p.Path = fmt.Sprintf("/dev/pts/%d", n)
	near, err := unix.Open(p.Path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", p.Path, err)
	}
	p.hold = os.NewFile(uintptr(near), p.Path)
	t, err := unix.IoctlGetTermios(near, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("settings of %s: %w", p.Path, err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL
	return unix.IoctlSetTermios(near, unix.TCSETS, t)
}

// Close hangs it up, as an adapter does that is pulled out.
func (p *Port) Close() error {
	var err error
	p.once.Do(func() {
		err = p.File.Close()
		if p.hold != nil {
			p.hold.Close()
		}
	})
	return err
}
