package drivers

import (
	"context"
	"time"
)

// Output is one thing that can be switched: a coil, a GPIO line. Only the room
// sound/output may use it.
type Output interface {
	// Set switches and gives nil only where the device confirmed taking the
	// command. That proves nothing about the contact behind it.
	Set(ctx context.Context, on bool) error
	String() string
}

// Timed is an Output that goes off by itself in the device, even when this
// process or board is dead, unless it is set again.
type Timed interface {
	Output
	// SetFor switches on for d, which the device itself counts.
	SetFor(ctx context.Context, d time.Duration) error
	// Longest is the most that the device can count.
	Longest() time.Duration
}

// Sense is one thing that can be asked for its state: an input contact, a
// current switch, a key.
type Sense interface {
	// Read gives the state as it is now, never a remembered one.
	Read(ctx context.Context) (bool, error)
	String() string
}

// Edges is a Sense that can also wait for a change. A missed edge must be found
// by reading again: WaitEdge returns at the latest after poll.
type Edges interface {
	Sense
	WaitEdge(ctx context.Context, poll time.Duration) error
}
