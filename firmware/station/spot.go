package station

import (
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// spot is what the house keeps of a point between two readings. Most points of a
// large site are looked at by no rule: what each of them costs at each reading
// is what a box of thousands of points costs.
type spot struct {
	last point.Reading // under House.mu
	// counts are the readings by quality, under House.mu too.
	counts [point.CommFault + 1]uint64
	was    point.Quality // of the reading before
	// asked is the engine that looked was asked of: a reload makes another.
	asked  *rule.Engine
	looked bool
	// thing and device are its faults' names.
	thing, device string
}

// spotOf finds a point's spot; nil where the site has no such point.
func (h *House) spotOf(id point.ID) *spot {
	s := h.latest[id]
	if s == nil {
		if _, known := h.bp.Sources[id]; !known && id.Device() != "gpio" {
			return nil // the last word of a device that a reload took out
		}
		s = &spot{thing: "point " + string(id), device: "device " + id.Device()}
		h.mu.Lock()
		h.latest[id] = s
		h.mu.Unlock()
	}
	if s.asked != h.engine {
		s.asked, s.looked = h.engine, h.engine.Looks(id)
	}
	return s
}

// takeAll is the way of the readings of one answer: first the rules, then
// whoever watches. The rules say which may be believed by now: one that jumps
// waits for others that jump with it.
func (h *House) takeAll(rs []point.Reading) {
	for i, r := range rs {
		if s := h.spotOf(r.Point); s == nil || !s.looked {
			continue
		}
		h.believed = append(h.believed[:0], rs[:i]...) // what is before it waits for nothing
		for _, r := range rs[i:] {
			if s := h.spotOf(r.Point); s == nil || !s.looked {
				h.believed = append(h.believed, r)
			} else {
				h.believed = append(h.believed, h.engine.Admit(r)...)
			}
		}
		rs = h.believed
		break
	}
	h.take(rs)
}

// take is the way of the readings that the rules have admitted.
func (h *House) take(rs []point.Reading) {
	h.spots = h.spots[:0]
	for _, r := range rs {
		s := h.spotOf(r.Point)
		h.spots = append(h.spots, s)
		if s == nil {
			continue
		}
		if s.looked {
			for _, v := range h.engine.Observe(r) {
				h.judge(v)
			}
		}
		h.watchKeys(r)
	}
	for _, n := range h.engine.Notes() {
		h.write(journal.Record{Kind: "gauge.noted", Message: n.Why, At: n.At}, nil)
		h.log.Warn("gauge noted", "point", n.Point, "why", n.Why.In(phrase.EN))
	}
	h.mu.Lock()
	for i, s := range h.spots {
		if s != nil {
			s.was, s.last = s.last.Quality, rs[i]
			s.counts[min(rs[i].Quality, point.CommFault)]++
		}
	}
	h.mu.Unlock()
	followed := h.follow.any()
	for i, s := range h.spots {
		if s == nil {
			continue
		}
		h.pointFault(rs[i], s)
		if followed {
			h.follow.offer(rs[i])
		}
		h.history.offer(rs[i])
	}
}

// pointFault shows and calls a point whose quality is not good. A device that
// does not answer is one fault, not one for each of its points; one that comes
// and goes is one fault, not one a second.
func (h *House) pointFault(r point.Reading, s *spot) {
	if r.Quality == point.Good && len(h.badAt) == 0 {
		return
	}
	for _, thing := range [2]string{s.thing, s.device} {
		comm := thing == s.device
		switch {
		case r.Quality != point.Good && comm == (r.Quality == point.CommFault):
			if _, there := h.badAt[thing]; !there || s.was != r.Quality {
				m := phrase.M("station.point_fault", "point", string(r.Point), "quality", r.Quality.Message(), "why", r.Why)
				if comm {
					m = phrase.M("station.device_fault", "device", r.Point.Device(), "why", r.Why)
				}
				h.setFault(thing, m)
			}
			h.badAt[thing] = r.At.Mono
		case r.Quality == point.Good:
			if bad, there := h.badAt[thing]; there && r.At.Mono-bad >= faultClears {
				delete(h.badAt, thing)
				h.clearFault(thing)
			}
		}
	}
}
