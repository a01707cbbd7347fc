package serial

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// control is a second descriptor of the terminal, for what the package below
// cannot do.
type control struct{ fd int }

func openControl(path string) (control, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == unix.EINTR {
			continue
		}
		return control{fd}, err
	}
}

// terminal fails where the file is no terminal.
func (c control) terminal() error {
	_, err := unix.IoctlGetTermios(c.fd, unix.TCGETS)
	return err
}

// pseudo tells whether this is a pseudo terminal, on which bytes take no time
// (majors 136 to 143, Linux Documentation/admin-guide/devices.txt).
func (c control) pseudo() bool {
	var st unix.Stat_t
	if unix.Fstat(c.fd, &st) != nil {
		return false
	}
	m := unix.Major(uint64(st.Rdev))
	return m >= 136 && m <= 143
}

// lock takes the port for this program. The lock ends with the descriptor, thus
// with the process.
func (c control) lock() error { return unix.Flock(c.fd, unix.LOCK_EX|unix.LOCK_NB) }

// exclusive makes further opens by others fail.
func (c control) exclusive(on bool) error {
	req := uint(unix.TIOCNXCL)
	if on {
		req = unix.TIOCEXCL
	}
	return unix.IoctlSetInt(c.fd, req, 0)
}

// rate sets any rate and fails where the hardware makes one that is more than
// 2 % off, which no receiver can be expected to follow.
func (c control) rate(baud int) error {
	t, err := unix.IoctlGetTermios(c.fd, unix.TCGETS2)
	if err != nil {
		return err
	}
	t.Cflag = t.Cflag&^(unix.CBAUD|unix.CBAUD<<16) | unix.BOTHER
	t.Ispeed, t.Ospeed = uint32(baud), uint32(baud)
	if err := unix.IoctlSetTermios(c.fd, unix.TCSETS2, t); err != nil {
		return err
	}
	got, err := c.speed()
	if err != nil {
		return err
	}
	if d := got - baud; d*50 > baud || d*50 < -baud {
		return fmt.Errorf("asked for %d Bd, the hardware makes %d", baud, got)
	}
	return nil
}

func (c control) speed() (int, error) {
	t, err := unix.IoctlGetTermios(c.fd, unix.TCGETS2)
	if err != nil {
		return 0, err
	}
	return int(t.Ospeed), nil
}

// checkParity makes a character with a wrong parity arrive as NUL, which no
// text holds, in place of letting it pass.
func (c control) checkParity() error {
	t, err := unix.IoctlGetTermios(c.fd, unix.TCGETS2)
	if err != nil {
		return err
	}
	t.Iflag = t.Iflag&^(unix.IGNPAR|unix.PARMRK) | unix.INPCK
	return unix.IoctlSetTermios(c.fd, unix.TCSETS2, t)
}

// waiting gives how many bytes were received and not yet read.
func (c control) waiting() int {
	n, err := unix.IoctlGetInt(c.fd, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

func (c control) close() { unix.Close(c.fd) }

// rs485 is struct serial_rs485 of linux/serial.h.
type rs485 struct {
	flags, before, after uint32
	_                    [5]uint32
}

const (
	rs485Enabled      = 1 << 0
	rs485RTSOnSend    = 1 << 1
	rs485RTSAfterSend = 1 << 2
)

func (o RS485) kernel() rs485 {
	k := rs485{flags: rs485Enabled | rs485RTSOnSend, before: uint32(o.Before.Milliseconds()), after: uint32(o.After.Milliseconds())}
	if o.RTSLowOnSend {
		k.flags = rs485Enabled | rs485RTSAfterSend
	}
	return k
}

// direct sets the RS-485 direction. It is state of the port, so that a second
// descriptor may set it.
func (c control) direct(o RS485) error {
	k := o.kernel()
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(c.fd), unix.TIOCSRS485, uintptr(unsafe.Pointer(&k)))
	if errno == unix.ENOTTY || errno == unix.EINVAL || errno == unix.EOPNOTSUPP {
		return errors.New("this port cannot switch the direction of RS-485 by RTS: use an adapter that does it by itself and leave rs485 out")
	}
	if errno != 0 {
		return errno
	}
	return nil
}
