package pictures

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// Link asks stations over NATS, and hears what they tell.
type Link struct{ Conn *nats.Conn }

// Ask asks one station.
func (l Link) Ask(ctx context.Context, s letter.Station, a letter.Ask) error {
	b, err := a.Bytes()
	if err != nil {
		return err
	}
	m, err := l.Conn.RequestWithContext(ctx, s.Ask(), b)
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return phrase.E("pictures.no_answer")
	case err != nil:
		return phrase.Wrap(err, "pictures.no_answer")
	}
	return letter.ParseAnswer(m.Data)
}

// Hear gives the room what stations tell, until ctx ends.
func (l Link) Hear(ctx context.Context, p *Pictures) error {
	sub, err := l.Conn.Subscribe(letter.ToldAll, func(m *nats.Msg) {
		s, ok := letter.ParseTold(m.Subject)
		if !ok {
			return
		}
		if err := p.Told(s, m.Data); err != nil {
			p.o.Log.Warn("what a station tells of its pictures cannot be read", "station", s, "err", err)
		}
	})
	if err != nil {
		return phrase.Wrap(err, "hubd.engine")
	}
	<-ctx.Done()
	_ = sub.Unsubscribe()
	return ctx.Err()
}
