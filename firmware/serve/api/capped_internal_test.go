package api

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
)

// line is a connection of an address that says nothing.
type line struct {
	net.Conn
	from   netip.AddrPort
	closed bool
}

func (l *line) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(l.from) }
func (l *line) Close() error         { l.closed = true; return nil }

// hall is a full house in virtual time.
type hall struct {
	*capped
	at time.Time
}

func newHall(most, perAddr int) *hall {
	h := &hall{newCapped(nil, most, perAddr), time.Unix(1_900_000_000, 0)}
	h.now = func() time.Time { return h.at }
	return h
}

// come is a connection of an address; nil where it is not let in.
func (h *hall) come(addr string) *held {
	h.at = h.at.Add(time.Millisecond)
	x, away := h.admit(&line{from: netip.MustParseAddrPort(addr + ":1")})
	if away != nil {
		away.Close()
	}
	return x
}

func (h *hall) there(x *held) bool { return x != nil && h.conns[x] }

func TestWhoGivesWayWhereAllPlacesAreTaken(t *testing.T) {
	for name, c := range map[string]struct {
		// fill takes all of 12 places and gives who has to leave, nil where who comes has.
		fill func(h *hall) (away *held)
		from string
	}{
		"one that is idle before one that is asked on": {func(h *hall) (away *held) {
			for i := range 12 {
				x := h.come(fmt.Sprint("10.0.0.", i+1))
				if i != 7 {
					x.ask(false) // and is answered for ever
				} else {
					away = x
				}
			}
			h.at = h.at.Add(time.Minute)
			return away
		}, "10.0.0.99"},
		"one that has only just come is not idle": {func(h *hall) (away *held) {
			for i := range 12 {
				x := h.come(fmt.Sprint("10.0.0.", i+1))
				if i == 3 {
					x.ask(false)() // answered
					away = x
				}
			}
			h.at = h.at.Add(time.Second)
			return away
		}, "10.0.0.99"},
		"the oldest of streams": {func(h *hall) (away *held) {
			for i := range 12 {
				x := h.come(fmt.Sprint("10.0.0.", i+1))
				x.ask(false)
				if h.at = h.at.Add(time.Second); i == 0 {
					away = x
				}
			}
			return away
		}, "10.0.0.99"},
		"a stranger before who is signed in": {func(h *hall) (away *held) {
			for i := range 12 {
				x := h.come(fmt.Sprint("10.0.0.", i+1))
				x.ask(i != 11)()
				away = x
			}
			return away
		}, "10.0.0.99"},
		"nobody who is signed in": {func(h *hall) (away *held) {
			for i := range 12 {
				h.come(fmt.Sprint("10.0.0.", i+1)).ask(true)()
			}
			return nil
		}, "10.0.0.99"},
		"whose address holds more than a browser": {func(h *hall) (away *held) {
			for i := range 12 {
				x := h.come([]string{"10.0.0.1", "10.0.0.2"}[min(1, i/10)])
				x.ask(false)
				if i == 0 {
					away = x
				}
			}
			return away
		}, "10.0.0.99"},
		"who comes without end, and not who was there": {func(h *hall) (away *held) {
			for i := range 12 {
				h.come(fmt.Sprint("10.0.0.", i+1))
			}
			for range 30 {
				if x := h.come("10.0.0.99"); x != nil {
					x.Close()
				}
			}
			for i := len(h.conns); i < 12; i++ {
				h.come(fmt.Sprint("10.0.1.", i))
			}
			return nil
		}, "10.0.0.99"},
		"an IPv6 network is one": {func(h *hall) (away *held) {
			for i := range 12 {
				x := h.come(fmt.Sprintf("[2001:db8::%x]", i+1))
				if x != nil && i == 0 {
					away = x
				}
			}
			h.at = h.at.Add(time.Minute)
			return away
		}, "10.0.0.99"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHall(12, 12)
			away := c.fill(h)
			if len(h.conns) != 12 {
				t.Fatalf("%d places are taken", len(h.conns))
			}
			x := h.come(c.from)
			if (x != nil) != (away != nil) || away != nil && (h.there(away) || !away.Conn.(*line).closed) || len(h.conns) != 12 {
				t.Errorf("let in: %v; who had to leave is there: %v; %d places", x != nil, h.there(away), len(h.conns))
			}
		})
	}
}

func TestAnAddressThatIsFullGivesUpItsOwnIdleOnes(t *testing.T) {
	h := newHall(100, 3)
	a, b, c := h.come("10.0.0.1"), h.come("10.0.0.1"), h.come("10.0.0.1")
	a.ask(false)
	if h.come("10.0.0.1") != nil {
		t.Error("one more, where none is idle")
	}
	b.ask(true)()
	h.at = h.at.Add(time.Minute)
	if h.come("10.0.0.1") == nil || h.there(c) || !h.there(a) || !h.there(b) {
		t.Error("it was not the idle one of no session that gave way")
	}
}

func TestTheBooksOfConnectionsAreBounded(t *testing.T) {
	h := newHall(288, 32)
	for i := range 20_000 {
		h.at = h.at.Add(10 * time.Millisecond)
		if x := h.come(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String()); x != nil && i%3 == 0 {
			x.Close()
			x.Close()
		}
	}
	n := 0
	for _, o := range h.from {
		n += o.held
	}
	if len(h.conns) > 288 || n != len(h.conns) || len(h.from) > mostKnown {
		t.Errorf("%d connections, %d in the books of %d addresses", len(h.conns), n, len(h.from))
	}
}

func TestTheSocketsConnectionsGiveNoWay(t *testing.T) {
	h := newHall(2, 0)
	h.come("10.0.0.1")
	h.come("10.0.0.2")
	h.at = h.at.Add(time.Hour)
	if h.come("10.0.0.3") != nil {
		t.Error("a local tool was cut off")
	}
}
