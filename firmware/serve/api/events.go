package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
)

// The stream of live values (Server-Sent Events, WHATWG HTML 9.2). One broadcaster
// looks at the box once a second for all who listen, and encodes each event once. Of
// a state only the newest is kept for a slow reader; of records up to recordsWaiting,
// and what is lost is told by a gap event, after which the reader asks the journal.
// Where nobody listens it rests.
const (
	eventsEvery    = time.Second
	recordsWaiting = 64
	// recordsKept are those that a reader who comes back is given by its Last-Event-ID.
	recordsKept = 256
	// So many readers are woken at once, and the next so much later: two hundred who write at the same moment
	// would be a queue before who warns people, and what they tell of is what has just begun.
	wokenAtOnce = 8
	wokenEvery  = 10 * time.Millisecond
)

// kinds are the states that are broadcast, in the order in which a reader has them.
var kinds = []string{"status", "readiness", "reading", "alarms", "soundings", "faults"}

type broadcaster struct {
	s *Server

	mu      sync.Mutex
	readers map[*reader]bool
	looked  bool
	begin   sync.Once
	called  chan struct{} // somebody has come
	// whole is the newest event of each kind, part that of the readings that are new.
	whole  map[string][]byte
	bodies map[string][]byte // without the frame, to tell whether it changed
	part   []byte
	seen   map[string]string // each point's reading as it was last told
	kept   []numbered
	asleep []*reader // who has something due and is not woken yet
}

type numbered struct {
	seq int64
	b   []byte
}

// reader is one who listens. Its goroutine writes; the broadcaster only marks.
type reader struct {
	wake chan struct{}
	// due are the kinds to be written: 1 what is new, 2 the whole.
	due     map[string]int
	records [][]byte
	gap     bool
	asleep  bool
}

func newBroadcaster(s *Server) *broadcaster {
	return &broadcaster{s: s, readers: map[*reader]bool{}, called: make(chan struct{}, 1), whole: map[string][]byte{}, bodies: map[string][]byte{}, seen: map[string]string{}}
}

// join begins to listen after the record of a number, 0 for what comes from now on.
func (b *broadcaster) join(after int64) *reader {
	r := &reader{wake: make(chan struct{}, 1), due: map[string]int{}}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.looked {
		for _, k := range kinds {
			r.due[k] = 2
		}
		r.stir()
	}
	if after > 0 {
		if len(b.kept) == 0 || b.kept[0].seq > after+1 {
			r.gap = true
		} else {
			for _, n := range b.kept {
				if n.seq > after {
					r.records = append(r.records, n.b)
				}
			}
		}
		r.stir()
	}
	b.readers[r] = true
	if b.s.o.Guard == nil {
		return r
	}
	b.begin.Do(func() { b.s.o.Guard.Go(owner, "events", guard.Restart, b.run) })
	select {
	case b.called <- struct{}{}:
	default:
	}
	return r
}

func (b *broadcaster) leave(r *reader) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.readers, r)
}

func (r *reader) stir() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run tells while somebody listens, and rests in between.
func (b *broadcaster) run(ctx context.Context) error {
	for {
		if b.idle() {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-b.called:
			}
		}
		if err := b.tell(ctx); err != nil {
			return err
		}
	}
}

// tell looks at the box until nobody listens.
func (b *broadcaster) tell(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	records := make(chan Record, 16)
	after := int64(0)
	if l := b.s.box.Recent(1000); len(l) > 0 {
		for _, r := range l {
			after = max(after, r.Seq)
		}
	}
	b.s.o.Guard.GoIn(ctx, owner, "events journal", guard.Once, func(ctx context.Context) error {
		for {
			// A journal that is closed or dead gives no records; states go on being told.
			_ = b.s.box.FollowJournal(ctx, after, func(r Record) error {
				after = max(after, r.Seq)
				select {
				case records <- r:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(eventsEvery):
			}
		}
	})
	t := time.NewTicker(eventsEvery)
	defer t.Stop()
	w := time.NewTimer(0)
	defer w.Stop()
	var more <-chan time.Time
	b.look()
	for {
		if more == nil && b.wakeSome() {
			w.Reset(wokenEvery)
			more = w.C
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-more:
			more = nil
		case r := <-records:
			b.record(r)
		case <-t.C:
			if b.idle() {
				return nil
			}
			b.look()
		}
	}
}

// idle tells whether nobody listens; what was known is forgotten then.
func (b *broadcaster) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.readers) > 0 {
		return false
	}
	b.looked, b.kept = false, nil
	clear(b.whole)
	clear(b.bodies)
	clear(b.seen)
	b.asleep = nil
	return true
}

// look takes one look at the box and marks what is new for each reader.
func (b *broadcaster) look() {
	box := b.s.box
	sounds := box.Soundings()
	sounds.Now, sounds.Last = full(sounds.Now), full(sounds.Last)
	readings := full(box.Readings())
	states := map[string]any{
		"status": box.Status(), "readiness": b.s.readiness(), "reading": readings,
		"alarms": full(box.Alarms()), "soundings": sounds, "faults": full(box.Faults()),
	}
	encoded := map[string][]byte{}
	for k, v := range states {
		encoded[k] = encode(v)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	fresh := map[string]bool{}
	for _, k := range kinds {
		if k == "reading" {
			var news []Reading
			for _, r := range readings {
				key := r.At.String() + r.Quality.String()
				if id := string(r.Point); b.seen[id] != key {
					b.seen[id] = key
					news = append(news, r)
				}
			}
			fresh[k] = len(news) > 0
			if fresh[k] {
				b.part = event(k, "", encode(news))
			}
		} else {
			fresh[k] = !bytes.Equal(b.bodies[k], encoded[k])
		}
		if fresh[k] || b.whole[k] == nil {
			b.bodies[k] = encoded[k]
			b.whole[k] = event(k, "", encoded[k])
		}
	}
	first := !b.looked
	b.looked = true
	for r := range b.readers {
		for _, k := range kinds {
			switch {
			case first || fresh[k] && (k != "reading" || r.due[k] > 0):
				r.due[k] = 2
			case fresh[k]:
				r.due[k] = 1
			}
		}
		b.rouse(r)
	}
	if b.s.o.Guard == nil {
		b.wake()
	}
}

// rouse has a reader woken in its turn. The caller holds mu.
func (b *broadcaster) rouse(r *reader) {
	if !r.asleep {
		r.asleep = true
		b.asleep = append(b.asleep, r)
	}
}

// wakeSome wakes the next few, and tells whether there are more.
func (b *broadcaster) wakeSome() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wake()
}

func (b *broadcaster) wake() bool {
	n := min(wokenAtOnce, len(b.asleep))
	for _, r := range b.asleep[:n] {
		r.asleep = false
		r.stir()
	}
	b.asleep = slices.Delete(b.asleep, 0, n)
	return len(b.asleep) > 0
}

// record hands one committed record to everybody.
func (b *broadcaster) record(x Record) {
	e := event("record", strconv.FormatInt(x.Seq, 10), encode(x))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = append(b.kept, numbered{x.Seq, e})
	if n := len(b.kept) - recordsKept; n > 0 {
		b.kept = slices.Delete(b.kept, 0, n)
	}
	for r := range b.readers {
		if len(r.records) >= recordsWaiting {
			r.records, r.gap = nil, true
		}
		r.records = append(r.records, e)
		b.rouse(r)
	}
}

// take gives what is due to a reader.
func (b *broadcaster) take(r *reader) [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out [][]byte
	for _, k := range kinds {
		switch r.due[k] {
		case 1:
			out = append(out, b.part)
		case 2:
			out = append(out, b.whole[k])
		}
	}
	clear(r.due)
	if r.gap {
		out = append(out, []byte("event: gap\ndata: {}\n\n"))
		r.gap = false
	}
	out = append(out, r.records...)
	r.records = nil
	return out
}

func encode(v any) []byte {
	var w bytes.Buffer
	e := json.NewEncoder(&w)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return []byte("null")
	}
	return bytes.TrimRight(w.Bytes(), "\n")
}

// event frames one event; JSON has no line breaks of its own.
func event(kind, id string, data []byte) []byte {
	var w bytes.Buffer
	if id != "" {
		w.WriteString("id: " + id + "\n")
	}
	w.WriteString("event: " + kind + "\ndata: ")
	w.Write(data)
	w.WriteString("\n\n")
	return w.Bytes()
}

type eventsQuery struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"20" doc:"the number of the last record that was had"`
}

func (s *Server) registerEvents() {
	get(s, "/readiness", "readiness", "Whether the box could sound its worst level now, and what it stands on", s.readiness)
	add(s, access.Viewer, http.MethodGet, "/journal/recent", "journal-recent", "The newest records, oldest first", func(_ context.Context, q *recentQuery) (*body[[]Record], error) {
		return &body[[]Record]{full(s.box.Recent(q.Limit))}, nil
	})
	add(s, access.Viewer, http.MethodGet, "/events", "events", "What changes, as server-sent events: status, readiness, reading (a list of those that are new), alarms, soundings, faults, record, gap",
		func(_ context.Context, q *eventsQuery) (*huma.StreamResponse, error) {
			after, _ := strconv.ParseInt(q.LastEventID, 10, 64)
			return &huma.StreamResponse{Body: func(hc huma.Context) { s.listen(hc, after) }}, nil
		}, func(op *huma.Operation) { answers(op, "text/event-stream") })
}

// listen writes events until the reader leaves, or takes longer than Limits.Write over
// what it is given.
func (s *Server) listen(hc huma.Context, after int64) {
	req, w := humago.Unwrap(hc)
	leave, ok := s.listening.take(GrantOf(req.Context()))
	if !ok {
		w.Header().Set("Retry-After", "5")
		s.refuse(hc, problem(http.StatusServiceUnavailable, phrase.M("serve.too_many_streams")))
		return
	}
	defer leave()
	follows(req.Context())
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Time{}) // net/http tells by it of a reader that left
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	r := s.events.join(after)
	if s.o.Guard == nil { // nobody may run beside us: one look is all
		s.events.look()
	}
	defer s.events.leave(r)
	write := func(l ...[]byte) bool {
		rc.SetWriteDeadline(time.Now().Add(s.o.Limits.Write))
		for _, b := range l {
			if _, err := w.Write(b); err != nil {
				return false
			}
		}
		return rc.Flush() == nil
	}
	if !write([]byte("retry: 1000\n\n")) {
		return
	}
	for {
		select {
		case <-req.Context().Done():
			return
		case <-r.wake:
			if !write(s.events.take(r)...) {
				return
			}
		}
	}
}
