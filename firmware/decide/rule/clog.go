package rule

import (
	"math"
	"slices"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// clog is whether a rain gauge counts nothing while its neighbours do.
type clog struct {
	on    bool
	since time.Duration // when it was called
	fresh time.Duration // what was counted before then proves nothing
}

// unclogged gives a good reading as suspect where its gauge is dry and its
// neighbours pour. It is good again when it has counted its share of what they
// did since it was called; one tip, where they counted nothing more.
func (e *Engine) unclogged(s *source, r point.Reading) point.Reading {
	d := e.doubts.Clogged
	if d.Most <= 0 || len(s.spec.Neighbours) < d.Neighbours {
		return r
	}
	now, c := r.At.Mono, s.spec.Counter
	from := max(now-d.Over, s.clog.fresh)
	if s.clog.on {
		from = s.clog.since
	}
	others := make([]*source, 0, len(s.spec.Neighbours))
	for _, id := range s.spec.Neighbours {
		if o := e.points[id]; o != nil && o != s && o.good && !o.clog.on {
			others = append(others, o)
			from = max(from, o.clog.fresh)
		}
	}
	own := s.gains.sum(now, now-from)
	if s.counted && !s.doubted {
		g, _ := c.Gain(s.last, r.Value, now-s.lastAt)
		own += g
	}
	sums := make([]float64, 0, len(others))
	for _, o := range others {
		sums = append(sums, o.gains.sum(now, now-from))
	}
	median := middle(sums)
	switch {
	case s.clog.on && own > 0 && own >= c.Tip-1e-9 && own > d.Share*median:
		s.clog = clog{fresh: now}
		e.changed++
		return r
	case !s.clog.on && len(others) >= d.Neighbours && median >= d.Most && own <= d.Share*median:
		s.clog.on, s.clog.since = true, now
		e.changed++
	case !s.clog.on:
		return r
	}
	r.Quality = point.Suspect
	r.Why = phrase.M("rule.clogged", "point", string(s.id), "own", math.Round(own*10)/10, "others", math.Round(median*10)/10, "unit", string(r.Unit),
		"over", point.Span((now - from).Truncate(time.Second)).String())
	return r
}

// middle gives the median, the lower of two; 0 of none.
func middle(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[(len(v)-1)/2]
}
