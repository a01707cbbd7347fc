package config

import (
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// Site is a site's document, version 1.
type Site struct {
	Version int               `yaml:"version"`
	Site    Place             `yaml:"site"`
	Lines   map[string]Line   `yaml:"lines"`
	Devices map[string]Device `yaml:"devices"`
	Outputs map[string]Output `yaml:"outputs"`
	Inputs  map[string]Input  `yaml:"inputs"`
	Rules   map[string]Rule   `yaml:"rules"`
	// Plan is the plan of every hazard whose rule names none of its own.
	Plan    string  `yaml:"plan"`
	Page    Page    `yaml:"page"`
	History History `yaml:"history"`
	// Proxies serve lines to other Modbus TCP clients.
	Proxies []Proxy `yaml:"proxies"`
	// Box is by what the box itself is watched.
	Box Box `yaml:"box"`
	// Power is where the supply is measured, Board where what surrounds the board is.
	Power Power `yaml:"power"`
	Board Board `yaml:"board"`
	// Alerts are warnings and commands from outside.
	Alerts Alerts `yaml:"alerts"`
	// County is who hears from this box.
	County *County `yaml:"county"`
	// Links are the ways between this box and its county, by their rows in links.yaml.
	Links map[string]Link `yaml:"links"`
	// People are those who are written to and called when a level stands.
	People   []Person `yaml:"people"`
	Rollcall Rollcall `yaml:"rollcall"`
	// MQTT are third parties' platforms, by names of the site's own.
	MQTT map[string]MQTT `yaml:"mqtt"`
	// Time says where the time comes from.
	Time Time `yaml:"time"`
	// Beacons are warnings between stations, without the county.
	Beacons Beacons `yaml:"beacons"`
	// Network is what the board's interfaces shall be, by their names.
	Network map[string]Network `yaml:"network"`
	// Video is live pictures; nil: this site has none.
	Video *Video `yaml:"video"`
	// Announcer says how people announce by hand and try outputs; Messages are what they can
	// say with one button.
	Announcer Announcer          `yaml:"announcer"`
	Messages  map[string]Message `yaml:"messages"`
	// Plans are plans of the site's own, before those of the same name in plans/ and those that
	// are shipped.
	Plans map[string]Plan `yaml:"plans"`
	// Managed are the settings that are the county's; nil: none are.
	Managed *Managed `yaml:"managed"`
}

// Place says what and where the site is.
type Place struct {
	// ID is the 12-digit division code (GB/T 2260 and its extension).
	ID   string      `yaml:"id"`
	Name phrase.Text `yaml:"name"`
	// At is latitude and longitude, WGS-84, degrees.
	At []float64 `yaml:"at"`
	// Datum is the datum of the water levels that the rules name.
	Datum point.Datum `yaml:"datum"`
	// Languages are spoken in this order: cmn, yue.
	Languages []string `yaml:"languages"`
	// Soil is how wet the ground is taken to be: dry, medium, wet. Conditions
	// that name another soil do not count. Without it: wet, the cautious one.
	Soil string `yaml:"soil"`
	// Neighbours are the devices whose rain is held against each other's; without
	// it every rain gauge of the site is.
	Neighbours []string `yaml:"neighbours"`
}

// Line is a bus: a serial port or a TCP address.
type Line struct {
	Port string `yaml:"port"`
	TCP  string `yaml:"tcp"`
	// I2C is the board's bus (/dev/i2c-1), OneWire the folder of the kernel's
	// 1-Wire devices (/sys/bus/w1/devices); Pins, "board", are contacts on the
	// board's own pins, whose closings are counted.
	I2C     string `yaml:"i2c"`
	OneWire string `yaml:"onewire"`
	Pins    string `yaml:"pins"`
	// Framing is what is spoken over TCP: modbus-tcp (the default), or rtu or
	// ascii to a serial server, which carries bytes unchanged.
	Framing string `yaml:"framing"`
	// Mode is what is spoken on a port: rtu (the default) or ascii.
	Mode string `yaml:"mode"`
	Baud int    `yaml:"baud"`
	// Format is data bits, parity, stop bits: 8N1, 8E1, 8O1, 8N2, 7E1.
	Format string `yaml:"format"`
	// RS485 lets the kernel switch the line's direction by RTS.
	RS485 *RS485 `yaml:"rs485"`
	// Timeout is how long a unit may take to begin its answer.
	Timeout Span `yaml:"timeout"`
	// Turnaround is a unit's usual time to answer, for planning.
	Turnaround Span `yaml:"turnaround"`
}

// RS485 is the direction of an RS-485 line whose adapter does not find it by
// itself.
type RS485 struct {
	// Send is the level of RTS while sending: high (the default) or low.
	Send string `yaml:"send"`
	// Before and After are how long RTS is held before the first bit and after
	// the last.
	Before Span `yaml:"before"`
	After  Span `yaml:"after"`
}

// Device is a unit on a line, or a sensor with a port of its own.
type Device struct {
	// Name is what people call it, such as 村口水位计; without it the page
	// writes the device's key.
	Name    phrase.Text `yaml:"name"`
	Profile string      `yaml:"profile"`
	Line    string      `yaml:"line"`
	Unit    int         `yaml:"unit"`
	// Address is where an instrument without a unit number is: 0 to 9, a to z, A to
	// Z (SDI-12), 0x76 (I2C), 28-0316a2795ee4 (1-Wire), GPIO17 (a contact).
	Address string `yaml:"address"`
	// Zero is added to the device's water levels: the gauge's zero above the
	// site's datum.
	Zero *Amount `yaml:"zero"`
	// Datum is the datum of the device's levels, zero included, where it is not
	// the site's.
	Datum point.Datum `yaml:"datum"`
	// Every overrides the profile's period for all points of the device.
	Every *Span `yaml:"every"`
}

// Output is something that people hear or see.
type Output struct {
	// Name is what people call it; without it the page writes kind and key.
	Name phrase.Text `yaml:"name"`
	// Kind: electronic, motor, loudspeaker, strobe.
	Kind string `yaml:"kind"`
	// Relay is "<device>.<write>" of a relay board, GPIO a line of the board.
	Relay string `yaml:"relay"`
	GPIO  string `yaml:"gpio"`
	// SensedBy is an input that follows the load, independent of the relay:
	// "<device>.<point>"; Sense says what it measures: input or current.
	SensedBy string `yaml:"sensed_by"`
	Sense    string `yaml:"sense"`
	// CutBy is a relay whose contactor, when energised, opens the load's feed.
	CutBy string `yaml:"cut_by"`
	// FailSafe is how long the device itself keeps the relay on without word
	// from the box.
	FailSafe Span `yaml:"fail_safe"`
	MinOn    Span `yaml:"min_on"`
	MinOff   Span `yaml:"min_off"`
	// Next takes over when this output fails.
	Next string `yaml:"next"`
	// Card is a sound card (its id or number), File a folder that a sound is
	// written to instead: a bench listens there.
	Card   string   `yaml:"card"`
	File   string   `yaml:"file"`
	Volume *int     `yaml:"volume"`
	Zones  []string `yaml:"zones"`
	// Watts is what it draws while it sounds; without it the one of its kind in power.yaml.
	Watts *float64 `yaml:"watts"`
}

// Input is a key or button that people use with everything else dead.
type Input struct {
	// Input is "<device>.<point>" of a board's input, GPIO a line of the board.
	Input string `yaml:"input"`
	GPIO  string `yaml:"gpio"`
	// Means is a level's code, stop, or answer (acknowledge).
	Means string `yaml:"means"`
	// Name is who may hold the key: it is written into the journal.
	Name string `yaml:"name"`
	// ActiveLow: the contact closes to ground.
	ActiveLow bool `yaml:"active_low"`
	// Hold is how long it must be held before it counts (default 200 ms; keys
	// for levels 1 s, so that a knock is none).
	Hold Span `yaml:"hold"`
}

// Rule is a hazard's rule.
type Rule struct {
	// Name is what people call the hazard.
	Name phrase.Text `yaml:"name"`
	// SetBy says who set the thresholds and when; without it the rule does not
	// arm.
	SetBy *SetBy `yaml:"set_by"`
	// AnyOf are the conditions, any of which suffices. Each names a point, how
	// it is compared (over: a sum; rises with over: a rise; neither: the value),
	// and a threshold for each level.
	AnyOf []map[string]any `yaml:"any_of"`
	// OnLoss says what happens when no gauge of the hazard is good any more.
	OnLoss *OnLoss `yaml:"on_loss"`
	Plan   string  `yaml:"plan"`
}

// SetBy says who answers for thresholds.
type SetBy struct {
	Name string `yaml:"name"`
	Date string `yaml:"date"`
}

// OnLoss is what to do when blind.
type OnLoss struct {
	After Span `yaml:"after"`
	// Act: call (the loss is shown and called) or raise (the level To, the
	// lowest by default, is raised).
	Act string `yaml:"act"`
	To  string `yaml:"to"`
}

// Page is the LAN page.
type Page struct {
	// Listen is the address, ":8080" by default; "off" for none.
	Listen string `yaml:"listen"`
	// Hosts are names beside addresses by which browsers may call the box.
	Hosts []string `yaml:"hosts"`
	// Viewers is who sees readings, alarms and the journal without signing in: anyone, or
	// signed-in for nobody. STOP by the token is for everybody.
	Viewers string `yaml:"viewers"`
	// TLS: auto serves the page encrypted by a certificate of the box's own authority and
	// sends whoever comes without there; off serves it in the clear, and nobody can sign in
	// but from the box itself.
	TLS string `yaml:"tls"`
}

// History says how what is measured is kept. What is not written takes the
// default of keep/history.
type History struct {
	// Keep is how long each value is kept, Rollups how long the hourly ones.
	Keep    Span `yaml:"keep"`
	Rollups Span `yaml:"rollups"`
	// Most caps the file; the oldest values go first, roll-ups last.
	Most Size `yaml:"most"`
	// Every is how long values are gathered in RAM before they are written.
	Every Span `yaml:"every"`
	// Off keeps no history.
	Off bool `yaml:"off"`
}
