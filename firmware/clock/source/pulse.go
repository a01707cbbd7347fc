package source

import (
	"maps"
	"slices"
	"time"
)

const (
	// pulsesAgree is how many pulses in a row must come a second apart before they count.
	pulsesAgree = 4
	// pulseWithin is how far from a second apart they may come: an interrupt that was served late.
	pulseWithin = 2 * time.Millisecond
	// numberWithin is how well the second must be known, so that only one is meant.
	numberWithin = 450 * time.Millisecond
	// sentenceLate is what a sentence's bound may be at most for it to number a pulse: it names the
	// second whose pulse came just before it.
	sentenceLate = 700 * time.Millisecond
)

// pulse is a receiver's pulses.
type pulse struct {
	at     time.Duration
	agreed int
	taken  bool // the last one was numbered
}

// Pulse takes one: a second began at an instant of the monotonic clock.
func (k *Keeper) Pulse(name string, at time.Duration) {
	p := k.pulses[name]
	if p == nil {
		if len(k.pulses) >= sourcesMost {
			return
		}
		p = &pulse{}
		k.pulses[name] = p
	}
	gap := at - p.at
	if gap <= 0 {
		return
	}
	whole := gap.Round(time.Second)
	if p.agreed > 0 && whole > 0 && whole <= k.o.Rules.Of(PPS).Hold.d() && (gap-whole).Abs() <= pulseWithin+k.drift(gap) {
		p.agreed++
	} else {
		p.agreed = 1
	}
	p.at, p.taken = at, false
}

// number says which second the last pulse of each receiver began, where that is known.
func (k *Keeper) number(now Now) {
	for _, name := range slices.Sorted(maps.Keys(k.pulses)) {
		p := k.pulses[name]
		if p.taken || p.agreed < pulsesAgree {
			continue
		}
		utc, origin, ok := k.second(p.at, now)
		if !ok {
			continue
		}
		p.taken = true
		k.Hear(Sample{Name: name, Kind: PPS, At: p.at, UTC: utc, Origin: origin})
	}
}

// second gives the whole second nearest to an instant by the best source that tells seconds apart, else by
// the clock itself. A pulse has its number's origin: it is no witness beside it.
func (k *Keeper) second(at time.Duration, now Now) (time.Time, string, bool) {
	var best *heard
	for _, name := range slices.Sorted(maps.Keys(k.sources)) {
		h := k.sources[name]
		limit := numberWithin
		if h.Kind == GNSS {
			limit = sentenceLate
		}
		if h.Kind == PPS || h.TimeOfDay || !h.fault.IsZero() || !k.live(h, now.Mono) || k.bound(h, at) > limit {
			continue
		}
		if best == nil || k.o.Rules.rank(h.Kind) < k.o.Rules.rank(best.Kind) {
			best = h
		}
	}
	if best != nil {
		return best.est(at).Round(time.Second), best.origin(), true
	}
	if k.set && k.ownBound(now.Mono) <= numberWithin {
		return now.Wall.Add(at - now.Mono).Round(time.Second), ownOrigin, true
	}
	return time.Time{}, "", false
}
