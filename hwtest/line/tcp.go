package line

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// TCP is a Modbus TCP gateway or device with any number of units. Faults are
// those of a Line; BadCRC stands for a wrong transaction id.
type TCP struct {
	addr  string
	rtu   bool // RTU frames in the stream, without the header
	count *tally

	mu        sync.Mutex
	ln        net.Listener // nil while unplugged
	conns     map[net.Conn]struct{}
	units     map[byte]Unit
	faults    map[byte]*sickness
	onRequest []Hook
	onAnswer  []Hook
	deaf      bool
	most      int
	baud      int // of the line behind it; 0 for one that takes no time
	closed    bool
	all       sync.WaitGroup
}

// NewTCP listens on addr, for instance "127.0.0.1:0".
func NewTCP(addr string) (*TCP, error) {
	t := &TCP{
		addr: addr, count: newTally(), conns: map[net.Conn]struct{}{},
		units: map[byte]Unit{}, faults: map[byte]*sickness{},
	}
	if err := t.Replug(); err != nil {
		return nil, err
	}
	return t, nil
}

// NewRTUOverTCP listens on addr as a serial server does that passes its line's
// bytes through: RTU frames with their CRC in the stream. It has no clock to
// tell frames by silence, so the requests' own lengths part them; BadCRC means
// what it says.
func NewRTUOverTCP(addr string) (*TCP, error) {
	t := &TCP{
		addr: addr, rtu: true, count: newTally(), conns: map[net.Conn]struct{}{},
		units: map[byte]Unit{}, faults: map[byte]*sickness{},
	}
	if err := t.Replug(); err != nil {
		return nil, err
	}
	return t, nil
}

// Addr is host:port, the same after Replug.
func (t *TCP) Addr() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.addr
}

// Attach puts a unit behind the gateway; nil takes it off.
func (t *TCP) Attach(unit byte, u Unit) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u == nil {
		delete(t.units, unit)
		return
	}
	t.units[unit] = u
}

// SetFault makes a unit misbehave from the next request on.
func (t *TCP) SetFault(unit byte, f Fault) {
	t.mu.Lock()
	t.faults[unit] = &sickness{Fault: f}
	t.mu.Unlock()
}

// ClearFault heals a unit.
func (t *TCP) ClearFault(unit byte) {
	t.mu.Lock()
	delete(t.faults, unit)
	t.mu.Unlock()
}

// OnRequest adds a hook; its instant is when the request had been read.
func (t *TCP) OnRequest(h Hook) {
	t.mu.Lock()
	t.onRequest = append(t.onRequest, h)
	t.mu.Unlock()
}

// OnAnswer adds a hook; its instant is just before the answer is written.
func (t *TCP) OnAnswer(h Hook) {
	t.mu.Lock()
	t.onAnswer = append(t.onAnswer, h)
	t.mu.Unlock()
}

// HalfOpen true: connections stay, new ones are taken, and nothing is ever
// answered, as behind a router that forgot us. What was asked meanwhile is
// never answered.
func (t *TCP) HalfOpen(on bool) {
	t.mu.Lock()
	t.deaf = on
	t.mu.Unlock()
}

// MaxConns is how many clients are served at once; those beyond are closed at
// once. 0 is no limit. Many real gateways take one.
func (t *TCP) MaxConns(n int) {
	t.mu.Lock()
	t.most = n
	t.mu.Unlock()
}

// Pace lets requests and answers take as long as on a line of that rate, with the silence
// between them (3.5 characters of 11 bits; Modbus over Serial Line V1.02, 2.5.1.1). 0 is no time.
func (t *TCP) Pace(baud int) {
	t.mu.Lock()
	t.baud = baud
	t.mu.Unlock()
}

// travel is how long so many bytes are on the line.
func (t *TCP) travel(bytes int) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.baud == 0 {
		return 0
	}
	return time.Duration(11*bytes+39) * time.Second / time.Duration(t.baud)
}

// Conns is how many clients are connected.
func (t *TCP) Conns() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.conns)
}

// Kick closes every connection in good order, as a restart does. New ones are
// taken.
func (t *TCP) Kick() { t.drop(false) }

// RST breaks every connection with a reset. New ones are taken.
func (t *TCP) RST() { t.drop(true) }

func (t *TCP) drop(hard bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.conns {
		if x, ok := c.(*net.TCPConn); ok && hard {
			x.SetLinger(0)
		}
		c.Close()
	}
}

// Unplug refuses connections and breaks those that are.
func (t *TCP) Unplug() error {
	t.mu.Lock()
	ln := t.ln
	t.ln = nil
	t.mu.Unlock()
	t.drop(true)
	if ln == nil {
		return nil
	}
	return ln.Close()
}

// Replug listens again at the same address.
func (t *TCP) Replug() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	if t.ln != nil {
		return nil
	}
	ln, err := net.Listen("tcp", t.addr)
	if err != nil {
		return fmt.Errorf("modbus tcp: %w", err)
	}
	t.ln, t.addr = ln, ln.Addr().String()
	t.all.Go(func() { t.accept(ln) })
	return nil
}

// Counters is what the gateway has seen. Wire times stay 0.
func (t *TCP) Counters() Counters { return t.count.copy() }

// Reset begins the counters anew.
func (t *TCP) Reset() { t.count.reset() }

// Close ends the gateway and waits for its connections' ends.
func (t *TCP) Close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	err := t.Unplug()
	t.all.Wait()
	return err
}

func (t *TCP) accept(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(10 * time.Millisecond)
			continue
		}
		t.mu.Lock()
		if t.ln != ln || t.most > 0 && len(t.conns) >= t.most {
			t.mu.Unlock()
			c.Close()
			continue
		}
		t.conns[c] = struct{}{}
		t.all.Go(func() { t.serve(c) })
		t.mu.Unlock()
	}
}

// serve answers one client, request after request: a late answer holds up
// those behind it.
func (t *TCP) serve(c net.Conn) {
	defer func() {
		t.mu.Lock()
		delete(t.conns, c)
		t.mu.Unlock()
		c.Close()
	}()
	gone := make(chan struct{})
	requests := make(chan []byte, 64)
	t.all.Go(func() { // reads on while an answer is late, so that a hang-up is noticed
		defer close(gone)
		defer close(requests)
		for t.rtu {
			adu, err := t.readRTU(c)
			if err != nil {
				return
			}
			requests <- adu
		}
		for {
			var head [7]byte
			if _, err := io.ReadFull(c, head[:]); err != nil {
				return
			}
			n := int(be16(head[4:]))
			if be16(head[2:]) != 0 || n < 2 || n > 254 {
				t.count.with(func(c *Counters) { c.BadFrames++ })
				return
			}
			adu := append(head[:], make([]byte, n-1)...)
			if _, err := io.ReadFull(c, adu[7:]); err != nil {
				return
			}
			requests <- adu
		}
	})
	defer func() {
		c.Close()
		for range requests { // lets the reader end
		}
	}()
	for adu := range requests {
		out, late, tell := t.answer(adu)
		late += t.travel(len(adu) - 4 + len(out)) // on the line there is no header, and a CRC
		if late > 0 {
			select {
			case <-time.After(late):
			case <-gone:
				return
			}
		}
		if out == nil {
			continue
		}
		tell(time.Now())
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// readRTU reads one RTU request and gives it behind an empty header. What is no
// request costs its first byte, until one begins.
func (t *TCP) readRTU(c net.Conn) ([]byte, error) {
	var p []byte
	b := make([]byte, 1)
	for {
		if _, err := io.ReadFull(c, b); err != nil {
			return nil, err
		}
		p = append(p, b[0])
		for len(p) > 0 {
			n := requestLen(p)
			if n < 0 { // no silence tells its end here: what has no known length is none
				n = map[byte]int{17: 4, 43: 7}[p[1]]
			} else if n == 0 || len(p) < n {
				break // more is to come
			}
			if n > len(p) {
				break
			}
			if n > 0 && whole(p[:n]) {
				return append(make([]byte, 6), p[:n-2]...), nil
			}
			t.count.with(func(c *Counters) { c.BadFrames++ })
			p = p[1:]
		}
	}
}

// answer has the unit act and dresses what it says; tell counts and calls the
// hooks.
func (t *TCP) answer(adu []byte) (out []byte, late time.Duration, tell func(time.Time)) {
	id, pdu, now := adu[6], adu[7:], time.Now()
	t.mu.Lock()
	u, hooks, after, f, hit := t.units[id], t.onRequest, t.onAnswer, Fault{}, false
	if s := t.faults[id]; s != nil && u != nil {
		var over bool
		if f, hit, over = s.next(); over {
			delete(t.faults, id)
		}
	}
	deaf := t.deaf
	t.mu.Unlock()
	if deaf {
		return nil, 0, nil
	}
	t.count.with(func(c *Counters) { c.Requests++ })
	for _, h := range hooks {
		h(id, pdu, now)
	}
	var reply []byte
	x := f.Exception
	switch {
	case u == nil && t.rtu: // nobody on the line behind it
	case u == nil:
		x = GatewayNoAnswer // as a gateway to a serial line does (V1.1b3, 7)
	case f.Dead:
	case x == 0:
		reply, x = u.Answer(pdu, now)
	}
	if u != nil {
		t.count.unit(id, func(c *UnitCounters) {
			c.Requests++
			if hit {
				c.Faults++
			}
		})
	}
	if x != 0 {
		reply = []byte{pdu[0] | 0x80, byte(x)}
	}
	if len(reply) == 0 || f.Drop {
		t.count.with(func(c *Counters) { c.Unanswered++ })
		return nil, 0, nil
	}
	out = mbap(adu, reply, f)
	if t.rtu {
		if out = dress(id, reply, f, false); f.Duplicate {
			out = append(out, out...)
		}
	}
	return out, f.Late, func(at time.Time) {
		if !f.clean() {
			return
		}
		t.count.with(func(c *Counters) {
			c.Answers++
			if x != 0 {
				c.Exceptions++
			}
		})
		t.count.unit(id, func(c *UnitCounters) {
			c.Answers++
			if x != 0 {
				c.Exceptions++
			}
		})
		for _, h := range after {
			h(id, reply, at)
		}
	}
}

// mbap puts the header before the answer, as the fault will have it.
func mbap(adu, reply []byte, f Fault) []byte {
	if f.InPlace {
		return f.Garbage
	}
	b := append([]byte(nil), adu[:7]...)
	binary.BigEndian.PutUint16(b[4:], uint16(len(reply)+1))
	if f.WrongUnit != 0 {
		b[6] = f.WrongUnit
	}
	if f.BadCRC {
		b[1] ^= 0x5A
	}
	b = append(b, reply...)
	if f.HalfFrame {
		b = b[:len(b)/2]
	}
	out := append(append([]byte(nil), f.Garbage...), b...)
	if f.Duplicate {
		out = append(out, b...)
	}
	return out
}
