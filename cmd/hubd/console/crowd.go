package console

import (
	"net"
	"net/netip"
	"sync"
)

// How many connections the page holds: the post office's links are in the same process, and
// a stranger who opens connections without end must not take their file descriptors and
// memory. One machine has room for a few browsers with all their pictures; this machine's own
// proxy, if there is one, has all of it.
const (
	crowdMost = 1024
	crowdEach = 64
)

// crowd is a listener that turns away whoever holds too much.
type crowd struct {
	net.Listener
	most, each int

	mu   sync.Mutex
	all  int
	from map[netip.Prefix]int
}

func newCrowd(l net.Listener, most, each int) *crowd {
	return &crowd{Listener: l, most: most, each: each, from: map[netip.Prefix]int{}}
}

// Accept gives the next connection that there is room for; others are closed at once.
func (l *crowd) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		a, own := machine(c.RemoteAddr())
		if l.enter(a, own) {
			return &member{Conn: c, leave: sync.OnceFunc(func() { l.leave(a) })}, nil
		}
		c.Close()
	}
}

func (l *crowd) enter(a netip.Prefix, own bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= l.most || !own && l.from[a] >= l.each {
		return false
	}
	l.all++
	l.from[a]++
	return true
}

func (l *crowd) leave(a netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.from[a]--; l.from[a] <= 0 {
		delete(l.from, a)
	}
}

type member struct {
	net.Conn
	leave func()
}

// Close gives the place back.
func (m *member) Close() error {
	m.leave()
	return m.Conn.Close()
}

// machine is who is at the other end; of IPv6 a /64, since one machine may take any address
// of that. Own: it is this one.
func machine(addr net.Addr) (netip.Prefix, bool) {
	a, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{}, false
	}
	ip, bits := a.Addr().Unmap().WithZone(""), 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.Prefix(bits)
	return p, ip.IsLoopback()
}
