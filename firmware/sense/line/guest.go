package line

import (
	"context"
	"time"

	"tocsin/drivers"
)

// guest is a request of somebody who is not of the house.
type guest struct {
	ctx  context.Context
	unit uint8
	do   func(context.Context, drivers.Registers) error
	done chan error // holds one
}

// guestShare is how much of a line that is always busy guests may take: one part
// in so many.
const guestShare = 10

// What a unit left unanswered should not be asked again at once: an owed answer
// holds back the house's own reads of the same shape.
const (
	neighbourPause = 5 * time.Minute // of a unit that the house reads too
	strangerPause  = 10 * time.Second
)

// Guest does one request on the bus for somebody outside the house, after
// everything that is posted or due. An alarm read waits for one such request at
// most: the one that is under way when it falls due. do is called in the owner's
// goroutine with a context that ends after the line's timeout, and must ask once.
// Units that the house itself finds dead are not asked: FaultTimeout at once.
// Until of a fault is before when the same should not be asked again.
func (l *Line) Guest(ctx context.Context, unit uint8, do func(context.Context, drivers.Registers) error) error {
	if l.lent.Load() {
		return &drivers.Fault{Kind: drivers.FaultGone, Detail: "the line is lent"}
	}
	g := &guest{ctx: ctx, unit: unit, do: do, done: make(chan error, 1)}
	over := &drivers.Fault{Kind: drivers.FaultGone, Detail: "line closed"}
	select {
	case l.guests <- g:
	case <-ctx.Done():
		return &drivers.Fault{Kind: drivers.FaultCancelled, Err: ctx.Err()}
	case <-l.ended:
		return over
	}
	l.nudged()
	select {
	case err := <-g.done:
		return err
	case <-ctx.Done():
		return &drivers.Fault{Kind: drivers.FaultCancelled, Err: ctx.Err()}
	case <-l.ended:
		return over
	}
}

// guestMay tells whether a guest waits and whether its time has come: beside due
// reads, which must not be alarm reads, guests have their share only.
func (l *Line) guestMay(now time.Time, due *job) bool {
	if len(l.guests) == 0 {
		return false
	}
	if due == nil {
		return !now.Before(l.guestNext)
	}
	return !due.alarm && !now.Before(l.guestLean)
}

// serveGuest does one guest's request.
func (l *Line) serveGuest(ctx context.Context) {
	var g *guest
	select {
	case g = <-l.guests:
	default:
		return
	}
	if g.ctx.Err() != nil {
		return
	}
	u := l.unitAt(g.unit)
	if u != nil && u.mute() {
		g.done <- &drivers.Fault{Kind: drivers.FaultTimeout, Until: time.Now().Add(2 * time.Second), Detail: "the unit does not answer the house either"}
		return
	}
	began := time.Now()
	sub, cancel := context.WithTimeout(g.ctx, l.bound(drivers.Holding, 125))
	stop := context.AfterFunc(ctx, cancel)
	err := l.timedOut(g.ctx, sub, g.do(sub, l.bus))
	stop()
	cancel()
	now := time.Now()
	took := now.Sub(began)
	l.guestNext, l.guestLean = now.Add(min(took, 100*time.Millisecond)), now.Add((guestShare-1)*took)
	switch k := drivers.KindOf(err); k {
	case drivers.FaultGone:
		l.portGone(ctx, err, now)
	case drivers.FaultTimeout, drivers.FaultGarbled, drivers.FaultForeign:
		l.frames.missing(now, g.unit, k)
		pause := strangerPause
		if u != nil {
			pause = neighbourPause
		}
		err = &drivers.Fault{Kind: k, Until: now.Add(pause), Err: err}
	}
	g.done <- err
}

// nudged ends an idle wait of the owner, but nothing that it does.
func (l *Line) nudged() {
	select {
	case l.nudge <- struct{}{}:
	default:
	}
}

// refuseGuests answers whoever waits while the port is gone.
func (l *Line) refuseGuests() {
	for {
		select {
		case g := <-l.guests:
			g.done <- &drivers.Fault{Kind: drivers.FaultGone, Detail: "the port is gone"}
		default:
			return
		}
	}
}
