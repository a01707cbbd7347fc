package output

import (
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sound/order"
)

// State is how far one order has come on one output.
type State string

// The states. Ordered comes first. Finished, Stopped and Failed end it, except
// that an output which Failed is still tried as long as its order stands: if it
// comes back, Started follows.
const (
	// Ordered: the output has taken the order.
	Ordered State = "ordered"
	// Started: the relay's device confirmed the command, or the first sample
	// is heard at At by the player's own account.
	Started State = "started"
	// Heard: Measured says by what it was measured that it sounds.
	Heard State = "heard"
	// Finished: it sounded for its whole time. Measured says by what it was
	// measured while it sounded.
	Finished State = "finished"
	// Stopped: it was ended before its time. Measured as for Finished.
	Stopped State = "stopped"
	// Failed: it does not sound, or does not fall silent; Why says which.
	Failed State = "failed"
)

// Event is one line of a receipt: what became of one order on one output.
type Event struct {
	Cause   string
	OrderID string
	// Order is what was obeyed.
	Order  order.Order
	Output string
	State  State
	// Measured says by what; Unmeasured where nothing did, and then Why says
	// so.
	Measured Measure
	Why      phrase.Message
	// For is the output that this one took over from; "" where it was ordered
	// itself.
	For string
	At  clock.Stamp
}

// FaultCode says what is wrong with an output.
type FaultCode string

// The faults.
const (
	// Stuck: it still sounds although it was switched off.
	Stuck FaultCode = "stuck"
	// NoCurrent: it was switched on and nothing flows.
	NoCurrent FaultCode = "no_current"
	// NoAnswer: the relay's device does not take commands.
	NoAnswer FaultCode = "no_answer"
	// SenseLost: what measures it does not answer.
	SenseLost FaultCode = "sense_lost"
	// CutFailed: the contactor does not take commands, or it is measured to
	// sound although the contactor is open.
	CutFailed FaultCode = "cut_failed"
	// Unordered: it is measured to sound although nothing was ordered.
	Unordered FaultCode = "unordered"
	// Mute: the loudspeaker's player does not play.
	Mute FaultCode = "mute"
)

// Fault is a fault that comes (Standing) or goes.
type Fault struct {
	Output   string
	Code     FaultCode
	Standing bool
	Why      phrase.Message
	At       clock.Stamp
}

// Status is one output as it is now.
type Status struct {
	Name  string
	Kind  Kind
	Zones []string
	// Order is what it obeys now; not valid where it obeys none.
	Order order.Order
	// Measured says by what it was measured to sound for Order.
	Measured Measure
	Faults   []Fault
	// Confirmed is when its relay's device last took a command, MeasuredAt when it was last
	// asked whether it sounds, with an answer, and MeasuredOn that answer; since the boot, 0 for
	// never.
	Confirmed, MeasuredAt time.Duration
	MeasuredOn            bool
}
