package source

import (
	"net/netip"
	"sync"
)

// A Gate bounds how many wait at a door that have not yet shown a key. Nobody is turned
// away at it: who comes when it is full takes the place of the one that has waited longest
// of the address that has most there. Who has a key needs a second; who has none cannot
// shut others out by waiting, and one address only displaces itself while others have less.
type Gate struct {
	address, all int

	mu      sync.Mutex
	waiting []*Pass // oldest first
}

// NewGate makes a gate for so many waiting of one address and in all.
func NewGate(address, all int) *Gate {
	return &Gate{address: max(1, address), all: max(1, all)}
}

// A Pass is one that came to a Gate.
type Pass struct {
	gate *Gate
	who  netip.Prefix
	out  func()
}

// Enter lets one in. Out is called, once and without the gate's lock, when the place is
// taken by another; it must end whoever waits and must not block.
func (g *Gate) Enter(who netip.Addr, out func()) *Pass {
	p := &Pass{gate: g, who: Neighbour(who), out: out}
	g.mu.Lock()
	gone := g.displaced(p.who)
	g.waiting = append(g.waiting, p)
	g.mu.Unlock()
	if gone != nil {
		gone.out()
	}
	return p
}

// Leave gives the place back: who has shown a key, or has gone. It may be called twice.
func (p *Pass) Leave() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.gate.remove(p)
}

// Waiting counts who waits.
func (g *Gate) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// displaced takes out who has to make room for one more of an address.
func (g *Gate) displaced(of netip.Prefix) *Pass {
	n := map[netip.Prefix]int{}
	for _, w := range g.waiting {
		n[w.who]++
	}
	if n[of] < g.address && len(g.waiting) < g.all {
		return nil
	}
	if n[of] < g.address {
		// The newcomer counts too: an address that has as many as any pays itself.
		n[of]++
		most := of
		for _, w := range g.waiting {
			if n[w.who] > n[most] {
				most = w.who
			}
		}
		if n[most] == 1 { // one each: the longest waiting
			most = g.waiting[0].who
		}
		of = most
	}
	for _, w := range g.waiting {
		if w.who == of {
			g.remove(w)
			return w
		}
	}
	return nil
}

func (g *Gate) remove(p *Pass) {
	for i, w := range g.waiting {
		if w == p {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return
		}
	}
}

// Neighbour is what counts as one address: an IPv6 host has all of its /64.
func Neighbour(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}
