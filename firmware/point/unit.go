package point

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Quantity is what is measured, e.g. "rain", "level", "gas". Amounts of
// different quantities never compare.
type Quantity string

// Unit is a symbol of the table below, e.g. "mm", "%LEL".
type Unit string

type unit struct {
	quantity Quantity
	factor   float64 // of the quantity's base unit
	offset   float64 // added after the factor
}

// units is the table of every unit that a profile, a rule or a reading may
// name. Quantities separate what must not be mixed: rain depth is not water
// level though both are lengths; a gas fraction is not a humidity.
var units = map[Unit]unit{
	"mm":     {"length", 1e-3, 0},
	"cm":     {"length", 1e-2, 0},
	"m":      {"length", 1, 0},
	"km":     {"length", 1e3, 0},
	"mm/h":   {"rate", 1e-3 / 3600, 0},
	"m/s":    {"speed", 1, 0},
	"km/h":   {"speed", 1 / 3.6, 0},
	"%LEL":   {"combustible", 1, 0},
	"%CH4":   {"methane", 1, 0},
	"ppm":    {"fraction", 1e-6, 0},
	"%VOL":   {"fraction", 1e-2, 0},
	"%":      {"percent", 1, 0},
	"°C":     {"temperature", 1, 0},
	"K":      {"temperature", 1, -273.15},
	"V":      {"voltage", 1, 0},
	"mV":     {"voltage", 1e-3, 0},
	"A":      {"current", 1, 0},
	"mA":     {"current", 1e-3, 0},
	"W":      {"power", 1, 0},
	"kWh":    {"energy", 1, 0},
	"Hz":     {"frequency", 1, 0},
	"Pa":     {"pressure", 1, 0},
	"hPa":    {"pressure", 1e2, 0},
	"kPa":    {"pressure", 1e3, 0},
	"°":      {"angle", 1, 0},
	"mg/m³":  {"density", 1, 0},
	"µg/m³":  {"density", 1e-3, 0},
	"m³/s":   {"flow", 1, 0},
	"lx":     {"illuminance", 1, 0},
	"dB":     {"sound", 1, 0},
	"s":      {"time", 1, 0},
	"1":      {"count", 1, 0},
	"on/off": {"state", 1, 0},
}

// Known tells whether the table has the unit.
func (u Unit) Known() bool { _, ok := units[u]; return ok }

// Quantity gives what the unit measures, "" where it is not known.
func (u Unit) Quantity() Quantity { return units[u].quantity }

// Convert gives v, which is in unit u, in another unit of the same quantity.
func (u Unit) Convert(v float64, to Unit) (float64, error) {
	a, ok := units[u]
	if !ok {
		return math.NaN(), fmt.Errorf("unknown unit %q", string(u))
	}
	b, ok := units[to]
	if !ok {
		return math.NaN(), fmt.Errorf("unknown unit %q", string(to))
	}
	if a.quantity != b.quantity {
		return math.NaN(), fmt.Errorf("%s is %s, %s is %s: they do not convert", string(u), a.quantity, string(to), b.quantity)
	}
	if u == to {
		return v, nil
	}
	return (v*a.factor + a.offset - b.offset) / b.factor, nil
}

// Amount is a number with its unit, as a person writes it: "45 mm", "1.5 %LEL".
type Amount struct {
	Value float64
	Unit  Unit
}

// ParseAmount reads "45 mm" (the blank may be missing).
func ParseAmount(s string) (Amount, error) {
	s = strings.TrimSpace(s)
	i := 0
	for i < len(s) && (s[i] == '-' || s[i] == '+' || s[i] == '.' || s[i] >= '0' && s[i] <= '9' ||
		(s[i] == 'e' || s[i] == 'E') && i+1 < len(s) && (s[i+1] == '-' || s[i+1] >= '0' && s[i+1] <= '9')) {
		i++
	}
	v, err := strconv.ParseFloat(s[:i], 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return Amount{}, fmt.Errorf("%q is not a number with a unit, such as 45 mm", s)
	}
	u := Unit(strings.TrimSpace(s[i:]))
	if !u.Known() {
		if u == "" {
			return Amount{}, fmt.Errorf("%q has no unit; write it, such as 45 mm", s)
		}
		return Amount{}, fmt.Errorf("%q: unknown unit %q", s, string(u))
	}
	return Amount{v, u}, nil
}

// In gives the amount in another unit of its quantity.
func (a Amount) In(u Unit) (float64, error) { return a.Unit.Convert(a.Value, u) }

// String writes the amount as ParseAmount reads it.
func (a Amount) String() string {
	return strconv.FormatFloat(a.Value, 'f', -1, 64) + " " + string(a.Unit)
}

// UnmarshalText reads an amount from YAML or JSON text.
func (a *Amount) UnmarshalText(b []byte) error {
	v, err := ParseAmount(string(b))
	if err == nil {
		*a = v
	}
	return err
}

// MarshalText writes the amount.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Span is a length of time as a person writes it: "10s", "30m", "1h", "72h", "3d".
type Span time.Duration

// ParseSpan reads a span.
func ParseSpan(s string) (Span, error) {
	s = strings.TrimSpace(s)
	if n, ok := strings.CutSuffix(s, "d"); ok {
		v, err := strconv.ParseFloat(n, 64)
		if err == nil && v >= 0 && v < 3650 {
			return Span(v * float64(24*time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a length of time, such as 10s, 30m or 72h", s)
	}
	return Span(d), nil
}

// UnmarshalText reads a span from YAML or JSON text.
func (s *Span) UnmarshalText(b []byte) error {
	v, err := ParseSpan(string(b))
	if err == nil {
		*s = v
	}
	return err
}

// MarshalText writes the span.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Duration gives the span as the standard library has it.
func (s Span) Duration() time.Duration { return time.Duration(s) }

// String writes whole hours, minutes or seconds without trailing zero units.
func (s Span) String() string {
	d := time.Duration(s)
	switch {
	case d == 0:
		return "0s"
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// Datum is the zero that a water level is counted from. Levels of different
// data never compare.
type Datum string

// The data in use in Guangdong: the national one of 1985, the Pearl River's,
// and a gauge's own zero.
const (
	Datum1985       Datum = "1985"
	DatumPearlRiver Datum = "pearl-river"
	DatumLocal      Datum = "local"
)
