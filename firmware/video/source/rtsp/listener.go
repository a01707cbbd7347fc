package rtsp

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// bounded is a listener that takes so many connections at a time, in all and of one
// address, and closes the rest at once.
type bounded struct {
	net.Listener
	log     *slog.Logger
	all     int
	each    int
	timeout time.Duration

	mu      sync.Mutex
	open    int
	by      map[netip.Addr]int
	refused uint64
}

// Accept never fails but for a listener that is closed: what is wrong for a moment
// (no file left) must not end the server.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			b.log.Warn("RTSP: a connection was not accepted", "err", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		who := place(c.RemoteAddr())
		if !b.enter(who) {
			b.log.Debug("RTSP: too many connections", "from", who)
			c.Close()
			continue
		}
		k := &counted{Conn: c, until: time.Now().Add(b.timeout), leave: sync.OnceFunc(func() { b.leave(who) })}
		c.SetReadDeadline(k.until)
		return k, nil
	}
}

func (b *bounded) enter(who netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open >= b.all || b.by[who] >= b.each {
		b.refused++
		return false
	}
	b.open++
	b.by[who]++
	return true
}

func (b *bounded) leave(who netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open--
	if b.by[who]--; b.by[who] == 0 {
		delete(b.by, who)
	}
}

// place is whom a bound is for: an IPv4 address, or the /64 of an IPv6 one, of
// which a subscriber has 2^64 addresses.
func place(a net.Addr) netip.Addr {
	var addr netip.Addr
	switch a := a.(type) {
	case *net.TCPAddr:
		addr, _ = netip.AddrFromSlice(a.IP)
	case *net.UDPAddr:
		addr, _ = netip.AddrFromSlice(a.IP)
	}
	if addr = addr.Unmap(); addr.Is6() && !addr.IsLinkLocalUnicast() {
		if p, err := addr.Prefix(64); err == nil {
			addr = p.Addr()
		}
	}
	return addr
}

// counted is a connection that gives its place back when it is closed. Who has not
// made a whole request by the timeout is let go (the library would wait for a minute, and
// without end for the first bytes), and at once who speaks HTTP: the library would read
// a header of any length.
type counted struct {
	net.Conn
	leave func()
	until time.Time
	spoke atomic.Bool
	first []byte
}

var errHTTP = errors.New("RTSP through HTTP is not taken")

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if len(c.first) < 4 {
		c.first = append(c.first, p[:min(n, 4-len(c.first))]...)
		if len(c.first) == 4 && (bytes.Equal(c.first, []byte("GET ")) || bytes.Equal(c.first, []byte("POST"))) {
			return 0, errHTTP
		}
	}
	return n, err
}

func (c *counted) SetReadDeadline(t time.Time) error {
	if !c.spoke.Load() && (t.IsZero() || t.After(c.until)) {
		t = c.until
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
