package compact

import (
	"tocsin/firmware/phrase"
)

// Sizes of a compact warning.
const (
	BodySize = 14
	Size     = BodySize + 64
	version  = 1
)

// Type is what a warning does.
type Type uint8

// The types.
const (
	Alert       Type = iota
	Update           // takes the place of the alert and its earlier updates
	Cancel           // ends the alert and all its updates
	Test             // never sounds
	AllClear         // tells; what is to end is ended by a Cancel
	Drill            // an exercise
	DrillCancel      // ends an exercise
	types
)

// about tells whether a type speaks of a chain that began on an earlier day, perhaps.
func (t Type) about() bool { return t == Update || t == Cancel || t == DrillCancel }

// cancels tells whether it ends a chain and says nothing itself.
func (t Type) cancels() bool { return t == Cancel || t == DrillCancel }

// Chain names an alert and all that is said about it: the low three bits of the UTC day (since 1970) on which it was issued, and
// its serial on that day.
type Chain struct {
	DayBits uint8 // 3 bits
	Serial  uint8
}

// Warning is the 14 bytes, read. Numbers mean what configs/alerts/compact.yaml says.
type Warning struct {
	Type   Type
	Issuer uint8
	Chain  Chain
	// Sequence is 1 to 7 for an update, in the order in which they were issued; 0 for all else.
	Sequence  uint8
	Event     uint8
	Severity  uint8 // 2 bits: index of severities
	Urgency   uint8 // 2 bits
	Certainty uint8 // 2 bits
	// Start is the minute of the UTC day: when an alert begins, when an update or a cancel was issued.
	Start    uint16
	Duration uint8 // 5 bits: index of durations
	Area     Area
	Template uint16 // 10 bits
	P        uint8
	Q        uint8 // 7 bits
}

// AreaMode is how the area is said.
type AreaMode uint8

// The modes.
const (
	Division AreaMode = iota // the six digits of the division code that follow the region's
	Circle                   // a cell of the region's grid and a radius
	Listed                   // a row of areas
	Region                   // the whole region
)

// Area is 2 + 26 bits.
type Area struct {
	Mode AreaMode
	// Digits of a Division, 0 to 999999; zeros at the end cover all below.
	Digits uint32
	// North and East are the cell of a Circle, 11 bits each; Radius is an index of radii, 4 bits.
	North, East uint16
	Radius      uint8
	// Row of Listed, 26 bits.
	Row uint32
}

func (a Area) bits() (uint32, bool) {
	switch {
	case a.Mode == Division && a == (Area{Mode: Division, Digits: a.Digits}) && a.Digits <= 999_999:
		return a.Digits, true
	case a.Mode == Circle && a.Digits == 0 && a.Row == 0 && a.North < 1<<11 && a.East < 1<<11 && a.Radius < 1<<4:
		return uint32(a.North)<<15 | uint32(a.East)<<4 | uint32(a.Radius), true
	case a.Mode == Listed && a == (Area{Mode: Listed, Row: a.Row}) && a.Row < 1<<26:
		return a.Row, true
	case a.Mode == Region && a == (Area{Mode: Region}):
		return 0, true
	}
	return 0, false
}

func areaOf(mode AreaMode, v uint32) (Area, bool) {
	a := Area{Mode: mode}
	switch mode {
	case Division:
		a.Digits = v
	case Circle:
		a.North, a.East, a.Radius = uint16(v>>15), uint16(v>>4)&(1<<11-1), uint8(v&15)
	case Listed:
		a.Row = v
	}
	back, ok := a.bits()
	return a, ok && back == v
}

// fields are the 112 bits in order: how many each takes.
var fields = [...]int{4, 3, 8, 3, 8, 3, 8, 2, 2, 2, 11, 5, 2, 26, 10, 8, 7}

// Pack gives the 14 bytes. There is one way to write each warning.
func (w Warning) Pack() ([]byte, error) {
	area, ok := w.Area.bits()
	if !ok || !w.sound() {
		return nil, phrase.E("compact.fields")
	}
	values := [...]uint64{version, uint64(w.Type), uint64(w.Issuer), uint64(w.Chain.DayBits), uint64(w.Chain.Serial), uint64(w.Sequence), uint64(w.Event),
		uint64(w.Severity), uint64(w.Urgency), uint64(w.Certainty), uint64(w.Start), uint64(w.Duration), uint64(w.Area.Mode), uint64(area), uint64(w.Template), uint64(w.P), uint64(w.Q)}
	b := make([]byte, BodySize)
	at := 0
	for i, n := range fields {
		if values[i]>>n != 0 {
			return nil, phrase.E("compact.fields")
		}
		for bit := n - 1; bit >= 0; bit-- {
			b[at/8] |= byte(values[i]>>bit&1) << (7 - at%8)
			at++
		}
	}
	return b, nil
}

// sound holds what the fields must have in common.
func (w Warning) sound() bool {
	switch {
	case w.Type >= types, w.Issuer == 0, w.Start >= 24*60:
		return false
	case (w.Type == Update) != (w.Sequence > 0):
		return false
	case w.Type.cancels():
		// A cancel says nothing itself: what it does not need is zero.
		return w.Event == 0 && w.Severity == 0 && w.Urgency == 0 && w.Certainty == 0 && w.Duration == 0 && w.Area == (Area{}) && w.P == 0 && w.Q == 0
	}
	return true
}

// Unpack reads 14 bytes.
func Unpack(b []byte) (Warning, error) {
	if len(b) != BodySize {
		return Warning{}, phrase.E("compact.length", "bytes", len(b), "want", BodySize)
	}
	if b[0]>>4 != version {
		return Warning{}, phrase.E("compact.version", "version", int(b[0]>>4), "want", version)
	}
	var v [len(fields)]uint64
	at := 0
	for i, n := range fields {
		for range n {
			v[i] = v[i]<<1 | uint64(b[at/8]>>(7-at%8)&1)
			at++
		}
	}
	w := Warning{Type: Type(v[1]), Issuer: uint8(v[2]), Chain: Chain{uint8(v[3]), uint8(v[4])}, Sequence: uint8(v[5]), Event: uint8(v[6]),
		Severity: uint8(v[7]), Urgency: uint8(v[8]), Certainty: uint8(v[9]), Start: uint16(v[10]), Duration: uint8(v[11]), Template: uint16(v[14]), P: uint8(v[15]), Q: uint8(v[16])}
	area, ok := areaOf(AreaMode(v[12]), uint32(v[13]))
	if w.Area = area; !ok || !w.sound() {
		return Warning{}, phrase.E("compact.fields")
	}
	return w, nil
}

// Number is the fourteen bits by which receipts name the warning, beside type, issuer and the day of issue.
func (w Warning) Number() uint16 {
	return uint16(w.Chain.DayBits)<<11 | uint16(w.Chain.Serial)<<3 | uint16(w.Sequence)
}
