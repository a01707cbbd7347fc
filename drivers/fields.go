package drivers

import (
	"context"
	"time"
)

// Record is one line of text that a sensor sent by itself or on request, cut
// into fields.
type Record struct {
	Fields []string
	// Raw is the whole line, at most 512 bytes, for the page's frame view.
	Raw string
	// At is when its last byte arrived.
	At time.Time
}

// Fields is a device that sends lines of text. Errors are *Fault: FaultGarbled
// for a line whose checksum or shape is wrong, which is never a Record.
type Fields interface {
	// Next waits for the next good record until ctx ends.
	Next(ctx context.Context) (Record, error)
	Close() error
	String() string
}
