package post

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// Bounds of what is remembered of letters that may come by several links.
const (
	alsoMost  = 4096
	alsoLinks = 8
	alsoIn    = 5 * time.Second
)

// Copies sees each letter of the classes that go by several links at once as it is published, also those that
// JetStream drops as copies, and notes by which further links they came, until ctx ends. A note is no receipt: where
// one is lost, only a line of the page is.
func (p *Post) Copies(ctx context.Context) error {
	in := make(chan *nats.Msg, 1024)
	for _, c := range []letter.Class{letter.Warning, letter.Receipt, letter.Alarm} {
		sub, err := p.conn.ChanSubscribe(letter.OfClass("up", c), in)
		if err != nil {
			return phrase.Wrap(err, "hubd.stream", "stream", letter.StreamUp)
		}
		defer sub.Unsubscribe()
	}
	type key struct {
		s  letter.Station
		id string
	}
	seen := map[key][]string{}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-in:
			sub, ok := letter.ParseSubject(m.Subject)
			id, link := m.Header.Get(letter.HeaderID), m.Header.Get(letter.HeaderLink)
			if _, known := p.file.Stations[string(sub.Station)]; !ok || !known || !letter.IsID(id) || !letter.IsLink(link) {
				continue
			}
			k := key{sub.Station, id}
			links := seen[k]
			if contains(links, link) || len(links) >= alsoLinks {
				continue
			}
			if len(seen) >= alsoMost {
				clear(seen)
			}
			seen[k] = append(links, link)
			if len(links) == 0 && p.firstLink(ctx, k.s, id, link) == link {
				continue // the letter itself says so
			}
			n := nats.NewMsg(k.s.Also(id))
			n.Header.Set(letter.HeaderLink, link)
			n.Header.Set(jetstream.MsgIDHeader, n.Subject+"/"+link)
			in, cancel := context.WithTimeout(ctx, alsoIn)
			if _, err := p.js.PublishMsg(in, n, jetstream.WithExpectStream(letter.StreamReceipt)); err != nil {
				p.log.Warn("a copy could not be noted", "station", k.s, "id", id, "err", err)
			}
			cancel()
		}
	}
}

// firstLink is the link of a letter's receipt, where it has one from before this run.
func (p *Post) firstLink(ctx context.Context, s letter.Station, id, or string) string {
	ctx, cancel := context.WithTimeout(ctx, alsoIn)
	defer cancel()
	st, err := p.js.Stream(ctx, letter.StreamReceipt)
	if err != nil {
		return or
	}
	m, err := st.GetLastMsgForSubject(ctx, s.Kept(id))
	var r Receipt
	if err != nil || json.Unmarshal(m.Data, &r) != nil || r.Link == "" {
		return or
	}
	return r.Link
}

func contains(all []string, s string) bool {
	for _, x := range all {
		if x == s {
			return true
		}
	}
	return false
}

// OnCopy has f told of each note, from the first that is kept on. Call it before Watch.
func (p *Post) OnCopy(f func(s letter.Station, id, link string, at time.Time)) { p.view.copies = f }
