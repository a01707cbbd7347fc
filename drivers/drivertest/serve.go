package drivertest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// ServePTY lets a slave answer at the far end of a pseudo terminal until that
// is pulled. char is what a character takes: the pseudo terminal moves bytes at
// once, the slave waits as long as they would have taken.
func ServePTY(t testing.TB, p *PTY, s *Slave, char time.Duration) {
	var wg sync.WaitGroup
	t.Cleanup(func() { p.Pull(); wg.Wait() })
	wg.Go(func() {
		var buf []byte
		b := make([]byte, 512)
		for {
			n, err := p.Far.Read(b)
			if err != nil {
				return
			}
			buf = append(buf, b[:n]...)
			for {
				f, rest := cut(buf)
				buf = rest
				if f == nil {
					break
				}
				sent := time.Duration(len(f)) * char
				for _, r := range s.hear(time.Now().Add(sent), f[0], f[1:len(f)-2]) {
					frame := r.frame()
					half := len(frame) / 2
					if r.Hole == 0 {
						half = len(frame)
					}
					later := func(d time.Duration, b []byte) {
						if len(b) > 0 {
							time.AfterFunc(d, func() { p.Far.Write(b) })
						}
					}
					later(sent+r.After+time.Duration(half)*char, frame[:half])
					later(sent+r.After+r.Hole+time.Duration(len(frame))*char, frame[half:])
				}
			}
		}
	})
}

// TCP is a Modbus TCP server on loopback, or a serial server: see ServeStream.
type TCP struct {
	Slave *Slave
	Addr  string

	stream bool

	ln    net.Listener
	mu    sync.Mutex
	conns []net.Conn
	taken int
	wg    sync.WaitGroup
}

// ServeTCP starts one that lives as long as the test.
func ServeTCP(t testing.TB, s *Slave) *TCP {
	t.Helper()
	return serve(t, &TCP{Slave: s})
}

// ServeStream starts a serial server: RTU frames over TCP. What is no RTU frame
// is noise on its line, which nobody answers.
func ServeStream(t testing.TB, s *Slave) *TCP {
	t.Helper()
	return serve(t, &TCP{Slave: s, stream: true})
}

// CableTCP is ServeTCP for virtual time: it is reached by its Dial alone.
func CableTCP(t testing.TB, s *Slave) *TCP { return cabled(t, &TCP{Slave: s}) }

// CableStream is ServeStream for virtual time.
func CableStream(t testing.TB, s *Slave) *TCP { return cabled(t, &TCP{Slave: s, stream: true}) }

func cabled(t testing.TB, p *TCP) *TCP {
	p.Addr = "cable"
	t.Cleanup(func() { p.Kick(); p.wg.Wait() })
	return p
}

// Dial connects by a Cable.
func (p *TCP) Dial(context.Context, string) (net.Conn, error) {
	near, far := Cable()
	p.take(far)
	return near, nil
}

func (p *TCP) take(c net.Conn) {
	p.mu.Lock()
	p.conns = append(p.conns, c)
	p.taken++
	p.mu.Unlock()
	if p.stream {
		p.wg.Go(func() { p.carry(c) })
		return
	}
	p.wg.Go(func() { p.serve(c) })
}

func serve(t testing.TB, p *TCP) *TCP {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.Addr, p.ln = ln.Addr().String(), ln
	t.Cleanup(func() { ln.Close(); p.Kick(); p.wg.Wait() })
	p.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.take(c)
		}
	})
	return p
}

// Taken is how many connections were taken so far.
func (p *TCP) Taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// Kick closes every connection, as a device's restart does.
func (p *TCP) Kick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func (p *TCP) serve(c net.Conn) {
	defer c.Close()
	var hdr [7]byte
	for {
		if _, err := io.ReadFull(c, hdr[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(hdr[4:]))
		if n < 2 || n > 254 {
			return
		}
		pdu := make([]byte, n-1)
		if _, err := io.ReadFull(c, pdu); err != nil {
			return
		}
		for _, r := range p.Slave.hear(time.Now(), hdr[6], pdu) {
			b := r.Raw
			if b == nil {
				b = append([]byte(nil), hdr[:4]...)
				b = binary.BigEndian.AppendUint16(b, uint16(len(r.PDU)+1))
				b = append(append(b, r.Unit), r.PDU...)
			}
			reply(c, r, b)
		}
	}
}

// carry is a serial server's part.
func (p *TCP) carry(c net.Conn) {
	defer c.Close()
	var buf []byte
	b := make([]byte, 512)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		buf = append(buf, b[:n]...)
		for {
			f, rest := cut(buf)
			buf = rest
			if f == nil {
				break
			}
			for _, r := range p.Slave.hear(time.Now(), f[0], f[1:len(f)-2]) {
				reply(c, r, r.frame())
			}
		}
	}
}

// reply writes an answer. What is due at once is written at once: two goroutines might write two answers the
// wrong way round.
func reply(c net.Conn, r Reply, b []byte) {
	later := func(d time.Duration, b []byte) {
		if d <= 0 {
			c.Write(b)
			return
		}
		time.AfterFunc(d, func() { c.Write(b) })
	}
	half := len(b)
	if r.Hole > 0 {
		half /= 2
	}
	later(r.After, b[:half])
	if half < len(b) {
		later(r.After+r.Hole, b[half:])
	}
}
