package profile

import (
	"maps"
	"slices"

	"tocsin/firmware/point"
)

// chip is what a profile may say of a chip: its channels with their units, and
// the options of its circuit with their limits.
type chip struct {
	via      Via
	channels map[string]point.Unit
	options  map[string]Range
}

// chips are the chips that the drivers know, by their word. A test in the
// composition root holds the drivers to this table.
var chips = map[string]chip{
	"bme280": {I2C, map[string]point.Unit{"temperature": "°C", "humidity": "%", "pressure": "hPa"}, nil},
	"ina219": {I2C, map[string]point.Unit{"bus_voltage": "V", "shunt_voltage": "mV", "current": "A", "power": "W"},
		map[string]Range{"shunt_milliohm": {0.1, 10000}, "most_ampere": {0.01, 500}}},
	"ina226": {I2C, map[string]point.Unit{"bus_voltage": "V", "shunt_voltage": "mV", "current": "A", "power": "W"},
		map[string]Range{"shunt_milliohm": {0.1, 10000}, "most_ampere": {0.01, 500}}},
	"ads1115": {I2C, map[string]point.Unit{"ain0": "V", "ain1": "V", "ain2": "V", "ain3": "V", "ain0_ain1": "V", "ain2_ain3": "V"},
		map[string]Range{"full_scale": {0.256, 6.144}}},
	"ds3231": {I2C, map[string]point.Unit{"temperature": "°C"}, nil},
	"mcp23017": {I2C, map[string]point.Unit{"a0": "on/off", "a1": "on/off", "a2": "on/off", "a3": "on/off", "a4": "on/off", "a5": "on/off", "a6": "on/off", "a7": "on/off",
		"b0": "on/off", "b1": "on/off", "b2": "on/off", "b3": "on/off", "b4": "on/off", "b5": "on/off", "b6": "on/off", "b7": "on/off"},
		map[string]Range{"pull_up": {0, 1}}},
	"ds18b20": {OneWire, map[string]point.Unit{"temperature": "°C"}, nil},
}

// pulse is a counted contact.
var pulse = chip{Pulse, map[string]point.Unit{"count": "1"}, map[string]Range{"debounce_ms": {0, 1000}, "closest_ms": {0, 60000}, "pull_up": {0, 1}, "active_low": {0, 1}}}

func of(v Via, name string) chip {
	if v == Pulse {
		return pulse
	}
	if c := chips[name]; c.via == v {
		return c
	}
	return chip{}
}

// unitsOf gives the channels of a way, or of a chip on it, with their units.
func unitsOf(v Via, chip string) map[string]point.Unit {
	if v == NMEA {
		return sentenceUnits()
	}
	return of(v, chip).channels
}

func optionsOf(v Via, chip string) map[string]Range { return of(v, chip).options }

// Chips gives the chips of a way, sorted.
func Chips(v Via) []string { return chipsOf(v) }

func chipsOf(v Via) []string {
	var out []string
	for n, c := range chips {
		if c.via == v {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
