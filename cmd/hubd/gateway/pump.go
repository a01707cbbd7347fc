package gateway

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/drivers"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/narrow"
	"tocsin/firmware/reach/wire"
)

const (
	pumpEach = 200 * time.Millisecond
	sendIn   = 2 * time.Minute // a satellite session at its slowest
	// ackBatch is how long an urgent acknowledgement waits for others of its station, aloneEach the least time
	// between two messages of acknowledgements alone to one station; both are longer where each message is paid for.
	ackBatch, ackBatchPaid   = 2 * time.Second, 4 * time.Second
	aloneEach, aloneEachPaid = 10 * time.Second, time.Minute
	// ackSlow is how long those of telemetry wait, unless slowMost have gathered.
	ackSlow  = 10 * time.Minute
	slowMost = 10
	// pauseFailed is before a terminal that took nothing is tried again.
	pauseFailed = 5 * time.Second
)

// outgoing is one message that is to go out, and what to do when it has.
type outgoing struct {
	m      drivers.Outgoing
	far    *far // nil: for several
	alone  bool
	sent   func()
	failed func(certain bool)
}

// pump sends what is most urgent whenever the terminal takes a message, until ctx ends.
func (n *Narrow) pump(ctx context.Context) error {
	tick := time.NewTicker(pumpEach)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-n.stir:
		}
		for n.one(ctx) {
		}
	}
}

// one sends one message; true where another may be tried at once.
func (n *Narrow) one(ctx context.Context) bool {
	l := n.o.Device.Limits()
	now := n.o.Now()
	n.mu.Lock()
	early := now.Before(n.next)
	n.mu.Unlock()
	if ctx.Err() != nil || !l.Transmit || l.Bytes <= wire.Overhead || early || now.Before(l.Next) {
		return false
	}
	in, cancel := context.WithTimeout(ctx, sendIn)
	defer cancel()
	g := n.pick(in, l.Bytes)
	if g == nil {
		return false
	}
	_, err := n.o.Device.Send(in, g.m)
	if err == nil {
		n.mu.Lock()
		n.count.Sent++
		if g.alone {
			n.count.Alone++
		}
		if g.far != nil {
			g.far.sent = n.o.Mono()
			if g.far.end.AckDue() == 0 {
				g.far.due, g.far.urgent = -1, false
			}
		}
		n.mu.Unlock()
		if g.sent != nil {
			g.sent()
		}
		return true
	}
	var fault *drivers.Fault
	certain := errors.As(err, &fault) && fault.Kind != drivers.FaultTimeout
	n.mu.Lock()
	n.count.Failed++
	n.next = now.Add(pauseFailed)
	if certain && fault.Kind == drivers.FaultEarly && fault.Until.After(now) {
		n.next = fault.Until
	}
	if certain && fault.Kind == drivers.FaultRefused && g.m.Broadcast {
		n.noGroup, n.next = true, now // one by one then
	}
	n.mu.Unlock()
	n.o.Log.Warn("the terminal did not take a message", "link", n.name, "to", g.m.To, "err", err)
	if g.failed != nil {
		g.failed(certain)
	}
	return false
}

// pick chooses the next message: warnings, commands and what was asked for of them, acknowledgements of alarms, then the rest.
func (n *Narrow) pick(ctx context.Context, most int) *outgoing {
	if g := n.warning(ctx, most); g != nil {
		return g
	}
	if g := n.queued(wire.Receipt, most); g != nil {
		return g
	}
	if o := n.command(ctx); o != nil {
		if g := n.order(ctx, o, most); g != nil {
			return g
		}
	}
	if g := n.acks(ctx, true, most); g != nil {
		return g
	}
	if g := n.ask(ctx, most); g != nil {
		return g
	}
	if g := n.queued(wire.Bulk, most); g != nil {
		return g
	}
	return n.acks(ctx, false, most)
}

// warning gives the most urgent one: to all at once, where the terminal has a broadcast and several wait.
func (n *Narrow) warning(ctx context.Context, most int) *outgoing {
	now := n.o.Now()
	for _, c := range n.due(ctx) {
		if len(c.body) > most {
			continue // the card's level is too low; the page says what it holds
		}
		n.mu.Lock()
		var ready []letter.Station
		for s, t := range c.to {
			if !now.Before(t.next) {
				ready = append(ready, s)
			}
		}
		group := !n.noGroup && len(ready) > 1 && (n.o.Terminal.Kind == hubfile.KindMesh || n.o.Terminal.Kind == hubfile.KindBeidou)
		slices.SortFunc(ready, func(a, b letter.Station) int { return cmp.Or(c.to[a].tries-c.to[b].tries, cmp.Compare(a, b)) })
		n.mu.Unlock()
		if len(ready) == 0 {
			continue
		}
		g := &outgoing{m: drivers.Outgoing{Bytes: c.body, Broadcast: group}}
		if !group {
			ready = ready[:1]
			g.far = n.far[ready[0]]
			g.m.To = g.far.to
		}
		g.sent = func() { n.went(c, ready) }
		g.failed = func(certain bool) {
			if !certain { // it may have gone out
				n.went(c, ready)
			}
		}
		return g
	}
	return nil
}

// queued gives a message that waits, of a class or a more urgent one, of the station that was served longest ago.
func (n *Narrow) queued(least wire.Class, most int) *outgoing {
	n.mu.Lock()
	defer n.mu.Unlock()
	var best *far
	for _, f := range n.far {
		for len(f.queue) > 0 && len(f.queue[0].Bytes) > most {
			f.queue = f.queue[1:] // the card was changed for a lesser one; it is asked for again
		}
		if len(f.queue) > 0 && f.queue[0].Class <= least && (best == nil || f.sent < best.sent || f.sent == best.sent && f.station < best.station) {
			best = f
		}
	}
	if best == nil {
		return nil
	}
	x := best.queue[0]
	best.queue = best.queue[1:]
	return n.frame(best, x)
}

// frame is a message to one station; what was certainly not sent goes back to the front.
func (n *Narrow) frame(f *far, x narrow.Frame) *outgoing {
	return &outgoing{m: drivers.Outgoing{To: f.to, Bytes: x.Bytes}, far: f, failed: func(certain bool) {
		if certain {
			n.mu.Lock()
			f.queue = slices.Insert(f.queue, 0, x)
			n.mu.Unlock()
		}
	}}
}

// order packs a command; its first message goes now, what is left over waits.
func (n *Narrow) order(ctx context.Context, o *order, most int) *outgoing {
	f := n.far[o.station]
	frames, err := f.end.Pack(ctx, most, []narrow.Part{{ID: o.id, Class: wire.Command, Item: o.item()}})
	n.mu.Lock()
	o.next = n.o.Now().Add(pauses[min(o.tries, len(pauses)-1)])
	o.tries++
	n.mu.Unlock()
	if err != nil {
		n.o.Log.Warn("a command does not go by this link", "link", n.name, "station", o.station, "id", o.id, "bytes", len(o.body), "err", err)
	}
	if len(frames) == 0 {
		return nil
	}
	n.mu.Lock()
	f.queue = append(f.queue, frames[1:]...)
	n.mu.Unlock()
	return n.frame(f, frames[0])
}

// paid tells whether each message costs.
func (n *Narrow) paid() bool {
	return n.o.Terminal.Kind == hubfile.KindSBD || n.o.Terminal.Kind == hubfile.KindModem
}

// acks gives a message of acknowledgements alone, for the station that waits longest.
func (n *Narrow) acks(ctx context.Context, urgent bool, most int) *outgoing {
	batch, each := ackBatch, aloneEach
	if n.paid() {
		batch, each = ackBatchPaid, aloneEachPaid
	}
	now := n.o.Mono()
	n.mu.Lock()
	var ready []*far
	for _, f := range slices.Collect(maps.Values(n.far)) {
		if f.due < 0 || f.alone >= 0 && now-f.alone < each {
			continue
		}
		waited := now - f.due
		if f.urgent && waited >= batch || !urgent && (waited >= ackSlow || f.end.AckDue() >= slowMost) {
			ready = append(ready, f)
		}
	}
	slices.SortFunc(ready, func(a, b *far) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.station, b.station)) })
	n.mu.Unlock()
	for _, f := range ready {
		if x, ok := n.hour(ctx, f, most); ok {
			n.mu.Lock()
			f.alone = now
			n.mu.Unlock()
			g := n.frame(f, x)
			g.alone = true
			return g
		}
		x, ok, err := f.end.Acks(ctx, most)
		if err != nil {
			n.o.Log.Warn("acknowledgements could not be sealed", "link", n.name, "station", f.station, "err", err)
		}
		n.mu.Lock()
		f.alone = now
		if !ok {
			f.due, f.urgent = -1, false
		}
		n.mu.Unlock()
		if ok && err == nil {
			g := n.frame(f, x)
			g.alone = true
			return g
		}
	}
	return nil
}

// ask gives a request for fragments that lack.
func (n *Narrow) ask(ctx context.Context, most int) *outgoing {
	for _, id := range slices.Sorted(maps.Keys(n.far)) {
		f := n.far[id]
		x, ok, err := f.end.Ask(ctx, most, n.o.Mono())
		if err != nil {
			n.o.Log.Warn("a request could not be sealed", "link", n.name, "station", f.station, "err", err)
		}
		if ok && err == nil {
			return n.frame(f, x)
		}
	}
	return nil
}
