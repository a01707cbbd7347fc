package line

import (
	"context"
	"errors"
	"slices"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
)

const (
	// firstProbe and lastProbe are the pauses between probes of a quarantined
	// unit. A unit is back within 10 s of its return: lastProbe and a probe.
	firstProbe = time.Second
	lastProbe  = 8 * time.Second
	// share is what part of a busy line probes may take: one in share.
	share = 20
	// silentMost is after how many failures of any kind, none of them an
	// answer, a unit is quarantined although not all were timeouts.
	silentMost = 10
	// leastPatience is how long a unit that lately failed gets to begin its
	// answer. Makers' tables name turnarounds of 10 to 100 ms.
	leastPatience = 150 * time.Millisecond
)

// patience is the bound of a request to a unit that does not answer: short, so
// that it costs the others little; every fourth probe gets the whole timeout,
// so that a slow unit is found again too.
func (l *Line) patience(u *unit, t drivers.Table, count uint16) time.Duration {
	if u.quiet && u.probes%4 == 3 {
		return l.bound(t, count)
	}
	d := max(leastPatience, 3*u.slowest, u.Profile.Line.Timeout, 3*u.Profile.Line.Turnaround) + l.bus.Cost(t, count)
	return min(d, l.bound(t, count))
}

// bound is how long a request may take in all. The bus has the timeout of its
// own and says better what went wrong; this is behind it.
func (l *Line) bound(t drivers.Table, count uint16) time.Duration {
	return l.cfg.Timeout + 2*l.bus.Cost(t, count) + 100*time.Millisecond
}

// answered notes a good answer of a unit.
func (l *Line) answered(j *job, took time.Duration, now time.Time) {
	u := j.u
	u.timeouts, u.silent, u.unheard = 0, 0, 0
	u.slowest = max(took, u.slowest-u.slowest/64) // forgets slowly
	if j.refused {
		j.refused = false
		if !u.refused() {
			l.o.Cleared("device " + u.Device)
		}
	}
	l.release(u, now)
}

// refused tells whether the unit refuses any of its reads.
func (u *unit) refused() bool {
	return slices.ContainsFunc(u.jobs, func(j *job) bool { return j.refused })
}

func (l *Line) release(u *unit, now time.Time) {
	if !u.quiet {
		return
	}
	u.quiet, u.probes = false, 0
	for _, j := range u.jobs {
		j.due = now
	}
	l.setQuiet(u, false)
	l.o.Log.Info("unit answers again", "line", l.cfg.Name, "device", u.Device, "unit", u.Unit.Unit)
	if !u.refused() {
		l.o.Cleared("device " + u.Device)
	}
}

// noAnswer notes a failure, and quarantines the unit after enough of them.
func (l *Line) noAnswer(j *job, err error, took time.Duration, probe bool, now time.Time) {
	u, kind := j.u, drivers.KindOf(err)
	if kind == drivers.FaultRefused {
		l.refusal(j, err, now)
		return
	}
	if kind == drivers.FaultTimeout {
		u.timeouts++
	}
	u.silent++
	if probe {
		u.probes++
		u.probeAt = now.Add(min(firstProbe<<min(u.probes, 10), lastProbe))
		l.forcedAt = now.Add((share - 1) * took)
		return
	}
	if u.quiet || u.timeouts < l.cfg.Quarantine && u.silent < silentMost {
		return
	}
	u.quiet, u.probes = true, 0
	u.probeAt = now.Add(firstProbe)
	l.forcedAt = later(l.forcedAt, now.Add(firstProbe))
	l.setQuiet(u, true)
	why := l.why(u, err)
	l.o.Log.Warn("unit quarantined", "line", l.cfg.Name, "device", u.Device, "unit", u.Unit.Unit, "err", err)
	l.o.Fault("device "+u.Device, why)
	for _, j := range u.jobs {
		if !j.failing {
			j.failing = true
			l.emit(l.faulty(j, why, now))
		}
		l.askedOnce(j)
	}
}

// refusal is an answer all the same: the unit lives, its table is another.
func (l *Line) refusal(j *job, err error, now time.Time) {
	u := j.u
	u.timeouts, u.silent, u.unheard = 0, 0, 0
	first := !j.refused && (j.apart || !u.refused())
	j.refused = true
	l.release(u, now)
	if first {
		l.o.Log.Warn("unit refuses a read", "line", l.cfg.Name, "device", u.Device, "err", err)
		l.o.Fault("device "+u.Device, l.refuses(u, err))
	}
}

// probe gives the read to try a quarantined unit with: its smallest, when its
// pause is over and the line is free for as long as that may take.
func (l *Line) probe(now, next time.Time) *job {
	j := l.probeJob(now)
	if j == nil || next.Sub(now) < l.patience(j.u, j.req.Table, j.req.Count) && now.Before(l.forcedAt) {
		return nil
	}
	return j
}

// starved gives a probe that a line without idle time has held up for long. It
// takes time from due reads, one part in share at most.
func (l *Line) starved(now time.Time) *job {
	if now.Before(l.forcedAt) {
		return nil
	}
	if j := l.probeJob(now); j != nil && now.Sub(j.u.probeAt) > 2*time.Second {
		return j
	}
	return nil
}

// probeJob gives the smallest read of the unit whose probe is due longest.
func (l *Line) probeJob(now time.Time) *job {
	var best *unit
	for _, u := range l.units {
		if u.quiet && !u.probeAt.After(now) && (best == nil || u.probeAt.Before(best.probeAt)) {
			best = u
		}
	}
	if best == nil {
		return nil
	}
	var j *job
	for _, k := range best.jobs {
		if !k.notBefore.After(now) && (j == nil || k.req.Count < j.req.Count) {
			j = k
		}
	}
	if j == nil {
		best.probeAt = best.jobs[0].notBefore
	}
	return j
}

// downState is what is known of a port that is gone.
type downState struct {
	yes   bool
	until time.Time
	pause time.Duration
}

const (
	firstReopen = 500 * time.Millisecond
	lastReopen  = 10 * time.Second
)

// portGone takes the whole line down: every point is CommFault at once, and the
// port is tried again with growing pauses. Where the owner ends it was closed under it, and
// nothing is wrong with it.
func (l *Line) portGone(ctx context.Context, err error, now time.Time) {
	if ctx.Err() != nil {
		return
	}
	l.down.pause = min(max(2*l.down.pause, firstReopen), lastReopen)
	l.down.until = now.Add(l.down.pause)
	if l.down.yes {
		return
	}
	l.down.yes = true
	why := l.gone(err)
	l.setUp(false)
	l.o.Log.Error("port gone", "line", l.cfg.Name, "bus", l.bus.String(), "err", err)
	l.o.Fault("line "+l.cfg.Name, why)
	for _, j := range l.jobs {
		j.failing = true
		l.emit(l.faulty(j, why, now))
		l.askedOnce(j)
	}
}

// portBack notes that the bus could be used.
func (l *Line) portBack() {
	if !l.down.yes {
		return
	}
	l.down = downState{}
	l.setUp(true)
	l.o.Log.Info("port is back", "line", l.cfg.Name)
	l.o.Cleared("line " + l.cfg.Name)
}

// why puts a failure into words, with its mend.
func (l *Line) why(u *unit, err error) phrase.Message {
	var f *drivers.Fault
	if !errors.As(err, &f) {
		return phrase.M("line.other", "device", u.Device, "line", l.cfg.Name, "text", err.Error())
	}
	if m, ok := l.framing(err); ok {
		return m
	}
	switch f.Kind {
	case drivers.FaultTimeout:
		return phrase.M("line.timeout", "device", u.Device, "unit", u.Unit.Unit, "line", l.cfg.Name)
	case drivers.FaultGarbled:
		return phrase.M("line.garbled", "device", u.Device, "line", l.cfg.Name)
	case drivers.FaultForeign:
		return phrase.M("line.foreign", "device", u.Device, "unit", u.Unit.Unit, "line", l.cfg.Name)
	case drivers.FaultRefused:
		return phrase.M("line.refused", "device", u.Device, "unit", u.Unit.Unit, "line", l.cfg.Name, "code", f.Code, "meaning", exception(f.Code))
	case drivers.FaultOwed:
		return phrase.M("line.owed", "device", u.Device, "line", l.cfg.Name)
	case drivers.FaultGone:
		return l.gone(err)
	}
	return phrase.M("line.other", "device", u.Device, "line", l.cfg.Name, "text", err.Error())
}

// inBoth keeps the languages of an error that has them: what opens a port may say
// in both what is wrong with it.
func inBoth(err error) phrase.Text {
	return phrase.Text{ZH: phrase.In(err, phrase.ZH), EN: phrase.In(err, phrase.EN)}
}

// framing says that somebody answers, in another framing than the line's.
func (l *Line) framing(err error) (phrase.Message, bool) {
	var other interface {
		error
		Framing() string
	}
	if !errors.As(err, &other) {
		return phrase.Message{}, false
	}
	return phrase.M("line.framing", "line", l.cfg.Name, "framing", other.Framing()), true
}

func (l *Line) gone(err error) phrase.Message {
	if m, ok := l.framing(err); ok {
		return m
	}
	return phrase.M("line.gone", "line", l.cfg.Name, "port", l.bus.String(), "text", inBoth(err))
}

// exception names a Modbus exception (Modbus Application Protocol v1.1b3,
// section 7).
func exception(code int) phrase.Message {
	switch code {
	case 1:
		return phrase.M("line.exception_function")
	case 2:
		return phrase.M("line.exception_address")
	case 3:
		return phrase.M("line.exception_value")
	case 4:
		return phrase.M("line.exception_failure")
	case 5, 6:
		return phrase.M("line.exception_busy")
	case 10, 11:
		return phrase.M("line.exception_gateway")
	}
	return phrase.M("line.exception_other")
}
