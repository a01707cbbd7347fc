// Package profile turns a device's YAML description into a checked table of
// points and writes, a read plan, and values with their quality.
//
// A profile is data only: no templates, no expressions beyond scale, offset and
// tables of states. It carries its own proof: recorded frames and the values
// that they must give. A profile without a proof is refused.
//
// The package never talks to a device (that is sense/line), keeps no state but
// a Judge's, and never makes a number out of what is none: absent values, NaN,
// unknown states and faults that the device reports have their own quality.
//
// Sources: Modbus Application Protocol v1.1b3, sections 4.3 and 6 (tables,
// limits, frames); Modbus over Serial Line v1.02, section 2.5.1 (CRC, silences).
package profile

import (
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// Via says how a device is reached.
type Via string

// The ways to a device.
const (
	Modbus Via = "modbus"
	Text   Via = "text" // lines of text that the device sends
	GPIO   Via = "gpio" // pins of the board
	// SDI12 is an instrument asked by SDI-12 commands, NMEA one that sends NMEA
	// 0183 sentences, I2C and OneWire a chip of the board's own buses, Pulse a
	// contact whose closings are counted. Their points are read from channels.
	SDI12   Via = "sdi12"
	NMEA    Via = "nmea"
	I2C     Via = "i2c"
	OneWire Via = "onewire"
	Pulse   Via = "pulse"
)

// Profile describes one kind of device. It is not changed after Parse.
type Profile struct {
	// Name is the file's name without .yaml: maker-model, or generic-….
	Name  string
	Title phrase.Text
	// Manual is where the register table comes from: page, revision.
	Manual string
	Via    Via
	Line   Line
	// Record is how a line of text is cut; only where Via is Text.
	Record *Record
	// Chip is the driver's word for the chip, only where Via is I2C or OneWire;
	// Options are what it must know of its circuit, e.g. the shunt.
	Chip    string
	Options map[string]float64
	Points  []Point
	Writes  []Write
	// Holes are never read across: the device answers with an exception.
	Holes []Hole
	// Fingerprint is what only this device has in its registers, as far as the
	// maker's table tells; all of it must hold. Empty where there is no such
	// thing.
	Fingerprint []Print
	Proof       []Proof
}

// Line is what the device's maker says of its line, as default for a site.
type Line struct {
	Baud   int    // bits a second; 9600 unless told
	Format string // data bits, parity, stop bits: "8N1"
	// Turnaround is how long the device usually takes to begin its answer;
	// 20 ms unless told.
	Turnaround time.Duration
	// Gap is a silence the device wants before each request, beyond the
	// standard's 3.5 characters.
	Gap time.Duration
	// Timeout is how long the device may take to begin its answer; 0 leaves
	// it to the line.
	Timeout time.Duration
	// MaxRegisters is the most registers that one read may ask for; 32 unless
	// told, at most 125. Reads of bits may ask for 16 times as many, at most
	// 2000.
	MaxRegisters int
}

// Record says how a line of text is cut into fields.
type Record struct {
	// Start is what a line begins with, e.g. "$RAIN"; other lines are not for
	// this device.
	Start string
	// Separator stands between fields, e.g. ",".
	Separator string
	// Checksum is "xor" ("*hh" at the end: two hex digits, XOR of all between
	// the first character and the star, as in NMEA 0183), "sum" ("*hh": sum
	// modulo 256) or "none".
	Checksum string
	// Fields is how many fields a good line has after Start.
	Fields int
}

// Type is how bytes become a number.
type Type string

// The types. Bool is one bit; Bits and Enum are 16-bit words of states. Float16
// is IEEE 754-2008 binary16; BCD16, BCD32 and BCD64 are 4, 8 and 16 decimal
// digits without a sign, four bits each. String is ASCII in registers: shown,
// and never a number.
const (
	Bool    Type = "bool"
	Int8    Type = "int8"
	Uint8   Type = "uint8"
	Float16 Type = "float16"
	BCD16   Type = "bcd16"
	BCD32   Type = "bcd32"
	BCD64   Type = "bcd64"
	String  Type = "string"
	Bits    Type = "bits"
	Enum    Type = "enum"
	Int16   Type = "int16"
	Uint16  Type = "uint16"
	Int32   Type = "int32"
	Uint32  Type = "uint32"
	Int64   Type = "int64"
	Uint64  Type = "uint64"
	Float32 Type = "float32"
	Float64 Type = "float64"
	// Number is the type of a text field.
	Number Type = "number"
)

// Order is the order of bytes in a value of more than one register, A the
// most significant pair's first byte.
type Order string

// The orders. For 64 bits each applies to the four words in the same sense:
// ABCD big endian, CDAB words reversed, BADC bytes swapped in each word, DCBA
// little endian.
const (
	ABCD Order = "ABCD"
	DCBA Order = "DCBA"
	BADC Order = "BADC"
	CDAB Order = "CDAB"
)

// Point is one quantity that a device measures.
type Point struct {
	ID   string
	Name phrase.Text

	// Table and Addr say where it is read (Modbus; 0-based).
	Table drivers.Table
	Addr  uint16
	// Bit is the bit of a register for Bool in a holding or input register,
	// else -1.
	Bit int
	// Field is the field of a text line, 1 for the first after Start.
	Field int
	// Pin is the pin's place in a GPIO device, 0 for the first.
	Pin int
	// Channel names the value of a device whose values have names (Via.Named).
	Channel string

	Type  Type
	Order Order
	// High: an Int8 or Uint8 is its register's high byte, else the low one.
	High bool
	// Length is how many registers a String takes.
	Length int
	// Scale and Offset: value = raw × Scale + Offset, in Unit.
	Scale, Offset float64
	Unit          point.Unit
	// Curve gives the value instead of Scale and Offset, straight between its
	// knots, by rising raw value; beyond its ends there is no value.
	Curve []Knot
	// Range is what the sensor can measure, in Unit; outside it the quality is
	// OutOfRange.
	Range *Range
	// Clamp brings what is beyond it, and within Range, back to its ends: the
	// -0.3 % of a dry hygrometer is 0 %.
	Clamp *Range
	// Rate is the fastest possible change; beyond it the quality is Suspect.
	Rate *Rate
	// Jump is the largest step from one reading to the next, in Unit; beyond it
	// the quality is Suspect. 0 is no limit.
	Jump float64
	// Stuck: unchanged to the last bit for longer is Suspect; 0 is never.
	Stuck time.Duration
	// Absent are raw values that mean "no value".
	Absent []uint64
	// States are the words of an Enum (code) or of Bits (bit number).
	States []State
	// StatusOf are the points that this one's states speak for; where empty, a
	// state speaks for the point itself.
	StatusOf []string
	// Every is the period of reading; 0 is as fast as the line allows.
	Every time.Duration
	// Alarm: read before points that are not.
	Alarm bool
	// Role is what it is to the site's supply; "" for nothing.
	Role Role
	// Counter is set where the value is a running total.
	Counter *point.Counter

	half      bool // ".high" or ".low" was written
	decimal   decimal
	line, col int
}

// Role is what a point is to the supply of the site, or to its box: not what is measured (a logger has a battery of its own),
// but whose it is.
type Role string

// The roles.
const (
	Battery   Role = "battery"    // volts of the site's battery
	Mains     Role = "mains"      // on while mains is there
	MainsLost Role = "mains_lost" // not 0 while it is not
	Charge    Role = "charge"     // percent left
	Runtime   Role = "runtime"    // seconds left, by the supply's own word
	Drawn     Role = "load"       // watts, or amperes, drawn
	Solar     Role = "solar"      // watts that the panel gives, or amperes of it into the battery
	Cabinet   Role = "cabinet"    // °C inside of the box
	Failing   Role = "failing"    // on while the supply says that it is about to go off

	// And to the box itself.
	Door     Role = "door"      // not 0 while its door is open
	DoorShut Role = "door_shut" // not 0 while it is shut
	Water    Role = "water"     // not 0 while water stands in it
	Tilt     Role = "tilt"      // not 0 while its pole leans, or an angle
	Loop     Role = "loop_open" // not 0 while a loudspeaker's loop is open
)

var roles = []string{string(Battery), string(Mains), string(MainsLost), string(Charge), string(Runtime), string(Drawn), string(Solar), string(Failing), string(Cabinet),
	string(Door), string(DoorShut), string(Water), string(Tilt), string(Loop)}

// Knot is one entry of a Curve.
type Knot struct{ Raw, Value float64 }

// Range is a closed range in the point's unit.
type Range struct{ Min, Max float64 }

// Rate is a change of Most (in the point's unit) in Per.
type Rate struct {
	Most float64
	Per  time.Duration
}

// State is one word of a status. A state whose Makes is Good is normal.
type State struct {
	Code  uint16
	Name  phrase.Text
	Makes point.Quality
}

// Write is one thing of a device that can be switched (a coil) or set (holding
// registers).
type Write struct {
	ID    string
	Name  phrase.Text
	Table drivers.Table // Coil or Holding
	Addr  uint16
	// Setting is what a holding register takes; nil for a coil.
	Setting *Setting
	// Confirm is read after each write; nil where the echo must do, which it
	// never must of a Setting.
	Confirm *Confirm
	// FailSafe is what it goes back to where it is not asked for again; nil
	// where the last value stays.
	FailSafe *FailSafe
	// Timed is the device's own "on for a while"; nil where it has none.
	Timed *Timed

	line, col int
}

// Confirm reads a coil, an input or registers back.
type Confirm struct {
	Table  drivers.Table
	Addr   uint16
	Within time.Duration
	Retry  int
}

// Timed is a write that the device ends by itself: to Table at Addr, the value
// being the time in units of Unit, at most Longest.
type Timed struct {
	Table   drivers.Table
	Addr    uint16
	Unit    time.Duration
	Longest time.Duration
}

// Hole is a range of one table, both ends included. Table 0 stands for every
// table.
type Hole struct {
	Table    drivers.Table
	From, To uint16
}

// Print is a register that tells this device from others on a scan: a type code
// or a version. Its value is from Min to Max.
type Print struct {
	Table    drivers.Table
	Addr     uint16
	Min, Max uint16
}

// Is tells whether a register's value is the device's.
func (f Print) Is(v uint16) bool { return v >= f.Min && v <= f.Max }

// Proof is a recorded exchange.
type Proof struct {
	// Sent and Heard are whole frames with their CRC (Modbus).
	Sent, Heard []byte
	// Text is a whole line (text), sentence (nmea), or the answers to D commands
	// (sdi12).
	Text string
	// Samples are what the driver gave, by channel (i2c, onewire, pulse).
	Samples map[string]float64
	// Measure is the command that Text answers, such as "M" (sdi12).
	Measure string
	// Level is the pin's level (gpio).
	Level *bool
	// Gives are the values it must give by point: a number (in the unit), or a
	// quality's code.
	Gives map[string]Given
	// Does is set for a write.
	Does *Does

	line, col int
}

// Given is what a proof expects of a point: a value of quality Good, or
// another quality.
type Given struct {
	Value   float64
	Text    string // of a String
	Quality point.Quality
}

// Does is the write whose frame a proof shows.
type Does struct {
	Write string
	On    bool
	For   time.Duration
	// Value is what a set-point is set to; nil for a switch.
	Value *float64
}

// Request is one read that gives one or more points.
type Request struct {
	Table       drivers.Table
	Addr, Count uint16
	// Every is the period; 0 is as fast as the line allows.
	Every time.Duration
	Alarm bool
	// Points are indexes of Profile.Points, in order of address.
	Points []int
}

// Value is what one answer gives for one point.
type Value struct {
	Point string
	// Index is the point's place in Profile.Points.
	Index int
	// Value is in the point's unit; NaN where there is none.
	Value float64
	// Text is what a String says; its Value is NaN.
	Text    string
	Quality point.Quality
	Why     phrase.Message
}

// Problem is a fault of a profile's text, with its place and the mend.
type Problem struct {
	File      string
	Line, Col int
	Message   phrase.Message
}

// In renders the problem as file:line:col: message.
func (p Problem) In(l phrase.Lang) string {
	return place(p.File, p.Line, p.Col) + p.Message.In(l)
}

// Error renders in English, for logs.
func (p Problem) Error() string { return p.In(phrase.EN) }

// Point gives a point by its id.
func (p *Profile) Point(id string) (*Point, bool) {
	for i := range p.Points {
		if p.Points[i].ID == id {
			return &p.Points[i], true
		}
	}
	return nil, false
}

// Write gives a write by its id.
func (p *Profile) Write(id string) (*Write, bool) {
	for i := range p.Writes {
		if p.Writes[i].ID == id {
			return &p.Writes[i], true
		}
	}
	return nil, false
}
