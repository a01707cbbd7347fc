package station

import (
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
)

// clockWatch tells people how far the clock may be believed. It changes nothing of what the
// clock is worth: that is the sources' matter (clock/source), and what warnings make of it theirs.
type clockWatch struct {
	low    guard.Watch
	was    clock.Trust // what it was worth when it last was worth most
	jumped time.Duration
	any    bool
}

// The names of what is called.
const (
	clockTrust = "clock trust"
	clockJump  = "clock jump"
	clockChip  = "clock chip"
)

// look gives what is to be called and what to be taken back now. by is how far the clock has just been moved.
func (w *clockWatch) look(now clock.Stamp, by time.Duration, r guard.ClockRules) (call map[string]phrase.Message, clear []string) {
	call = map[string]phrase.Message{}
	if w.low.See(now.Mono, r.Trust, now.Trust < clock.Set, true) {
		switch {
		case !w.low.On():
			clear = append(clear, clockTrust)
		case w.was == clock.Set:
			call[clockTrust] = phrase.M("guard.clock_fell")
		case now.Trust == clock.Held:
			call[clockTrust] = phrase.M("guard.clock_held")
		default:
			call[clockTrust] = phrase.M("guard.clock_free")
		}
	}
	// One that was never set has not jumped when it is.
	if w.was == clock.Set && by.Abs() > r.Jump {
		m := phrase.M("guard.clock_back", "by", spanText(by.Abs().Round(time.Second)))
		if by > 0 {
			m = phrase.M("guard.clock_ahead", "by", spanText(by.Round(time.Second)))
		}
		call[clockJump] = m
		w.jumped, w.any = now.Mono, true
	} else if w.any && now.Mono-w.jumped >= r.Told {
		w.any = false
		clear = append(clear, clockJump)
	}
	w.was = max(w.was, now.Trust)
	return call, clear
}

// watch calls it.
func (x *times) watch(by time.Duration) {
	bp := x.h.seen().bp
	if bp == nil || bp.Guard == nil {
		return
	}
	x.mu.Lock()
	call, clear := x.trust.look(x.h.clock.Now(), by, bp.Guard.Clock)
	x.mu.Unlock()
	for thing, why := range call {
		x.h.setFault(thing, why)
	}
	for _, thing := range clear {
		x.h.clearFault(thing)
	}
}

// cellDead tells whether the board's clock chip has lost the time: it is there, and says a time that is
// certainly past.
func cellDead(kernel, floor time.Time, chip bool) bool {
	return chip && !floor.IsZero() && kernel.Before(floor.Add(-time.Minute))
}
