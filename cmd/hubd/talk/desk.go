package talk

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/trust"
)

// Numbers are an issuer's command numbers: the present second, or one more than the last.
type Numbers struct {
	mu   sync.Mutex
	last uint64
}

// Next gives one that was not given before.
func (n *Numbers) Next(now time.Time) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = max(n.last+1, uint64(max(0, now.Unix())))
	return n.last
}

// Desk lets officers speak by the page, with the hub's own keys for talks.
type Desk struct {
	File    *hubfile.File
	Conn    *nats.Conn
	Signers []trust.Signer
	Go      func(name string, run func(ctx context.Context) error)
	Now     func() time.Time
	numbers Numbers
}

// officerMost bounds an officer's talk; the box's own bound holds beside it.
const officerMost = 2 * time.Minute

// Talk opens a talk of an officer by every loudspeaker of a station, as a notice.
func (d *Desk) Talk(ctx context.Context, s letter.Station, who, why string) (*Call, error) {
	if len(d.Signers) == 0 {
		return nil, phrase.E("hubd.talk_no_key")
	}
	return d.Open(ctx, Ask{Station: s, Person: who, About: phrase.Text{ZH: why}, Longest: officerMost})
}

// Open opens a talk, with the hub's keys.
func (d *Desk) Open(ctx context.Context, a Ask) (*Call, error) {
	st, ok := d.File.Stations[string(a.Station)]
	if !ok || st.Box == "" {
		return nil, phrase.E("hubd.talk_box", "station", string(a.Station))
	}
	a.Box, a.Signers, a.Counter = trust.KeyID(st.Box), d.Signers, d.numbers.Next(d.Now())
	l, err := NATS(d.Conn, a.Station)
	if err != nil {
		return nil, err
	}
	c, err := Open(ctx, l, a, Opts{Now: d.Now, Go: d.Go})
	if err != nil {
		l.Close()
		return nil, err
	}
	return c, nil
}
