package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// Opts are the site's bounds. They are data; Validate proves them.
type Opts struct {
	Entries int `yaml:"entries"`
	Bytes   int `yaml:"bytes"`
	// One is the most that a single message may have.
	One int `yaml:"one"`
	// Top is the highest level that a claim can have; what claims it is never dropped.
	Top int `yaml:"top"`
	// Doubt is how many false claims in a row make a way doubtful; a doubtful way may
	// bring Rate messages a second.
	Doubt int     `yaml:"doubt"`
	Rate  float64 `yaml:"rate"`
	// Retry is when who found no room is asked to come again.
	Retry point.Span `yaml:"retry"`
	Ways  []Way      `yaml:"ways"`
}

// Way is a way in and its share of the queue.
type Way struct {
	Name    string `yaml:"name"`
	Rank    int    `yaml:"rank"` // higher first among equals
	Entries int    `yaml:"entries"`
	Bytes   int    `yaml:"bytes"`
}

// DefaultOpts fit a village's box; the ways are the site's.
func DefaultOpts(ways ...Way) Opts {
	return Opts{Entries: 512, Bytes: 5 << 20, One: 1 << 20, Top: 4, Doubt: 3, Rate: 2, Retry: point.Span(time.Second), Ways: ways}
}

// Validate names what cannot be.
func (o Opts) Validate() error {
	if o.Entries < 1 || o.One < 1 || o.Bytes < o.One || o.Top < 0 || o.Doubt < 1 || !(o.Rate > 0) || o.Retry <= 0 || len(o.Ways) == 0 {
		return phrase.E("intake.opts", "entries", o.Entries, "bytes", o.Bytes, "one", o.One)
	}
	entries, bytes := 0, 0
	seen := map[string]bool{}
	for _, w := range o.Ways {
		if w.Name == "" || seen[w.Name] || w.Entries < 1 || w.Bytes < o.One {
			return phrase.E("intake.opts_way", "way", w.Name, "one", o.One)
		}
		seen[w.Name] = true
		entries += w.Entries
		bytes += w.Bytes
	}
	// A way's quota is its own only if the others cannot take it.
	if entries > o.Entries || bytes > o.Bytes {
		return phrase.E("intake.opts_quota", "entries", entries, "bytes", bytes, "most_entries", o.Entries, "most_bytes", o.Bytes)
	}
	return nil
}

// Busy says that there is no room now. The message is not lost: whoever has it
// keeps it and comes again.
type Busy struct {
	Retry time.Duration
	Err   *phrase.Error
}

// Error gives the reason in English.
func (b *Busy) Error() string { return b.Err.Error() }

// Unwrap gives the reason.
func (b *Busy) Unwrap() error { return b.Err }

// RetryAfter tells whether an error only means "later", and how much.
func RetryAfter(err error) (time.Duration, bool) {
	var b *Busy
	if errors.As(err, &b) {
		return b.Retry, true
	}
	return 0, false
}

// Item is a message whose turn it is. Done must be called once.
type Item struct {
	Bytes []byte
	Way   string
	// Level is what it claims.
	Level int
	At    clock.Stamp
	// Tag is what came with it by TakeFor: where its answer goes.
	Tag any

	q      *Queue
	w      *way
	seq    uint64
	answer chan error
	gone   bool
}

// Queue is the intake. It is safe from any goroutine. Use New.
type Queue struct {
	o     Opts
	clock clock.Clock

	mu      sync.Mutex
	ways    map[string]*way
	order   []*way
	entries int
	bytes   int
	seq     uint64
	wake    chan struct{}
	count   Counts
}

// way is one way's part of the queue: a line for each level.
type way struct {
	Way
	lines   [][]*Item
	entries int
	bytes   int
	lies    int           // false claims in a row
	credit  float64       // of a doubtful way
	paid    time.Duration // when credit was last counted
}

// Counts is what became of all that was brought.
type Counts struct {
	Taken, Busy, Displaced, Withdrawn, Refused int
	PeakEntries, PeakBytes                     int
}

// New makes a Queue. The options must be valid.
func New(o Opts, c clock.Clock) *Queue {
	q := &Queue{o: o, clock: c, ways: map[string]*way{}, wake: make(chan struct{}, 1)}
	for _, w := range o.Ways {
		x := &way{Way: w, lines: make([][]*Item, o.Top+1)}
		q.ways[w.Name] = x
		q.order = append(q.order, x)
	}
	return q
}

// Take brings a message and waits for its answer: what Done was given, a *Busy where
// there is no room, or the context's end, by which the message is withdrawn. The
// bytes are not copied and must not be changed meanwhile.
func (q *Queue) Take(ctx context.Context, b []byte, way string, level int) error {
	return q.TakeFor(ctx, b, way, level, nil)
}

// TakeFor is Take for a message that brings a tag to whoever verifies it.
func (q *Queue) TakeFor(ctx context.Context, b []byte, way string, level int, tag any) error {
	it, err := q.offer(b, way, level, tag)
	if err != nil {
		return err
	}
	select {
	case err := <-it.answer:
		return err
	case <-ctx.Done():
		q.withdraw(it)
		return context.Cause(ctx)
	}
}

// Offer brings a message without waiting. The error is a *Busy where it may come
// again.
func (q *Queue) Offer(b []byte, name string, level int) (*Item, error) {
	return q.offer(b, name, level, nil)
}

func (q *Queue) offer(b []byte, name string, level int, tag any) (*Item, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.ways[name]
	switch {
	case w == nil:
		q.count.Refused++
		return nil, phrase.E("intake.no_such_way", "way", name)
	case len(b) == 0 || len(b) > q.o.One:
		q.count.Refused++
		return nil, phrase.E("intake.size", "size", len(b), "most", q.o.One, "way", name)
	}
	level = max(0, min(level, q.o.Top))
	now := q.clock.Now()
	if wait := w.doubt(q.o, now.Mono); wait > 0 {
		q.count.Busy++
		return nil, &Busy{wait, phrase.E("intake.doubtful", "way", name, "wait", wait.Round(time.Second).String())}
	}
	for w.entries >= w.Entries || w.bytes+len(b) > w.Bytes || q.entries >= q.o.Entries || q.bytes+len(b) > q.o.Bytes {
		// Only what the way itself brought makes room for it: quotas add up to
		// no more than the whole.
		if !q.displace(w, level) {
			q.count.Busy++
			return nil, &Busy{q.o.Retry.Duration(), phrase.E("intake.busy", "way", name, "entries", w.entries)}
		}
	}
	q.seq++
	it := &Item{Bytes: b, Way: name, Level: level, At: now, Tag: tag, q: q, w: w, seq: q.seq, answer: make(chan error, 1)}
	w.lines[level] = append(w.lines[level], it)
	w.entries++
	w.bytes += len(b)
	q.entries++
	q.bytes += len(b)
	q.count.Taken++
	q.count.PeakEntries, q.count.PeakBytes = max(q.count.PeakEntries, q.entries), max(q.count.PeakBytes, q.bytes)
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return it, nil
}

// displace sends the newest of a way's lowest level back to its caller, if it is lower
// than level.
func (q *Queue) displace(w *way, level int) bool {
	for l := range level {
		if n := len(w.lines[l]); n > 0 {
			it := w.lines[l][n-1]
			q.remove(it, n-1)
			q.count.Displaced++
			it.answer <- &Busy{q.o.Retry.Duration(), phrase.E("intake.displaced", "way", w.Name)}
			return true
		}
	}
	return false
}

// remove takes the i-th of its line out.
func (q *Queue) remove(it *Item, i int) {
	w := it.w
	line := w.lines[it.Level]
	if i == 0 {
		line[0] = nil
		line = line[1:]
		if len(line) == 0 {
			line = nil // let go of the array that was walked along
		}
	} else {
		copy(line[i:], line[i+1:])
		line[len(line)-1] = nil
		line = line[:len(line)-1]
	}
	w.lines[it.Level] = line
	w.entries--
	w.bytes -= len(it.Bytes)
	q.entries--
	q.bytes -= len(it.Bytes)
	it.gone = true
}

func (q *Queue) withdraw(it *Item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it.gone {
		return
	}
	for i, x := range it.w.lines[it.Level] {
		if x == it {
			q.remove(it, i)
			q.count.Withdrawn++
			return
		}
	}
}

// Next gives the message whose turn it is, waiting for one until ctx ends.
func (q *Queue) Next(ctx context.Context) (*Item, error) {
	for {
		if it := q.TryNext(); it != nil {
			return it, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-q.wake:
		}
	}
}

// Wake tells one goroutine that has other work too that something may wait: it then
// asks TryNext until nothing does.
func (q *Queue) Wake() <-chan struct{} { return q.wake }

// TryNext gives the message whose turn it is, nil for none.
func (q *Queue) TryNext() *Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	for l := q.o.Top; l >= 0; l-- {
		var best *way
		for _, w := range q.order {
			if len(w.lines[l]) > 0 && (best == nil || ahead(w, best, l)) {
				best = w
			}
		}
		if best != nil {
			it := best.lines[l][0]
			q.remove(it, 0)
			return it
		}
	}
	return nil
}

// ahead tells whether a's first of a level goes before b's.
func ahead(a, b *way, level int) bool {
	return cmp.Or(cmp.Compare(min(a.lies, 1), min(b.lies, 1)), cmp.Compare(b.Rank, a.Rank),
		cmp.Compare(a.lines[level][0].seq, b.lines[level][0].seq)) < 0
}

// Done answers the caller: err is what Take gives it. verified says whether the
// message proved to be what it claimed.
func (it *Item) Done(err error, verified bool) {
	it.q.mu.Lock()
	if verified {
		it.w.lies = 0
	} else {
		it.w.lies++
	}
	it.q.mu.Unlock()
	it.answer <- err
}

// doubt gives how long a doubtful way has to wait, and counts what it brings.
func (w *way) doubt(o Opts, now time.Duration) time.Duration {
	if w.lies < o.Doubt {
		w.credit, w.paid = 1, now
		return 0
	}
	w.credit = min(1+o.Rate, w.credit+o.Rate*(now-w.paid).Seconds())
	w.paid = now
	if w.credit < 1 {
		return max(time.Millisecond, time.Duration((1-w.credit)/o.Rate*float64(time.Second)))
	}
	w.credit--
	return 0
}

// Counts gives what became of all that was brought.
func (q *Queue) Counts() Counts {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count
}

// Len gives what waits now.
func (q *Queue) Len() (entries, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.entries, q.bytes
}

// Waiting gives the highest level that waits; false for none.
func (q *Queue) Waiting() (level int, any bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for l := q.o.Top; l >= 0; l-- {
		for _, w := range q.order {
			if len(w.lines[l]) > 0 {
				return l, true
			}
		}
	}
	return 0, false
}

var _ fmt.Stringer = (*Queue)(nil)

// String says how full it is, for logs.
func (q *Queue) String() string {
	n, b := q.Len()
	return fmt.Sprintf("%d of %d messages, %d of %d bytes", n, q.o.Entries, b, q.o.Bytes)
}
