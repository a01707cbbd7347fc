package courier

import (
	"time"

	"tocsin/firmware/phrase"
)

// State is how a link stands.
type State uint8

// The states. Off: it may not send, whatever the probes say.
const (
	Off State = iota
	Down
	Suspect
	Returning
	Up
)

var stateNames = [...]string{"off", "down", "suspect", "returning", "up"}

// String gives the state's code.
func (s State) String() string { return stateNames[min(int(s), len(stateNames)-1)] }

// MarshalText writes the code.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// way is one link as the machine sees it.
type way struct {
	name   string
	rule   LinkRule
	limits Limits
	state  State
	why    phrase.Message
	since  time.Duration
	m      measured
	money  bucket

	misses, good int
	probing      bool
	probeAt      time.Duration
	asked        time.Duration // when the last probe went out
	held         time.Duration // classes 4 and 5 not before, where another carries them
	opens        time.Duration // classes 4 and 5 not before
	alive        time.Duration // since when it was not dead
	doubt        bool          // it was heard or missed since it came up

	patience int // how often the wait for receipts is doubled, until one comes (RFC 6298, 5.5 to 5.7)

	next    time.Duration // the next slot
	sending int           // parcels in Send
	out     map[uint64]*flight
	count   LinkCounts
	lastAck time.Duration
}

// flight is a parcel that is out.
type flight struct {
	ticket   uint64
	rows     []*row
	parcel   Parcel
	began    time.Duration
	until    time.Duration // 0: Send has not returned
	cost     float64
	first    bool // no part of it was sent by this link before
	class    Class
	backlog  bool          // nothing of classes 0 to 3 in it
	measured bool          // its receipt was counted
	passed   int           // receipts of parcels that left later
	slotFrom time.Duration // what next was before
}

// LinkCounts count since the start.
type LinkCounts struct {
	Parcels, Parts, Bytes, Acked, Lost, Faults, Probes, Missed int64
	Spent                                                      float64
	// Waits counts slots that telemetry left for a fuller one.
	Waits int64
}

func (w *way) bytes() int {
	if w.rule.Wide {
		return w.rule.Batch
	}
	if w.limits.Bytes > 0 {
		return w.limits.Bytes
	}
	return w.rule.Bytes
}

func (w *way) every() time.Duration { return max(w.limits.Every, 0) + w.idle() }

// idle is the rules' interval where the link says none.
func (w *way) idle() time.Duration {
	if w.limits.Every > 0 {
		return 0
	}
	return w.rule.Every
}

// room is what parts may fill of one message.
func (w *way) room() int { return w.bytes() - w.rule.Overhead }

// messages is in how many messages n bytes of one part go out, 0 where they cannot.
func (w *way) messages(n int) int {
	if w.rule.Wide {
		return 1
	}
	room := w.room() - w.rule.Part
	switch {
	case room <= 0:
		return 0
	case n <= room:
		return 1
	}
	if k := (n + room - 1) / room; k <= w.rule.Messages {
		return k
	}
	return 0
}

// price is what n messages of together so many bytes cost.
func (w *way) price(messages, bytes int) float64 {
	return w.rule.Cost.Message*float64(messages) + w.rule.Cost.KiB*float64(bytes+messages*w.rule.Overhead)/1024
}

// form gives what of a row this link carries; nil where it carries nothing of it.
func (w *way) form(r *row) (b []byte, short bool) {
	switch {
	case w.rule.Wide && (w.rule.Most == 0 || len(r.Payload) <= w.rule.Most):
		return r.Payload, false
	case w.rule.Wide && (r.Short == nil || r.Class >= Telemetry):
		return nil, false // it waits for a link that holds it
	}
	if r.Short != nil {
		return r.Short, true
	}
	if r.Class >= Telemetry {
		return nil, false
	}
	return r.Payload, false
}

// eta is how long a row of n messages should take by this link, losses included.
func (w *way) eta(now time.Duration, n int) time.Duration {
	wait := max(0, w.next-now) + time.Duration(max(0, n-1))*w.every()
	return wait + time.Duration(float64(w.m.latency)/w.m.delivery)
}

func (w *way) probed() bool { return w.rule.Probe.Every > 0 }
