package station

import (
	"path"
	"regexp"
	"strings"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sense/profile"
)

// many tells whether a line is a bus of instruments whose values have names and
// that are asked.
func (l LinePlan) many() bool {
	if len(l.Units) == 0 {
		return false
	}
	v := l.Units[0].Profile.Via
	return v.Named() && v != profile.NMEA
}

func oneOf(all ...string) int {
	n := 0
	for _, s := range all {
		if s != "" {
			n++
		}
	}
	return n
}

var (
	i2cPath     = regexp.MustCompile(`^/dev/i2c-[0-9]{1,3}$`)
	sdiAddress  = regexp.MustCompile(`^[0-9A-Za-z]$`)
	i2cAddress  = regexp.MustCompile(`^0x(0[3-9a-fA-F]|[1-7][0-9a-fA-F])$`)
	wireAddress = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{12}$`)
	pinName     = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,32}(/[0-9]{1,3})?$`)
)

// ways proves the buses that are no serial port and no connection.
func (p *prover) ways(name string, l config.Line) {
	if l.I2C != "" && !i2cPath.MatchString(l.I2C) {
		p.problem(phrase.M("site.i2c_path", "path", l.I2C), "lines", name, "i2c")
	}
	if l.OneWire != "" && !path.IsAbs(l.OneWire) {
		p.problem(phrase.M("site.onewire_path", "path", l.OneWire), "lines", name, "onewire")
	}
	if l.Pins != "" && l.Pins != "board" {
		p.problem(phrase.M("site.pins_word", "got", l.Pins), "lines", name, "pins")
	}
	for other, o := range p.site.Lines {
		if other < name && (l.I2C != "" && o.I2C == l.I2C || l.OneWire != "" && o.OneWire == l.OneWire || l.Pins != "" && o.Pins == l.Pins) {
			p.problem(phrase.M("site.line_twice", "line", name, "other", other), "lines", name)
		}
	}
}

// reaches proves that a device can hang on its line, and that its address is one.
func (p *prover) reaches(name string, d config.Device, prof *profile.Profile, l *LinePlan) bool {
	c := l.Config
	var have, want, example string
	var shape *regexp.Regexp
	switch prof.Via {
	case profile.Modbus:
		have, want = c.Port+c.TCP, "port / tcp"
	case profile.Text, profile.NMEA:
		have, want = c.Port+c.TCP, "port"
	case profile.SDI12:
		have, want, shape, example = c.Port+c.TCP, "port", sdiAddress, `"0"`
	case profile.I2C:
		have, want, shape, example = c.I2C, "i2c", i2cAddress, `"0x76"`
	case profile.OneWire:
		have, want, shape, example = c.OneWire, "onewire", wireAddress, "28-0316a2795ee4"
	case profile.Pulse:
		have, want, shape, example = c.Pins, "pins", pinName, "GPIO17"
	default:
		return true
	}
	switch {
	case have == "":
		p.problem(phrase.M("site.wrong_way", "device", name, "profile", prof.Name, "want", want, "line", l.Name), "devices", name, "line")
		return false
	case shape == nil && d.Address != "":
		p.problem(phrase.M("site.address_needless", "device", name), "devices", name, "address")
		return false
	case shape != nil && !shape.MatchString(d.Address):
		p.problem(phrase.M("site.address", "device", name, "address", d.Address, "want", strings.Trim(example, `"`)), "devices", name, "address")
		return false
	}
	return true
}
