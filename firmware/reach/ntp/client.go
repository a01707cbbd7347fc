package ntp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sort"
	"strings"
	"time"

	"github.com/beevik/ntp"

	"tocsin/firmware/phrase"
)

const (
	// least is a server's bound at least: what an asymmetric way hides.
	least = 2 * time.Millisecond
	// farthest is the bound from which an answer is none: RFC 5905's MAXDIST is a second, a satellite's way takes longer.
	farthest = 3 * time.Second
	// slowest is how many times slower a server is asked that complains of the rate.
	slowest = 64
)

// epoch is what the monotonic clock is counted from for the library; any time of its own era does.
var epoch = time.Unix(0, 0).UTC()

// Opts says whom to ask and how.
type Opts struct {
	// Servers are host or host:port.
	Servers []string
	// First is the pause until the first good answer; after that it grows up to Every.
	First, Every time.Duration
	// Within is how long an answer is waited for.
	Within time.Duration
	// Mono is the board's monotonic clock.
	Mono func() time.Duration
	// Tell is given the time that a majority agrees on.
	Tell func(Answer)
	// Fault is told what is wrong with a server, and with the zero message that nothing is any more.
	Fault func(server string, why phrase.Message)
	// Pause waits; nil waits for real.
	Pause func(ctx context.Context, d time.Duration) error
}

// Answer is a time that a majority agrees on.
type Answer struct {
	At    time.Duration // on the monotonic clock
	UTC   time.Time
	Bound time.Duration
	// Agreed of Answered servers.
	Agreed, Answered int
}

// Client asks. Use New.
type Client struct {
	o       Opts
	servers []*server
}

type server struct {
	name   string
	slower int  // asked once in so many rounds
	barred bool // asked no more
}

// New makes one.
func New(o Opts) *Client {
	if o.Pause == nil {
		o.Pause = func(ctx context.Context, d time.Duration) error {
			t := time.NewTimer(d)
			defer t.Stop()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-t.C:
				return nil
			}
		}
	}
	c := &Client{o: o}
	for _, s := range o.Servers {
		c.servers = append(c.servers, &server{name: s, slower: 1})
	}
	return c
}

// Run asks until ctx ends.
func (c *Client) Run(ctx context.Context) error {
	pause := c.o.First
	for round := 0; ; round++ {
		if c.ask(ctx, round) {
			pause = min(2*pause, c.o.Every)
		} else {
			pause = min(pause*3/2, c.o.Every) // the network may be back soon, and asking costs
		}
		if err := c.o.Pause(ctx, pause); err != nil {
			return err
		}
	}
}

// interval is a server's word: UTC at the monotonic zero, and how far it may be off.
type interval struct {
	s      *server
	zero   time.Duration // from epoch
	bound  time.Duration
	stands bool
}

// ask asks each server once, and tells whether a majority agreed.
func (c *Client) ask(ctx context.Context, round int) bool {
	var all []interval
	for _, s := range c.servers {
		if s.barred || round%s.slower != 0 || ctx.Err() != nil {
			continue
		}
		i, err := c.one(ctx, s)
		if err != nil {
			if ctx.Err() == nil {
				c.o.Fault(s.name, phrase.M("ntp.no_answer", "server", s.name, "why", plain(err)))
			}
			continue
		}
		if i == nil {
			continue // a kiss, which has been told
		}
		all = append(all, *i)
	}
	if len(all) == 0 {
		return false
	}
	zero, bound, n := overlap(all)
	if 2*n <= len(all) {
		for _, i := range all {
			c.o.Fault(i.s.name, phrase.M("ntp.split", "server", i.s.name, "n", len(all)))
		}
		return false
	}
	for _, i := range all {
		if i.stands {
			c.o.Fault(i.s.name, phrase.Message{})
		} else {
			c.o.Fault(i.s.name, phrase.M("ntp.false", "server", i.s.name, "by", (i.zero-zero).Abs().Round(time.Millisecond).String(), "n", n))
		}
	}
	at := c.o.Mono()
	c.o.Tell(Answer{At: at, UTC: epoch.Add(zero + at), Bound: bound, Agreed: n, Answered: len(all)})
	return true
}

// one asks one server.
func (c *Client) one(ctx context.Context, s *server) (*interval, error) {
	ctx, end := context.WithTimeout(ctx, c.o.Within)
	defer end()
	r, err := ntp.QueryWithOptions(s.name, ntp.QueryOptions{
		Timeout:       c.o.Within,
		GetSystemTime: func() time.Time { return epoch.Add(c.o.Mono()) },
		Dialer: func(_, remote string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "udp", remote)
		},
	})
	if err != nil {
		return nil, err
	}
	if r.IsKissOfDeath() {
		c.kissed(s, r.KissCode)
		return nil, nil
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	bound := max(r.RootDistance, least)
	if bound > farthest {
		return nil, fmt.Errorf("its distance is %v", bound)
	}
	if s.slower > 1 {
		s.slower /= 2
	}
	return &interval{s: s, zero: r.ClockOffset, bound: bound}, nil
}

func (c *Client) kissed(s *server, code string) {
	switch code {
	case "DENY", "RSTR":
		s.barred = true
		c.o.Fault(s.name, phrase.M("ntp.denied", "server", s.name, "code", code))
	default:
		s.slower = min(2*s.slower, slowest)
		c.o.Fault(s.name, phrase.M("ntp.slower", "server", s.name, "code", plainCode(code)))
	}
}

// overlap gives the middle of where the greatest number of intervals overlap, and marks those. Its bound
// is that of the best of them: an overlap that is narrow by chance proves nothing.
func overlap(all []interval) (zero, bound time.Duration, n int) {
	type edge struct {
		at   time.Duration
		open bool
	}
	var edges []edge
	for _, i := range all {
		edges = append(edges, edge{i.zero - i.bound, true}, edge{i.zero + i.bound, false})
	}
	sort.Slice(edges, func(a, b int) bool {
		if edges[a].at != edges[b].at {
			return edges[a].at < edges[b].at
		}
		return edges[a].open && !edges[b].open
	})
	open, from, to := 0, time.Duration(0), time.Duration(0)
	for k, e := range edges {
		if !e.open {
			open--
			continue
		}
		if open++; open > n {
			n, from, to = open, e.at, edges[k+1].at
		}
	}
	zero = from + (to-from)/2
	for k := range all {
		i := &all[k]
		if i.stands = i.zero-i.bound <= zero && zero <= i.zero+i.bound; i.stands && (bound == 0 || i.bound < bound) {
			bound = i.bound
		}
	}
	return zero, bound, n
}

// plain gives an error's words without the address, which the fault says.
func plain(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	return err.Error()
}

// plainCode keeps a server's four characters readable.
func plainCode(code string) string {
	return strings.Map(func(r rune) rune {
		if r < 'A' || r > 'Z' {
			return -1
		}
		return r
	}, code)
}
