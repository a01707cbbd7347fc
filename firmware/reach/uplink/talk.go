package uplink

import (
	"context"

	"github.com/nats-io/nats.go"

	"tocsin/firmware/reach/letter"
)

// talkWaits bounds what waits to go back to a talker, talkHeard what has come and was not
// taken: half a minute of voice. What is more is lost, as on the way.
const (
	talkWaits = 64
	talkHeard = 1500
)

// listen takes what a talker at the county sends. Each link of a station brings it: what comes twice
// the box tells by its numbers.
func (n *NATS) listen(nc *nats.Conn) error {
	s, err := nc.Subscribe(n.o.Station.TalkDown(), func(m *nats.Msg) {
		if len(m.Data) <= letter.TalkMost {
			n.o.Talk(m.Data, n.answerTalker)
		}
	})
	if err != nil {
		return err
	}
	return s.SetPendingLimits(talkHeard, letter.TalkMost*16)
}

// answerTalker never waits: the connection may.
func (n *NATS) answerTalker(b []byte) {
	select {
	case n.talk <- b:
	default:
	}
}

// TalkBack sends a talker what the box answers, until ctx ends.
func (n *NATS) TalkBack(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b := <-n.talk:
			if js := n.up.Load(); js != nil && n.connected.Load() {
				if err := (*js).Conn().Publish(n.o.Station.TalkUp(), b); err != nil {
					n.said.warn(n.o.Log, n.o.Name, err)
				}
			}
		}
	}
}
