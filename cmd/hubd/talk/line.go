package talk

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// Line carries messages between a talker and a box, at once or not at all.
type Line interface {
	Send(b []byte) error
	// Receive gives what the box sends; closed when the line is.
	Receive() <-chan []byte
	Close()
}

// waits bounds what has come of a box and was not taken.
const waits = 256

// natsLine is a line over the hub's own connection.
type natsLine struct {
	nc  *nats.Conn
	s   letter.Station
	sub *nats.Subscription
	got chan []byte
	mu  sync.Mutex
	end bool
}

// NATS opens a line to a station.
func NATS(nc *nats.Conn, s letter.Station) (Line, error) {
	l := &natsLine{nc: nc, s: s, got: make(chan []byte, waits)}
	var err error
	l.sub, err = nc.Subscribe(s.TalkUp(), func(m *nats.Msg) { l.take(m.Data) })
	if err != nil {
		return nil, phrase.Wrap(err, "hubd.talk_line")
	}
	return l, nc.Flush()
}

func (l *natsLine) take(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end || len(b) > letter.TalkMost {
		return
	}
	select {
	case l.got <- b:
	default:
	}
}

// Send gives it to every link of the station that is up.
func (l *natsLine) Send(b []byte) error { return l.nc.Publish(l.s.TalkDown(), b) }

// Receive gives what the station sends.
func (l *natsLine) Receive() <-chan []byte { return l.got }

// Close ends it.
func (l *natsLine) Close() {
	_ = l.sub.Unsubscribe()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.end {
		l.end = true
		close(l.got)
	}
}

// copyTo gives all that a line brings to f until ctx or the line ends.
func copyTo(ctx context.Context, l Line, f func([]byte) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b, ok := <-l.Receive():
			if !ok {
				return nil
			}
			if err := f(b); err != nil {
				return err
			}
		}
	}
}
