package drivers

import (
	"context"
	"time"
)

// Timepiece is a clock that runs while the board has no power.
type Timepiece interface {
	// Time gives what it reads, in UTC. One that stood still, or that holds no date, is an error.
	Time(ctx context.Context) (time.Time, error)
	// SetTime sets it.
	SetTime(ctx context.Context, t time.Time) error
	// String names it for people who look for it.
	String() string
}

// Pulses is a receiver's line that rises when a second of UTC begins.
type Pulses interface {
	// Next waits for the next pulse and gives how long ago it rose. FaultTimeout: none came for
	// a while, which is no reason to open it again; FaultGone: it must be. One goroutine calls it.
	Next(ctx context.Context) (ago time.Duration, err error)
	Close() error
	String() string
}
