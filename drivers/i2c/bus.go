package i2c

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"

	"tocsin/drivers"
)

// Bus is one of the kernel's I²C buses. It opens at the first use, and again
// after it was gone. One goroutine uses it, its line's owner; Close may be called
// from any.
type Bus struct {
	path string

	mu     sync.Mutex
	f      *os.File
	closed bool
}

// Open names a bus, e.g. /dev/i2c-1. Nothing is opened yet.
func Open(path string) *Bus { return &Bus{path: path} }

// message is struct i2c_msg, rdwr struct i2c_rdwr_ioctl_data (linux/i2c.h,
// linux/i2c-dev.h).
type message struct {
	addr  uint16
	flags uint16
	size  uint16
	_     uint16
	buf   unsafe.Pointer
}

type rdwr struct {
	messages unsafe.Pointer
	count    uint32
}

const (
	ioctlRDWR = 0x0707
	flagRead  = 0x0001
)

// Tx is periph's i2c.Bus: it writes w, then reads r after a repeated start.
// Errors are *drivers.Fault.
func (b *Bus) Tx(addr uint16, w, r []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return &drivers.Fault{Kind: drivers.FaultGone, Detail: b.path, Err: os.ErrClosed}
	}
	if b.f == nil {
		f, err := os.OpenFile(b.path, os.O_RDWR, 0)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return &drivers.Fault{Kind: drivers.FaultGone, Detail: b.path, Err: fmt.Errorf("%w: %w", drivers.ErrAbsent, err)}
		case err != nil:
			return &drivers.Fault{Kind: drivers.FaultGone, Detail: b.path, Err: err}
		}
		b.f = f
	}
	var m []message
	if len(w) > 0 {
		m = append(m, message{addr: addr, size: uint16(len(w)), buf: unsafe.Pointer(&w[0])})
	}
	if len(r) > 0 {
		m = append(m, message{addr: addr, flags: flagRead, size: uint16(len(r)), buf: unsafe.Pointer(&r[0])})
	}
	if len(m) == 0 {
		return nil
	}
	d := rdwr{unsafe.Pointer(&m[0]), uint32(len(m))}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, b.f.Fd(), ioctlRDWR, uintptr(unsafe.Pointer(&d)))
	runtime.KeepAlive(m)
	runtime.KeepAlive(w)
	runtime.KeepAlive(r)
	if errno == 0 {
		return nil
	}
	err := fault(errno, fmt.Sprintf("%s address 0x%02x", b.path, addr))
	if err.Kind == drivers.FaultGone {
		b.f.Close()
		b.f = nil
	}
	return err
}

// fault gives the kernel's error its kind (Documentation/i2c/fault-codes.rst).
func fault(errno syscall.Errno, what string) *drivers.Fault {
	k := drivers.FaultOther
	switch errno {
	case unix.ENXIO, unix.EREMOTEIO, unix.ETIMEDOUT: // no acknowledge; clock held too long
		k = drivers.FaultTimeout
	case unix.EAGAIN, unix.EIO, unix.EPROTO, unix.EBADMSG: // arbitration lost, bus error
		k = drivers.FaultGarbled
	case unix.ENODEV, unix.EBADF, unix.ESHUTDOWN:
		k = drivers.FaultGone
	}
	return &drivers.Fault{Kind: k, Detail: what, Err: errno}
}

// SetSpeed is periph's i2c.Bus; the board's device tree sets the speed.
func (b *Bus) SetSpeed(physic.Frequency) error { return errors.New("the device tree sets the speed") }

// Close lets the bus go.
func (b *Bus) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.f == nil {
		return nil
	}
	f := b.f
	b.f = nil
	return f.Close()
}

// String names it.
func (b *Bus) String() string { return b.path }

var _ i2c.Bus = (*Bus)(nil)
