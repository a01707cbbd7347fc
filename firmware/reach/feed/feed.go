package feed

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// Feed is one polled feed. Use New, then Run.
type Feed struct {
	o       Opts
	url     *url.URL
	client  *client
	judged  *judged
	started clock.Stamp

	// Only Run's goroutine has these.
	etag, modified string
	pending        []item
	more           bool
	polls          int
	failures       int

	telling sync.Mutex // one fault is told at a time, in order
	told    map[string]phrase.Message

	mu     sync.Mutex
	status Status
	last   error // of the last poll
}

// Status is what the page shows of a feed.
type Status struct {
	Name string `json:"name"`
	// Host is where it is asked; the rest of the address may hold a token.
	Host string `json:"host"`
	// LastGood is the last whole answer, LastTried the last poll; zero: never.
	LastGood  clock.Stamp `json:"last_good"`
	LastTried clock.Stamp `json:"last_tried"`
	// Fetched counts the documents that were judged since the start; Entries are
	// those of the last answer, Pending wait still, Without held no alert.
	Fetched int    `json:"fetched"`
	Entries int    `json:"entries"`
	Pending int    `json:"pending"`
	Without int    `json:"without"`
	ETag    string `json:"etag,omitempty"`
	// Last is why the last poll got no good answer, Fault what is called.
	Last  phrase.Message `json:"last"`
	Fault phrase.Message `json:"fault"`
}

// item is an entry that is not judged yet.
type item struct {
	entry
	tries int // that failed
	next  int // the poll of the next one
	why   error
	never bool // nothing that time could mend
}

// Status gives the present state.
func (f *Feed) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.status
	s.Name, s.Host = f.o.Name, f.url.Host
	if f.last != nil {
		s.Last = phrase.Of(f.last)
	}
	return s
}

// Run polls until ctx ends. A second goroutine watches over the silence, so that
// it is told also while a poll hangs.
func (f *Feed) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	f.o.Start("feed "+f.o.Name+" silence", func() {
		defer close(watched)
		for wait(ctx, f.o.After(max(f.o.SilentAfter/8, time.Second))) {
			f.watch()
		}
	})
	defer func() { cancel(); <-watched; f.client.http.CloseIdleConnections() }()
	for {
		if !wait(ctx, f.o.After(f.poll(ctx))) {
			return ctx.Err()
		}
	}
}

func wait(ctx context.Context, c <-chan time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-c:
		return ctx.Err() == nil
	}
}

// poll asks once, hands on what is new, and gives the pause until the next.
func (f *Feed) poll(ctx context.Context) time.Duration {
	f.polls++
	f.mu.Lock()
	f.status.LastTried = f.o.Clock.Now()
	f.mu.Unlock()
	retry, err := f.look(ctx)
	if ctx.Err() != nil {
		f.judged.save()
		return f.o.Every
	}
	f.mu.Lock()
	f.last = err
	f.mu.Unlock()
	f.handOn(ctx)
	f.judged.save()
	f.watch()
	if err == nil {
		f.failures = 0
		// A tenth to either side, so that a county's boxes do not ask as one.
		return time.Duration(float64(f.o.Every) * (0.9 + 0.2*f.o.Rand()))
	}
	f.o.Log.Warn("feed gave no good answer", "feed", f.o.Name, "err", err)
	f.failures++
	pause := f.o.Every << min(f.failures-1, 5)
	pause = min(pause, max(f.o.Every, 5*time.Minute))
	return max(time.Duration(float64(pause)*(0.5+0.5*f.o.Rand())), retry)
}

// look asks the server and notes what it shows.
func (f *Feed) look(ctx context.Context) (retry time.Duration, err error) {
	a, err := f.client.get(ctx, f.url, "application/atom+xml, application/rss+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1", f.etag, f.modified, f.o.Limits.Body)
	if err != nil {
		return 0, err
	}
	defer a.close()
	switch {
	case a.status == http.StatusNotModified && f.etag+f.modified != "":
		f.good()
		return 0, nil
	case a.status != http.StatusOK:
		return a.retry, phrase.E("feed.status", "status", a.status)
	}
	p, err := parse(a.body, a.url, f.o.Limits, func(k key) bool { return !f.judged.has(k) })
	f.note(p, err == nil)
	if err != nil {
		return 0, err
	}
	f.etag, f.modified = a.etag, a.modified
	f.judged.shown(p.shown, f.o.Limits.Absent)
	f.mu.Lock()
	f.status.Entries, f.status.Without, f.status.ETag = len(p.shown), p.without, a.etag
	f.mu.Unlock()
	f.good()
	return 0, nil
}

// good notes a good answer and clears the silence at once: the documents may
// take long.
func (f *Feed) good() {
	f.mu.Lock()
	f.status.LastGood = f.o.Clock.Now()
	f.last = nil
	f.mu.Unlock()
	f.watch()
}

// note makes what an answer shows the list of what waits. A whole answer
// replaces the list; one that broke off only adds to it.
func (f *Feed) note(p page, whole bool) {
	old := make(map[key]int, len(f.pending))
	for i, it := range f.pending {
		old[it.key] = i
	}
	var now []item
	if !whole {
		now = f.pending
	} else {
		f.more = p.more
	}
	have := map[key]bool{}
	for _, e := range p.entries {
		i, known := old[e.key]
		if have[e.key] || known && !whole || len(now) >= f.o.Limits.Entries {
			continue
		}
		have[e.key] = true
		it := item{entry: e, why: e.why, never: e.why != nil}
		if known && !it.never {
			it.tries, it.next, it.why = f.pending[i].tries, f.pending[i].next, f.pending[i].why
		}
		if e.inline == nil && e.why == nil {
			if err := f.client.allowed(e.link); err != nil {
				it.why, it.never = err, true
			}
		}
		now = append(now, it)
	}
	f.pending = now
}

// handOn gives what waits to Take, the newest first and what failed before
// last, within the bounds of one poll.
func (f *Feed) handOn(ctx context.Context) {
	slices.SortStableFunc(f.pending, func(a, b item) int {
		if a.tries != b.tries {
			return a.tries - b.tries
		}
		return b.at.Compare(a.at)
	})
	begin := f.o.Clock.Now()
	most := max(f.o.Every, 30*time.Second)
	var left []item
	documents := 0
	for _, it := range f.pending {
		spent, _ := f.o.Clock.Now().Since(begin)
		if it.never || it.next > f.polls || ctx.Err() != nil || documents >= f.o.Limits.Documents || spent > most || f.judged.has(it.key) {
			if !f.judged.has(it.key) {
				left = append(left, it)
			}
			continue
		}
		documents++
		err := f.give(ctx, it)
		switch {
		case err == nil:
			f.judged.add(it.key)
			f.judged.bound(f.o.Limits.Entries + f.o.Limits.Absent)
			f.mu.Lock()
			f.status.Fetched++
			f.mu.Unlock()
			continue
		case errors.Is(err, ErrLater) || ctx.Err() != nil:
		default:
			f.o.Log.Warn("feed's alert could not be taken", "feed", f.o.Name, "link", shown(it.link), "err", err, "tries", it.tries+1)
			it.why = err
			it.next = f.polls + 1<<min(it.tries, 5)
			it.tries++
		}
		left = append(left, it)
	}
	f.pending = left
	f.mu.Lock()
	f.status.Pending = len(left)
	f.mu.Unlock()
	f.tell("feed "+f.o.Name+" alerts", f.unfetched())
}

// give lets Take judge one entry; nil says that it was judged.
func (f *Feed) give(ctx context.Context, it item) error {
	if it.inline != nil {
		err := f.take(ctx, it.inline)
		if errors.Is(err, ErrLater) || errors.Is(err, ErrAgain) {
			return err
		}
		if err == nil || it.link == nil || f.client.allowed(it.link) != nil {
			return nil
		}
	}
	raw, err := f.client.document(ctx, it.link)
	if err != nil {
		return err
	}
	if err := f.take(ctx, raw); errors.Is(err, ErrLater) || errors.Is(err, ErrAgain) {
		return err
	}
	return nil
}

func (f *Feed) take(ctx context.Context, raw []byte) error {
	ctx, cancel := context.WithTimeout(ctx, f.o.Limits.Judge)
	defer cancel()
	err := f.o.Take(ctx, raw, "feed "+f.o.Name)
	if err != nil && ctx.Err() != nil {
		return ErrLater // it was cut short and did not judge
	}
	return err
}

// unfetched says which alerts the feed names and the box cannot have. One
// failure alone is not told: the next poll may mend it.
func (f *Feed) unfetched() phrase.Message {
	n := 0
	var first item
	for _, it := range f.pending {
		if it.never || it.tries >= 2 {
			if n == 0 {
				first = it
			}
			n++
		}
	}
	switch {
	case n > 0:
		return phrase.M("feed.unfetched", "name", f.o.Name, "count", n, "link", shown(first.link), "why", phrase.Of(first.why))
	case f.more:
		return phrase.M("feed.too_many", "name", f.o.Name, "most", f.o.Limits.Entries)
	}
	return phrase.Message{}
}

// shown gives a link without what may be a token in it.
func shown(u *url.URL) string {
	if u == nil {
		return "-"
	}
	return cut(u.Scheme+"://"+u.Host+u.EscapedPath(), 200)
}

// watch tells the silence, and its end.
func (f *Feed) watch() {
	f.telling.Lock()
	defer f.telling.Unlock()
	f.mu.Lock()
	since := f.status.LastGood
	if since.IsZero() {
		since = f.started
	}
	silent, _ := f.o.Clock.Now().Since(since)
	var why phrase.Message
	if silent >= f.o.SilentAfter {
		last := phrase.M("feed.no_answer_yet")
		if f.last != nil {
			last = phrase.Of(f.last)
		}
		why = phrase.M("feed.silent", "name", f.o.Name, "minutes", int((f.o.SilentAfter+time.Minute-1)/time.Minute), "why", last)
	}
	f.status.Fault = why
	f.mu.Unlock()
	f.say("feed "+f.o.Name, why)
}

func (f *Feed) tell(thing string, why phrase.Message) {
	f.telling.Lock()
	defer f.telling.Unlock()
	f.say(thing, why)
}

// say tells what differs from what was told last.
func (f *Feed) say(thing string, why phrase.Message) {
	if f.told[thing].In(phrase.EN) == why.In(phrase.EN) {
		return
	}
	f.told[thing] = why
	f.o.Fault(thing, why)
}
