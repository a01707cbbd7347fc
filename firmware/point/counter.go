package point

import (
	"fmt"
	"time"
)

// Counter says how a running total behaves, so that a gain is told from a
// roll-over, a restart, an exchanged gauge and a surge. It is the one account of
// what a gain is: the room that judges readings and the one that sums them both
// ask it.
type Counter struct {
	// Wrap is where the total begins again at zero, in the point's unit; 0 where
	// it never does.
	Wrap float64
	// Resets: the total begins again at zero when the device restarts.
	Resets bool
	// Tip is the smallest step, in the point's unit: one tip of the bucket.
	Tip float64
	// Funnel is the diameter of the collector in millimetres, 0 where the profile does
	// not say it: with it a measured volume of water tells what must be counted.
	Funnel float64
	// Most is the largest gain a second that can be true, 0 for no limit; Burst a
	// gain that is believed however short the time: a few tips.
	Most, Burst float64
	// Within are the largest gains over longer times, by rising time: what can
	// fall in a minute does not fall all day.
	Within []Bound
	// Intensity corrects what a tipping bucket loses while it tips, by rising
	// intensity; none where the profile gives none.
	Intensity []Correction
}

// Bound is the largest gain within a time.
type Bound struct {
	In   time.Duration
	Most float64
}

// Correction is what a gain is multiplied by at a measured intensity, in the
// point's unit a minute.
type Correction struct{ PerMinute, Factor float64 }

// Kind says how two totals differ.
type Kind uint8

// The kinds of a gain. Only Plain and Wrapped gain anything.
const (
	// Plain: the total stayed or went up by what can be true.
	Plain Kind = iota
	// Wrapped: it went over its end.
	Wrapped
	// Reset: it began again at zero, as its device does when it restarts.
	Reset
	// Exchanged: it fell in a way that its device does not: another gauge, or a
	// fault.
	Exchanged
	// Surge: it went up by more than can be true.
	Surge
)

var kindNames = [...]string{"plain", "wrapped", "reset", "exchanged", "surge"}

// String names the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// A fall of the total is taken for a roll-over only in the last tenth of the
// count and only for what falls in ten minutes: after a longer silence nobody can
// tell it from an exchanged gauge, and an exchange is never rain.
const (
	wrapsFrom   = 0.9
	wrapsWithin = 10 * time.Minute
)

// Gain gives what was added between two totals, and how they differ; 0 for a
// Reset, an Exchanged gauge and a Surge.
func (c *Counter) Gain(before, after float64, over time.Duration) (float64, Kind) {
	d := after - before
	if d >= -c.Tip/2 { // a float total trembles
		if d = max(0, d); c.Possible(d, over) {
			return d, Plain
		}
		return 0, Surge
	}
	if c.Wrap > 0 && c.Most > 0 && before <= c.Wrap && before >= wrapsFrom*c.Wrap {
		if g := c.Wrap + d; g >= 0 && c.Possible(g, min(over, wrapsWithin)) {
			return g, Wrapped
		}
	}
	if c.Resets && c.Possible(after, over) {
		return 0, Reset
	}
	return 0, Exchanged
}

// Possible tells whether a gain can be true over a time.
func (c *Counter) Possible(gain float64, over time.Duration) bool {
	const dust = 1e-9 // of floating arithmetic
	if c.Most > 0 && gain > c.Burst+c.Most*max(0, over).Seconds()+dust {
		return false
	}
	for i, b := range c.Within {
		n := 1.0
		if i == len(c.Within)-1 && over > b.In {
			n = float64((over + b.In - 1) / b.In)
		}
		if (over <= b.In || n > 1) && gain > n*b.Most+dust {
			return false
		}
	}
	return true
}

// Factor gives what a gain at an intensity is multiplied by: 1 below the table's
// first entry, straight between entries, the last one's beyond it.
func (c *Counter) Factor(perMinute float64) float64 {
	t := c.Intensity
	if len(t) == 0 || !(perMinute > t[0].PerMinute) {
		return 1
	}
	for i := 1; i < len(t); i++ {
		if perMinute <= t[i].PerMinute {
			a, b := t[i-1], t[i]
			return a.Factor + (b.Factor-a.Factor)*(perMinute-a.PerMinute)/(b.PerMinute-a.PerMinute)
		}
	}
	return t[len(t)-1].Factor
}
