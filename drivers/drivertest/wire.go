package drivertest

import (
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"tocsin/drivers"
)

// Wire is a drivers.Port in memory with a slave at its end and the time that
// bytes take: for tests in virtual time.
type Wire struct {
	Slave *Slave
	// Char is what a character takes.
	Char time.Duration
	// Echo gives back what was sent, as some RS-485 adapters do.
	Echo bool
	// Latency is how long the adapter holds back all that it hears.
	Latency time.Duration
	// Chop cuts what is heard into pieces of so many bytes, each at its time.
	// 0: one piece at the end.
	Chop int
	// ASCII makes it a line in ASCII mode: see ascii.go.
	ASCII bool

	mu     sync.Mutex
	rx     chan drivers.Chunk
	buf    []byte
	err    error
	closed bool
}

// NewWire makes one.
func NewWire(s *Slave, char time.Duration) *Wire {
	return &Wire{Slave: s, Char: char, rx: make(chan drivers.Chunk, 4096)}
}

// Write is drivers.Port.
func (w *Wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, w.err
	}
	sent := time.Duration(len(p)) * w.Char
	if w.Echo {
		w.put(0, 0, slices.Clone(p))
	}
	w.buf = append(w.buf, p...)
	for {
		f, rest := w.cut()
		w.buf = rest
		if f == nil {
			return len(p), nil
		}
		for _, r := range w.Slave.hear(time.Now().Add(sent), f[0], f[1:len(f)-2]) {
			w.Put(sent+r.After, r.Hole, r.frame())
		}
	}
}

// Put lets bytes begin to arrive after a delay, with a pause in their middle.
func (w *Wire) Put(after, hole time.Duration, frame []byte) {
	if w.ASCII {
		frame = ASCII(frame)
	}
	w.put(after, hole, frame)
}

func (w *Wire) cut() (frame, rest []byte) {
	if w.ASCII {
		return cutASCII(w.buf)
	}
	return cut(w.buf)
}

func (w *Wire) put(after, hole time.Duration, frame []byte) {
	step := w.Chop
	if step == 0 {
		step = len(frame)
		if hole > 0 {
			step = (len(frame) + 1) / 2
		}
	}
	for i := 0; i < len(frame); i += step {
		end := min(len(frame), i+step)
		d := after + time.Duration(end)*w.Char
		if i >= len(frame)/2 {
			d += hole
		}
		w.at(d, slices.Clone(frame[i:end]))
	}
}

func (w *Wire) at(d time.Duration, b []byte) {
	time.AfterFunc(d+w.Latency, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.closed {
			return
		}
		select {
		case w.rx <- drivers.Chunk{At: time.Now(), B: b}:
		default:
		}
	})
}

// Pull hangs it up.
func (w *Wire) Pull() { w.end(errors.New("pulled out")) }

func (w *Wire) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.closed, w.err = true, err
		close(w.rx)
	}
}

// Received is drivers.Port.
func (w *Wire) Received() <-chan drivers.Chunk { return w.rx }

// Expect is drivers.Port.
func (w *Wire) Expect(int) {}

// Discard is drivers.Port.
func (w *Wire) Discard() {
	for len(w.rx) > 0 {
		<-w.rx
	}
}

// Err is drivers.Port.
func (w *Wire) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close is drivers.Port.
func (w *Wire) Close() error { w.end(os.ErrClosed); return nil }

// String names it.
func (w *Wire) String() string { return "wire" }

var _ drivers.Port = (*Wire)(nil)
