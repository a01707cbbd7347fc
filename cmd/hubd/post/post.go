package post

import (
	"context"
	"log/slog"
	"strings"
	"time"

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
	// headerNames are a warning's names in receipts, headerWith the letter that says the
	// same in another form.
	headerNames = "Tocsin-Names"
	headerWith  = "Tocsin-With"
)

// Post is the post office. Use New, then run Ledger and Watch.
type Post struct {
	js   jetstream.JetStream
	conn *nats.Conn
	file *hubfile.File
	log  *slog.Logger
	view view
}

// New makes it over an open store.
func New(e *engine.Engine, f *hubfile.File, log *slog.Logger) *Post {
	p := &Post{js: e.JS, conn: e.Conn, file: f, log: log}
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

// Short keeps what came by a narrow link: as Up, but once for each link, so that it is known by which
// it came, however much of its words fitted there.
func (p *Post) Short(ctx context.Context, s letter.Station, l *letter.Letter) error {
	if err := l.Check(); err != nil {
		return err
	}
	m := nats.NewMsg(s.Up(l.Class))
	m.Data = l.Body
	m.Header.Set(letter.HeaderID, l.ID)
	m.Header.Set(letter.HeaderLink, l.Link)
	m.Header.Set(jetstream.MsgIDHeader, byLink(s, l))
	if _, err := p.js.PublishMsg(ctx, m, jetstream.WithExpectStream(letter.StreamUp)); err != nil {
		return phrase.Wrap(err, "hubd.not_kept")
	}
	return nil
}

func byLink(s letter.Station, l *letter.Letter) string { return s.MessageID(l) + "/" + l.Link }

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

// Letters gives the letters that stations sent, of a class and since a time, and then each new
// one, until ctx ends. It is one class because older servers filter by one subject.
func (p *Post) Letters(ctx context.Context, since time.Time, class letter.Class, give func(s letter.Station, l letter.Letter, at time.Time, seq uint64)) error {
	return p.follow(ctx, letter.StreamUp, from(since, "up", class), func(m jetstream.Msg, meta *jetstream.MsgMetadata) {
		if sub, ok := letter.ParseSubject(m.Subject()); ok {
			l := letter.Letter{ID: m.Headers().Get(letter.HeaderID), Class: sub.Class, Link: m.Headers().Get(letter.HeaderLink), Body: m.Data()}
			if l.Check() == nil {
				give(sub.Station, l, meta.Timestamp.UTC(), meta.Sequence.Stream)
			}
		}
	})
}

// Sends gives what of a class the desk sent to stations since a time, and then each new letter, until ctx ends.
func (p *Post) Sends(ctx context.Context, since time.Time, class letter.Class, give func(s letter.Station, l letter.Letter, names string, at time.Time)) error {
	return p.follow(ctx, letter.StreamDown, from(since, "down", class), func(m jetstream.Msg, meta *jetstream.MsgMetadata) {
		sub, ok := letter.ParseSubject(m.Subject())
		id := m.Headers().Get(letter.HeaderID)
		if ok && letter.IsID(id) {
			give(sub.Station, letter.Letter{ID: id, Class: sub.Class, Body: m.Data()}, m.Headers().Get(headerNames), meta.Timestamp.UTC())
		}
	})
}

func from(since time.Time, way string, class letter.Class) jetstream.OrderedConsumerConfig {
	return jetstream.OrderedConsumerConfig{FilterSubjects: []string{letter.OfClass(way, class)}, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since}
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
	// Names are the warning's in receipts, as the logbook writes them; With is the letter
	// that says the same in another form.
	Names, With string
	To          []letter.Station
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
		if d.Names != "" {
			m.Header.Set(headerNames, d.Names)
		}
		if d.With != "" {
			m.Header.Set(headerWith, d.With)
		}
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
