package api

import (
	"sync"

	"tocsin/firmware/serve/access"
)

// places bound what is held open: so many in all, so many of one address, and some beside
// them that strangers cannot take. Who is signed in works here, and on the night that fills
// the rest they are needed most.
type places struct {
	most, perAddr, kept int

	mu   sync.Mutex
	all  int
	from map[string]int
}

func newPlaces(most, perAddr, kept int) *places {
	return &places{most: most, perAddr: perAddr, kept: kept, from: map[string]int{}}
}

// take finds a place for who calls. leave gives it back, and is called once.
func (p *places) take(g access.Grant) (leave func(), ok bool) {
	most := p.most
	if g.SignedIn() {
		most += p.kept
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= most || p.perAddr > 0 && p.from[g.Addr] >= p.perAddr {
		return nil, false
	}
	p.all++
	p.from[g.Addr]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all--
		if p.from[g.Addr]--; p.from[g.Addr] == 0 {
			delete(p.from, g.Addr)
		}
	}, true
}
