package pictures

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tocsin/cmd/hubd/engine"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// The kinds of an entry.
const (
	Saw   = "view"
	Spoke = "talk"
	// Came is an alarm's clip that a station brought, Played one that an officer was shown, Went one that had
	// to go.
	Came   = "clip"
	Played = "play"
	Went   = "gone"
)

// Entry is one viewing, one time that somebody spoke, or what became of a clip.
type Entry struct {
	ID      string         `json:"id"`
	Kind    string         `json:"kind"`
	Who     string         `json:"who"`
	Roles   []string       `json:"roles,omitempty"`
	Remote  string         `json:"remote,omitempty"`
	Why     string         `json:"why"`
	Station letter.Station `json:"station"`
	Stream  string         `json:"stream,omitempty"`
	Masked  bool           `json:"masked,omitempty"` // his page covered parts of it
	Clip    string         `json:"clip,omitempty"`
	Cause   string         `json:"cause,omitempty"`  // the alarm's id there
	SHA256  string         `json:"sha256,omitempty"` // as it was read back here, and as the station told
	Bytes   int64          `json:"bytes,omitempty"`
	From    time.Time      `json:"from"`
	To      time.Time      `json:"to,omitzero"` // zero: it goes on, or its end is not known
	// Failed is why nothing came of it.
	Failed phrase.Message `json:"failed,omitzero"`

	// Running is set for one that goes on now.
	Running bool `json:"-"`
}

// Diary keeps who saw what: two messages for each in the stream SEEN, its beginning and its end. Use
// NewDiary, then Run.
type Diary struct {
	js   jetstream.JetStream
	mu   sync.Mutex
	all  map[string]*Entry
	list []string // ids, oldest first
	on   map[string]bool
}

const (
	entriesMost = 2000 // in memory, for the page
	entryMost   = 8 << 10
	readBack    = 14 * 24 * time.Hour
	writeIn     = 10 * time.Second
)

// NewDiary makes it over the hub's store.
func NewDiary(js jetstream.JetStream) *Diary {
	return &Diary{js: js, all: map[string]*Entry{}, on: map[string]bool{}}
}

// Begin keeps a beginning: nil when it is on the disk.
func (d *Diary) Begin(ctx context.Context, e Entry) error {
	d.mu.Lock()
	d.on[e.ID] = true
	d.mu.Unlock()
	err := d.write(ctx, e, "begin")
	if err != nil {
		d.mu.Lock()
		delete(d.on, e.ID)
		d.mu.Unlock()
	}
	return err
}

// End keeps an end.
func (d *Diary) End(ctx context.Context, e Entry) error {
	d.mu.Lock()
	delete(d.on, e.ID)
	d.mu.Unlock()
	return d.write(ctx, e, "end")
}

// Note keeps what has no end of its own.
func (d *Diary) Note(ctx context.Context, e Entry) error { return d.write(ctx, e, "note") }

func (d *Diary) write(ctx context.Context, e Entry, step string) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeIn)
	defer cancel()
	m := nats.NewMsg("seen." + string(e.Station) + "." + e.ID)
	m.Data = b
	m.Header.Set(jetstream.MsgIDHeader, e.ID+"/"+step)
	if _, err := d.js.PublishMsg(ctx, m, jetstream.WithExpectStream(engine.StreamSeen)); err != nil {
		return phrase.Wrap(err, "pictures.not_kept")
	}
	d.take(e)
	return nil
}

// Run reads what was kept before and what other parts write, until ctx ends.
func (d *Diary) Run(ctx context.Context) error {
	since := time.Now().Add(-readBack)
	c, err := d.js.OrderedConsumer(ctx, engine.StreamSeen, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since})
	if err != nil {
		return phrase.Wrap(err, "hubd.stream", "stream", engine.StreamSeen)
	}
	it, err := c.Messages(jetstream.PullMaxMessages(256))
	if err != nil {
		return phrase.Wrap(err, "hubd.stream", "stream", engine.StreamSeen)
	}
	defer it.Stop()
	stop := context.AfterFunc(ctx, it.Stop)
	defer stop()
	for {
		m, err := it.Next()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return phrase.Wrap(err, "hubd.stream", "stream", engine.StreamSeen)
		}
		var e Entry
		if b := m.Data(); len(b) <= entryMost && json.Unmarshal(b, &e) == nil && e.ID != "" {
			d.take(e)
		}
	}
}

// take enters what was kept. An end is never taken back by its beginning that is read after it.
func (d *Diary) take(e Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if have := d.all[e.ID]; have != nil {
		if have.To.IsZero() {
			*have = e
		}
		return
	}
	d.all[e.ID] = &e
	d.list = append(d.list, e.ID)
	if len(d.list) > entriesMost {
		delete(d.all, d.list[0])
		d.list = d.list[1:]
	}
}

// Recent gives the newest, newest first.
func (d *Diary) Recent(n int) (all []Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range slices.Backward(d.list) {
		if len(all) == n {
			break
		}
		e := *d.all[id]
		e.Running = e.To.IsZero() && d.on[id]
		all = append(all, e)
	}
	return all
}
