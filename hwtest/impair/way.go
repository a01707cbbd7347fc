package impair

import (
	"math/rand/v2"
	"time"
)

// Setting is what a direction does to packets. The zero value does nothing.
type Setting struct {
	// Rate is bits a second; 0: unlimited.
	Rate float64
	// Delay is how long a packet is under way, Jitter how far that varies to both sides. The order is kept.
	Delay, Jitter time.Duration
	// Loss is the share that is lost, Burst the mean length of a run of losses (1 or less: each by itself).
	Loss, Burst float64
	// Duplicate is the share that comes twice, Reorder the share that is held up by Held, so that later ones overtake it.
	Duplicate, Reorder float64
	Held               time.Duration
	// Queue is how many bytes may wait for the wire; what comes on top is dropped. 0: two seconds of the rate, at least 12,000.
	Queue int
}

// Span is a time from the link's start.
type Span struct{ From, To time.Duration }

// Count is what a direction has seen.
type Count struct {
	// Packets and Bytes were given to it, headers included; Delivered and DeliveredBytes came out, copies not counted.
	Packets, Bytes, Delivered, DeliveredBytes int64
	// Lost on the way or to a blackout, Dropped before a full queue.
	Lost, Dropped, Duplicated, Reordered int64
}

// Way is one direction. One goroutine at a time uses it. Use NewWay.
type Way struct {
	s     Setting
	rnd   *rand.Rand
	free  time.Duration // when the wire is free again
	last  time.Duration // the latest arrival
	bad   bool          // within a run of losses
	dark  []Span
	count Count
}

// NewWay makes one; the same seed loses the same packets.
func NewWay(s Setting, seed uint64) *Way {
	return &Way{s: s, rnd: rand.New(rand.NewPCG(seed, 0x1f2e3d4c5b6a7988))}
}

// Set changes what it does from now on.
func (w *Way) Set(s Setting) { w.s = s }

// Dark adds a blackout.
func (w *Way) Dark(s Span) { w.dark = append(w.dark, s) }

// Count gives what it has seen.
func (w *Way) Count() Count { return w.count }

// Send takes a packet of n bytes at an instant, not earlier than the one before, and gives when it comes out: never, once, or twice.
func (w *Way) Send(now time.Duration, n int) []time.Duration {
	w.count.Packets++
	w.count.Bytes += int64(n)
	start := max(now, w.free)
	out := start
	if w.s.Rate > 0 {
		if waiting := float64(start-now) / float64(time.Second) * w.s.Rate / 8; waiting+float64(n) > float64(w.queue()) && start > now {
			w.count.Dropped++
			return nil
		}
		out = start + time.Duration(float64(n)*8/w.s.Rate*float64(time.Second))
	}
	w.free = out
	lost := w.loses()
	at := out + w.s.Delay
	if j := w.s.Jitter; j > 0 {
		at = max(out, at+time.Duration((w.rnd.Float64()*2-1)*float64(j)))
	}
	if w.chance(w.s.Reorder) {
		w.count.Reordered++
		at += w.s.Held
	} else {
		at = max(at, w.last)
		w.last = at
	}
	for _, d := range w.dark {
		lost = lost || start < d.To && at >= d.From
	}
	if lost {
		w.count.Lost++
		return nil
	}
	w.count.Delivered++
	w.count.DeliveredBytes += int64(n)
	if w.chance(w.s.Duplicate) {
		w.count.Duplicated++
		return []time.Duration{at, at + time.Millisecond}
	}
	return []time.Duration{at}
}

const (
	queueFor   = 2 // seconds
	queueLeast = 12_000
)

func (w *Way) queue() int {
	if w.s.Queue > 0 {
		return w.s.Queue
	}
	return max(queueLeast, int(queueFor*w.s.Rate/8))
}

func (w *Way) chance(p float64) bool { return p > 0 && w.rnd.Float64() < p }

// loses is Gilbert's channel: a good state that loses nothing and a bad one that loses all.
func (w *Way) loses() bool {
	p, run := w.s.Loss, max(1, w.s.Burst)
	switch {
	case p <= 0:
		w.bad = false
		return false
	case p >= 1:
		return true
	case run == 1:
		return w.rnd.Float64() < p
	case w.bad:
		w.bad = w.rnd.Float64() >= 1/run
	default:
		w.bad = w.rnd.Float64() < p/((1-p)*run)
	}
	return w.bad
}
