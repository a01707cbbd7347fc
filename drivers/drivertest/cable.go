package drivertest

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Cable gives the two ends of a connection in memory, for tests in virtual time: what is written on the one is read
// on the other, deadlines go by the bubble's clock, and closing an end ends the other one's reads once it has read
// all.
func Cable() (near, far net.Conn) {
	there, back := newLane(), newLane()
	return &cableEnd{in: back, out: there}, &cableEnd{in: there, out: back}
}

// lane carries bytes one way.
type lane struct {
	mu       sync.Mutex
	wake     *sync.Cond
	b        []byte
	ended    bool // nobody writes any more
	left     bool // nobody reads any more
	deadline time.Time
	timer    *time.Timer
}

func newLane() *lane {
	l := &lane{}
	l.wake = sync.NewCond(&l.mu)
	return l
}

func (l *lane) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	l.wake.Broadcast()
}

// until sets the reader's deadline.
func (l *lane) until(t time.Time) {
	l.set(func() {
		if l.timer != nil {
			l.timer.Stop()
			l.timer = nil
		}
		if l.deadline = t; !t.IsZero() {
			l.timer = time.AfterFunc(time.Until(t), func() { l.set(func() {}) })
		}
	})
}

// cableEnd is one end of a Cable.
type cableEnd struct{ in, out *lane }

func (e *cableEnd) Read(p []byte) (int, error) {
	l := e.in
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.left:
			return 0, net.ErrClosed
		case !l.deadline.IsZero() && !time.Now().Before(l.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(l.b) > 0:
			n := copy(p, l.b)
			l.b = l.b[n:]
			return n, nil
		case l.ended:
			return 0, io.EOF
		}
		l.wake.Wait()
	}
}

func (e *cableEnd) Write(p []byte) (int, error) {
	l := e.out
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return 0, net.ErrClosed
	case l.left:
		return 0, errors.New("nobody reads any more")
	}
	l.b = append(l.b, p...)
	l.wake.Broadcast()
	return len(p), nil
}

func (e *cableEnd) Close() error {
	e.in.until(time.Time{})
	e.in.set(func() { e.in.left = true })
	e.out.set(func() { e.out.ended = true })
	return nil
}

func (e *cableEnd) SetReadDeadline(t time.Time) error { e.in.until(t); return nil }

// SetWriteDeadline does nothing: a write never waits.
func (e *cableEnd) SetWriteDeadline(time.Time) error { return nil }
func (e *cableEnd) SetDeadline(t time.Time) error    { return e.SetReadDeadline(t) }
func (e *cableEnd) LocalAddr() net.Addr              { return cableAddr{} }
func (e *cableEnd) RemoteAddr() net.Addr             { return cableAddr{} }

type cableAddr struct{}

func (cableAddr) Network() string { return "cable" }
func (cableAddr) String() string  { return "cable" }
