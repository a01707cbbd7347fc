package inbox

import (
	"context"
	"time"

	"tocsin/firmware/phrase"
)

// grace is how long Run waits at its end for a look that is not known to hang.
const grace = 2 * time.Second

// Run looks until ctx ends. Each look has a goroutine of its own, one at a time:
// a disk that hangs holds that one, which cannot be freed, and nothing else. Run
// then says so, waits for it, and may return without it.
func (b *Inbox) Run(ctx context.Context) error {
	for {
		if b.inflight == nil {
			done := make(chan result, 1)
			b.inflight = done
			b.o.Start(b.thing, func() {
				r := result{phrase.M("inbox.failed", "place", b.place())} // of a panic, which the guard reports
				defer func() { done <- r }()
				r = b.look(ctx)
			})
		}
		r, err := b.await(ctx)
		if err != nil {
			return err
		}
		b.inflight = nil
		b.tell(r.fault)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.o.After(b.o.Every):
		}
	}
}

// await waits for the look and tells that it hangs when no call to the disk has
// come back for a step's time; the time that the verifier takes is its own.
func (b *Inbox) await(ctx context.Context) (result, error) {
	hangs := false
	for steps := b.steps.Load(); ; {
		select {
		case r := <-b.inflight:
			return r, nil
		case <-ctx.Done():
			if !hangs {
				select {
				case <-b.inflight:
					b.inflight = nil
				case <-b.o.After(grace):
				}
			}
			return result{}, ctx.Err()
		case <-b.o.After(b.o.Limits.Step):
			now := b.steps.Load()
			if now == steps && !b.judging.Load() && !hangs {
				hangs = true
				b.tell(phrase.M("inbox.hangs", "place", b.place(), "dir", b.o.Dir, "seconds", int(b.o.Limits.Step/time.Second)))
			}
			steps = now
		}
	}
}

// tell tells what differs from what was told last.
func (b *Inbox) tell(why phrase.Message) {
	b.mu.Lock()
	same := b.told.In(phrase.EN) == why.In(phrase.EN)
	b.told = why
	b.mu.Unlock()
	if !same {
		b.o.Fault(b.thing, why)
	}
}
