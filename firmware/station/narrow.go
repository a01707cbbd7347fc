package station

import (
	"context"
	"errors"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/clock"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/narrow"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/serve/api"
)

// ackMost is how many acknowledgements wait before they go as a message of their own.
const ackMost = 10

// overSealed tells whether a terminal carries sealed messages of the county.
func overSealed(l config.Link) bool { return l.To != "" || l.Kind == kindSBD && l.Transmit != nil }

// openNarrow joins a terminal to the county by the pair's keys and counters.
func (s *linkRun) openNarrow(name string, l config.Link, t drivers.Terminal, u *unread) (*narrow.Link, error) {
	self, to := selfOf(l), l.To
	if self == "" {
		self = "listener" // it never sends
	}
	if l.Kind == kindSBD {
		to = "gateway"
	}
	rule := s.bp.Rows.Links[name]
	end, err := narrow.New(narrow.Opts{
		Link: name, Direction: wire.Up, Keys: s.as().All, Self: self, Peer: to, Keep: durable{s.h.journal}, Counters: s.numbers(),
		Loss: func() float64 { return s.loss(name) }, AskAfter: max(3*rule.Every, time.Minute),
	})
	if err != nil {
		return nil, err
	}
	return narrow.NewLink(narrow.LinkOpts{
		Name: name, Terminal: t, End: end, To: to, Item: shortItem, Every: rule.Every, AckAfter: rule.Ack / 3, AckMost: ackMost,
		Heard:   func(ctx context.Context, x narrow.Heard) error { return s.heard(ctx, name, l, x) },
		Compact: func(ctx context.Context, m drivers.Incoming) { s.h.heardBy(ctx, name, l, m, u) },
		Start:   s.guard.Starter("reach"),
	}), nil
}

// numbers are those of the pair, over all links.
func (s *linkRun) numbers() *narrow.Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.narrow == nil {
		s.narrow = narrow.NewCounters(durable{s.h.journal})
		s.narrow.Clock = func() (time.Time, bool) {
			now := s.h.clock.Now()
			return now.Wall, now.Trust > clock.Free
		}
	}
	return s.narrow
}

// loss is the share of messages that a link was measured to lose.
func (s *linkRun) loss(name string) float64 {
	st, _ := s.h.post.status()
	for _, l := range st.Links {
		if l.Link == name {
			return 1 - l.Delivery
		}
	}
	return 0.1
}

// shortItem is how the short form of a message goes over the air. A message without one has
// no place there.
func shortItem(p courier.Part) (wire.Item, bool) {
	if !p.Short {
		return wire.Item{}, false
	}
	switch p.Class {
	case courier.Alarm, courier.Warning: // of the box's own, red or orange
		return wire.Item{Type: wire.ItemAlarm, Bytes: p.Bytes}, true
	case courier.Receipt:
		// The outcome of an update bears its message's own name, which no receipt does.
		if u, err := wire.ReadUpdate(p.Bytes); err == nil && u.Name.String() == p.ID {
			return wire.Item{Type: wire.ItemUpdate, Bytes: p.Bytes}, true
		}
		return wire.Item{Type: wire.ItemReceipts, Bytes: p.Bytes}, true
	case courier.Telemetry:
		return wire.Item{Type: wire.ItemTelemetry, Bytes: p.Bytes}, true
	}
	return wire.Item{}, false
}

// heard acts on what the county sealed: nil says that it is done with for good, and may be
// acknowledged. A warning and a command count by their own signature all the same.
func (s *linkRun) heard(ctx context.Context, name string, l config.Link, x narrow.Heard) error {
	var busy error
	for _, i := range x.Items {
		var err error
		switch i.Type {
		case wire.ItemWarning:
			err = s.h.warnedByAir(ctx, name, l, i.Bytes)
		case wire.ItemCommand:
			if !x.Unkept {
				err = s.h.county.bring(ctx, i.Bytes, wayAir, &job{way: "link " + name, only: l.Issuers, command: true})
			}
		case wire.ItemText:
			if !x.Unkept {
				s.h.write(journal.Record{Kind: "link.text", Via: "link " + name, At: s.h.clock.Now(), Message: phrase.M("station.link_text", "link", name, "text", api.Clean(string(i.Bytes), 300))}, nil)
			}
		case wire.ItemTime:
			if !x.Unkept { // it may be an old one, heard again
				if err := s.h.times.downlink(name, i.Bytes); err != nil {
					s.h.log.Warn("the county's time was not read", "link", name, "err", err)
				}
			}
		default:
			s.h.log.Info("the county sent what this version does not know", "link", name, "item", i.Type, "bytes", len(i.Bytes))
		}
		if errors.Is(err, api.ErrBusy) {
			busy = err
		}
	}
	if busy == nil {
		busy = ctx.Err()
	}
	return busy
}
