package drivers

import (
	"context"
	"time"
)

// Sample is one value of one channel, in the unit that its driver documents.
type Sample struct {
	// Channel names what was measured in the driver's own words: "temperature",
	// "MC.1" for the first value of an SDI-12 measurement.
	Channel string
	Value   float64
	// At is when it was measured.
	At time.Time
	// Doubt is set where a number came that may not be the quantity's, such as a
	// count beside a surge: take it for suspect.
	Doubt bool
}

// Values is a chip or instrument that is asked for all of its channels at once:
// an I2C sensor, an SDI-12 probe. It is used by one goroutine at a time, its
// bus's owner. Errors are *Fault; a channel that could not be measured is an
// error or is left out, never a zero.
type Values interface {
	Measure(ctx context.Context) ([]Sample, error)
	Close() error
	String() string
}
