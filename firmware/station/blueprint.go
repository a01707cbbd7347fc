package station

import (
	"crypto"
	"io/fs"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/clock/source"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/decide/beacon"
	"tocsin/firmware/decide/plan"
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/guard"
	"tocsin/firmware/guard/wear"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/config/managed"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/account"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/rollcall"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
	"tocsin/firmware/sound/speech"
	"tocsin/firmware/trust"
)

// Blueprint is a proved site: everything that the house is built from, with no
// port opened yet.
type Blueprint struct {
	Doc     *config.Doc
	FS      fs.FS
	Levels  *plan.Levels
	Plans   map[string]*plan.Plan
	PlanOf  map[string]*plan.Plan // by hazard
	Default *plan.Plan            // for what a person raises
	Warned  *plan.Plan            // for what somebody outside warns of
	Trust   *trust.Store          // whom outside the site believes
	Alerts  *alert.Tables         // how warnings are read
	Compact *compact.Tables       // and those of 78 bytes
	Rows    *courier.Rules        // what links cost and wait for; nil: no county hears from this box
	Roll    *rollcall.Table       // how people are told; nil: nobody is
	People  []rollcall.Person     // who is told, in their order
	Phone   string                // the link by which; "": there is none
	Drilled bool                  // drills tell them too
	Beacons *beacon.Tables        // of what stations warn each other
	// BeaconKeys are those of the stations upstream, by their names here.
	BeaconKeys map[string]crypto.PublicKey
	Tones      *speech.Tones
	Langs      []speech.Lang
	Bounds     order.Bounds
	Power      *PowerPlan
	Wear       *wear.Rules   // what ages the board
	Cabinet    *PointInfo    // the temperature inside of the box; nil where nothing measures it
	ByHand     ByHand        // what people say by hand
	Managed    managed.Rules // how long what is the county's may be changed here
	Time       *source.Rules // how sources of time are weighed
	Guard      *guard.Rules  // how the box looks after itself
	Senses     []SensePlan   // what points say of the box itself
	// Tally is what the county is told of readings; nil where none hears from this box.
	Tally *account.Rules

	Lines   []LinePlan
	Points  []PointInfo
	Rules   []rule.Spec
	Sources map[point.ID]rule.Source
	Doubts  rule.Doubts
	Outputs []OutputPlan
	Inputs  []InputPlan
}

// LinePlan is one bus with its units.
type LinePlan struct {
	Name   string
	Config config.Line
	Format string // of characters: 8N1
	Baud   int
	Units  []UnitPlan
}

// Text tells whether the line carries lines of text instead of registers.
func (l LinePlan) Text() bool {
	return len(l.Units) == 1 && (l.Units[0].Profile.Via == profile.Text || l.Units[0].Profile.Via == profile.NMEA)
}

// UnitPlan is one device on a line.
type UnitPlan struct {
	Device  string
	Unit    uint8
	Address string // of an instrument without a unit number
	Profile *profile.Profile
	Every   *time.Duration
	Offset  map[string]float64 // by point, in its unit
}

// PointInfo is what is known of a point.
type PointInfo struct {
	ID       point.ID
	Name     phrase.Text // with its device
	Quantity phrase.Text
	Unit     point.Unit
	Type     profile.Type
	Every    time.Duration
	Limit    time.Duration // age at which it is stale
	Counter  *point.Counter
	// Datum is what a water level is counted from, "" where it is no water level.
	Datum point.Datum
	Line  string
	Used  bool         // by a rule
	Role  profile.Role // to the supply, or to the box itself
}

// OutputPlan is one output.
type OutputPlan struct {
	Name   string
	Kind   output.Kind
	Config config.Output
	Relay  Ref
	Sensed Ref
	Cut    Ref
}

// InputPlan is one key or button.
type InputPlan struct {
	Name   string
	Config config.Input
	Input  Ref
	Hold   time.Duration
	Level  point.Level // where it raises one
}

// Ref points to one write or point of a device on a line, or to a GPIO line.
type Ref struct {
	Device string
	Part   string
	GPIO   string
	// Line is the device's line; Timed tells that the device can count a time by
	// itself.
	Line  string
	Timed bool
}

// None tells whether the reference names nothing.
func (r Ref) None() bool { return r.Device == "" && r.GPIO == "" }

// longest gives how long the longest request of a line may hold it.
func (l LinePlan) longest() time.Duration {
	var most time.Duration
	for _, u := range l.Units {
		for _, r := range u.Profile.Plan() {
			most = max(most, l.cost(u.Profile, r.Table, r.Count))
		}
	}
	return most
}

// cost is a read's time on this line at this line's rate.
func (l LinePlan) cost(p *profile.Profile, t drivers.Table, n uint16) time.Duration {
	q := *p
	if l.Baud > 0 {
		q.Line.Baud = l.Baud
	}
	return q.Cost(t, n)
}
