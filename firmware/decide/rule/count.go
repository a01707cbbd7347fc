package rule

import (
	"math"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// count books what a counter gained since its last good reading. What a gain is,
// point.Counter says. A reading that is not good gains nothing; where its total
// cannot be true, or an interference was seen on several inputs at once, it is
// kept in mind: what was gained up to it will never be rain, also when later
// readings confirm that the total stays there.
func (e *Engine) count(s *source, r point.Reading) {
	if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) {
		return
	}
	if !r.IsGood() && !(r.Quality == point.Suspect && r.Why.Code == codeClogged) {
		if r.Quality == point.Suspect && s.counted {
			e.mind(s, r)
		}
		return
	}
	now, total, c := r.At.Mono, r.Value, s.spec.Counter
	if !s.counted {
		s.last, s.lastAt, s.counted = total, now, true
		if s.clog.fresh < now {
			s.clog.fresh = now
		}
		return
	}
	if s.doubted {
		s.doubted = false
		if total >= s.doubt.V-c.Tip/2 {
			e.surge(r, s.doubt.V-s.last, s.doubt.At-s.lastAt)
			s.last, s.lastAt = s.doubt.V, s.doubt.At
		}
	}
	before, over := s.last, now-s.lastAt
	gain, kind := c.Gain(before, total, over)
	if gain > 0 || kind != point.Plain || total > before {
		s.last = total // a float total that trembles downwards is no new zero
	}
	s.lastAt = now
	switch kind {
	case point.Reset, point.Exchanged:
		e.note(r, phrase.M("rule.counter_reset", "point", string(r.Point), "from", before, "to", total, "unit", string(r.Unit)))
	case point.Surge:
		e.surge(r, total-before, over)
	default:
		if gain > 0 {
			s.spread(now, over, s.corrected(now, over, gain))
			e.changed++
		}
	}
}

// mind remembers the first total of those that cannot be true.
func (e *Engine) mind(s *source, r point.Reading) {
	c, d := s.spec.Counter, sample{r.At.Mono, r.Value}
	if _, k := c.Gain(s.last, d.V, d.At-s.lastAt); k != point.Surge && !(r.Why.Code == codeSurge && d.V > s.last) {
		return
	}
	if s.doubted {
		if _, k := c.Gain(s.doubt.V, d.V, d.At-s.doubt.At); k == point.Plain {
			return
		}
	}
	s.doubted, s.doubt = true, d
	e.changed++
}

func (e *Engine) surge(r point.Reading, gain float64, over time.Duration) {
	e.note(r, phrase.M("rule.counter_surge", "point", string(r.Point), "gain", math.Round(gain*1e6)/1e6, "unit", string(r.Unit), "seconds", over.Seconds()))
}

// corrected gives a gain with what the bucket lost at the intensity of the last
// minute, or of the gap where that is longer.
func (s *source) corrected(now, gap time.Duration, gain float64) float64 {
	c := s.spec.Counter
	if len(c.Intensity) == 0 {
		return gain
	}
	s.minute.add(now, gain, time.Minute)
	if gap > time.Minute {
		return gain * c.Factor(gain/gap.Minutes())
	}
	return gain * c.Factor(s.minute.sum(now, time.Minute))
}

// spread dates a gain. One over a normal polling interval is dated now; one over
// a gap (the line was down, the box was off) evenly over the gap, since nobody
// knows better.
func (s *source) spread(now, gap time.Duration, gain float64) {
	n := 1
	if s.spec.Limit > 0 && gap > s.spec.Limit {
		n = int(min(gap/time.Minute+1, 240))
	}
	for i := 1; i <= n; i++ {
		s.gains.add(now-gap+gap*time.Duration(i)/time.Duration(n), gain/float64(n), s.keep)
	}
}
