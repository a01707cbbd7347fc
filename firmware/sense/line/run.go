package line

import (
	"context"
	"time"

	"tocsin/drivers"
)

// turn is the longest that the owner waits without proving that it lives.
const turn = time.Second

// Run asks until ctx ends, and then gives nil. Where it panicked it may be called
// again; while it does not run, who posts waits for it.
func (l *Line) Run(ctx context.Context) error {
	defer func() {
		if ctx.Err() != nil {
			l.refuseAll()
			close(l.ended)
		}
	}()
	now := time.Now()
	for _, j := range l.jobs {
		j.due = now
	}
	for ctx.Err() == nil {
		l.o.Proof.Alive()
		if l.serveActs(ctx, false) || l.serveLending(ctx) {
			continue
		}
		now := time.Now()
		l.age(now)
		if l.down.yes && now.Before(l.down.until) {
			l.refuseGuests()
			l.idle(ctx, l.down.until)
			continue
		}
		if j := l.next(now); j != nil {
			if l.guestMay(now, j) {
				l.serveGuest(ctx)
				continue
			}
			if p := l.starved(now); p != nil {
				l.ask(ctx, p, true)
				continue
			}
			l.ask(ctx, j, false)
			continue
		}
		if l.serveActs(ctx, true) {
			continue
		}
		if l.guestMay(now, nil) {
			l.serveGuest(ctx)
			continue
		}
		next := l.nextDue()
		if j := l.probe(now, next); j != nil {
			l.ask(ctx, j, true)
			continue
		}
		l.idle(ctx, next)
	}
	return nil
}

// next gives the read to ask now: alarm points first, then whatever has been
// due longest. Alarm reads that are always due leave every second round to
// the others.
func (l *Line) next(now time.Time) *job {
	var alarm, plain *job
	alarms := 0
	for _, j := range l.jobs {
		if j.alarm {
			alarms++
		}
		if j.u.quiet || j.due.After(now) || j.notBefore.After(now) {
			continue
		}
		if best := &plain; j.alarm {
			if alarm == nil || j.due.Before(alarm.due) {
				alarm = j
			}
		} else if *best == nil || j.due.Before((*best).due) {
			*best = j
		}
	}
	if alarm != nil && (plain == nil || l.alarmRun < alarms) {
		l.alarmRun++
		return alarm
	}
	l.alarmRun = 0
	if plain == nil {
		return alarm
	}
	return plain
}

// nextDue gives when a unit that is not quarantined must be asked next.
func (l *Line) nextDue() time.Time {
	t := time.Now().Add(turn)
	for _, j := range l.jobs {
		if j.u.quiet {
			continue
		}
		due := j.due
		if j.notBefore.After(due) {
			due = j.notBefore
		}
		if due.Before(t) {
			t = due
		}
	}
	return t
}

// idle waits until a time, somebody's post, or the next proof of life; it
// listens for owed answers meanwhile where the bus can.
func (l *Line) idle(ctx context.Context, until time.Time) {
	now := time.Now()
	if most := now.Add(turn); until.After(most) {
		until = most
	}
	for _, u := range l.units {
		if u.quiet && u.probeAt.After(now) && u.probeAt.Before(until) {
			until = u.probeAt
		}
	}
	if len(l.guests) > 0 && l.guestNext.Before(until) {
		until = l.guestNext
	}
	for _, a := range l.deferred {
		at := a.notBefore
		if a.u.mute() {
			at = later(at, l.muteUntil)
		}
		if at.Before(until) {
			until = at
		}
	}
	if until = later(until, now.Add(time.Millisecond)); l.owed(now) {
		if b, ok := l.bus.(Listener); ok {
			sub, done := l.wakeable(ctx)
			err := b.Listen(sub, until)
			woken := sub.Err() != nil
			done()
			if drivers.KindOf(err) == drivers.FaultGone {
				l.portGone(ctx, err, time.Now())
			}
			if ctx.Err() != nil || woken || err == nil && !time.Now().Before(until) {
				return
			}
			if err == nil {
				// The bus may say at once that nothing is owed: wait all the same.
				until = l.heardLate()
			}
		}
	}
	if l.alarm == nil {
		l.alarm = time.NewTimer(time.Until(until))
	} else {
		l.alarm.Reset(time.Until(until))
	}
	defer l.alarm.Stop()
	select {
	case <-ctx.Done():
	case a := <-l.acts:
		l.deferred = append(l.deferred, a)
	case <-l.nudge:
	case <-l.alarm.C:
	}
}

// heardLate lets what was held back be asked again, since the bus heard an
// owed answer or waits for none any more. The pause keeps a bus that says so
// again and again from turning us in circles.
func (l *Line) heardLate() time.Time {
	soon := time.Now().Add(5 * time.Millisecond)
	for _, j := range l.jobs {
		if j.notBefore.After(soon) {
			j.notBefore = soon
			if j.u.quiet && j.u.probeAt.After(soon) {
				j.u.probeAt = soon
			}
		}
	}
	for _, a := range l.deferred {
		if a.notBefore.After(soon) {
			a.notBefore = soon
		}
	}
	return soon
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (l *Line) owed(now time.Time) bool {
	for _, j := range l.jobs {
		if j.notBefore.After(now) {
			return true
		}
	}
	return false
}

// wakeable gives a context that a post ends.
func (l *Line) wakeable(ctx context.Context) (context.Context, func()) {
	sub, cancel := context.WithCancel(ctx)
	l.wakeMu.Lock()
	l.wake = cancel
	l.wakeMu.Unlock()
	if len(l.acts) > 0 { // posted before wake was set
		cancel()
	}
	return sub, func() {
		l.wakeMu.Lock()
		l.wake = nil
		l.wakeMu.Unlock()
		cancel()
	}
}

// schedule sets a job's next time: on a grid of its period that all lines share,
// so that nothing drifts and the whole box wakes once for all that have the same
// period; what is late already is not asked twice.
func (l *Line) schedule(j *job, now time.Time) {
	if j.every <= 0 {
		j.due = now
		return
	}
	next := now.Add(j.every - l.o.Clock.StampAt(now).Mono%j.every)
	if next.Sub(j.due) < j.every/8 {
		next = next.Add(j.every) // asked off the grid, just before
	}
	j.due = next
}
