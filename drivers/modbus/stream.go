package modbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/drivers"
)

// StreamOpts says how a serial server is reached.
type StreamOpts struct {
	// Connect is how long the connection may take to come up. Default 1 s.
	Connect time.Duration
	// Start starts the goroutine that reads. Required.
	Start drivers.Starter
	// Dial makes the connection; nil dials over the network.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
}

// DialStream connects to a serial server (a box that carries the bytes of a
// serial line over TCP, unchanged) and gives its far end as a port: for NewRTU
// and NewASCII. Errors are *drivers.Fault of kind FaultGone.
func DialStream(ctx context.Context, addr string, o StreamOpts) (drivers.Port, error) {
	if o.Start == nil {
		return nil, errors.New("modbus: StreamOpts.Start is missing")
	}
	if o.Connect <= 0 {
		o.Connect = time.Second
	}
	if o.Dial == nil {
		o.Dial = dial
	}
	ctx, cancel := context.WithTimeout(ctx, o.Connect)
	defer cancel()
	c, err := o.Dial(ctx, addr)
	if err != nil {
		return nil, &drivers.Fault{Kind: drivers.FaultGone, Detail: "connecting", Err: err}
	}
	p := &stream{conn: c, addr: addr, rx: make(chan drivers.Chunk, streamQueue)}
	o.Start("serial server "+addr, p.pump)
	return p, nil
}

// dial connects, with what finds a peer that vanished.
func dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{
		KeepAlive: keepAlive,
		Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) {
				// A peer that vanished is found when this much of what was
				// sent stays unconfirmed; failing to set it costs only that.
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int((2 * keepAlive).Milliseconds()))
			})
		},
	}
	return d.DialContext(ctx, "tcp", addr)
}

const (
	// streamQueue is how many chunks wait for whoever takes them; beyond that
	// the oldest are dropped.
	streamQueue = 64
	streamRead  = 512
)

// stream is a drivers.Port over a connection.
type stream struct {
	conn net.Conn
	addr string
	rx   chan drivers.Chunk
	once sync.Once

	mu  sync.Mutex
	err error
}

func (p *stream) pump() {
	defer close(p.rx)
	for {
		b := make([]byte, streamRead)
		n, err := p.conn.Read(b)
		if n > 0 {
			p.deliver(drivers.Chunk{At: time.Now(), B: b[:n:n]})
		}
		if err == nil {
			continue
		}
		if err == io.EOF {
			err = fmt.Errorf("%s closed the connection", p.addr)
		}
		p.fail(err)
		p.conn.Close()
		return
	}
}

func (p *stream) deliver(c drivers.Chunk) {
	for {
		select {
		case p.rx <- c:
			return
		default:
		}
		select {
		case <-p.rx:
		default:
		}
	}
}

func (p *stream) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = &drivers.Fault{Kind: drivers.FaultGone, Err: err}
	}
}

// Write is drivers.Port. A peer that takes nothing holds it up for a second at
// most.
func (p *stream) Write(b []byte) (int, error) {
	p.conn.SetWriteDeadline(time.Now().Add(time.Second))
	n, err := p.conn.Write(b)
	if err != nil {
		return n, &drivers.Fault{Kind: drivers.FaultGone, Detail: "writing", Err: err}
	}
	return n, nil
}

// Received is drivers.Port.
func (p *stream) Received() <-chan drivers.Chunk { return p.rx }

// Expect is drivers.Port: a connection wakes its reader as it likes.
func (p *stream) Expect(int) {}

// Discard is drivers.Port.
func (p *stream) Discard() {
	for {
		select {
		case _, ok := <-p.rx:
			if !ok {
				return
			}
		default:
			return
		}
	}
}

// Err is drivers.Port.
func (p *stream) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Instant says that bytes may come sooner than the configured rate would have
// them: the serial line behind the server has a rate of its own.
func (p *stream) Instant() bool { return true }

// Close is drivers.Port. The reader ends by itself.
func (p *stream) Close() error {
	p.once.Do(func() {
		p.fail(os.ErrClosed)
		p.conn.Close()
	})
	return nil
}

// String gives the address.
func (p *stream) String() string { return p.addr }

var _ drivers.Port = (*stream)(nil)
