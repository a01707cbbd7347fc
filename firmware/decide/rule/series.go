package rule

import (
	"math"
	"time"
)

// sample is a gain (or a value) at an instant of the engine's time line.
type sample struct {
	At time.Duration `json:"t"`
	V  float64       `json:"v"`
}

// most bounds a series: 72 h of the heaviest rain on record in 0.2 mm tips is
// some 3,000 samples; beyond the bound neighbours of the older half are merged.
const most = 8192

// gains is what a counter gained, as dated amounts, oldest first.
type gains struct {
	s []sample
}

func (g *gains) add(at time.Duration, v float64, keep time.Duration) {
	if v <= 0 {
		return
	}
	g.s = append(g.s, sample{at, v})
	g.forget(at - keep)
	if len(g.s) > most {
		g.merge()
	}
}

// merge halves the older half of the series by adding neighbours. The sum of
// each pair is dated with its later one, so that no window loses an amount
// early.
func (g *gains) merge() {
	half := len(g.s) / 2
	out := g.s[:0]
	for i := 0; i+1 < half; i += 2 {
		out = append(out, sample{g.s[i+1].At, g.s[i].V + g.s[i+1].V})
	}
	if half%2 == 1 {
		out = append(out, g.s[half-1])
	}
	g.s = append(out, g.s[half:]...)
}

func (g *gains) forget(before time.Duration) {
	i := 0
	for i < len(g.s) && g.s[i].At <= before {
		i++
	}
	if i > 0 {
		g.s = append(g.s[:0], g.s[i:]...)
	}
}

// sum adds what was gained in (now-window, now].
func (g *gains) sum(now, window time.Duration) float64 {
	t := 0.0
	for i := len(g.s) - 1; i >= 0 && g.s[i].At > now-window; i-- {
		t += g.s[i].V
	}
	return t
}

// levels is the history of a value for its rise: at most one sample for each
// 1/256 of the window, of which the lowest is kept, so that a rise is never
// taken for less than it is.
type levels struct {
	s []sample
}

func (l *levels) add(at time.Duration, v float64, window time.Duration) {
	step := window / 256
	if n := len(l.s); n > 0 && at-l.s[n-1].At < step {
		l.s[n-1].V = math.Min(l.s[n-1].V, v)
	} else {
		l.s = append(l.s, sample{at, v})
	}
	i := 0
	for i < len(l.s) && l.s[i].At < at-window {
		i++
	}
	if i > 0 {
		l.s = append(l.s[:0], l.s[i:]...)
	}
}

// rise gives how far v lies above the lowest of the window.
func (l *levels) rise(now time.Duration, window time.Duration, v float64) float64 {
	low := v
	for _, s := range l.s {
		if s.At >= now-window {
			low = math.Min(low, s.V)
		}
	}
	return v - low
}
