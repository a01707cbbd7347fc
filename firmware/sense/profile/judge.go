package profile

import (
	"math"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// settleAfter is how many consecutive readings must agree with each other, and
// settleFor over how long, before a level that was reached by an impossible jump
// is believed: the gauge was moved or a long gap hid the rise. One spike is never
// believed, nor a surge that a fast poll sees several times.
const (
	settleAfter = 3
	settleFor   = 10 * time.Second
)

// Judge holds the plausibility of one point of one device over time: rate of
// change and a value that never moves. It is used by one goroutine. It only
// ever lowers a Good to Suspect.
type Judge struct {
	pt *Point

	last  float64 // the last believed value
	at    clock.Stamp
	known bool

	jumped      float64 // the last value that was too fast
	jumpAt      clock.Stamp
	jumpedSince clock.Stamp // the first of those that agree
	agreed      int
	unmoved     clock.Stamp // since when last has not changed
}

// NewJudge makes a judge that has seen nothing; nil, which believes all, where
// the profile names nothing to judge by.
func (p *Point) NewJudge() *Judge {
	if p.Rate == nil && p.Stuck <= 0 {
		return nil
	}
	return &Judge{pt: p}
}

// Look gives the value as it may be believed at an instant. Values that are
// not Good pass unchanged and teach nothing.
func (j *Judge) Look(v Value, at clock.Stamp) Value {
	if j == nil || v.Quality != point.Good {
		return v
	}
	if !j.known {
		j.believe(v.Value, at, true)
		return v
	}
	if r := j.pt.Rate; r != nil && !j.possible(r, j.last, v.Value, j.at, at) {
		if j.agreed > 0 && j.possible(r, j.jumped, v.Value, j.jumpAt, at) {
			j.agreed++
		} else {
			j.agreed, j.jumpedSince = 1, at
		}
		j.jumped, j.jumpAt = v.Value, at
		if long, _ := at.Since(j.jumpedSince); j.agreed < settleAfter || long < settleFor {
			v.Quality = point.Suspect
			v.Why = phrase.M("sense.too_fast", "from", j.last, "to", v.Value, "unit", string(j.pt.Unit), "most", r.Most, "per", point.Span(r.Per).String())
			return v
		}
	}
	j.agreed = 0
	moved := v.Value != j.last
	j.believe(v.Value, at, moved)
	if d, _ := at.Since(j.unmoved); j.pt.Stuck > 0 && !moved && d > j.pt.Stuck {
		v.Quality, v.Why = point.Suspect, phrase.M("sense.stuck", "for", point.Span(d.Truncate(time.Second)).String())
	}
	return v
}

func (j *Judge) believe(v float64, at clock.Stamp, moved bool) {
	j.last, j.at, j.known = v, at, true
	if moved {
		j.unmoved = at
	}
}

// possible tells whether a change can be real: at most Most within any time
// up to Per, and proportionally more over longer. A counter may also have gone
// round or begun again.
func (j *Judge) possible(r *Rate, from, to float64, since, at clock.Stamp) bool {
	over, _ := at.Since(since)
	if c := j.pt.Counter; c != nil {
		_, how := c.Gain(from, to, over)
		return how != "fault"
	}
	slack := 0.0 // half a step of a whole number; a float has no steps
	switch j.pt.Type {
	case Float32, Float64, Number:
	default:
		slack = math.Abs(j.pt.Scale) / 2
	}
	return math.Abs(to-from) <= r.Most*max(1, float64(over)/float64(r.Per))+slack
}
