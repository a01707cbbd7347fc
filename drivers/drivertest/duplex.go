package drivertest

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"tocsin/drivers"
)

// Duplex is a drivers.Port in memory whose other end is a stream, for a
// simulator to serve: for tests in virtual time.
type Duplex struct {
	mu     sync.Mutex
	wake   *sync.Cond
	out    []byte // written by the driver, not yet read at the far end
	rx     chan drivers.Chunk
	err    error
	closed bool
}

// NewDuplex makes one.
func NewDuplex() *Duplex {
	d := &Duplex{rx: make(chan drivers.Chunk, 4096)}
	d.wake = sync.NewCond(&d.mu)
	return d
}

// Write is drivers.Port.
func (d *Duplex) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, d.err
	}
	d.out = append(d.out, p...)
	d.wake.Broadcast()
	return len(p), nil
}

// Received is drivers.Port.
func (d *Duplex) Received() <-chan drivers.Chunk { return d.rx }

// Expect is drivers.Port.
func (d *Duplex) Expect(int) {}

// Discard is drivers.Port.
func (d *Duplex) Discard() {
	for len(d.rx) > 0 {
		<-d.rx
	}
}

// Err is drivers.Port.
func (d *Duplex) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Close is drivers.Port.
func (d *Duplex) Close() error { d.end(os.ErrClosed); return nil }

// Pull hangs it up.
func (d *Duplex) Pull() { d.end(errors.New("pulled out")) }

func (d *Duplex) end(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.closed, d.err = true, err
		close(d.rx)
		d.wake.Broadcast()
	}
}

// String names it.
func (d *Duplex) String() string { return "duplex" }

// Far is the other end.
func (d *Duplex) Far() io.ReadWriteCloser { return (*far)(d) }

type far Duplex

func (f *far) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.out) == 0 && !f.closed {
		f.wake.Wait()
	}
	if len(f.out) == 0 {
		return 0, io.EOF
	}
	n := copy(p, f.out)
	f.out = f.out[n:]
	return n, nil
}

func (f *far) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, io.ErrClosedPipe
	}
	select {
	case f.rx <- drivers.Chunk{At: time.Now(), B: append([]byte(nil), p...)}:
	default: // as a kernel's buffer that nobody empties
	}
	return len(p), nil
}

func (f *far) Close() error { (*Duplex)(f).Pull(); return nil }

var _ drivers.Port = (*Duplex)(nil)
