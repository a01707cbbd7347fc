package output

import (
	"time"

	"tocsin/drivers"
)

// Programme is what one sounding plays: samples for loudspeakers, a cadence
// for relays. It is opened once for each output that plays it, at the same
// time from several goroutines.
type Programme interface {
	// Samples opens the programme from its beginning in a player's format.
	Samples(f drivers.Format) Reader
	// Cadence gives how a relay of a kind (Electronic, Strobe) is pulsed. Empty
	// means on for as long as the order lasts. A motor's turns are stretched to
	// its minimum times.
	Cadence(k Kind) Cadence
}

// Reader gives the samples of one programme, for one output.
type Reader interface {
	// Read fills buf with interleaved samples and never waits for anything. It
	// gives how many it wrote (a multiple of the channels) and whether the
	// programme has ended with them. A programme that repeats never says done;
	// the order's longest time ends it.
	Read(buf []int16) (n int, done bool)
}

// Cadence is a row of pulses that is repeated from its beginning.
type Cadence []Pulse

// Pulse is on for a time, then off for a time. Off may be zero.
type Pulse struct {
	On  time.Duration
	Off time.Duration
}

// Kind says what hangs on an output.
type Kind string

// The kinds of output.
const (
	// Electronic is a siren that may be pulsed.
	Electronic Kind = "electronic"
	// Motor is a siren with a rotor: it runs and rests in turns that are no
	// shorter than its minimum times, and is never pulsed.
	Motor Kind = "motor"
	// Loudspeaker plays samples.
	Loudspeaker Kind = "loudspeaker"
	// Strobe is a light; it is pulsed like an electronic siren.
	Strobe Kind = "strobe"
)
