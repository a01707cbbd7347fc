package power

import (
	"time"

	"tocsin/firmware/clock"
)

// Measure is one thing that may be measured of a supply.
type Measure string

// The measures.
const (
	Voltage   Measure = "battery"
	Charge    Measure = "charge"
	Runtime   Measure = "runtime"
	Drawn     Measure = "load"
	Harvest   Measure = "solar"
	MainsHere Measure = "mains"
	Failing   Measure = "failing"
)

// Sample is what is measured at one moment. Nil: not measured, or not good now.
type Sample struct {
	Now clock.Stamp
	// Volts of the battery; Charge in percent; Runtime in seconds; Drawn and Harvest in watts.
	Volts, Charge, Runtime, Drawn, Harvest *float64
	Mains                                  *bool
	// Failing is the supply's own word that it is about to go off.
	Failing *bool
	// Sounding is what sounds now, in watts.
	Sounding float64
}

// Site is what is known of a supply beside what it measures.
type Site struct {
	// Chemistry is nil where it is not known: a voltage then tells no charge.
	Chemistry *Chemistry
	// Blocks is how many of the chemistry's blocks are in a row.
	Blocks int
	// Capacity in Wh when new, 0 not known; Usable the percent of it that may be drawn.
	Capacity, Usable float64
	// Draw is what is drawn where it is not measured, in watts; 0 not known.
	Draw float64
	// Sounding is what all outputs together draw, in watts; For how long of that is kept.
	Sounding float64
	For      time.Duration
	// At is latitude and longitude; nil not known.
	At *[2]float64
	// Sun tells that the sun charges the battery.
	Sun bool
	// Has are the measures that are meant to be there.
	Has map[Measure]bool
}

// Reserve is the energy that is kept for sounding, in Wh.
func (s *Site) Reserve() float64 { return s.Sounding * s.For.Hours() }

// Basis is by what the charge is known.
type Basis string

// The bases, the better first.
const (
	ByNothing Basis = ""
	ByCharge  Basis = "charge"   // measured
	BySupply  Basis = "supply"   // the supply's own time left
	ByVoltage Basis = "voltage"  // estimated from a voltage
	ByFull    Basis = "full"     // mains is there, and nothing else is measured
	Reckoned  Basis = "reckoned" // from the last good one, by what is drawn
)

// View is how the supply stands.
type View struct {
	State State
	Since time.Duration // on the monotonic clock
	Mains *bool         // as debounced
	// Level is the charge, 0 to 1, by Basis.
	Level float64
	Basis Basis
	// Left is what may be drawn beside the reserve, in Wh, where Energy tells that it is known.
	Left, Reserve float64
	Energy        bool
	// Drawing is what is drawn beside sounding, in watts; Saved what was shed of it.
	Drawing, Saved float64
	// Lasts is how long Left lasts; Need how long it has to, until the sun charges (0: no sun is waited for).
	Lasts, Need time.Duration
	// Dated tells that Need is by the clock, not the longest night.
	Dated bool
	// Shed are the loads that are off, the last one last.
	Shed []Load
	// Blind are the measures that are meant to be there and are not good.
	Blind []Measure
	// Episode names the present episode of want; "" none.
	Episode string
}

// Known tells whether Lasts means something.
func (v *View) Known() bool { return v.Energy && v.Drawing > 0 }

// Short tells that it will not last until the sun charges.
func (v *View) Short() bool { return v.Known() && v.Need > 0 && v.Lasts < v.Need }

// Off tells whether a load is shed.
func (v *View) Off(l Load) bool {
	for _, s := range v.Shed {
		if s == l {
			return true
		}
	}
	return false
}

// EventKind is what happened.
type EventKind string

// The kinds.
const (
	Turned   EventKind = "turned"   // the state changed
	Shed     EventKind = "shed"     // a load went off
	Restored EventKind = "restored" // or came back
	Want     EventKind = "want"     // an episode began: little more than the reserve is left
	Gasp     EventKind = "gasp"     // the power is about to go: the last word, once an episode
	Back     EventKind = "back"     // the box runs again after a gasp and a power cut
	Mended   EventKind = "mended"   // the episode is over
)

// Event is one thing that happened.
type Event struct {
	Kind     EventKind
	From, To State
	Load     Load
	Episode  string
	// Out is how long the box was off, with Back; how long the episode was, with Mended. Sure tells that the clocks
	// of both ends are trusted.
	Out  time.Duration
	Sure bool
}
