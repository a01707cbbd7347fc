package recorder

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"
	"tocsin/firmware/video/terms"

	"tocsin/firmware/clock"
	"tocsin/firmware/video/stream"
)

// Units are where a recording comes from: a stream's Reader.
type Units interface {
	Next(context.Context) (*stream.Unit, error)
}

var _ Units = (*stream.Reader)(nil)

// Recorder keeps one stream. Use Open.
type Recorder struct {
	o Opts

	mu      sync.Mutex
	state   terms.Recording
	segs    []*kept // of the ring, the oldest first; the last may be open
	held    map[string]*kept
	clips   []*clip
	wrong   map[string]int // how often the other end found a clip wrong
	times   times
	queue   []*fragment
	waiting int
	writing time.Duration // since when the disk is being written to, monotonic; 0: it is not

	keeper *keeper
	ripe   chan struct{}
	wake   chan struct{}
	asks   chan func()
	pumps  sync.WaitGroup
}

// Open proves the options and starts the goroutine that owns the files; it never waits
// for the disk. What is there already is read by that goroutine first, and read anew
// until it can be.
func Open(o Opts) (*Recorder, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Recorder{o: o, wake: make(chan struct{}, 1), ripe: make(chan struct{}, 1), asks: make(chan func()), held: map[string]*kept{}, times: times{}, wrong: map[string]int{}}
	r.keeper = &keeper{r: r}
	o.Go("disk", r.keeper.run)
	o.Go("clips", r.finishClips)
	return r, nil
}

func (r *Recorder) ring() string { return filepath.Join(r.o.Dir, "ring") }
func (r *Recorder) kept() string { return filepath.Join(r.o.Dir, "clips") }

// Run records what comes until there is nothing more (nil) or ctx ends. It waits for
// no disk.
func (r *Recorder) Run(ctx context.Context, from Units) error {
	r.pumps.Add(1)
	defer r.pumps.Done()
	c := &cutter{longest: r.o.Fragment, least: r.o.Fragment / 2, most: r.o.FragmentBytes}
	for {
		u, err := r.next(ctx, from, c)
		var done *fragment
		switch {
		case u != nil:
			done = c.take(u)
		case err == nil || ctx.Err() != nil || errors.Is(err, io.EOF):
			done = c.flush()
		}
		if done != nil && !r.offer(done) {
			c.skip()
		}
		r.count(c)
		switch {
		case u != nil || err == nil:
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
}

// next waits for a unit, but no longer than what is open may wait: then it gives
// neither unit nor error.
func (r *Recorder) next(ctx context.Context, from Units, c *cutter) (*stream.Unit, error) {
	due, open := c.due()
	if !open {
		return from.Next(ctx)
	}
	left := due - r.o.Clock.Now().Mono
	if left <= 0 {
		// A unit that is there already goes first: its picture may be of this fragment.
		left = time.Millisecond
	}
	waits, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	u, err := from.Next(waits)
	if err != nil && ctx.Err() == nil && waits.Err() != nil {
		return nil, nil
	}
	return u, err
}

// offer hands a fragment to the disk; false says that there was no room.
func (r *Recorder) offer(f *fragment) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting+f.room() > r.o.Buffer && r.waiting > 0 {
		r.lost(f)
		return false
	}
	r.queue = append(r.queue, f)
	r.waiting += f.room()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return true
}

// pop gives what to write next: a fragment, and those that wait behind it and go on in
// the same segment, so that a slow disk flushes once for all of them.
func (r *Recorder) pop() (fs []*fragment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, size := 0, 0
	for n < len(r.queue) {
		f := r.queue[n]
		if n > 0 && (f.gap || f.key && !r.queue[0].key || f.format != r.queue[0].format || f.from-r.queue[0].from > r.o.Segment/4 || size+f.room() > r.o.FragmentBytes) {
			break
		}
		n, size = n+1, size+f.room()
	}
	fs = slices.Clone(r.queue[:n])
	clear(r.queue[:n])
	r.queue = r.queue[n:]
	return fs
}

// popped says that fragments have left memory.
func (r *Recorder) popped(fs []*fragment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting -= rooms(fs)
}

// lost counts a fragment that could not be kept; r.mu is held.
func (r *Recorder) lost(f *fragment) {
	r.state.LostPictures += uint64(len(f.pictures))
	r.state.LostBytes += uint64(f.size)
	r.state.Lost += f.to - f.from
}

func (r *Recorder) count(c *cutter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.LostPictures += c.lostPictures
	r.state.LostBytes += c.lostBytes
	c.lostPictures, c.lostBytes = 0, 0
}

// State tells how it stands.
func (r *Recorder) State() terms.Recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.state
	s.Segments, s.Bytes = len(r.segs), r.bytes()
	s.Clips, s.ClipBytes = len(r.clips), r.clipBytes()
	s.Waiting = r.waiting
	if r.writing > 0 {
		s.Writing = max(1, r.now().Mono-r.writing)
	}
	return s
}

// bytes of the ring; r.mu is held.
func (r *Recorder) bytes() (n int64) {
	for _, k := range r.segs {
		n += k.size
	}
	return n
}

// do runs fn on the goroutine that owns the files.
func (r *Recorder) do(ctx context.Context, fn func()) error {
	done := make(chan struct{})
	select {
	case r.asks <- func() { defer close(done); fn() }:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Recorder) now() clock.Stamp { return r.o.Clock.Now() }
