package station

import (
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

const (
	// skyEvery is how often a receiver's time is looked at, skyWithin how far the
	// clock may be from it untouched: a fix is heard up to a second late.
	skyEvery  = time.Minute
	skyWithin = 2 * time.Second
	// skyMost is how far a source may move a clock that was set already. A
	// spoofed or rolled-over receiver is further; people then set the time.
	skyMost = 24 * time.Hour
	// clockYears is how long after its build a box may believe that it runs; as
	// clock.LoadFloor.
	clockYears = 10
)

// skyTime gives what takes the time of a receiver on a line. The receiver's
// driver has seen a fix and several sentences that agree.
func (h *House) skyTime(name string) func(utc, heard time.Time) {
	var looked time.Time
	return func(utc, heard time.Time) {
		now := time.Now()
		if !looked.IsZero() && now.Sub(looked) < skyEvery {
			return
		}
		looked = now
		h.takeTime("clock "+name, name, utc.Add(now.Sub(heard)), clock.Set)
	}
}

// netTime tells whether the kernel is held right over the network: no receiver
// moves it then, but one that disagrees is called.
func (h *House) netTime() bool { return clock.Synchronised() && h.clock.Now().Trust == clock.Set }

// takeTime gives the clock a source's time where it may be believed, and calls it
// where it may not. It tells whether the clock now agrees with the source.
func (h *House) takeTime(thing, name string, t time.Time, trust clock.Trust) bool {
	s := h.clock.Now()
	off := t.Sub(s.Wall)
	switch {
	case t.Before(h.clock.Floor()):
		if trust < clock.Set {
			h.setFault(thing, phrase.M("station.rtc_far", "line", name, "time", t.UTC().Format(time.RFC3339)))
		} else {
			h.setFault(thing, phrase.M("station.sky_refused", "line", name, "time", t.UTC().Format(time.RFC3339), "floor", h.clock.Floor().UTC().Format(time.RFC3339)))
		}
		return false
	case s.Trust > clock.Free && off.Abs() > skyMost, h.netTime() && off.Abs() > skyWithin && trust == clock.Set, !BuildTime().IsZero() && t.After(BuildTime().AddDate(clockYears, 0, 0)):
		if trust < clock.Set {
			h.setFault(thing, phrase.M("station.rtc_far", "line", name, "time", t.UTC().Format(time.RFC3339)))
		} else {
			h.setFault(thing, phrase.M("station.sky_far", "line", name, "by", point.Span(off.Abs().Truncate(time.Second)).String()))
		}
		return false
	case s.Trust >= trust && (off.Abs() < skyWithin || trust < clock.Set):
		h.clearFault(thing)
		return true
	case !h.clock.Discipline(t, trust):
		return false
	}
	h.clearFault(thing)
	h.log.Info("clock set", "source", thing, "by", off.String(), "trust", trust.String())
	return true
}
