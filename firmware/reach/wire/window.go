package wire

import (
	"errors"

	"tocsin/firmware/phrase"
)

// WindowSize is how far below the highest counter others may still come, since links reorder.
const WindowSize = 256

// Window takes each counter once. One goroutine uses it; the zero Window has seen nothing.
type Window struct {
	highest uint64
	seen    [WindowSize / 64]uint64 // bit n: highest-n was taken
}

// WindowState is what is kept of a Window, over power cuts.
type WindowState struct {
	Version int                     `json:"version"`
	Highest uint64                  `json:"highest"`
	Seen    [WindowSize / 64]uint64 `json:"seen"`
}

// Take takes a counter: an error says that it was taken before, or is too old to know.
func (w *Window) Take(n uint64) error {
	switch {
	case n == 0 || n > counterMost:
		return phrase.E("wire.counter_range", "counter", n)
	case n > w.highest:
		w.shift(n - w.highest)
		w.highest = n
		w.seen[0] |= 1
	case w.highest-n >= WindowSize:
		return phrase.E("wire.counter_old", "counter", n, "highest", w.highest)
	case w.has(n):
		return phrase.E("wire.counter_seen", "counter", n)
	default:
		w.set(w.highest - n)
	}
	return nil
}

// Release gives a counter back: what it came with could not be kept, and may come again.
func (w *Window) Release(n uint64) {
	if n > 0 && n <= w.highest && w.highest-n < WindowSize {
		d := w.highest - n
		w.seen[d/64] &^= 1 << (d % 64)
	}
}

// Has tells whether a counter would be refused.
func (w *Window) Has(n uint64) bool {
	return n == 0 || n > counterMost || n <= w.highest && (w.highest-n >= WindowSize || w.has(n))
}

func (w *Window) has(n uint64) bool {
	d := w.highest - n
	return w.seen[d/64]>>(d%64)&1 == 1
}

func (w *Window) set(d uint64) { w.seen[d/64] |= 1 << (d % 64) }

func (w *Window) shift(by uint64) {
	if by >= WindowSize {
		w.seen = [WindowSize / 64]uint64{}
		return
	}
	for ; by >= 64; by -= 64 {
		copy(w.seen[1:], w.seen[:len(w.seen)-1])
		w.seen[0] = 0
	}
	if by == 0 {
		return
	}
	for i := len(w.seen) - 1; i > 0; i-- {
		w.seen[i] = w.seen[i]<<by | w.seen[i-1]>>(64-by)
	}
	w.seen[0] <<= by
}

// Snapshot gives what must be kept before anything is done about what was taken.
func (w *Window) Snapshot() WindowState { return WindowState{1, w.highest, w.seen} }

// Restore takes back what was kept. What was taken since stays taken.
func (w *Window) Restore(s WindowState) error {
	if s.Version != 1 || s.Highest > counterMost || s.Highest == 0 && s.Seen != [WindowSize / 64]uint64{} {
		return phrase.E("wire.window_kept", "version", s.Version)
	}
	other := Window{s.Highest, s.Seen}
	if other.highest < w.highest {
		*w, other = other, *w
	}
	if other.highest > w.highest {
		w.shift(other.highest - w.highest)
		w.highest = other.highest
	}
	for i := range w.seen {
		w.seen[i] |= other.seen[i]
	}
	return nil
}

// Replayed tells whether an error says that a genuine message came again.
func Replayed(err error) bool {
	var e *phrase.Error
	return errors.As(err, &e) && (e.Code == "wire.counter_seen" || e.Code == "wire.counter_old")
}
