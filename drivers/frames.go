package drivers

import "time"

// FrameKind says what a frame on a line was.
type FrameKind uint8

// The kinds of frame.
const (
	// FrameAsked: a request of ours.
	FrameAsked FrameKind = iota + 1
	// FrameAnswer: the answer to the last request, a refusal among them.
	FrameAnswer
	// FrameLate: the answer to an earlier request, or a copy of one.
	FrameLate
	// FrameStray: whatever else was heard in place of an answer.
	FrameStray
)

var frameNames = [...]string{"", "asked", "answer", "late", "stray"}

// String gives the kind's code.
func (k FrameKind) String() string { return frameNames[min(int(k), len(frameNames)-1)] }

// Frame is what one party of a line sent. Its bytes are valid only during the
// call that shows it.
type Frame struct {
	// At is when its last byte was heard, or the first one handed over.
	At   time.Time
	Kind FrameKind
	// Unit and PDU (function and data) are what is inside; PDU is nil where no
	// frame could be made of the bytes.
	Unit uint8
	PDU  []byte
	// Wire are the bytes as they travel.
	Wire []byte
}

// Watched is a line that shows its frames to one watcher, in the goroutine that
// asks. Watch is called before the first request; the watcher must be quick.
type Watched interface{ Watch(func(Frame)) }
