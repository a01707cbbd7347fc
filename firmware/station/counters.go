package station

import (
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// UnitCounters is api.Counters.
func (h *House) UnitCounters() []api.UnitCounters {
	h.lines.mu.RLock()
	all := make([]*running, 0, len(h.lines.lines))
	for _, r := range h.lines.lines {
		all = append(all, r)
	}
	h.lines.mu.RUnlock()
	var out []api.UnitCounters
	for _, r := range all {
		for _, u := range r.snapshot().Units {
			out = append(out, api.UnitCounters{Line: r.plan.Name, Device: u.Device, Unit: int(u.Unit), Acts: u.Acts, Done: u.ActsGood, Held: u.Cost, Wasted: u.Wasted, Last: u.Last})
		}
	}
	return out
}

// PointCounters is api.Counters.
func (h *House) PointCounters() []api.PointCounters {
	h.mu.RLock()
	defer h.mu.RUnlock()
	out := make([]api.PointCounters, 0, len(h.latest))
	for id, s := range h.latest {
		p := api.PointCounters{Point: id, ByQuality: map[point.Quality]uint64{}}
		for q, n := range s.counts {
			if n > 0 {
				p.ByQuality[point.Quality(q)] = n
			}
		}
		out = append(out, p)
	}
	return out
}

var _ api.Counters = (*House)(nil)
