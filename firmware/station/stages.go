package station

import (
	"tocsin/firmware/decide/alert/book"
	"tocsin/firmware/decide/plan"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
)

// takenStage says how far a warning got by being taken in: it is verified, and where it will
// not sound by itself, why not.
func takenStage(ch book.Change) wire.Progress {
	e := &ch.Entry
	p := wire.Progress{Stage: wire.Verified}
	switch {
	case !e.Concerns:
		p.Why = wire.WhyElsewhere
	case e.State.Over():
		p.Why = wire.WhyEnded
	case e.State == book.InForce && !e.Sounds():
		p.Why = wire.WhySilent
	}
	return p
}

// refusedStage is how far something got that is not believed, whoever says to have sent it.
var refusedStage = wire.Progress{Stage: wire.Received, Why: wire.WhyRefused}

// heardStage says how far a warning got by what one output did for it; false where that says
// nothing. Heard is what something measured, Played what ran its whole time and nobody
// measured; what was stopped was neither, unless it was measured before.
func heardStage(e output.Event) (wire.Progress, bool) {
	if e.Order.Action() != order.Sound {
		return wire.Progress{}, false // the all-clear was heard, not the warning
	}
	measured := e.Measured != output.Unmeasured
	switch e.State {
	case output.Heard, output.Finished, output.Stopped, output.Started:
		switch {
		case measured && e.State != output.Started:
			return wire.Progress{Stage: wire.Heard}, true
		case e.State == output.Finished:
			return wire.Progress{Stage: wire.Played}, true
		}
		return wire.Progress{Stage: wire.Sounding}, true
	case output.Failed:
		return wire.Progress{Stage: wire.Verified, Why: wire.WhyOutputs}, true
	}
	return wire.Progress{}, false
}

// urgentColour tells which colours go on every link at once, and their receipts with them.
func urgentColour(colour string) bool { return colour == "red" || colour == "orange" }

// urgentEntry tells whether a warning is one of those.
func urgentEntry(levels *plan.Levels, e book.Entry) bool {
	if urgentColour(e.Action.Colour) {
		return true
	}
	l, ok := levels.Level(e.Action.Level)
	return ok && e.Action.Kind == order.Real.String() && urgentLevel(levels, l)
}

func urgentLevel(levels *plan.Levels, l point.Level) bool {
	return l > point.Calm && urgentColour(levels.Rank(l).Colour)
}
