package video

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/ladder"
	"tocsin/firmware/video/recorder"
	"tocsin/firmware/video/terms"
)

// county is where the finished clips are brought, as long as the county's last token is good. It
// is the other end of every stream's forwarder.
type county struct {
	mu    sync.Mutex
	sink  *recorder.HTTPSink
	rate  int64
	until time.Duration // monotonic

	client *http.Client // and the authority that it trusts
	ca     string
}

// bringIdle is how long a connection to the county is kept between two parts.
const bringIdle = 30 * time.Second

var errUnasked = errors.New("the county has not asked for clips")

func (c *county) at() *recorder.HTTPSink {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sink
}

// Have and Put are the sink's: by the token of the moment.
func (c *county) Have(ctx context.Context, x recorder.Clip) (recorder.Held, error) {
	if s := c.at(); s != nil {
		return s.Have(ctx, x)
	}
	return recorder.Held{}, errUnasked
}

func (c *county) Put(ctx context.Context, x recorder.Clip, offset, n int64, r io.Reader) error {
	if s := c.at(); s != nil {
		return s.Put(ctx, x, offset, n, r)
	}
	return errUnasked
}

var _ recorder.Sink = (*county)(nil)

// Bring takes the county's asking over: from now on clips go there, or go on by its new token.
func (r *Relay) Bring(b terms.Bring) error {
	c := r.county
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil || c.ca != b.CA {
		client, err := clientOf(b.CA)
		if err != nil {
			return err
		}
		// One connection for all parts: a thin link has better things to carry than handshakes.
		t := client.Transport.(*http.Transport)
		t.DisableKeepAlives, t.MaxIdleConnsPerHost, t.IdleConnTimeout = false, 1, bringIdle
		c.client, c.ca = client, b.CA
	}
	c.rate, c.until = b.Rate, r.mono()+b.For
	c.sink = &recorder.HTTPSink{Base: b.URL, Client: c.client, Authorize: func(q *http.Request) error {
		q.Header.Set("Authorization", "Bearer "+b.Token)
		return nil
	}}
	return nil
}

// asked tells what clips may take at most, in bytes a second; 0: the county has not asked, or its token has ended.
func (r *Relay) asked() int64 {
	c := r.county
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sink == nil || r.mono() >= c.until {
		return 0
	}
	return c.rate
}

// bring sends a stream's clips on until ctx ends.
func (r *Relay) bring(ctx context.Context, e *entry, rec *recorder.Recorder) error {
	return rec.Forward(ctx, recorder.ForwardOpts{
		Sink: r.county, Budget: func() int64 { return r.clipBudget(e) },
		Fault: func(m phrase.Message) { r.fault("clips "+e.plan.Name, m) },
	})
}

// clipBudget is what a stream's clips may take now, in bytes a second: of all streams the newest alarm's goes
// alone; live pictures go first, and while they are thinned for want of room no clip goes.
func (r *Relay) clipBudget(e *entry) int64 {
	rate := r.asked()
	if rate <= 0 || r.turn() != e {
		return 0
	}
	r.mu.Lock()
	var all []*push
	for _, p := range r.pushes {
		all = append(all, p)
	}
	r.mu.Unlock()
	live := 0
	for _, p := range all {
		if p.decision().Rung > ladder.Main {
			return 0
		}
		live += p.session.State().Bitrate
	}
	if b := r.budget.get(); b > 0 {
		rate = min(rate, int64(max(b-live, 0))/8)
	}
	return rate
}

// turn is the stream whose clip goes next; nil where none waits.
func (r *Relay) turn() (next *entry) {
	var first recorder.Clip
	for _, e := range r.recorded() {
		if e.plan.Here {
			continue
		}
		if n, c := e.rec.Waiting(); n > 0 && (next == nil || newer(c, first)) {
			next, first = e, c
		}
	}
	return next
}

// newer tells which of two clips was pinned later: of one boot by its clock, of others by the hour.
func newer(a, b recorder.Clip) bool {
	if a.Boot == b.Boot {
		return a.At.Mono > b.At.Mono
	}
	return a.At.Wall.After(b.At.Wall)
}

// recorded are the streams that are kept, in order.
func (r *Relay) recorded() (all []*entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range r.order {
		if e := r.streams[name]; e.rec != nil {
			all = append(all, e)
		}
	}
	return all
}

// clipState is what the parent is told of all clips: a mark that changes with them, 0 until all were read; how many wait for
// the county; and whether it has asked for them.
func (r *Relay) clipState() (mark uint64, waiting int, sending bool) {
	all, kept := r.recorded(), 0
	for _, s := range r.plan.Streams {
		if s.Record && r.plan.Record != nil {
			kept++
		}
	}
	known := len(all) == kept
	for i, e := range all {
		m := e.rec.Mark()
		known = known && m != 0
		mark = mark*31 + m + uint64(i)
		if !e.plan.Here {
			n, _ := e.rec.Waiting()
			waiting += n
		}
	}
	if !known {
		return 0, waiting, r.asked() > 0
	}
	return max(mark, 1), waiting, r.asked() > 0
}

// clips are those of all streams, as the parent keeps and shows them.
func (r *Relay) clips() []terms.Clip {
	out := []terms.Clip{}
	for _, e := range r.recorded() {
		for _, c := range e.rec.Clips() {
			out = append(out, terms.Clip{ID: c.ID, Stream: c.Stream, Cause: c.Cause, Title: c.Title, Began: c.Began, First: c.First, Last: c.Last, Finished: c.Finished,
				Delivered: c.Delivered, Refused: c.Refused, Size: c.Size, SHA256: c.SHA256, Gap: c.Gap})
		}
	}
	return out
}
