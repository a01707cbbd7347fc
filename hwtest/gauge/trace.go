package gauge

import (
	"sort"
	"sync"
	"time"
)

// Event is one change of something that is on or off.
type Event struct {
	At time.Time
	On bool
}

// Trace is the history of something that is on or off. It begins off. All
// methods may be called from any goroutine.
type Trace struct {
	mu sync.Mutex
	ev []Event
}

// set notes a state from at on; the same state again is no event. An instant
// before the last one's counts as the last one's.
func (t *Trace) set(at time.Time, on bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.ev)
	if n == 0 && !on || n > 0 && t.ev[n-1].On == on {
		return false
	}
	if n > 0 && at.Before(t.ev[n-1].At) {
		at = t.ev[n-1].At
	}
	t.ev = append(t.ev, Event{at, on})
	return true
}

// Events is the whole history.
func (t *Trace) Events() []Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Event(nil), t.ev...)
}

// At tells the state at an instant.
func (t *Trace) At(at time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := sort.Search(len(t.ev), func(i int) bool { return t.ev[i].At.After(at) })
	return i > 0 && t.ev[i-1].On
}

// On tells the state now.
func (t *Trace) On() bool { return t.At(time.Now()) }

// FirstOn is when it next was on: t0 itself if it was on then. False if it was
// never on since.
func (t *Trace) FirstOn(t0 time.Time) (time.Time, bool) { return t.first(t0, true) }

// FirstOff is when it next was off: t0 itself if it was off then.
func (t *Trace) FirstOff(t0 time.Time) (time.Time, bool) { return t.first(t0, false) }

func (t *Trace) first(t0 time.Time, on bool) (time.Time, bool) {
	if t.At(t0) == on {
		return t0, true
	}
	for _, e := range t.Events() {
		if e.At.After(t0) && e.On == on {
			return e.At, true
		}
	}
	return time.Time{}, false
}

// Span is a stretch of time.
type Span struct{ From, To time.Time }

// Long is how long it lasted.
func (s Span) Long() time.Duration { return s.To.Sub(s.From) }

// Ons are the stretches in which it was on within t0 to t1, cut at both.
func (t *Trace) Ons(t0, t1 time.Time) []Span { return t.spans(t0, t1, true) }

// Offs are the stretches in which it was off within t0 to t1, cut at both.
func (t *Trace) Offs(t0, t1 time.Time) []Span { return t.spans(t0, t1, false) }

func (t *Trace) spans(t0, t1 time.Time, on bool) (out []Span) {
	if !t1.After(t0) {
		return nil
	}
	from, now := t0, t.At(t0)
	for _, e := range t.Events() {
		if !e.At.After(t0) || e.On == now {
			continue
		}
		if !e.At.Before(t1) {
			break
		}
		if now == on {
			out = append(out, Span{from, e.At})
		}
		from, now = e.At, e.On
	}
	if now == on {
		out = append(out, Span{from, t1})
	}
	return out
}

// OnBetween is for how long it was on within t0 to t1.
func (t *Trace) OnBetween(t0, t1 time.Time) (d time.Duration) {
	for _, s := range t.Ons(t0, t1) {
		d += s.Long()
	}
	return d
}

// LongestOff is the longest stretch off within t0 to t1, cut at both.
func (t *Trace) LongestOff(t0, t1 time.Time) (d time.Duration) {
	for _, s := range t.Offs(t0, t1) {
		d = max(d, s.Long())
	}
	return d
}

// Starts is how often it went on within t0 to t1.
func (t *Trace) Starts(t0, t1 time.Time) (n int) {
	for _, e := range t.Events() {
		if e.On && !e.At.Before(t0) && !e.At.After(t1) {
			n++
		}
	}
	return n
}
