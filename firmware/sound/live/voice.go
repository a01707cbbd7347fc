package live

import (
	"sync"
	"time"
)

// slotsEach is how many slots a second has: the voice is kept in pieces of 10 ms.
const slotsEach = 100

// kept is how many slots are kept: more than the most that a voice may be late by.
const kept = 128

// Why says by what a voice ended.
type Why uint8

// The ends.
const (
	Going Why = iota
	// Done: the talker ended, and all was played.
	Done
	// Quiet: nothing was said for too long.
	Quiet
	// Lost: nothing came for too long.
	Lost
	// Broken: whoever owns it ended it.
	Broken
)

// Bounds are those of the site (order.Live).
type Bounds struct {
	Hold, Most, Quiet, Lost time.Duration
	RMS, Peak, Gain, Floor  float64
}

// Opts are a voice's.
type Opts struct {
	// Rate is how many samples come a second: 8,000 or 16,000.
	Rate   int
	Bounds Bounds
	// Now is monotonic.
	Now func() time.Duration
}

// Voice is one person's voice. It is safe from any goroutine and never waits.
type Voice struct {
	o    Opts
	size int // samples of a slot

	mu     sync.Mutex
	slots  [kept]slot
	any    bool
	newest int64 // the last slot that came
	end    int64 // where the talker ended; -1 while it has not
	said   time.Duration
	came   time.Duration
	why    Why
	awake  bool
	state  State
}

type slot struct {
	n       int64 // which one, +1; 0 none
	samples []int16
}

// State is how a voice does. Of several readers the one that has got farthest is counted.
type State struct {
	// Frames are slots of 10 ms.
	Received, Played, Concealed, Late uint32
	// Skipped were left out, since they would have sounded too late.
	Skipped uint32
	// Held is what is held against jitter now, Reading that a loudspeaker reads.
	Held    time.Duration
	Reading bool
	// Begun is when the first of it was given to a loudspeaker; 0 before.
	Begun time.Duration
	Why   Why
}

// New makes a voice. Its times run from when the first of it comes, or a loudspeaker opens it.
func New(o Opts) *Voice {
	return &Voice{o: o, size: o.Rate / slotsEach, end: -1}
}

// Rate is that of its samples.
func (v *Voice) Rate() int { return v.o.Rate }

// Put gives a piece: samples from slot n on, a whole number of slots; what is over is
// left out. It may come in any order. It tells whether any of it can still be played.
func (v *Voice) Put(n int64, samples []int16) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if n < 0 || v.why != Going {
		return false
	}
	now := v.o.Now()
	v.wake(now)
	v.came = now
	good := false
	for ; len(samples) >= v.size; n, samples = n+1, samples[v.size:] {
		v.state.Received++
		if v.any && n <= v.newest-kept {
			v.state.Late++
			continue
		}
		s := &v.slots[n%kept]
		if s.n > n {
			continue // a copy, or a newer one stands there
		}
		s.n, s.samples = n+1, append(s.samples[:0], samples[:v.size]...)
		v.newest, v.any, good = max(v.newest, n), true, true
		if loud(s.samples, v.o.Bounds.Floor) {
			v.said = now
		}
	}
	return good
}

// End says that the talker ended: slots up to n are played, no more.
func (v *Voice) End(n int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.end < 0 {
		v.end = max(0, n)
	}
}

// Break ends it at once.
func (v *Voice) Break() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.why == Going {
		v.why = Broken
	}
}

// Look gives how it does, and lets time pass over it.
func (v *Voice) Look() State {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pass()
	s := v.state
	s.Why = v.why
	return s
}

// wake begins its times.
func (v *Voice) wake(now time.Duration) {
	if !v.awake {
		v.awake, v.came, v.said = true, now, now
	}
}

// pass ends what has gone quiet or got lost. Called under the lock.
func (v *Voice) pass() {
	now := v.o.Now()
	switch {
	case v.why != Going || !v.awake:
	case v.end < 0 && now-v.came >= v.o.Bounds.Lost:
		v.why = Lost
	case v.end >= 0 && now-v.came >= v.o.Bounds.Most+v.o.Bounds.Lost:
		v.why = Done // nobody read it
	case now-v.said >= v.o.Bounds.Quiet:
		v.why = Quiet
	}
}

// get gives slot n into buf: false where it has not come. Called under the lock.
func (v *Voice) get(n int64, buf []int16) bool {
	s := &v.slots[n%kept]
	if s.n != n+1 {
		return false
	}
	copy(buf, s.samples)
	return true
}
