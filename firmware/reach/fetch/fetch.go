// Package fetch reads a file that the county has, over a link that also carries warnings.
//
// It asks for small parts, one at a time, each so small that whoever is more urgent waits a
// second behind it at the most, and leaves the link to others for as long as a part took. It
// pauses while it may not go (a level stands, something urgent waits) and waits for a link
// that broke; what came of the place where it stands is kept, so that a break costs one part.
//
// It believes nothing of what comes: whoever reads holds it to signed sums.
package fetch

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// Opts are what a Reader needs. All but Most must be set.
type Opts struct {
	// Size is the file's.
	Size int64
	// Part gives n bytes at a place, or fewer; an error where the link or its far end failed.
	Part func(ctx context.Context, at int64, n int) ([]byte, error)
	// May tells whether it may go on now.
	May func() bool
	// Now is a monotonic clock; Sleep waits, until ctx ends.
	Now   func() time.Duration
	Sleep func(ctx context.Context, d time.Duration) error
	// Most bounds a part, in bytes.
	Most int
	// Patience is how long a link may fail without a byte before it is given up.
	Patience time.Duration
}

// Bounds of pacing.
const (
	least     = 2 << 10
	first     = 8 << 10
	quick     = 400 * time.Millisecond // a part that took less may be larger next time
	slow      = time.Second            // one that took more, smaller
	look      = time.Second
	firstWait = 2 * time.Second
	mostWait  = time.Minute
	keepMost  = 2 << 20
)

// ErrGone is wrapped where a link failed for longer than the patience, or its far end has the
// file no more.
var ErrGone = errors.New("the file cannot be fetched any more")

// Reader is an io.ReaderAt over a link, for one goroutine.
type Reader struct {
	ctx  context.Context
	o    Opts
	size int
	// at and kept are what came of the place that is being read.
	at   int64
	kept []byte
	got  atomic.Int64
}

// New makes a reader that ends with ctx.
func New(ctx context.Context, o Opts) *Reader { return &Reader{ctx: ctx, o: o, size: first} }

// Got is how many bytes came over the link.
func (r *Reader) Got() int64 { return r.got.Load() }

// ReadAt is io.ReaderAt.
func (r *Reader) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 {
		return 0, errors.New("fetch: before the beginning")
	}
	want := int(min(int64(len(p)), max(0, r.o.Size-at)))
	if at != r.at {
		r.at, r.kept = at, r.kept[:0]
	}
	for len(r.kept) < want {
		b, err := r.next(at+int64(len(r.kept)), want-len(r.kept))
		if err != nil {
			return copy(p, r.kept), err
		}
		r.kept = append(r.kept, b...)
	}
	n := copy(p, r.kept[:want])
	if len(r.kept) > keepMost {
		r.kept = nil
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// next brings some bytes, however long that takes within the patience.
func (r *Reader) next(at int64, n int) ([]byte, error) {
	wait, failing := firstWait, time.Duration(-1)
	for {
		for !r.o.May() {
			if err := r.o.Sleep(r.ctx, look); err != nil {
				return nil, err
			}
			failing = -1 // a pause is no failure
		}
		began := r.o.Now()
		ask := min(n, r.size, r.o.Most)
		b, err := r.o.Part(r.ctx, at, ask)
		took := r.o.Now() - began
		if r.ctx.Err() != nil {
			return nil, r.ctx.Err()
		}
		switch {
		case errors.Is(err, ErrGone):
			return nil, err
		case err != nil || len(b) == 0 || len(b) > ask:
			r.size = max(least, r.size/2)
			if failing < 0 {
				failing = began
			}
			if r.o.Now()-failing > r.o.Patience {
				return nil, errors.Join(ErrGone, err)
			}
			if err := r.o.Sleep(r.ctx, wait); err != nil {
				return nil, err
			}
			wait = min(2*wait, mostWait)
			continue
		case took > slow:
			r.size = max(least, r.size/2)
		case took < quick && ask == r.size:
			r.size = min(r.o.Most, 2*r.size)
		}
		r.got.Add(int64(len(b)))
		// Half of the link is others', whoever they are.
		if err := r.o.Sleep(r.ctx, took); err != nil {
			return nil, err
		}
		return b, nil
	}
}
