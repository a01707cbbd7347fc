package api

import (
	"net"
	"net/netip"
	"sync"
)

// capped is a listener that closes at once what would be one connection too
// many, in all or from one address, so that a crowd cannot keep others out by
// waiting.
type capped struct {
	net.Listener
	most, perAddr int

	mu   sync.Mutex
	all  int
	from map[netip.Addr]int
}

func newCapped(l net.Listener, most, perAddr int) *capped {
	return &capped{Listener: l, most: most, perAddr: perAddr, from: map[netip.Addr]int{}}
}

// Accept waits for a connection that there is room for.
func (l *capped) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		a := remote(c)
		l.mu.Lock()
		room := l.all < l.most && (l.perAddr == 0 || l.from[a] < l.perAddr)
		if room {
			l.all++
			l.from[a]++
		}
		l.mu.Unlock()
		if !room {
			c.Close()
			continue
		}
		return &held{Conn: c, leave: sync.OnceFunc(func() { l.leave(a) })}, nil
	}
}

func (l *capped) leave(a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.from[a]--; l.from[a] <= 0 {
		delete(l.from, a)
	}
}

func remote(c net.Conn) netip.Addr {
	if t, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

type held struct {
	net.Conn
	leave func()
}

// Close gives the place back.
func (h *held) Close() error {
	defer h.leave()
	return h.Conn.Close()
}
