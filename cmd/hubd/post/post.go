package post

import (
	"context"
	"log/slog"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tocsin/cmd/hubd/engine"
	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// Headers of the desk's letters, for the hub's own page.
const (
	headerAbout = "Tocsin-About"
	headerBy    = "Tocsin-By"
)

// Post is the post office. Use New, then run Ledger and Watch.
type Post struct {
	js   jetstream.JetStream
	file *hubfile.File
	log  *slog.Logger
	view view
}

// New makes it over an open store.
func New(e *engine.Engine, f *hubfile.File, log *slog.Logger) *Post {
	p := &Post{js: e.JS, file: f, log: log}
	p.view.make(f)
	return p
}

// Up keeps a station's letter. It returns nil when it is on the disk, also where
// it was there already; a phrase.Error of the letter's own check where it never
// will be.
func (p *Post) Up(ctx context.Context, s letter.Station, l *letter.Letter) error {
	if err := l.Check(); err != nil {
		return err
	}
	m := nats.NewMsg(s.Up(l.Class))
	m.Data = l.Body
	m.Header.Set(letter.HeaderID, l.ID)
	m.Header.Set(letter.HeaderLink, l.Link)
	m.Header.Set(jetstream.MsgIDHeader, s.MessageID(l))
	if _, err := p.js.PublishMsg(ctx, m, jetstream.WithExpectStream(letter.StreamUp)); err != nil {
		return phrase.Wrap(err, "hubd.not_kept")
	}
	return nil
}

// Taken notes that a station took a letter that was sent to it by a link.
func (p *Post) Taken(ctx context.Context, s letter.Station, id, link string) error {
	m := nats.NewMsg(s.Taken(id))
	m.Header.Set(letter.HeaderLink, link)
	m.Header.Set(jetstream.MsgIDHeader, s.Taken(id))
	if _, err := p.js.PublishMsg(ctx, m, jetstream.WithExpectStream(letter.StreamReceipt)); err != nil {
		return phrase.Wrap(err, "hubd.not_kept")
	}
	return nil
}

// HasTaken tells whether that was noted.
func (p *Post) HasTaken(ctx context.Context, s letter.Station, id string) bool {
	st, err := p.js.Stream(ctx, letter.StreamReceipt)
	if err != nil {
		return false
	}
	_, err = st.GetLastMsgForSubject(ctx, s.Taken(id))
	return err == nil
}

// Down gives a station's letters that it has not acknowledged yet, and then each
// new one, until ctx ends.
func (p *Post) Down(ctx context.Context, s letter.Station, give func(letter.Letter)) error {
	from := uint64(1)
	if c, err := p.js.Consumer(ctx, letter.StreamDown, string(s)); err == nil {
		if i, err := c.Info(ctx); err == nil {
			from = i.AckFloor.Stream + 1
		}
	}
	return p.follow(ctx, letter.StreamDown, jetstream.OrderedConsumerConfig{FilterSubjects: []string{s.DownAll()}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from},
		func(m jetstream.Msg, _ *jetstream.MsgMetadata) {
			sub, ok := letter.ParseSubject(m.Subject())
			id := m.Headers().Get(letter.HeaderID)
			if ok && letter.IsID(id) {
				give(letter.Letter{ID: id, Class: sub.Class, Body: m.Data()})
			}
		})
}

// follow reads a stream in order until ctx ends.
func (p *Post) follow(ctx context.Context, stream string, c jetstream.OrderedConsumerConfig, take func(jetstream.Msg, *jetstream.MsgMetadata)) error {
	cons, err := p.js.OrderedConsumer(ctx, stream, c)
	if err != nil {
		return phrase.Wrap(err, "hubd.stream", "stream", stream)
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(256))
	if err != nil {
		return phrase.Wrap(err, "hubd.stream", "stream", stream)
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
			return phrase.Wrap(err, "hubd.stream", "stream", stream)
		}
		meta, err := m.Metadata()
		if err != nil {
			continue
		}
		take(m, meta)
	}
}

// Dispatch is one thing that the desk sends.
type Dispatch struct {
	Letter letter.Letter
	// About names it for people, By who sent it.
	About, By string
	To        []letter.Station
}

// Send puts it into DOWN for each station, and gives those for which that
// failed with the first cause. A copy within a day is not sent twice.
func (p *Post) Send(ctx context.Context, d Dispatch) (failed []letter.Station, err error) {
	if err := d.Letter.Check(); err != nil {
		return d.To, err
	}
	for _, s := range d.To {
		m := nats.NewMsg(s.Down(d.Letter.Class))
		m.Data = d.Letter.Body
		m.Header.Set(letter.HeaderID, d.Letter.ID)
		m.Header.Set(headerAbout, plain(d.About))
		m.Header.Set(headerBy, plain(d.By))
		m.Header.Set(jetstream.MsgIDHeader, s.MessageID(&d.Letter))
		if _, e := p.js.PublishMsg(ctx, m, jetstream.WithExpectStream(letter.StreamDown)); e != nil {
			failed = append(failed, s)
			if err == nil {
				err = phrase.Wrap(e, "hubd.not_kept")
			}
		}
	}
	return failed, err
}

// plain makes a text fit for a header's value.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 120 {
		s = string(r[:120])
	}
	return strings.TrimSpace(s)
}
