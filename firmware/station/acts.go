package station

import (
	"strings"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/order"
)

// keyWatch follows one key or button.
type keyWatch struct {
	plan  InputPlan
	point point.ID
	seen  bool
	on    bool
	since time.Duration
	acted bool
	// unseen: since the last good reading there was one that was not.
	unseen bool
}

// watchKeys takes the reading of an input that is a key. A key counts when it was
// held for its time, once, and must be let go before it counts again. One that is
// found turned when the box starts must be let go first: a key forgotten in its
// lock sounds nothing after a power cut. A reading that is not good is no key.
func (h *House) watchKeys(r point.Reading) {
	for i := range h.keys {
		k := &h.keys[i]
		if k.point != r.Point {
			continue
		}
		if r.Quality != point.Good {
			k.unseen = true
			continue
		}
		on := r.Value != 0
		if k.plan.Config.ActiveLow {
			on = !on
		}
		switch {
		case !on:
			k.on, k.acted = false, false
		case !k.on:
			k.on, k.since, k.acted = true, r.At.Mono, !k.seen
		case k.unseen:
			k.since = r.At.Mono // nobody saw that it was held meanwhile
		}
		k.seen, k.unseen = true, false
		if k.on && !k.acted && r.At.Mono-k.since >= k.plan.Hold {
			k.acted = true
			h.key(k.plan, r.At)
		}
	}
}

// key does what a key means.
func (h *House) key(in InputPlan, at clock.Stamp) {
	name := in.Config.Name
	if name == "" {
		name = in.Name
	}
	who := alarm.Who{Name: name, Via: "key"}
	if in.Level == point.Calm {
		who.Via = "button"
	}
	switch {
	case in.Config.Means == "stop":
		h.stopped(order.Who(who), at)
	case in.Config.Means == "answer":
		for _, a := range h.alarms.Open() {
			if a.State == alarm.Raised {
				if e, err := h.alarms.Acknowledge(a.ID, who, at); err == nil {
					h.happen(e)
				}
			}
		}
	default:
		if e, err := h.alarms.RaiseByHand(in.Level, who, "", at); err == nil {
			h.happen(e)
		} else {
			h.log.Info("key without effect", "key", in.Name, "why", err)
		}
	}
}

// stopped silences what sounds now; the levels stay.
func (h *House) stopped(who order.Who, at clock.Stamp) int {
	all := h.announcer.Stop(who)
	n := 0
	for _, s := range all {
		n++
		for _, a := range h.alarms.Open() {
			if a.ID == s.Cause {
				h.halted[a.ID] = halt{a.Level, who, at}
			}
		}
	}
	h.log.Warn("stop", "who", who.Name, "via", who.Via, "soundings", n)
	state := h.stateOfHalts()
	h.write(journal.Record{Kind: "operator.stop", Who: who.Name, Via: who.Via, At: at,
		Message: phrase.M("station.stopped", "who", who.Name, "n", n)}, state)
	return n
}

// raise lets a person raise a level by hand.
func (h *House) raise(code string, who alarm.Who, reason string, at clock.Stamp) (string, error) {
	l, ok := h.bp.Levels.Level(code)
	if !ok {
		return "", phrase.E("site.no_level", "level", code, "levels", strings.Join(h.bp.Levels.Codes(), "、"))
	}
	if strings.TrimSpace(who.Name) == "" {
		return "", phrase.E("alarm.needs_name")
	}
	e, err := h.alarms.RaiseByHand(l, who, reason, at)
	if err != nil {
		return "", err
	}
	h.happen(e)
	return e.Alarm.ID, nil
}
