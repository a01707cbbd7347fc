package recorder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"tocsin/firmware/phrase"
)

// Held is what the other end has of a clip.
type Held struct {
	// Bytes from the begin; SHA256 of all of them, in hex, once it has the whole.
	Bytes  int64
	SHA256 string
}

// Sink is the other end of clips.
type Sink interface {
	// Have asks how much of a clip is there.
	Have(context.Context, Clip) (Held, error)
	// Put sends n bytes of a clip from offset on.
	Put(ctx context.Context, c Clip, offset, n int64, r io.Reader) error
}

// ErrRefused is what a Sink answers when the other end does not want a clip, ever.
var ErrRefused = errors.New("recorder: the other end does not want this clip")

// ForwardOpts are how clips are sent. A zero field takes its default.
type ForwardOpts struct {
	Sink Sink
	// Budget gives the bytes a second that clips may take of the links now: what live
	// pictures and everything else leave. Zero or less stops them.
	Budget func() int64
	// Chunk is the most of one Put (256 KiB): after each a newer alarm goes first.
	Chunk int64
	// After gives a channel that fires once d has passed (time.After).
	After func(time.Duration) <-chan time.Time
	// Fault is told what is wrong, and the zero Message when it is well again.
	Fault func(phrase.Message)
	// Settled is told of every clip that was delivered or is not wanted: it is written
	// down here already. It must not block.
	Settled func(Clip)
}

const (
	quantum   = 100 * time.Millisecond // between two grains of a paced clip
	idle      = 5 * time.Second        // between two looks for clips, and of a budget that is none
	dryMost   = 10 * time.Second       // that a Put waits without a budget before it is broken off
	firstAway = 2 * time.Second
	lastAway  = 2 * time.Minute
)

// errWrong is what the other end says of bytes that are not those of the hash: they have changed on this
// disk, or there is another clip of that name.
var errWrong = errors.New("recorder: the other end finds it wrong")

var errDry = errors.New("recorder: no budget left")

// Forward sends finished clips until ctx ends: the newest alarm first, from where the
// other end says it has them. A clip is delivered when that end names its hash.
func (r *Recorder) Forward(ctx context.Context, o ForwardOpts) error {
	if o.Chunk <= 0 {
		o.Chunk = 256 << 10
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Fault == nil {
		o.Fault = func(phrase.Message) {}
	}
	if o.Settled == nil {
		o.Settled = func(Clip) {}
	}
	f := &forwarder{r: r, o: o}
	for ctx.Err() == nil {
		pause := f.step(ctx)
		if pause <= 0 {
			continue
		}
		select {
		case <-ctx.Done():
		case <-o.After(pause):
		}
	}
	return nil
}

type forwarder struct {
	r     *Recorder
	o     ForwardOpts
	clip  string // that the offset is of
	at    int64
	again int // that a whole clip was there with another hash
	fails int
	told  bool
}

// step sends a part of the newest clip, and says how long to wait then.
func (f *forwarder) step(ctx context.Context) (pause time.Duration) {
	n, c := f.r.Waiting()
	if n == 0 || f.o.Budget() <= 0 {
		return idle
	}
	err := f.send(ctx, c)
	switch {
	case ctx.Err() != nil:
		return 0
	case err == nil || errors.Is(err, errDry):
		f.fails = 0
		f.tell(phrase.Message{})
		return 0
	case errors.Is(err, ErrRefused):
		c.Refused = true
		err = f.mark(c)
		if err == nil {
			f.clip = ""
			return 0
		}
	}
	if errors.Is(err, errWrong) {
		f.r.mu.Lock()
		if f.r.wrong[c.ID]++; len(f.r.wrong) > mostClips {
			clear(f.r.wrong)
		}
		f.r.mu.Unlock()
	}
	f.clip = "" // ask anew where it stands
	pause = min(firstAway<<min(f.fails, 10), lastAway)
	if f.fails++; f.fails == 3 {
		f.tell(phrase.M("recorder.forward_failed", "stream", f.r.o.Stream, "err", cause(err)))
	}
	f.r.o.Log.Info("recorder: a clip could not be sent on", "clip", c.ID, "err", err, "again_in", pause)
	return pause
}

func (f *forwarder) tell(m phrase.Message) {
	if bad := !m.IsZero(); bad != f.told {
		f.told = bad
		f.o.Fault(m)
	}
}

func (f *forwarder) send(ctx context.Context, c Clip) error {
	if f.clip != c.ID || f.at >= c.Size {
		held, err := f.o.Sink.Have(ctx, f.r.dated(c))
		if err != nil {
			return err
		}
		if held.Bytes >= c.Size && held.SHA256 == c.SHA256 {
			f.clip = ""
			c.Delivered = true
			return f.mark(c)
		}
		if f.clip != c.ID {
			f.again = 0
		}
		f.clip, f.at = c.ID, held.Bytes
		if held.Bytes >= c.Size || held.Bytes < 0 {
			// It has another file under this name: from the begin, but not for ever at once.
			f.at = 0
			if f.again++; f.again > 1 {
				return fmt.Errorf("recorder: the other end names another hash for %s: %w", c.ID, errWrong)
			}
		}
	}
	n := min(f.o.Chunk, c.Size-f.at, max(1, f.o.Budget()*2))
	bytes := clipReader{filepath.Join(f.r.kept(), c.ID), c.Pieces}
	err := f.o.Sink.Put(ctx, f.r.dated(c), f.at, n, &paced{ctx: ctx, f: f, r: io.NewSectionReader(bytes, f.at, n)})
	if err != nil {
		f.clip = ""
		return err
	}
	f.at += n
	return nil
}

// mark keeps what became of a clip.
func (f *forwarder) mark(is Clip) error {
	r := f.r
	r.mu.Lock()
	i := slices.IndexFunc(r.clips, func(c *clip) bool { return c.ID == is.ID })
	if i < 0 {
		r.mu.Unlock()
		return nil // it had to go meanwhile
	}
	c := r.clips[i]
	c.busy = true
	r.mu.Unlock()
	err := r.keepClip(is)
	r.mu.Lock()
	c.busy = false
	if err == nil {
		c.Clip = is
	}
	r.mu.Unlock()
	if err == nil {
		f.o.Settled(r.dated(is))
	}
	return err
}

// paced reads no faster than the budget of the moment.
type paced struct {
	ctx  context.Context
	f    *forwarder
	r    io.Reader
	left int64
	dry  time.Duration
}

// Read is io.Reader's.
func (p *paced) Read(b []byte) (int, error) {
	for p.left <= 0 {
		p.left = p.f.o.Budget() * int64(quantum) / int64(time.Second)
		if p.left <= 0 {
			if p.dry += quantum; p.dry > dryMost {
				return 0, errDry
			}
		}
		select {
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		case <-p.f.o.After(quantum):
		}
	}
	n, err := p.r.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	p.dry = 0
	return n, err
}
