package history

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// Point is what the history must know of a point.
type Point struct {
	// Period is how often it is read, Limit the age at which it is stale.
	Period, Limit time.Duration
	// Resolution is the step of its values in their unit: less is not told apart.
	// 0 keeps values exactly as they came.
	Resolution float64
}

// Opts says how a History works. Guard and Clock must be set; every other zero
// value means its default.
type Opts struct {
	Guard *guard.Guard
	Clock clock.Clock
	Log   *slog.Logger
	// Describe tells about a point; it is called from a goroutine of ours and must
	// not block. nil knows nothing.
	Describe func(point.ID) Point
	// Every is how long readings are gathered before they are written: 30 s.
	Every time.Duration
	// Keep is how long values are kept, Rollups how long the hourly ones: 90 days,
	// 5 years.
	Keep, Rollups time.Duration
	// Most caps the file, in bytes: 512 MiB. The oldest values go first, then
	// the oldest roll-ups.
	Most int64
	// RAM bounds what waits for the disk, in bytes: 4 MiB.
	RAM int
	// Retry and RetryMax are the first and the longest pause before a disk is
	// tried again: 1 s, 1 min.
	Retry, RetryMax time.Duration
	// Report is told each change of State, from a goroutine of ours; it must not
	// block and may be nil.
	Report func(ok bool, why phrase.Message)
}

func (o Opts) withDefaults() Opts {
	def := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Describe == nil {
		o.Describe = func(point.ID) Point { return Point{} }
	}
	if o.Report == nil {
		o.Report = func(bool, phrase.Message) {}
	}
	def(&o.Every, 30*time.Second)
	def(&o.Keep, 90*24*time.Hour)
	def(&o.Rollups, 5*365*24*time.Hour)
	def(&o.Retry, time.Second)
	def(&o.RetryMax, time.Minute)
	if o.Most <= 0 {
		o.Most = 512 << 20
	}
	if o.RAM <= 0 {
		o.RAM = 4 << 20
	}
	return o
}

// Stats counts since Open.
type Stats struct {
	// Taken readings, and those Lost: offered while the channel was full, or
	// dropped from RAM while the disk was away.
	Taken, Lost int64
	// Batches written, Failures of attempts to write.
	Batches, Failures int64
	// Damaged counts what was read and is not what was written, Replaced files
	// set aside or found gone.
	Damaged, Replaced int64
	// Waiting is how many readings wait for the disk now.
	Waiting int
}

// History keeps readings. Use Open. All methods are safe from any goroutine.
type History struct {
	dir string
	o   Opts
	run int64

	in        chan point.Reading
	wake      chan struct{} // something waits for the writer
	tried     chan struct{} // closed when the file was opened for the first time, well or not
	condemned chan *file    // a reader found this one damaged
	flush     chan chan struct{}
	closing   chan struct{}
	closeOnce sync.Once
	done      chan struct{}

	lost, damaged atomic.Int64

	mu       sync.Mutex
	now      *gathering
	pending  []*batch // sealed, not known to be in the file
	bytes    int      // of pending
	stats    Stats
	ok       bool
	why      phrase.Message
	flushed  chan struct{} // closed and replaced when pending has run empty
	fmu      sync.RWMutex  // held for reading while a query uses the file
	file     *file
	settled  bool // State was reported once
	pruneAge int  // commits since age was looked at
}

// Open begins to keep history in a directory. It returns at once: the file is
// opened by a goroutine of the guard's. The error is for a missing Guard or Clock.
func Open(dir string, o Opts) (*History, error) {
	if o.Guard == nil || o.Clock == nil {
		return nil, errors.New("history: Guard and Clock must be set")
	}
	h := &History{
		dir: dir, o: o.withDefaults(), run: newRun(), ok: true,
		in: make(chan point.Reading, 4096), wake: make(chan struct{}, 1), tried: make(chan struct{}), condemned: make(chan *file, 1),
		flush: make(chan chan struct{}), closing: make(chan struct{}), done: make(chan struct{}), flushed: make(chan struct{}),
	}
	h.o.Guard.Go("history", "gather", guard.Restart, h.gather)
	h.o.Guard.Go("history", "writer", guard.Restart, h.write)
	return h, nil
}

// Offer hands over a reading without waiting. It is false, and counted, where
// there is no room.
func (h *History) Offer(r point.Reading) bool {
	select {
	case h.in <- r:
		return true
	default:
		h.lost.Add(1)
		return false
	}
}

// State tells whether what is taken gets written, and else why not.
func (h *History) State() (ok bool, why phrase.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ok, h.why
}

// Stats gives the counters.
func (h *History) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	s.Lost += h.lost.Load()
	s.Damaged = h.damaged.Load()
	s.Waiting = len(h.in)
	for _, b := range h.pending {
		s.Waiting += b.readings
	}
	return s
}

// Flush has what was offered so far written now and waits for it, or for ctx.
func (h *History) Flush(ctx context.Context) error {
	taken := make(chan struct{})
	select {
	case h.flush <- taken:
	case <-h.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-taken:
	case <-h.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		h.mu.Lock()
		empty, wait := len(h.pending) == 0, h.flushed
		h.mu.Unlock()
		if empty {
			return nil
		}
		select {
		case <-wait:
		case <-h.done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close writes what was taken, waiting for the disk two seconds at most.
func (h *History) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	err := h.Flush(ctx)
	h.closeOnce.Do(func() { close(h.closing) })
	select {
	case <-h.done:
	case <-ctx.Done():
	}
	return err
}

const closeWait = 2 * time.Second

// gather owns the batch that still takes readings.
func (h *History) gather(ctx context.Context) error {
	idle := time.NewTicker(max(h.o.Every/4, 100*time.Millisecond))
	defer idle.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-h.in:
			h.take(r)
		case <-idle.C:
			h.mu.Lock()
			if h.now != nil && !h.now.takes(h.o.Clock.Now(), h.o.Every) {
				h.sealNow()
			}
			h.mu.Unlock()
		case taken := <-h.flush:
			for n := len(h.in); n > 0; n-- {
				h.take(<-h.in)
			}
			h.mu.Lock()
			h.sealNow()
			h.mu.Unlock()
			close(taken)
		}
	}
}

func (h *History) take(r point.Reading) {
	if r.Point == "" || len(r.Point) > mostName || len(r.Unit) > mostName || r.At.Wall.Year() < 1970 || r.At.Wall.Year() > 2200 {
		h.lost.Add(1)
		return
	}
	p := h.o.Describe(r.Point)
	p.Period = max(0, min(p.Period, time.Hour))
	if p.Limit <= 0 {
		p.Limit = max(3*p.Period, time.Minute)
	}
	if !(p.Resolution > 0) || math.IsInf(p.Resolution, 0) {
		p.Resolution = 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now != nil && !h.now.takes(r.At, h.o.Every) {
		h.sealNow()
	}
	if h.now == nil {
		h.now = begin(h.run, r.At)
	}
	if !h.now.add(r, p) {
		h.lost.Add(1)
		return
	}
	h.stats.Taken++
}

// mostName bounds a point's name and a unit.
const mostName = 128

// sealNow ends the batch and hands it to the writer; mu is held. With no room in
// RAM the oldest goes.
func (h *History) sealNow() {
	if h.now == nil {
		return
	}
	b := h.now.seal()
	h.now = nil
	h.pending = append(h.pending, b)
	h.bytes += b.bytes
	for h.bytes > h.o.RAM && len(h.pending) > 1 {
		old := h.pending[0]
		h.pending[0] = nil
		h.pending = h.pending[1:]
		h.bytes -= old.bytes
		h.lost.Add(int64(old.readings))
	}
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// settle reports a change of state.
func (h *History) settle(ok bool, why phrase.Message) {
	h.mu.Lock()
	same := h.settled && h.ok == ok && h.why.Code == why.Code
	h.ok, h.why, h.settled = ok, why, true
	h.mu.Unlock()
	if !same {
		h.o.Report(ok, why)
	}
}
