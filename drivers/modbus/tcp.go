package modbus

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	goburrow "github.com/goburrow/modbus"
	"golang.org/x/sys/unix"

	"tocsin/drivers"
)

// TCPOpts says how a Modbus TCP connection runs.
type TCPOpts struct {
	// Timeout is how long an answer may take. Default 500 ms.
	Timeout time.Duration
	// Connect is how long the connection may take to come up. Default:
	// Timeout.
	Connect time.Duration
	// Turnaround is how long the units usually take; for Cost only.
	Turnaround time.Duration
	// Dial makes the connection; nil dials over the network.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
}

const (
	mbapLen   = 7   // transaction, protocol, length, unit
	maxTCPLen = 254 // unit and PDU
	keepAlive = 15 * time.Second
)

// NewTCP makes a line to a Modbus TCP server, e.g. "192.168.1.20:502". It
// connects at the first request and after the connection was gone, once a
// request at most.
func NewTCP(addr string, o TCPOpts) *Line {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Connect <= 0 {
		o.Connect = o.Timeout
	}
	if o.Dial == nil {
		o.Dial = dial
	}
	done := make(chan struct{})
	t := &tcp{addr: addr, o: o, done: done}
	return newLine(t, &t.seen, done)
}

type tcp struct {
	addr string
	o    TCPOpts
	done chan struct{}
	seen watch
	look lookout

	mu   sync.Mutex // conn, for Close
	conn net.Conn
	raw  syscall.RawConn    // conn's
	in   *bufio.Reader      // of conn: a frame comes in one read
	stop context.CancelFunc // ends a dial, for Close
}

func (t *tcp) String() string { return "modbus tcp " + t.addr }

func (t *tcp) packager(unit uint8) goburrow.Packager {
	h := goburrow.NewTCPClientHandler("") // only its packager
	h.SlaveId = unit
	return h
}

func (t *tcp) cost(int, int) time.Duration             { return t.o.Turnaround }
func (t *tcp) owed(uint8) (time.Time, bool)            { return time.Time{}, false }
func (t *tcp) listen(context.Context, time.Time) error { return nil }

func (t *tcp) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stop != nil {
		t.stop()
	}
	if t.conn == nil {
		return nil
	}
	return t.conn.Close()
}

// drop closes the connection: after any error but an exception nothing that
// may still come on it can be trusted to be wanted.
func (t *tcp) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn != nil {
		t.conn.Close()
		t.conn, t.raw = nil, nil
	}
}

// stale tells whether the peer has closed or reset an idle connection, without
// taking a byte from it.
func stale(raw syscall.RawConn) bool {
	if raw == nil {
		return false
	}
	dead := false
	// Control, not Read: the last request's deadline has passed by now.
	err := raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		dead = n == 0 && err == nil || err != nil && err != unix.EAGAIN && err != unix.EINTR
	})
	return dead || err != nil
}

func (t *tcp) ready(ctx context.Context) error {
	if t.conn != nil {
		if !stale(t.raw) {
			return nil
		}
		t.drop()
	}
	ctx, cancel := context.WithTimeout(ctx, t.o.Connect)
	defer cancel()
	t.mu.Lock()
	t.stop = cancel
	t.mu.Unlock()
	c, err := t.o.Dial(ctx, t.addr)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stop = nil
	if err != nil {
		return err
	}
	select {
	case <-t.done:
		c.Close()
		return os.ErrClosed
	default:
	}
	t.conn = c
	if sc, ok := c.(syscall.Conn); ok {
		if t.raw, err = sc.SyscallConn(); err != nil {
			return err
		}
	}
	if t.in == nil {
		t.in = bufio.NewReaderSize(c, mbapLen+maxTCPLen)
	}
	t.in.Reset(c)
	return nil
}

func (t *tcp) send(x *exchange, adu []byte) ([]byte, error) {
	if len(adu) < mbapLen+1 {
		return nil, misused("a request of %d bytes", len(adu))
	}
	s, err := shapeOf(adu[6], adu[mbapLen:])
	if err != nil {
		return nil, misused("%w", err)
	}
	if err := t.ready(x.ctx); err != nil {
		return nil, t.fault(x.ctx, drivers.FaultGone, "connecting", err)
	}
	if t.look.due(s) {
		return nil, t.probe(x, s, adu)
	}
	frame, err := t.exchange(x, s, adu)
	if err != nil && t.look.missed(err) {
		return nil, t.other(err)
	}
	return frame, err
}

// exchange sends a request and waits for its answer.
func (t *tcp) exchange(x *exchange, s shape, adu []byte) ([]byte, error) {
	conn := t.conn
	conn.SetDeadline(time.Now().Add(t.o.Timeout))
	defer contextDeadline(x.ctx, conn)()
	if _, err := conn.Write(adu); err != nil {
		t.drop()
		return nil, t.fault(x.ctx, drivers.FaultGone, "writing", err)
	}
	t.seen.tcp(time.Now(), drivers.FrameAsked, adu)
	var other string
	for {
		frame, err := readFrame(t.in)
		if err == nil {
			t.look.seen()
		}
		var bad *badFrame
		switch {
		case errors.As(err, &bad):
			bad.heard = t.rest(conn, bad.heard, s)
			t.look.heard(bad.heard, s)
			t.drop()
			t.seen.stray(time.Now(), bad.heard)
			return nil, &drivers.Fault{Kind: drivers.FaultGarbled, Detail: t.addr, Err: err}
		case err != nil && isTimeout(err) && other != "" && x.ctx.Err() == nil:
			t.drop()
			return nil, &drivers.Fault{Kind: drivers.FaultForeign, Detail: other}
		case err != nil && isTimeout(err):
			t.drop()
			return nil, t.fault(x.ctx, drivers.FaultTimeout, fmt.Sprintf("%s unit %d, function %d", t.addr, s.unit, s.fn), nil)
		case err != nil:
			t.drop()
			return nil, t.fault(x.ctx, drivers.FaultGone, "reading", err)
		}
		if binary.BigEndian.Uint16(frame) != binary.BigEndian.Uint16(adu) {
			t.seen.tcp(time.Now(), drivers.FrameLate, frame)
			continue // a late answer to an earlier request
		}
		pdu := frame[mbapLen:]
		if frame[6] == s.unit && (s.pdu(pdu) || len(pdu) == 2 && pdu[0] == s.fn|exceptionBit) {
			x.at = time.Now()
			t.seen.tcp(x.at, drivers.FrameAnswer, frame)
			return frame, nil
		}
		t.seen.tcp(time.Now(), drivers.FrameStray, frame)
		other = fmt.Sprintf("asked unit %d for function %d, heard unit %d, % x", s.unit, s.fn, frame[6], pdu[:min(len(pdu), 16)])
	}
}

// contextDeadline ends what waits on a connection when the context ends. Once unhooked it leaves the
// connection alone: a context that ends with the answer must not end the next request's.
func contextDeadline(ctx context.Context, c net.Conn) (unhook func()) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.SetDeadline(time.Unix(1, 0))
		close(ended)
	})
	return func() {
		if !stop() {
			<-ended
		}
	}
}

// badFrame is a stream that is not Modbus TCP or has lost its step.
type badFrame struct {
	why   string
	heard []byte
}

func (b *badFrame) Error() string { return b.why }

// readFrame reads one frame: MBAP header and PDU.
func readFrame(r io.Reader) ([]byte, error) {
	var buf [mbapLen + maxTCPLen]byte
	if _, err := io.ReadFull(r, buf[:mbapLen]); err != nil {
		return nil, err
	}
	if p := binary.BigEndian.Uint16(buf[2:]); p != 0 {
		return nil, &badFrame{fmt.Sprintf("protocol %d, not 0, in % x: not Modbus TCP (RTU over TCP?)", p, buf[:mbapLen]), bytes.Clone(buf[:mbapLen])}
	}
	n := int(binary.BigEndian.Uint16(buf[4:]))
	if n < 3 || n > maxTCPLen {
		return nil, &badFrame{fmt.Sprintf("a length of %d, not 3 to %d, in % x", n, maxTCPLen, buf[:mbapLen]), bytes.Clone(buf[:mbapLen])}
	}
	if _, err := io.ReadFull(r, buf[mbapLen:mbapLen+n-1]); err != nil {
		return nil, err
	}
	return append([]byte(nil), buf[:mbapLen+n-1]...), nil
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// fault gives a cancelled context and a closed line before any other reason.
func (t *tcp) fault(ctx context.Context, kind drivers.FaultKind, what string, err error) error {
	select {
	case <-t.done:
		return closed(t.String())
	default:
	}
	if e := ctx.Err(); e != nil {
		return &drivers.Fault{Kind: drivers.FaultCancelled, Detail: what, Err: e}
	}
	return &drivers.Fault{Kind: kind, Detail: what, Err: err}
}
