package station

import (
	"math"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// spot is what the house keeps of a point between two readings. Most points of a
// large site are looked at by no rule: what each of them costs at each reading
// is what a box of thousands of points costs.
type spot struct {
	// What each reading looks at lies together.
	id point.ID
	// next is whose reading came after this one's in the same answer.
	next *spot
	// asked is the engine that looked was asked of: a reload makes another.
	asked  *rule.Engine
	looked bool
	was    point.Quality // of the reading before
	last   point.Reading // under House.mu
	// goodAt is when it was last good, on this boot's clock; good: it was.
	goodAt time.Duration
	good   bool
	// counts are the readings by quality, under House.mu too.
	counts [point.CommFault + 1]uint64
	// thing and device are its faults' names, made when first wanted.
	thing, device string
}

// names gives the names of the faults of a point and of its device.
func (s *spot) names() [2]string {
	if s.thing == "" {
		s.thing, s.device = "point "+string(s.id), "device "+s.id.Device()
	}
	return [2]string{s.thing, s.device}
}

// spotOf finds a point's spot; nil where the site has no such point.
func (h *House) spotOf(id point.ID) *spot {
	s := h.latest[id]
	if s == nil {
		if _, known := h.bp.Sources[id]; !known && id.Device() != "gpio" {
			return nil // the last word of a device that a reload took out
		}
		if len(h.fresh) == 0 {
			h.fresh = make([]spot, 64)
		}
		s, h.fresh = &h.fresh[0], h.fresh[1:]
		s.id = id
		h.mu.Lock()
		h.latest[id] = s
		h.mu.Unlock()
	}
	return s
}

// find finds the spots of readings. Those of one answer come in the same order
// each time, so that each spot knows the next.
func (h *House) find(rs []point.Reading) {
	h.spots = h.spots[:0]
	var before *spot
	for i := range rs {
		var s *spot
		if before != nil && before.next != nil && before.next.id == rs[i].Point {
			s = before.next
		} else if s = h.spotOf(rs[i].Point); before != nil {
			before.next = s
		}
		if s != nil && s.asked != h.engine {
			s.asked, s.looked = h.engine, h.engine.Looks(s.id)
		}
		h.spots = append(h.spots, s)
		before = s
	}
}

// takeAll is the way of the readings of one answer: first the rules, then
// whoever watches. The rules say which may be believed by now: one that jumps
// waits for others that jump with it. The readings are ours.
func (h *House) takeAll(rs []point.Reading) {
	h.find(rs)
	one := true // what comes in goes out, each in its place
	for i, s := range h.spots {
		if s == nil || !s.looked {
			if !one {
				h.believed = append(h.believed, rs[i])
			}
			continue
		}
		may := h.engine.Admit(rs[i])
		if one && len(may) == 1 && may[0].Point == s.id {
			rs[i] = may[0]
			continue
		}
		if one {
			one, h.believed = false, append(h.believed[:0], rs[:i]...)
		}
		h.believed = append(h.believed, may...)
	}
	if !one {
		rs = h.believed
		h.find(rs)
	}
	h.taken(rs)
}

// take is the way of readings that the rules have admitted.
func (h *House) take(rs []point.Reading) {
	h.find(rs)
	h.taken(rs)
}

// taken goes on with readings whose spots were found.
func (h *House) taken(rs []point.Reading) {
	for i, s := range h.spots {
		if s == nil {
			continue
		}
		if s.looked {
			for _, v := range h.engine.Observe(rs[i]) {
				h.judge(v)
			}
		}
		if len(h.keys) > 0 {
			h.watchKeys(rs[i])
		}
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
			if rs[i].Quality == point.Good {
				s.good, s.goodAt = true, rs[i].At.Mono
			}
		}
	}
	h.mu.Unlock()
	followed := h.follow.any()
	for i, s := range h.spots {
		if s == nil {
			continue
		}
		if rs[i].Quality != point.Good || len(h.badAt) > 0 {
			h.pointFault(rs[i], s)
		}
		if followed {
			h.follow.offer(rs[i])
		}
		if h.history.h != nil {
			h.history.offer(rs[i])
		}
	}
}

// pointFault shows and calls a point whose quality is not good. A device that
// does not answer is one fault, not one for each of its points; one that comes
// and goes is one fault, not one a second.
func (h *House) pointFault(r point.Reading, s *spot) {
	for i, thing := range s.names() {
		comm := i == 1
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

// fresh gives the value of what was last measured, where that is good and not older than limit.
// Of a point that there is not it gives none. House.mu is held.
func (s *spot) fresh(limit time.Duration, now clock.Stamp) (float64, bool) {
	if s == nil || s.last.Point == "" || s.last.Quality != point.Good || math.IsNaN(s.last.Value) || now.Mono-s.last.At.Mono > limit {
		return 0, false
	}
	return s.last.Value, true
}
