package uplink

import (
	"bytes"
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// Pictures is who pushes a station's pictures to the county, and knows which there are. It
// must not trust the hub with more than that: which streams may leave the box is its own
// to say.
type Pictures interface {
	// Push begins to send a stream, or sends it anew where it is sent already. It returns
	// when that is certain to be tried: whether pictures came, the hub sees.
	Push(ctx context.Context, p letter.Push) error
	// Stop ends that; nil also where nothing was sent.
	Stop(stream string) error
	// Bring begins to bring the clips that alarms keep, or goes on with it by a new token.
	Bring(ctx context.Context, b letter.Bring) error
	// Catalogue is what there is now.
	Catalogue() letter.Catalogue
}

// pushIn is how long a push may take to be begun: the hub waits for the answer.
const pushIn = 10 * time.Second

// asked answers one request of the hub.
func (n *NATS) asked(ctx context.Context, m *nats.Msg) {
	var out letter.Answer
	if err := n.ask(ctx, m.Data); err != nil {
		out.Error = phrase.Of(err)
	}
	if err := m.Respond(out.Bytes()); err != nil {
		n.o.Log.Warn("uplink: the hub's question about pictures is not answered", "link", n.o.Name, "err", err)
	}
}

func (n *NATS) ask(ctx context.Context, b []byte) error {
	a, err := letter.ParseAsk(b)
	if err != nil {
		return err
	}
	if a.Stop != "" {
		return n.o.Pictures.Stop(a.Stop)
	}
	ctx, cancel := context.WithTimeout(ctx, pushIn)
	defer cancel()
	if a.Bring != nil {
		a.Bring.Link = n.o.Name
		return n.o.Pictures.Bring(ctx, *a.Bring)
	}
	a.Push.Link = n.o.Name
	return n.o.Pictures.Push(ctx, *a.Push)
}

// How often the hub is told which pictures there are: at once when that changed, and
// again now and then, since nobody keeps it.
const (
	tellLook  = 2 * time.Second
	tellEvery = time.Minute
)

// Announce tells the hub which pictures the station has, until ctx ends: on each new
// connection, when it changed, and every minute.
func (n *NATS) Announce(ctx context.Context) error {
	if n.o.Pictures == nil {
		return phrase.E("uplink.no_pictures")
	}
	t := time.NewTicker(tellLook)
	defer t.Stop()
	var told []byte
	var at time.Time
	for {
		js := n.up.Load()
		if js == nil || !n.connected.Load() {
			told = nil
		} else if b, err := n.o.Pictures.Catalogue().Bytes(); err != nil {
			n.o.Log.Warn("uplink: the list of pictures", "link", n.o.Name, "err", err)
		} else if now := time.Now(); !bytes.Equal(b, told) || now.Sub(at) >= tellEvery {
			if err := (*js).Conn().Publish(n.o.Station.Told(), b); err == nil {
				told, at = b, now
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}
