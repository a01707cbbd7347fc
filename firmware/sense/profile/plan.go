package profile

import (
	"cmp"
	"slices"
	"time"

	"tocsin/drivers"
)

// The protocol's own limits of one read (Modbus Application Protocol v1.1b3,
// sections 6.1 to 6.4).
const (
	mostRegisters = 125
	mostBits      = 2000
)

// Cost gives the time that a read of count entries holds a line of the
// profile's own rate: request, turnaround, answer, two silences of 3.5
// characters (Modbus over Serial Line v1.02, section 2.5.1.1).
func (p *Profile) Cost(t drivers.Table, count uint16) time.Duration {
	data := 2 * int(count)
	if t.Bits() {
		data = (int(count) + 7) / 8
	}
	baud := max(p.Line.Baud, 300)
	const bits = 11
	chars := time.Duration(8 + 5 + data + 7)
	return p.Line.Turnaround + p.Line.Gap + chars*bits*time.Second/time.Duration(baud)
}

// Plan gives the reads that give every point once, with the profile's own
// periods and costs.
func (p *Profile) Plan() []Request { return p.PlanFor(nil, nil) }

// PlanFor gives the reads that give every point once. every overrides a
// point's period (nil: none), cost is what a read costs the line (nil: the
// profile's own). Points of one table and period share a read where reading
// over the entries between them costs less than a second read. A read never
// touches a hole, never exceeds the device's limit, and never separates a
// status from what it speaks for.
func (p *Profile) PlanFor(every func(*Point) time.Duration, cost func(drivers.Table, uint16) time.Duration) []Request {
	if p.Via != Modbus {
		return nil
	}
	if cost == nil {
		cost = p.Cost
	}
	period := make([]time.Duration, len(p.Points))
	alarm := make([]bool, len(p.Points))
	for i := range p.Points {
		period[i], alarm[i] = p.Points[i].Every, p.Points[i].Alarm
		if every != nil {
			period[i] = every(&p.Points[i])
		}
	}
	// A status and what it speaks for are read together, so at the shortest of
	// their periods. Statuses may share points: repeat until nothing changes.
	for changed := true; changed; {
		changed = false
		for i := range p.Points {
			for _, j := range p.spokenFor(i) {
				if least := min(period[i], period[j]); period[i] != least || period[j] != least {
					period[i], period[j], changed = least, least, true
				}
				if alarm[i] != alarm[j] {
					alarm[i], alarm[j], changed = true, true, true
				}
			}
		}
	}
	type group struct {
		table drivers.Table
		every time.Duration
		alarm bool
	}
	groups := map[group][]int{}
	for i := range p.Points {
		g := group{p.Points[i].Table, period[i], alarm[i]}
		groups[g] = append(groups[g], i)
	}
	var out []Request
	for g, idx := range groups {
		for _, r := range p.cut(idx, cost) {
			r.Every, r.Alarm = g.every, g.alarm
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Request) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Addr, b.Addr), cmp.Compare(a.Every, b.Every))
	})
	return out
}

// spokenFor gives the indexes of the points that point i's states speak for.
func (p *Profile) spokenFor(i int) []int {
	var out []int
	for _, id := range p.Points[i].StatusOf {
		for j := range p.Points {
			if p.Points[j].ID == id {
				out = append(out, j)
			}
		}
	}
	return out
}

// cut divides points of one table into the cheapest reads: best[k] is the
// least cost of reading the first k points in order of address.
func (p *Profile) cut(idx []int, cost func(drivers.Table, uint16) time.Duration) []Request {
	pts := slices.Clone(idx)
	slices.SortFunc(pts, func(a, b int) int {
		return cmp.Or(cmp.Compare(p.Points[a].Addr, p.Points[b].Addr), cmp.Compare(a, b))
	})
	n := len(pts)
	whole := make([]bool, n+1) // whole[k]: a cut before point k is allowed
	for k := range whole {
		whole[k] = true
	}
	for a := range pts {
		for b := a + 1; b < n; b++ {
			if p.bound(pts[a], pts[b]) {
				for k := a + 1; k <= b; k++ {
					whole[k] = false
				}
			}
		}
	}
	const never = time.Duration(1<<63 - 1)
	best, from := make([]time.Duration, n+1), make([]int, n+1)
	for k := 1; k <= n; k++ {
		best[k] = never
		if !whole[k] {
			continue
		}
		for a := k - 1; a >= 0; a-- {
			if !whole[a] || best[a] == never {
				continue
			}
			r, ok := p.span(pts[a:k])
			if !ok && (k-a > 1) {
				continue
			}
			if c := best[a] + cost(r.Table, r.Count); c < best[k] {
				best[k], from[k] = c, a
			}
		}
	}
	if n == 0 || best[n] == never {
		return nil // a status too far from its points: Parse refuses it
	}
	var out []Request
	for k := n; k > 0; k = from[k] {
		r, _ := p.span(pts[from[k]:k])
		r.Points = slices.Clone(pts[from[k]:k])
		out = append(out, r)
	}
	slices.Reverse(out)
	return out
}

// bound tells whether two points must be read together: one is the other's
// status, or they share a register.
func (p *Profile) bound(a, b int) bool {
	x, y := &p.Points[a], &p.Points[b]
	return slices.Contains(x.StatusOf, y.ID) || slices.Contains(y.StatusOf, x.ID) ||
		int(x.Addr) < int(y.Addr)+y.words() && int(y.Addr) < int(x.Addr)+x.words()
}

// span gives the read over all of pts, and whether the device can answer it.
func (p *Profile) span(pts []int) (Request, bool) {
	first := &p.Points[pts[0]]
	lo, hi := int(first.Addr), int(first.Addr)
	for _, i := range pts {
		hi = max(hi, int(p.Points[i].Addr)+p.Points[i].words())
	}
	r := Request{Table: first.Table, Addr: uint16(lo), Count: uint16(hi - lo)}
	return r, hi <= 1<<16 && hi-lo <= p.most(first.Table) && !p.inHole(first.Table, lo, hi-1)
}

func (p *Profile) most(t drivers.Table) int {
	if t.Bits() {
		return min(16*p.Line.MaxRegisters, mostBits)
	}
	return min(p.Line.MaxRegisters, mostRegisters)
}

func (p *Profile) inHole(t drivers.Table, from, to int) bool {
	for _, h := range p.Holes {
		if (h.Table == 0 || h.Table == t) && from <= int(h.To) && int(h.From) <= to {
			return true
		}
	}
	return false
}
