package station

import (
	"context"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
)

// surges looks for what lightning does: parts with wires of their own that die together. Then
// every output is tried without a sound: it is told to be off, which its device must confirm,
// and what measures it must say so. It is beside the alarm path and never tried while something
// sounds or a level stands.
type surges struct {
	h     *House
	seen  guard.Surge
	parts []string      // of the last one, while any of them is dead
	test  surgeTest     // that is wanted or under way
	asked time.Duration // when the outputs were asked
	cause string
}

type surgeTest uint8

const (
	surgeNone surgeTest = iota
	surgeWanted
	surgeUnderWay
)

const surgeLook = time.Second

func (x *surges) run(ctx context.Context) error {
	t := time.NewTicker(surgeLook)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			x.look(x.h.clock.Now())
		}
	}
}

// dead gives the parts that there are, and whether each is dead.
func (x *surges) dead(bp *Blueprint) map[string]bool {
	x.h.mu.RLock()
	defer x.h.mu.RUnlock()
	stands := func(thing string) bool { _, ok := x.h.faults[thing]; return ok }
	out := map[string]bool{}
	for _, l := range bp.Lines {
		if len(l.Units) == 0 {
			continue
		}
		all := true // each of its units is silent
		for _, u := range l.Units {
			all = all && stands("device "+u.Device)
		}
		out["line "+l.Name] = all || stands("line "+l.Name)
	}
	for _, o := range bp.Outputs {
		if o.Relay.Device == "" { // else it is its line's
			out["output "+o.Name] = stands("output "+o.Name+" "+string(output.NoAnswer)) || stands("output "+o.Name+" "+string(output.Mute))
		}
	}
	for name := range bp.Doc.Site.Links {
		if !overIP(bp.Doc.Site.Links[name]) {
			out["terminal "+name] = stands("terminal " + name)
		}
	}
	return out
}

func (x *surges) look(now clock.Stamp) {
	s := x.h.seen()
	dead := x.dead(s.bp)
	if x.h.ready.Load() {
		if parts := x.seen.See(now.Mono, s.bp.Guard.Surge, dead); parts != nil {
			x.suspect(parts, now)
		}
	}
	switch {
	case x.test == surgeWanted && x.mayTry(s):
		x.try(now)
	case x.test == surgeUnderWay && now.Mono-x.asked >= s.bp.Guard.Surge.Within:
		x.test = surgeNone
		x.tell(s, now)
	}
	if x.test == surgeNone && x.asked > 0 {
		x.healed()
	}
	if len(x.parts) > 0 && x.test == surgeNone && !slices.ContainsFunc(x.parts, func(p string) bool { return dead[p] }) {
		x.parts = nil
		x.h.clearFault("surge")
	}
}

func (x *surges) suspect(parts []string, now clock.Stamp) {
	x.parts, x.test = parts, surgeWanted
	x.cause = "surge " + now.Wall.UTC().Format("20060102T150405Z")
	x.note("surge.suspected", phrase.M("guard.surge", "parts", x.names()), now)
	x.h.setFault("surge", phrase.M("guard.surge_untried", "parts", x.names()))
}

func (x *surges) names() phrase.Text {
	var all []phrase.Text
	for _, p := range x.parts {
		all = append(all, x.h.seen().bp.thingText(p))
	}
	return both(all)
}

func (x *surges) note(kind string, m phrase.Message, now clock.Stamp) {
	x.h.write(journal.Record{Kind: kind, Cause: x.cause, Message: m, At: now}, nil)
}

// mayTry tells whether nothing sounds, nothing is about to, and no level stands.
func (x *surges) mayTry(s shown) bool {
	return s.worst == point.Calm && len(x.h.announcer.Sounding()) == 0
}

// try asks every output to be off. On the decide goroutine: what a rule orders meanwhile comes after it.
func (x *surges) try(now clock.Stamp) {
	err := x.h.do(func() {
		if x.h.alarms.Worst() > point.Calm || len(x.h.announcer.Sounding()) > 0 {
			return // it waits
		}
		var names []string
		for _, o := range x.h.house.Status() {
			if !o.Order.Valid() {
				names = append(names, o.Name)
			}
		}
		if len(names) > 0 {
			o, err := x.h.desk.Make(order.Ask{Action: order.Silence, Source: order.Hand, Outputs: names, Who: order.Who{Name: "surge", Via: "start"}})
			if err != nil {
				x.h.log.Error("no order for the quiet test", "err", err)
				return
			}
			x.h.house.Silence(o)
		}
		x.test, x.asked = surgeUnderWay, now.Mono
	})
	if err != nil {
		x.h.log.Warn("quiet test not begun", "err", err)
	}
}

// tell says which outputs answered.
func (x *surges) tell(s shown, now clock.Stamp) {
	var well, bad, untried []phrase.Text
	for _, o := range x.h.house.Status() {
		name, _ := s.bp.outputText(o.Name)
		i := slices.IndexFunc(s.bp.Outputs, func(p OutputPlan) bool { return p.Name == o.Name })
		thing := "output " + o.Name + " " + surgeDead
		_, disabled := x.h.disabled(s, s.bp.Outputs[i])
		switch {
		case o.Kind == output.Loudspeaker && !disabled && (s.bp.Outputs[i].Relay.None() || o.Confirmed >= x.asked):
			untried = append(untried, name) // only a sound would tell of its amplifier and its horn
		case o.Kind != output.Loudspeaker && o.Confirmed >= x.asked && !(o.MeasuredAt >= x.asked && o.MeasuredOn):
			well = append(well, name)
			x.h.clearFault(thing)
		default:
			bad = append(bad, name)
			x.h.setFault(thing, phrase.M("guard.surge_dead", "output", o.Name, "parts", x.names()))
		}
	}
	none := inBoth(phrase.M("guard.none"))
	list := func(all []phrase.Text) phrase.Text {
		if len(all) == 0 {
			return none
		}
		return both(all)
	}
	m := phrase.M("guard.surge_tried", "parts", x.names(), "well", list(well), "dead", list(bad), "untried", list(untried))
	x.note("surge.tried", m, now)
	x.h.setFault("surge", m)
	x.h.log.Warn("surge suspected", "parts", strings.Join(x.parts, ", "), "well", len(well), "dead", len(bad), "untried", len(untried))
}

// surgeDead is the code of an output's fault that it did not answer the quiet test.
const surgeDead = "surge"

// healed takes back that an output is dead once its device answers again.
func (x *surges) healed() {
	for _, o := range x.h.house.Status() {
		thing := "output " + o.Name + " " + surgeDead
		x.h.mu.RLock()
		_, there := x.h.faults[thing]
		x.h.mu.RUnlock()
		if there && o.Confirmed > x.asked && !o.MeasuredOn {
			x.h.clearFault(thing)
		}
	}
}
