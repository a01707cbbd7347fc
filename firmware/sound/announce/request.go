package announce

import (
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/order"
)

// MostResound is the longest that a level which nobody has acknowledged stays
// silent after STOP.
const MostResound = 10 * time.Minute

// Lower says what becomes of a request whose outputs a higher one takes.
type Lower uint8

// The policies for the lower.
const (
	// Resume: it sounds again when its outputs are free. A standing request
	// always resumes.
	Resume Lower = iota
	// Drop: it ends.
	Drop
)

// Equal says what a request does to one of the same rank that sounds.
type Equal uint8

// The policies for equals.
const (
	// Newest: the newer takes the outputs.
	Newest Equal = iota
	// Queue: it waits until the other's turn is over.
	Queue
)

// Duty is a standing level's duty cycle: On, then a pause of Off.
type Duty struct {
	On, Off time.Duration
}

// Request asks for a sounding.
type Request struct {
	// Cause names what it is about; a later Request with the same Cause
	// replaces the earlier one.
	Cause  string
	Source order.Source
	Kind   order.Kind
	Hazard string
	Level  point.Level
	// Rank of the source among equals in level and kind; higher wins.
	Rank    int
	Outputs []string
	Content order.Content
	// Duty, where On is set, makes it stand: it sounds On, pauses Off, and so
	// on until it is withdrawn. Otherwise it sounds once, at most For.
	Duty Duty
	// For is the longest of a request that does not stand; 0 leaves it to the
	// desk. It ends earlier where its content ends.
	For time.Duration
	// Resound is after how long it sounds again after STOP where nobody has
	// acknowledged it; 0 or more than MostResound is MostResound.
	Resound time.Duration
	Lower   Lower
	Equal   Equal
	Who     order.Who
	// Why is shown with the sounding.
	Why phrase.Message
	// Resumed says that the process was restarted while it stood.
	Resumed bool
	// Acknowledged says that it was acknowledged before it was asked for (after
	// a restart). It matters only together with Stopped.
	Acknowledged bool
	// Stopped says that it was stopped before a restart: it begins silent, for
	// Resound at the longest, less StoppedFor, unless Acknowledged.
	Stopped bool
	// StoppedFor is how long ago it was stopped.
	StoppedFor time.Duration
}

// Phase is how a sounding stands now.
type Phase string

// The phases.
const (
	// Speaking: it sounds.
	Speaking Phase = "sounding"
	// Pausing: between two turns of its duty cycle.
	Pausing Phase = "pausing"
	// Waiting: its outputs are taken by something that ranks higher, or the
	// desk has it wait.
	Waiting Phase = "waiting"
	// Halted: silent by STOP, until Until.
	Halted Phase = "stopped"
)

// Sounding is one request that stands or sounds, as it is now.
type Sounding struct {
	Cause   string
	Hazard  string
	Level   point.Level
	Kind    order.Kind
	Source  order.Source
	Why     phrase.Message
	Outputs []string
	// Since is when it was asked for.
	Since clock.Stamp
	Phase Phase
	// Until is when the phase ends; zero where that is not known. For Halted,
	// zero means that it stays silent until it is escalated.
	Until        clock.Stamp
	OrderID      string
	Acknowledged bool
	StoppedBy    order.Who
}

// Stopped is one sounding that Stop has silenced.
type Stopped struct {
	Cause   string
	OrderID string
	Hazard  string
	Level   point.Level
	Kind    order.Kind
	// Was is the phase that it was in.
	Was Phase
	// Again is when it sounds again unless it is acknowledged; zero where it
	// does not.
	Again clock.Stamp
}

// Happening is what happened to a request.
type Happening string

// What may happen.
const (
	Asked    Happening = "asked"    // taken
	Turn     Happening = "turn"     // a turn began; OrderID has it
	Ended    Happening = "ended"    // it is over: done, withdrawn, replaced, dropped
	Halt     Happening = "stopped"  // silenced by STOP
	Refused  Happening = "refused"  // the desk said no; it is tried again where it stands
	Degraded Happening = "degraded" // its content could not be composed; less of it sounds
	Overflow Happening = "overflow" // the queue was full; the lowest was lost
	Dropped  Happening = "dropped"  // given up for something higher
)

// Event is something that happened to a request.
type Event struct {
	What    Happening
	Cause   string
	Hazard  string
	Level   point.Level
	Kind    order.Kind
	Source  order.Source
	OrderID string
	Who     order.Who
	Why     phrase.Message
	At      clock.Stamp
}
