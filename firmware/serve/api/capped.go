package api

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A crowd of connections keeps nobody out. Of the local network each address may hold so
// many; and where all places are taken, whoever comes next is let in and another gives way:
// nobody who is signed in, but first one of an address that holds or opens more than a
// browser does, then one on which nothing is asked, and of those the oldest. So a stranger
// who sits on every place loses them to whoever comes for STOP.
const (
	// freeHeld and freeOpened are what a browser with a few pages holds, and opens within
	// openedIn.
	freeHeld   = 8
	freeOpened = 16
	openedIn   = 30 * time.Second
	// settled is how long a connection has for its first request before it counts as idle.
	settled   = 3 * time.Second
	mostKnown = 1024
)

// capped is a listener that bounds connections. perAddr 0 is for the box's own socket,
// where nobody gives way.
type capped struct {
	net.Listener
	most, perAddr int
	now           func() time.Time

	mu    sync.Mutex
	conns map[*held]bool
	from  map[netip.Prefix]*opener
}

// opener is an address that has connections, or had some of late. Of IPv6 it is a /64,
// since one machine may take any address of that.
type opener struct {
	held   int
	opened float64
	at     time.Time
}

func (o *opener) earn(now time.Time) {
	o.opened = max(0, o.opened-freeOpened*now.Sub(o.at).Seconds()/openedIn.Seconds())
	o.at = now
}

// over is how much it takes beyond what a browser does.
func (o *opener) over() float64 {
	return float64(max(0, o.held-freeHeld)) + max(0, o.opened-freeOpened)
}

func newCapped(l net.Listener, most, perAddr int) *capped {
	return &capped{Listener: l, most: most, perAddr: perAddr, now: time.Now, conns: map[*held]bool{}, from: map[netip.Prefix]*opener{}}
}

// Accept waits for a connection that there is room for.
func (l *capped) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		h, away := l.admit(c)
		if away != nil {
			away.Close()
		}
		if h != nil {
			return h, nil
		}
		c.Close()
	}
}

// admit gives a connection its place, nil where it has none, and who has to leave for it.
func (l *capped) admit(c net.Conn) (h, away *held) {
	a := remote(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	o := l.opener(a, now)
	over := o.over()
	o.opened++
	switch {
	case l.perAddr == 0 && len(l.conns) >= l.most:
		return nil, nil
	case l.perAddr > 0 && o.held >= l.perAddr:
		if away = l.least(now, func(x *held) bool { return x.from == a && x.idle(now) && !x.signed }); away == nil {
			return nil, nil
		}
	case len(l.conns) >= l.most:
		away = l.least(now, func(x *held) bool { return !x.signed && l.from[x.from].over() >= over })
		if away == nil {
			return nil, nil
		}
	}
	if away != nil {
		l.forget(away)
	}
	h = &held{Conn: c, l: l, from: a, since: now}
	l.conns[h] = true
	o.held++
	return h, away
}

// opener is an address as it stands now. Those that hold nothing and have opened nothing of
// late are forgotten.
func (l *capped) opener(a netip.Prefix, now time.Time) *opener {
	if o := l.from[a]; o != nil {
		o.earn(now)
		return o
	}
	if len(l.from) >= mostKnown {
		for k, o := range l.from {
			if o.earn(now); o.held == 0 && o.opened == 0 {
				delete(l.from, k)
			}
		}
		for k, o := range l.from {
			if len(l.from) < mostKnown {
				break
			}
			if o.held == 0 {
				delete(l.from, k)
			}
		}
	}
	o := &opener{at: now}
	l.from[a] = o
	return o
}

// least is who gives way first.
func (l *capped) least(now time.Time, may func(*held) bool) (least *held) {
	for _, o := range l.from {
		o.earn(now)
	}
	for x := range l.conns {
		if may(x) && (least == nil || l.before(x, least, now)) {
			least = x
		}
	}
	return least
}

func (l *capped) before(x, y *held, now time.Time) bool {
	if a, b := l.from[x.from].over(), l.from[y.from].over(); a != b {
		return a > b
	}
	if a, b := x.idle(now), y.idle(now); a != b {
		return a
	}
	return x.since.Before(y.since)
}

// forget takes a connection out of the books; called with mu held.
func (l *capped) forget(h *held) {
	if !l.conns[h] {
		return
	}
	delete(l.conns, h)
	l.from[h.from].held--
}

// remote is who a connection comes from.
func remote(c net.Conn) netip.Prefix {
	t, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	a, bits := t.AddrPort().Addr().Unmap().WithZone(""), 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// held is a connection that has a place. What is not set at the start is the listener's mu's.
type held struct {
	net.Conn
	l     *capped
	from  netip.Prefix
	since time.Time // since when it is as it is
	asked int       // requests that are answered now
	spoke bool
	// signed: its last request came with a session.
	signed bool
}

// idle tells whether nothing is asked on it.
func (h *held) idle(now time.Time) bool {
	return h.asked == 0 && (h.spoke || now.Sub(h.since) > settled)
}

// ask notes a request on a connection, and its end.
func (h *held) ask(signed bool) (answered func()) {
	if h == nil {
		return func() {}
	}
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	h.asked++
	h.spoke, h.signed, h.since = true, signed, h.l.now()
	return func() {
		h.l.mu.Lock()
		defer h.l.mu.Unlock()
		h.asked--
		h.since = h.l.now()
	}
}

// Close gives the place back.
func (h *held) Close() error {
	h.l.mu.Lock()
	h.l.forget(h)
	h.l.mu.Unlock()
	return h.Conn.Close()
}

type connKey struct{}

// withConn keeps the connection for the gate, which notes what is asked on it.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, heldOf(c))
}

func connOf(ctx context.Context) *held {
	h, _ := ctx.Value(connKey{}).(*held)
	return h
}

// heldOf finds the place of a connection below what reads it.
func heldOf(c net.Conn) *held {
	for {
		switch x := c.(type) {
		case *held:
			return x
		case *begun:
			c = x.Conn
		case *tls.Conn:
			c = x.NetConn()
		default:
			return nil
		}
	}
}
