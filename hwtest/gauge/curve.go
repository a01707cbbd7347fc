package gauge

import "time"

// curve is a quantity that stands, or goes straight from one value to another.
type curve struct {
	from, to   float64
	start, end time.Time
}

func flat(v float64) curve { return curve{from: v, to: v} }

func (c curve) at(t time.Time) float64 {
	if !t.Before(c.end) {
		return c.to
	}
	if t.Before(c.start) {
		return c.from
	}
	return c.from + (c.to-c.from)*float64(t.Sub(c.start))/float64(c.end.Sub(c.start))
}

// ramp goes on from where it is at now.
func (c curve) ramp(now time.Time, to float64, over time.Duration) curve {
	return curve{from: c.at(now), to: to, start: now, end: now.Add(over)}
}
