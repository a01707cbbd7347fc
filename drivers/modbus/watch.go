package modbus

import (
	"time"

	"tocsin/drivers"
)

// watch shows frames to whoever watches the line.
type watch struct {
	f func(drivers.Frame)
	// dress: the line speaks ASCII.
	dress bool
}

// Watch is drivers.Watched: f sees each frame from now on. Call it before the
// first request.
func (l *Line) Watch(f func(drivers.Frame)) { l.seen.f = f }

// frame shows a whole RTU frame.
func (w *watch) frame(at time.Time, k drivers.FrameKind, b []byte) {
	if w.f == nil || len(b) < minFrame {
		return
	}
	f := drivers.Frame{At: at, Kind: k, Unit: b[0], PDU: b[1 : len(b)-2], Wire: b}
	if w.dress {
		f.Wire = dress(nil, b)
	}
	w.f(f)
}

// tcp shows a whole Modbus TCP frame.
func (w *watch) tcp(at time.Time, k drivers.FrameKind, b []byte) {
	if w.f != nil && len(b) > mbapLen {
		w.f(drivers.Frame{At: at, Kind: k, Unit: b[mbapLen-1], PDU: b[mbapLen:], Wire: b})
	}
}

// stray shows bytes of which nothing could be made.
func (w *watch) stray(at time.Time, b []byte) {
	if w.f != nil && len(b) > 0 {
		w.f(drivers.Frame{At: at, Kind: drivers.FrameStray, Wire: b})
	}
}
