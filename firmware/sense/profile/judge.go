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
// change, step, and a value that never moves. It is used by one goroutine. It only
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
	if p.Rate == nil && p.Stuck <= 0 && p.Jump == 0 && p.Counter == nil {
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
	if why, doubted := j.doubt(j.last, v.Value, j.at, at); doubted {
		if _, apart := j.doubt(j.jumped, v.Value, j.jumpAt, at); j.agreed > 0 && !apart {
			j.agreed++
		} else {
			j.agreed, j.jumpedSince = 1, at
		}
		j.jumped, j.jumpAt = v.Value, at
		if long, _ := at.Since(j.jumpedSince); j.agreed < settleAfter || long < settleFor {
			v.Quality, v.Why = point.Suspect, why()
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

// doubt tells whether a change cannot be real, and why: a counter's by its own
// account of gains, a step beyond Jump, or a change of more than Most within any
// time up to Per, and proportionally more over longer.
func (j *Judge) doubt(from, to float64, since, at clock.Stamp) (why func() phrase.Message, doubted bool) {
	p := j.pt
	if p.Counter == nil && p.Rate == nil && p.Jump == 0 {
		return nil, false
	}
	over, _ := at.Since(since)
	u := string(p.Unit)
	if c := p.Counter; c != nil {
		switch _, kind := c.Gain(from, to, over); kind {
		case point.Surge:
			return func() phrase.Message {
				return phrase.M("sense.surge", "gain", tidy(to-from), "unit", u, "seconds", over.Seconds())
			}, true
		case point.Exchanged:
			return func() phrase.Message { return phrase.M("sense.fell", "from", from, "to", to, "unit", u) }, true
		}
		return nil, false
	}
	step := math.Abs(to - from)
	slack := 0.0 // half a step of a whole number; a float has no steps
	if p.whole() {
		slack = math.Abs(p.Scale) / 2
	}
	if p.Jump > 0 && step > p.Jump+slack {
		return func() phrase.Message {
			return phrase.M("sense.jump", "from", from, "to", to, "unit", u, "most", p.Jump)
		}, true
	}
	if r := p.Rate; r != nil && step > r.Most*max(1, float64(over)/float64(r.Per))+slack {
		return func() phrase.Message {
			return phrase.M("sense.too_fast", "from", from, "to", to, "unit", u, "most", r.Most, "per", point.Span(r.Per).String())
		}, true
	}
	return nil, false
}

// tidy takes the dust of floating arithmetic off a difference that is shown.
func tidy(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// whole tells whether a point's raw values are whole numbers in steps of Scale.
func (p *Point) whole() bool {
	switch p.Type {
	case Float16, Float32, Float64, Number, String:
		return false
	}
	return len(p.Curve) == 0
}
