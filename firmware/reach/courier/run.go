package courier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/keep/journal"
)

// look is how often the links are asked what they take.
const look = time.Second

// run is the scheduler: it asks the machine what to do and has it done.
func (c *Courier) run(ctx context.Context) error {
	loaded := c.o.Keep.Loaded()
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-loaded:
			loaded = nil
		case <-c.wake:
		case <-t.C:
		}
		t.Reset(c.turn(ctx))
	}
}

// turn does what is due and says when it wants to be called again.
func (c *Courier) turn(ctx context.Context) time.Duration {
	limits := map[string]Limits{}
	for name, l := range c.links {
		limits[name] = l.Limits()
	}
	now := c.o.Clock.Now()
	c.mu.Lock()
	c.restore()
	for name, l := range limits {
		c.m.SetLimits(now.Mono, name, l)
	}
	o := c.m.Turn(now.Mono)
	c.keep(now, journal.Batch{})
	c.mu.Unlock()
	for _, p := range o.Sends {
		c.o.Guard.Go("courier", "send "+p.Link, guard.Once, func(ctx context.Context) error { return c.send(ctx, p) })
	}
	for _, name := range o.Probes {
		c.o.Guard.Go("courier", "probe "+name, guard.Once, func(ctx context.Context) error { return c.probe(ctx, name) })
	}
	return max(time.Millisecond, min(look, o.Next-now.Mono))
}

// send carries out one Send; also one that panics has ended.
func (c *Courier) send(ctx context.Context, p Parcel) (err error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Rules.Links[p.Link].Send)
	defer cancel()
	err = errors.New("the send did not end well")
	defer func() {
		now := c.o.Clock.Now()
		c.mu.Lock()
		c.m.Sent(now.Mono, p.Link, p.Ticket, err)
		c.keep(now, journal.Batch{})
		c.mu.Unlock()
		c.stir()
		err = nil // it is counted, not a goroutine's failure
	}()
	err = c.links[p.Link].Send(ctx, p)
	if err != nil {
		c.o.Log.Debug("send", "link", p.Link, "parts", len(p.Parts), "err", err)
	}
	return err
}

// probe asks whether the far end is there. A link that cannot ask is believed when it
// says that it may send.
func (c *Courier) probe(ctx context.Context, name string) error {
	ok := true
	defer func() {
		now := c.o.Clock.Now()
		c.mu.Lock()
		c.m.Probed(now.Mono, name, ok)
		c.keep(now, journal.Batch{})
		c.mu.Unlock()
		c.stir()
	}()
	if p, can := c.links[name].(Prober); can {
		ok = false
		ctx, cancel := context.WithTimeout(ctx, c.o.Rules.Links[name].Probe.Within)
		defer cancel()
		ok = p.Probe(ctx) == nil
	}
	return nil
}

// receive takes a link's receipts.
func (c *Courier) receive(ctx context.Context, l Link) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case acks, open := <-l.Acks():
			if !open {
				return fmt.Errorf("the receipts of %s were closed", l.Name())
			}
			c.Taken(l.Name(), acks)
		}
	}
}
