package line

import (
	"context"
	"errors"
	"math"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// ask asks one read, again at once where that may help, and hands on what came
// of it. A probe is a read of a quarantined unit: short, and given up as soon
// as somebody wants the line.
func (l *Line) ask(ctx context.Context, j *job, probe bool) {
	began := time.Now()
	var ans drivers.Answer
	var err error
	for attempt := 0; ; attempt++ {
		var a drivers.Answer
		var e error
		a, e = l.read(ctx, j, probe)
		if ctx.Err() != nil {
			return
		}
		var f *drivers.Fault
		if errors.As(e, &f) && f.Kind == drivers.FaultOwed {
			first := !j.owedUntil.Equal(f.Until)
			j.notBefore, j.owedUntil = holdBack(f.Until), f.Until
			if attempt == 0 {
				// Not asked at all: its time comes when nothing is owed any more.
				if first {
					l.count(j.u, e, 0)
				}
				if probe {
					j.u.probeAt = j.notBefore
				}
				return
			}
			break // the first failure stands
		}
		ans, err = a, e
		if err == nil || probe || attempt >= max(0, l.cfg.Retries) || !again(err) || j.u.timeouts > attempt || len(l.acts) > 0 {
			break
		}
		l.count(j.u, err, 0)
		if drivers.KindOf(err) == drivers.FaultTimeout {
			j.u.timeouts++
		}
	}
	now := time.Now()
	if errors.Is(err, errWoken) {
		// Given up for an actuation, not failed: try when the line is idle again.
		j.u.probeAt = now.Add(time.Second)
		return
	}
	took := now.Sub(began)
	l.count(j.u, err, took)
	if drivers.KindOf(err) == drivers.FaultGone {
		l.askedOnce(j)
		l.portGone(ctx, err, now)
		return
	}
	l.portBack()
	if apartMayHelp(err) && l.split(j, now) {
		j.u.timeouts, j.u.silent, j.u.unheard = 0, 0, 0
		l.release(j.u, now)
		return
	}
	l.schedule(j, now)
	if err != nil {
		j.failing = true
		// The points first, the unit's own state after: a sink that sees the
		// unit quarantined has seen why.
		l.emit(l.failed(j, err, now))
		l.noAnswer(j, err, took, probe, now)
	} else {
		j.failing = false
		l.answered(j, took, now)
		l.emit(l.decoded(j, ans))
	}
	l.askedOnce(j)
}

// owedPause is how often a bus that is owed an answer is tried again: asking it
// costs the wire nothing while it still is, and it may have heard the late
// answer between other units' requests.
const owedPause = 250 * time.Millisecond

func holdBack(until time.Time) time.Time {
	now := time.Now()
	if most := now.Add(owedPause); until.After(most) {
		return most
	}
	return later(until, now.Add(10*time.Millisecond))
}

// errWoken: a probe was given up for an actuation.
var errWoken = errors.New("given up for an actuation")

func (l *Line) read(ctx context.Context, j *job, probe bool) (drivers.Answer, error) {
	limit := l.bound(j.req.Table, j.req.Count)
	sub, done := ctx, func() {}
	if j.u.timeouts > 0 || probe {
		limit = l.patience(j.u, j.req.Table, j.req.Count)
	}
	if probe {
		sub, done = l.wakeable(ctx)
	}
	bounded, cancel := context.WithTimeout(sub, limit)
	defer cancel()
	a, err := l.bus.Read(bounded, j.u.Unit.Unit, j.req.Table, j.req.Addr, j.req.Count)
	woken := sub.Err() != nil && ctx.Err() == nil
	done()
	if err == nil {
		return a, nil
	}
	switch k := drivers.KindOf(err); {
	case k != drivers.FaultCancelled && k != drivers.FaultOther:
	case woken:
		return a, errWoken
	case bounded.Err() != nil && ctx.Err() == nil:
		err = &drivers.Fault{Kind: drivers.FaultTimeout, Err: err}
	}
	return a, err
}

// again tells whether asking once more at once may help.
func again(err error) bool {
	switch drivers.KindOf(err) {
	case drivers.FaultTimeout, drivers.FaultGarbled, drivers.FaultForeign:
		return true
	}
	return false
}

func (l *Line) askedOnce(j *job) {
	if !j.asked {
		j.asked = true
		if l.toAsk--; l.toAsk == 0 {
			close(l.first)
		}
	}
}

// decoded gives the readings of an answer.
func (l *Line) decoded(j *job, a drivers.Answer) []point.Reading {
	at := a.At
	if at.IsZero() {
		at = time.Now()
	}
	stamp := l.o.Clock.StampAt(at)
	l.decodes = j.u.Profile.DecodeInto(l.decodes, j.req, a.Data)
	out := l.o.Room(len(l.decodes))[:0]
	for _, v := range l.decodes {
		ps := &j.u.points[v.Index]
		if a.Doubt && v.Quality == point.Good {
			v.Quality, v.Why = point.Suspect, phrase.M("line.doubt")
		}
		v = ps.judge.Look(v, stamp)
		if v.Quality == point.Good {
			ps.lastGood = at
			l.mayAge(ps)
		}
		ps.quality, ps.value = v.Quality, v.Value+ps.zero
		out = append(out, point.Reading{Point: ps.id, Value: ps.value, Text: v.Text, Unit: j.u.Profile.Points[v.Index].Unit,
			Quality: v.Quality, Why: aboveDatum(v.Why, ps.zero), At: stamp})
	}
	return out
}

// failed gives the points of a read as CommFault.
func (l *Line) failed(j *job, err error, now time.Time) []point.Reading {
	return l.faulty(j, l.why(j.u, err), now)
}

func (l *Line) faulty(j *job, why phrase.Message, now time.Time) []point.Reading {
	stamp := l.o.Clock.StampAt(now)
	out := l.o.Room(len(j.req.Points))[:0]
	for _, i := range j.req.Points {
		ps := &j.u.points[i]
		ps.quality, ps.value = point.CommFault, math.NaN()
		out = append(out, point.Reading{Point: ps.id, Value: ps.value, Unit: j.u.Profile.Points[i].Unit,
			Quality: point.CommFault, Why: why, At: stamp})
	}
	return out
}

// emit hands readings on.
func (l *Line) emit(rs []point.Reading) {
	if len(rs) > 0 {
		l.o.Sink(rs)
	}
}

// mayAge notes when a value that has just become good may be too old. A good
// one's time only moves away from there.
func (l *Line) mayAge(ps *pointState) {
	if ps.quality == point.Good || ps.limit <= 0 {
		return
	}
	if t := ps.lastGood.Add(ps.limit); l.staleScan.IsZero() || t.Before(l.staleScan) {
		l.staleScan = t
	}
}

// age turns good values stale whose limit has passed. Nothing is looked at
// before the first of them can have.
func (l *Line) age(now time.Time) {
	if l.staleScan.IsZero() || !now.After(l.staleScan) {
		return
	}
	l.staleScan = time.Time{}
	for _, u := range l.units {
		var out []point.Reading
		for i := range u.points {
			ps := &u.points[i]
			if r, ok := stale(ps, now, l.o.Clock); ok {
				r.Unit, r.Value = u.Profile.Points[i].Unit, ps.value
				out = append(out, r)
			} else if ps.quality == point.Good && ps.limit > 0 {
				if t := ps.lastGood.Add(ps.limit); l.staleScan.IsZero() || t.Before(l.staleScan) {
					l.staleScan = t
				}
			}
		}
		l.emit(out)
	}
}

// stale gives the reading that says that a good value has grown too old.
func stale(ps *pointState, now time.Time, c Clock) (point.Reading, bool) {
	if ps.quality != point.Good || ps.limit <= 0 || now.Sub(ps.lastGood) <= ps.limit {
		return point.Reading{}, false
	}
	ps.quality = point.Stale
	age := now.Sub(ps.lastGood).Truncate(time.Second)
	return point.Reading{Point: ps.id, Quality: point.Stale, At: c.StampAt(now),
		Why: phrase.M("line.stale", "age", point.Span(age).String(), "limit", point.Span(ps.limit).String())}, true
}
