package profile

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// cell says where a sentence has a value, and when it counts. Fields are
// counted from 1, the first after the address.
type cell struct {
	channel string
	unit    point.Unit // what the channel gives
	field   int
	// letter is the field of the unit's letter, 0 for none; factors are what the
	// number is multiplied by, by letter.
	letter  int
	factors map[string]float64
	// only: the cell belongs to sentences whose field `only` is `is`.
	only int
	is   string
	// valid is the status field, 0 for none, and what it must be one of.
	valid int
	ok    string
	// angle: the number is degrees and minutes (dddmm.mmmm), its hemisphere the
	// next field.
	angle string
}

const knot = 1852.0 / 3600

var speeds = map[string]float64{"K": 1 / 3.6, "M": 1, "N": knot, "S": 0.44704}

func one(letter string) map[string]float64 { return map[string]float64{letter: 1} }

// cells are the sentences that are understood, by formatter, as the public
// descriptions of NMEA 0183 have them (gpsd's "NMEA Revealed", release 2.23:
// sections MWV, MWD, MDA, MTW, VHW, DPT, DBT, GGA, RMC).
var cells = map[string][]cell{
	"MWV": {
		{channel: "mwv.r.angle", unit: "°", field: 1, only: 2, is: "R", valid: 5, ok: "A"},
		{channel: "mwv.r.speed", unit: "m/s", field: 3, letter: 4, factors: speeds, only: 2, is: "R", valid: 5, ok: "A"},
		{channel: "mwv.t.angle", unit: "°", field: 1, only: 2, is: "T", valid: 5, ok: "A"},
		{channel: "mwv.t.speed", unit: "m/s", field: 3, letter: 4, factors: speeds, only: 2, is: "T", valid: 5, ok: "A"},
	},
	"MWD": {
		{channel: "mwd.direction", unit: "°", field: 1, letter: 2, factors: one("T")},
		{channel: "mwd.speed", unit: "m/s", field: 7, letter: 8, factors: one("M")},
	},
	"MDA": {
		{channel: "mda.pressure", unit: "hPa", field: 3, letter: 4, factors: map[string]float64{"B": 1000}},
		{channel: "mda.air_temperature", unit: "°C", field: 5, letter: 6, factors: one("C")},
		{channel: "mda.water_temperature", unit: "°C", field: 7, letter: 8, factors: one("C")},
		{channel: "mda.humidity", unit: "%", field: 9},
		{channel: "mda.dew_point", unit: "°C", field: 11, letter: 12, factors: one("C")},
		{channel: "mda.wind_direction", unit: "°", field: 13, letter: 14, factors: one("T")},
		{channel: "mda.wind_speed", unit: "m/s", field: 19, letter: 20, factors: one("M")},
	},
	"MTW": {{channel: "mtw.temperature", unit: "°C", field: 1, letter: 2, factors: one("C")}},
	"VHW": {
		{channel: "vhw.heading", unit: "°", field: 1, letter: 2, factors: one("T")},
		{channel: "vhw.speed", unit: "m/s", field: 7, letter: 8, factors: map[string]float64{"K": 1 / 3.6}},
	},
	"DPT": {{channel: "dpt.depth", unit: "m", field: 1}},
	"DBT": {{channel: "dbt.depth", unit: "m", field: 3, letter: 4, factors: one("M")}},
	"GGA": {
		{channel: "gga.quality", unit: "1", field: 6},
		{channel: "gga.satellites", unit: "1", field: 7},
		{channel: "gga.hdop", unit: "1", field: 8, valid: 6, ok: "12345"},
		{channel: "gga.latitude", unit: "°", field: 2, valid: 6, ok: "12345", angle: "NS"},
		{channel: "gga.longitude", unit: "°", field: 4, valid: 6, ok: "12345", angle: "EW"},
		{channel: "gga.altitude", unit: "m", field: 9, letter: 10, factors: one("M"), valid: 6, ok: "12345"},
	},
	"RMC": {
		{channel: "rmc.latitude", unit: "°", field: 3, valid: 2, ok: "A", angle: "NS"},
		{channel: "rmc.longitude", unit: "°", field: 5, valid: 2, ok: "A", angle: "EW"},
		{channel: "rmc.speed", unit: "m/s", field: 7, factors: map[string]float64{"": knot}, valid: 2, ok: "A"},
		{channel: "rmc.course", unit: "°", field: 8, valid: 2, ok: "A"},
	},
}

// transducers are the types of XDR with the unit letters that each may have
// (the same, section XDR).
var transducers = map[string]struct {
	unit    point.Unit
	factors map[string]float64
}{
	"A": {"°", one("D")}, "C": {"°C", one("C")}, "D": {"m", one("M")}, "F": {"Hz", one("H")}, "H": {"%", one("P")},
	"P": {"hPa", map[string]float64{"B": 1000, "P": 0.01}}, "U": {"V", one("V")}, "I": {"A", one("A")}, "G": {"", nil}, "S": {"", nil},
}

// xdrChannel: "xdr.C.TEMP1": the transducer's type and name.
var xdrChannel = regexp.MustCompile(`^xdr\.[ACDFHPUIGS]\.[A-Za-z0-9_#-]{1,20}$`)

func xdrUnit(channel string) point.Unit {
	if !xdrChannel.MatchString(channel) {
		return ""
	}
	return transducers[channel[4:5]].unit
}

func sentenceUnits() map[string]point.Unit {
	out := map[string]point.Unit{}
	for _, cs := range cells {
		for _, c := range cs {
			out[c.channel] = c.unit
		}
	}
	return out
}

// CutSentence checks a sentence's frame and checksum and cuts it into its address
// and fields. It is the rule that a driver of sentences must follow too.
func CutSentence(s string) ([]string, error) {
	s = strings.TrimRight(s, "\r\n")
	i := strings.LastIndexByte(s, '*')
	if len(s) > 256 || i < 6 || len(s) != i+3 || s[0] != '$' {
		return nil, fmt.Errorf("it is no sentence $…*hh")
	}
	var sum byte
	for _, b := range []byte(s[1:i]) {
		if b < 0x20 || b > 0x7e {
			return nil, fmt.Errorf("it holds bytes that are no text")
		}
		sum ^= b
	}
	if want, err := strconv.ParseUint(s[i+1:], 16, 8); err != nil || byte(want) != sum {
		return nil, fmt.Errorf("its checksum is %s, reckoned %02X", s[i+1:], sum)
	}
	return strings.Split(s[1:i], ","), nil
}

// DecodeSentence gives the values that one sentence has for the points: none
// where it is not for this device. fields[0] is the address, whose talker does not
// matter. An empty field, a status that is not valid and a unit that is not
// known are faults of the sensor, never a zero.
func (p *Profile) DecodeSentence(fields []string) []Value {
	if len(fields) == 0 || len(fields[0]) != 5 || fields[0][0] == 'P' {
		return nil
	}
	kind := fields[0][2:]
	var out []Value
	for i := range p.Points {
		pt := &p.Points[i]
		if kind == "XDR" {
			if v, ok := pt.fromXDR(i, fields); ok {
				out = append(out, v)
			}
			continue
		}
		for _, c := range cells[kind] {
			if c.channel == pt.Channel && (c.only == 0 || c.only < len(fields) && fields[c.only] == c.is) {
				out = append(out, pt.fromCell(i, c, fields))
			}
		}
	}
	p.lay(out)
	return out
}

func (pt *Point) absentField(i int, why phrase.Message) Value {
	return Value{Point: pt.ID, Index: i, Value: math.NaN(), Quality: point.SensorFault, Why: why}
}

func (pt *Point) fromCell(i int, c cell, f []string) Value {
	last := max(c.field, c.letter, c.valid)
	if c.angle != "" {
		last = max(last, c.field+1)
	}
	if last >= len(f) {
		v := pt.absentField(i, phrase.M("sense.field_missing", "field", last, "got", len(f)-1))
		v.Quality = point.CommFault
		return v
	}
	if c.valid > 0 && (f[c.valid] == "" || !strings.Contains(c.ok, f[c.valid])) {
		return pt.absentField(i, phrase.M("sense.not_valid", "status", f[c.valid]))
	}
	if strings.TrimSpace(f[c.field]) == "" {
		return pt.absentField(i, phrase.M("sense.absent"))
	}
	n, ok := parseNumber(f[c.field])
	if !ok {
		return pt.absentField(i, phrase.M("sense.field_no_number", "field", c.field))
	}
	switch {
	case c.angle != "":
		if n, ok = degrees(n, f[c.field+1], c.angle); !ok {
			return pt.absentField(i, phrase.M("sense.field_no_number", "field", c.field))
		}
	case c.letter > 0:
		k, ok := c.factors[f[c.letter]]
		if !ok {
			return pt.absentField(i, phrase.M("sense.unit_letter", "letter", f[c.letter], "field", c.letter))
		}
		n *= k
	case c.factors != nil:
		n *= c.factors[""]
	}
	return pt.judgeNumber(Value{Point: pt.ID, Index: i}, n)
}

// degrees gives signed degrees of dddmm.mmmm and a hemisphere.
func degrees(n float64, hemisphere, known string) (float64, bool) {
	most := 90.0
	if known == "EW" {
		most = 180
	}
	d := math.Trunc(n / 100)
	m := n - 100*d
	v := d + m/60
	if n < 0 || m >= 60 || v > most || len(hemisphere) != 1 || !strings.Contains(known, hemisphere) {
		return 0, false
	}
	if hemisphere == known[1:] {
		v = -v
	}
	return v, true
}

// fromXDR finds the transducer in the groups of four: type, value, unit, name.
func (pt *Point) fromXDR(i int, f []string) (Value, bool) {
	kind, name, ok := strings.Cut(strings.TrimPrefix(pt.Channel, "xdr."), ".")
	if !ok || !strings.HasPrefix(pt.Channel, "xdr.") {
		return Value{}, false
	}
	for g := 1; g+3 < len(f); g += 4 {
		if f[g] != kind || strings.TrimSpace(f[g+3]) != name {
			continue
		}
		t := transducers[kind]
		c := cell{field: g + 1}
		if t.factors != nil {
			c.letter, c.factors = g+2, t.factors
		}
		return pt.fromCell(i, c, f), true
	}
	return Value{}, false
}
