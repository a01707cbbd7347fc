package pps

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tocsin/drivers"
)

const (
	// wait is how long the kernel is let wait for a pulse in one asking.
	wait = 1500 * time.Millisecond
	// oldest is the age from which what the kernel gives is no new pulse, or its clock was stepped between.
	oldest = 1500 * time.Millisecond
)

// The kernel's requests are written with the size of a pointer (linux/pps.h).
const (
	pointer     = unsafe.Sizeof(uintptr(0))
	getParams   = 2<<30 | pointer<<16 | 'p'<<8 | 0xa1
	setParams   = 1<<30 | pointer<<16 | 'p'<<8 | 0xa2
	fetchPulse  = 3<<30 | pointer<<16 | 'p'<<8 | 0xa4
	captureRise = 0x01 // PPS_CAPTUREASSERT
)

// Edge is what the kernel gives of the last rise.
type Edge struct {
	Sequence uint32
	At       time.Time // by the kernel's wall clock
}

// Opts replaces the kernel in tests.
type Opts struct {
	// Fetch waits for an edge, at most a time; unix.ETIMEDOUT where none came.
	Fetch func(most time.Duration) (Edge, error)
	Now   func() time.Time
}

// Device is one. Use Open.
type Device struct {
	path string
	o    Opts
	f    *os.File
	last uint32
	any  bool
}

// Open opens a pulse's device file. drivers.ErrAbsent where there is none.
func Open(path string) (*Device, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, drivers.ErrAbsent)
	}
	if err != nil {
		return nil, err
	}
	d := New(path, Opts{Fetch: func(most time.Duration) (Edge, error) { return fetch(f, most) }})
	d.f = f
	if err := capture(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s takes no rising edges: %w", path, err)
	}
	return d, nil
}

// New makes one over what is to be asked.
func New(path string, o Opts) *Device {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Device{path: path, o: o}
}

// Next is drivers.Pulses.
func (d *Device) Next(ctx context.Context) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, &drivers.Fault{Kind: drivers.FaultCancelled, Detail: "waiting for a pulse", Err: err}
	}
	e, err := d.o.Fetch(wait)
	switch {
	case errors.Is(err, unix.ETIMEDOUT), errors.Is(err, unix.EINTR):
		return 0, &drivers.Fault{Kind: drivers.FaultTimeout, Detail: "no pulse on " + d.path, Err: err}
	case err != nil:
		return 0, &drivers.Fault{Kind: drivers.FaultGone, Detail: d.path, Err: err}
	}
	ago := d.o.Now().Round(0).Sub(e.At)
	fresh := !d.any || e.Sequence != d.last
	d.last, d.any = e.Sequence, true
	if !fresh || e.Sequence == 0 || ago < 0 || ago > oldest {
		// Nothing new, or the kernel's clock was stepped since.
		return 0, &drivers.Fault{Kind: drivers.FaultTimeout, Detail: fmt.Sprintf("the pulse %d on %s is %v old", e.Sequence, d.path, ago)}
	}
	return ago, nil
}

// Close is drivers.Pulses.
func (d *Device) Close() error {
	if d.f == nil {
		return nil
	}
	return d.f.Close()
}

// String names it.
func (d *Device) String() string { return d.path }

func capture(f *os.File) error {
	var p unix.PPSKParams
	if err := ask(f, getParams, unsafe.Pointer(&p)); err != nil {
		return err
	}
	if p.Mode&captureRise != 0 {
		return nil
	}
	p.Mode |= captureRise
	return ask(f, setParams, unsafe.Pointer(&p))
}

func fetch(f *os.File, most time.Duration) (Edge, error) {
	var d unix.PPSFData
	d.Timeout.Sec, d.Timeout.Nsec = int64(most/time.Second), int32(most%time.Second)
	if err := ask(f, fetchPulse, unsafe.Pointer(&d)); err != nil {
		return Edge{}, err
	}
	return Edge{d.Info.Assert_sequence, time.Unix(d.Info.Assert_tu.Sec, int64(d.Info.Assert_tu.Nsec))}, nil
}

func ask(f *os.File, request uintptr, p unsafe.Pointer) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var no unix.Errno
	if err := c.Control(func(fd uintptr) {
		_, _, no = unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(p))
	}); err != nil {
		return err
	}
	if no != 0 {
		return no
	}
	return nil
}

var _ drivers.Pulses = (*Device)(nil)
