package drivers

import (
	"context"
	"time"
)

// Format is a format of sound: signed 16-bit little-endian samples, interleaved.
type Format struct {
	Rate     int // samples a second of one channel
	Channels int
}

// Player is a way out for sound: an ALSA card, a file that the bench listens to.
// Only the room sound/output may use it.
type Player interface {
	// Open prepares to play. Only one Stream is open at a time.
	Open(ctx context.Context, f Format) (Stream, error)
	String() string
}

// Stream is a Player that plays.
type Stream interface {
	// Write plays interleaved samples. It blocks for as long as the device's
	// buffer is full, which holds at most about 100 ms, so that Drop is heard
	// at once. Errors are *Fault.
	Write(ctx context.Context, pcm []int16) error
	// Delay gives how long it takes until a sample written now is heard.
	Delay() time.Duration
	// Drain waits until all is heard, then closes.
	Drain(ctx context.Context) error
	// Drop falls silent at once and closes.
	Drop() error
}
