// Package point has the words that every room shares: what is measured
// (Quantity, Unit, Datum), what came of it (Value, Quality, Reading) and how
// bad it is (Level).
//
// A Reading without a quality does not exist, and a Reading whose quality is not
// Good never crosses a threshold, is never a silent zero, and never lowers or
// clears a level that stands (design, "What never gives way" 2).
//
// The package holds no thresholds and knows no device.
package point

import (
	"fmt"
	"math"
	"strings"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// ID names a point of a site: "<device>.<point of its profile>", e.g. "river.level".
type ID string

// Device gives the part before the first dot.
func (id ID) Device() string { d, _, _ := strings.Cut(string(id), "."); return d }

// Quality says how far a value may be trusted. Only Good decides.
type Quality uint8

// The qualities. The zero value is not a quality, so that a forgotten one shows.
const (
	// Unknown: nothing was ever measured.
	Unknown Quality = iota
	// Good: fresh, within range, plausible.
	Good
	// Suspect: a number came, but it may be another's or impossible (late
	// answer, jump, stuck, surge). It is shown, and decides nothing.
	Suspect
	// Stale: good once, older than its point allows.
	Stale
	// OutOfRange: outside what the sensor can measure.
	OutOfRange
	// SensorFault: the device itself says that it has no value.
	SensorFault
	// CommFault: no answer, or none that could be understood.
	CommFault
)

var qualityNames = [...]string{"unknown", "good", "suspect", "stale", "out_of_range", "sensor_fault", "comm_fault"}

// String gives the quality's code, e.g. "comm_fault".
func (q Quality) String() string {
	if int(q) < len(qualityNames) {
		return qualityNames[q]
	}
	return fmt.Sprintf("quality(%d)", uint8(q))
}

// Message gives the quality in words.
func (q Quality) Message() phrase.Message { return phrase.Message{Code: "quality." + q.String()} }

// MarshalText and UnmarshalText use the codes.
func (q Quality) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// UnmarshalText reads a code.
func (q *Quality) UnmarshalText(b []byte) error {
	for i, n := range qualityNames {
		if n == string(b) {
			*q = Quality(i)
			return nil
		}
	}
	return fmt.Errorf("no quality is named %q", b)
}

// Reading is one measured value of one point. Value is in Unit and meaningful
// only where Quality is Good or Suspect; it is NaN where nothing was measured.
type Reading struct {
	Point ID
	Value float64
	// Text is what a device says in letters: a serial number, a version. Its
	// Value is NaN, so that it decides nothing.
	Text    string
	Unit    Unit
	Quality Quality
	// Why says what is wrong, where Quality is not Good.
	Why phrase.Message
	// At is when the value was measured: the arrival of the last byte of the
	// answer that carried it, or of the failure.
	At clock.Stamp
}

// IsGood tells whether the reading may decide.
func (r Reading) IsGood() bool {
	return r.Quality == Good && !math.IsNaN(r.Value) && !math.IsInf(r.Value, 0)
}

// Level is a rank of danger: 0 is calm, more is worse. What each rank is called
// and shown as is data (configs/levels.yaml), not code.
type Level uint8

// Calm is the level at which nothing stands.
const Calm Level = 0
