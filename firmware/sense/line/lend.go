package line

import (
	"context"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
)

// lending is a wish to have the bus alone for a while.
type lending struct {
	ctx   context.Context
	why   phrase.Message
	begun chan context.Context // holds one: what use runs in
	ended chan struct{}
}

// borrowedMost is how long whoever borrowed the bus may keep it after it was
// called back. Beyond that the owner proves its life no more.
const borrowedMost = 5 * time.Second

// Lend hands the bus to use and asks nothing until use returns: a scan. All
// points of the line are CommFault with the reason meanwhile, so that no level
// is lowered by what is not measured, and the reason stands as the line's fault.
// Whoever wants to switch something on the line ends the lending at once: use
// must return as soon as its context ends. Polling then goes on as it was. use
// runs in the caller's goroutine.
func (l *Line) Lend(ctx context.Context, why phrase.Message, use func(context.Context, drivers.Registers) error) error {
	b := &lending{ctx: ctx, why: why, begun: make(chan context.Context, 1), ended: make(chan struct{})}
	select {
	case l.lends <- b:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.ended:
		return &drivers.Fault{Kind: drivers.FaultGone, Detail: "line closed"}
	}
	l.nudged()
	select {
	case sub := <-b.begun:
		defer close(b.ended)
		return use(sub, l.bus)
	case <-l.ended:
		return &drivers.Fault{Kind: drivers.FaultGone, Detail: "line closed"}
	}
}

// serveLending waits, as the owner, until the bus is given back.
func (l *Line) serveLending(ctx context.Context) bool {
	var b *lending
	select {
	case b = <-l.lends:
	default:
		return false
	}
	l.lent.Store(true)
	defer l.lent.Store(false)
	sub, callBack := context.WithCancel(b.ctx)
	defer callBack()
	stop := context.AfterFunc(ctx, callBack)
	defer stop()
	thing := "line " + l.cfg.Name
	if !l.down.yes {
		l.o.Fault(thing, b.why)
		defer l.o.Cleared(thing)
	}
	now := time.Now()
	for _, j := range l.jobs {
		l.emit(l.faulty(j, b.why, now))
	}
	b.begun <- sub
	tick := time.NewTicker(turn / 4)
	defer tick.Stop()
	var called time.Time
	for {
		if called.IsZero() && sub.Err() != nil {
			called = time.Now()
		}
		if called.IsZero() || time.Since(called) < borrowedMost {
			l.o.Proof.Alive()
		}
		select {
		case <-b.ended:
			l.takenBack(time.Now())
			return true
		case a := <-l.acts:
			l.deferred = append(l.deferred, a)
			callBack()
		case <-tick.C:
		}
	}
}

// takenBack lets every read be asked at once. What the bus is still owed it says
// itself.
func (l *Line) takenBack(now time.Time) {
	for _, j := range l.jobs {
		j.due, j.notBefore = now, time.Time{}
	}
}
