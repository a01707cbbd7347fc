package post

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tocsin/cmd/hubd/engine"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// Receipt is the ledger's line for one letter that was kept, and what the
// station hears of it.
type Receipt struct {
	Class letter.Class `json:"class"`
	Link  string       `json:"link,omitempty"`
	Bytes int          `json:"bytes"`
	// Sum is the digest of the body: a station tells by it that this is its own.
	Sum string    `json:"sum"`
	Seq uint64    `json:"seq"` // in UP
	At  time.Time `json:"at"`
}

// enterIn bounds one entry: where the store was lost and came back, the answer to
// it never comes.
const enterIn = 3 * time.Second

// errAgain leaves a letter for the next round.
var errAgain = errors.New("post: the ledger could not be written")

// Ledger reads UP and writes a receipt for each letter once, until ctx ends.
func (p *Post) Ledger(ctx context.Context) error {
	c, err := p.js.Consumer(ctx, letter.StreamUp, "ledger")
	if err != nil {
		return phrase.Wrap(err, "hubd.stream", "stream", letter.StreamUp)
	}
	it, err := c.Messages(jetstream.PullMaxMessages(64))
	if err != nil {
		return phrase.Wrap(err, "hubd.stream", "stream", letter.StreamUp)
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
			return phrase.Wrap(err, "hubd.stream", "stream", letter.StreamUp)
		}
		in, cancel := context.WithTimeout(ctx, enterIn)
		err = p.enter(in, m)
		cancel()
		if err != nil {
			p.log.Error("a letter could not be entered in the ledger; it is tried again", "subject", m.Subject(), "err", err)
			_ = m.NakWithDelay(time.Second)
			continue
		}
		if err := m.Ack(); err != nil {
			p.log.Warn("ledger", "err", err) // it comes again, and is a copy
		}
	}
}

// enter writes one receipt. What can never have one is called and passed.
func (p *Post) enter(ctx context.Context, m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return errAgain
	}
	sub, ok := letter.ParseSubject(m.Subject())
	if !ok {
		p.view.odd("", oddLabel)
		return nil
	}
	s := sub.Station
	if _, known := p.file.Stations[string(s)]; !known {
		p.view.odd("", oddUnknown)
		p.log.Warn("a letter of a station that is not in the hub's file", "station", s)
		return nil
	}
	l := letter.Letter{ID: m.Headers().Get(letter.HeaderID), Class: sub.Class, Link: m.Headers().Get(letter.HeaderLink), Body: m.Data()}
	msgID := m.Headers().Get(jetstream.MsgIDHeader)
	short := msgID == byLink(s, &l)
	if l.Check() != nil || !short && msgID != s.MessageID(&l) {
		p.view.odd(s, oddLabel)
		p.log.Error("a letter's outside does not agree with its inside: it is kept without a receipt", "station", s, "seq", meta.Sequence.Stream)
		return nil
	}
	r := Receipt{l.Class, l.Link, len(l.Body), letter.Sum(l.Body), meta.Sequence.Stream, meta.Timestamp.UTC()}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	msg := nats.NewMsg(s.Kept(l.ID))
	msg.Data = b
	_, err = p.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(letter.StreamReceipt), jetstream.WithExpectLastSequencePerSubject(0))
	if engine.Copy(err) {
		return p.copied(ctx, s, &l, &r, short)
	}
	return err
}

// copied tells a copy from an id that was used twice. A short form is cut to what each link
// holds: another by another link is a copy.
func (p *Post) copied(ctx context.Context, s letter.Station, l *letter.Letter, r *Receipt, short bool) error {
	st, err := p.js.Stream(ctx, letter.StreamReceipt)
	if err != nil {
		return err
	}
	m, err := st.GetLastMsgForSubject(ctx, s.Kept(l.ID))
	if err != nil {
		return err
	}
	var first Receipt
	if err := json.Unmarshal(m.Data, &first); err != nil {
		return err
	}
	switch {
	case first.Seq == r.Seq: // our own, from before a restart
	case (first.Sum == r.Sum || short && first.Link != r.Link) && first.Class == r.Class:
		p.view.copy(s)
	default:
		p.view.odd(s, oddTwice)
		p.log.Error("a station used an id for two letters: the second is kept without a receipt", "station", s, "id", l.ID, "first", first.Seq, "second", r.Seq)
	}
	return nil
}
