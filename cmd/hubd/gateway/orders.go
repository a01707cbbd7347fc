package gateway

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
)

// Bounds of what goes down by one terminal.
const (
	sendsFor   = 7 * 24 * time.Hour // a warning of 78 bytes lasts no longer
	callsMost  = 64                 // warnings that are repeated at a time
	ordersMost = 256
	queueMost  = 64
	orderLasts = 6 * time.Hour
	ordersEach = 10 // times that a command is sent
	takenIn    = 5 * time.Second
	// A warning comes from the desk station by station: so long is waited for the next one, so that one broadcast
	// serves all, and no longer than gatherMost in all.
	gather     = 200 * time.Millisecond
	gatherMost = time.Second
)

// pauses are those before a warning is sent again; the last holds on.
var pauses = []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 30 * time.Minute}

// tries is how often a warning is sent to one station, or to all at once, by a kind of link:
// where each message is paid for, less often.
func tries(kind string) int {
	if kind == hubfile.KindSBD || kind == hubfile.KindModem {
		return 5
	}
	return 20
}

// call is a warning of 78 bytes on its way.
type call struct {
	id, names string
	body      []byte
	at, until time.Time
	to        map[letter.Station]*turn
	// began is when its first station was given, whole when no more are waited for.
	began, whole time.Time
}

// turn is how often a station was called.
type turn struct {
	tries int
	next  time.Time
}

// order is a sealed letter to one station: a command.
type orderKey struct {
	station letter.Station
	id      string
}

type order struct {
	orderKey
	body  []byte
	at    time.Time
	next  time.Time
	tries int
}

// give takes a letter that the desk sent.
func (n *Narrow) give(s letter.Station, l letter.Letter, names string, at time.Time) {
	if n.far[s] == nil || !n.may() {
		return
	}
	now := n.o.Now()
	switch {
	case isWarning(&l):
		until, ok := n.o.Warning(l.Body, at)
		if !ok {
			n.o.Log.Warn("78 bytes that no issuer of the hub's file signed are not sent", "link", n.name, "id", l.ID)
			return
		}
		if !now.Before(until) {
			return
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		c := n.calls[l.ID]
		if c == nil {
			c = &call{id: l.ID, names: names, body: l.Body, at: at, until: until, to: map[letter.Station]*turn{}, began: now}
			n.calls[l.ID] = c
			if len(n.calls) > callsMost {
				n.o.Log.Error("too many warnings at once: the one that ends first is not repeated any more", "link", n.name)
				first := slices.MinFunc(slices.Collect(maps.Values(n.calls)), func(a, b *call) int { return a.until.Compare(b.until) })
				delete(n.calls, first.id)
			}
		}
		if c.to[s] == nil {
			c.to[s] = &turn{next: now}
			if c.whole = now.Add(gather); c.whole.After(c.began.Add(gatherMost)) {
				c.whole = c.began.Add(gatherMost)
			}
		}
	case l.Class == letter.Command && now.Sub(at) < orderLasts:
		n.mu.Lock()
		defer n.mu.Unlock()
		k := orderKey{s, l.ID}
		if n.orders[k] == nil && len(n.orders) < ordersMost {
			n.orders[k] = &order{orderKey: k, body: l.Body, at: at, next: now}
		}
	default:
		return
	}
	n.wake()
}

// may tells whether the hub's file lets the terminal send at all.
func (n *Narrow) may() bool { return n.o.Terminal.Transmit != nil }

// acked notes that a station has kept a command.
func (n *Narrow) acked(ctx context.Context, f *far, id string) {
	n.mu.Lock()
	k := orderKey{f.station, id}
	_, ours := n.orders[k]
	n.mu.Unlock()
	if !ours {
		return
	}
	in, cancel := context.WithTimeout(ctx, takenIn)
	defer cancel()
	if err := n.o.Post.Taken(in, f.station, id, n.name); err != nil {
		n.o.Log.Warn("a command that was taken could not be noted; it is sent again", "link", n.name, "station", f.station, "err", err)
		return
	}
	n.mu.Lock()
	delete(n.orders, k)
	n.mu.Unlock()
}

// due gives the warnings of which a station's turn has come, the least often sent first; what is over, was
// taken or has its receipt is dropped.
func (n *Narrow) due(ctx context.Context) []*call {
	n.mu.Lock()
	all := slices.Collect(maps.Values(n.calls))
	news := n.news
	n.news = false
	n.mu.Unlock()
	now := n.o.Now()
	var out []*call
	for _, c := range all {
		var reached map[letter.Station]bool
		n.mu.Lock()
		again, ready := false, false
		waiting := slices.Collect(maps.Keys(c.to))
		for _, t := range c.to {
			again = again || t.tries > 0 || now.Sub(c.at) > time.Minute
			ready = ready || !now.Before(t.next) && !now.Before(c.whole)
		}
		n.mu.Unlock()
		if !ready && !news && now.Before(c.until) {
			continue
		}
		if again {
			reached = n.o.Reached(c.names)
		}
		gone := map[letter.Station]bool{}
		for _, s := range waiting {
			// The first time it goes out by all links at once.
			gone[s] = reached[s] || again && ready && n.hasTaken(ctx, s, c.id)
		}
		n.mu.Lock()
		for s, t := range c.to {
			if gone[s] || t.tries >= tries(n.o.Terminal.Kind) {
				delete(c.to, s)
			}
		}
		if len(c.to) == 0 || !now.Before(c.until) {
			delete(n.calls, c.id)
		} else if ready {
			out = append(out, c)
		}
		n.mu.Unlock()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	least := func(c *call) int {
		k := 1 << 20
		for _, t := range c.to {
			if !now.Before(t.next) {
				k = min(k, t.tries)
			}
		}
		return k
	}
	slices.SortFunc(out, func(a, b *call) int { return cmp.Or(least(a)-least(b), a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	return out
}

func (n *Narrow) hasTaken(ctx context.Context, s letter.Station, id string) bool {
	in, cancel := context.WithTimeout(ctx, takenIn)
	defer cancel()
	return n.o.Post.HasTaken(in, s, id)
}

// went notes that a warning was sent to stations.
func (n *Narrow) went(c *call, to []letter.Station) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.news = true // a receipt by another link may have been quicker
	for _, s := range to {
		if t := c.to[s]; t != nil {
			t.next = n.o.Now().Add(pauses[min(t.tries, len(pauses)-1)])
			t.tries++
		}
	}
}

// command gives the order whose turn has come.
func (n *Narrow) command(ctx context.Context) *order {
	n.mu.Lock()
	all := slices.Collect(maps.Values(n.orders))
	n.mu.Unlock()
	now := n.o.Now()
	slices.SortFunc(all, func(a, b *order) int { return cmp.Or(a.tries-b.tries, a.at.Compare(b.at)) })
	for _, o := range all {
		if now.Before(o.next) {
			continue
		}
		if o.tries >= ordersEach || now.Sub(o.at) >= orderLasts || n.hasTaken(ctx, o.station, o.id) {
			n.mu.Lock()
			delete(n.orders, o.orderKey)
			n.mu.Unlock()
			continue
		}
		return o
	}
	return nil
}

// item is the form in which a command goes.
func (o *order) item() wire.Item { return wire.Item{Type: wire.ItemCommand, Bytes: o.body} }
