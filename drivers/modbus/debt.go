package modbus

import (
	"bytes"
	"slices"
	"time"
)

const (
	// owedFor is for how many timeouts an answer is waited for.
	owedFor = 6
	// maxDebts bounds the debts of one unit. Reads that could be confused are
	// never owed twice, so only a profile with more shapes than this, or
	// writes to a dead unit, come near.
	maxDebts = 64
)

// debt is an answer that a unit owes.
type debt struct {
	shape
	req   []byte // the request, unit to last data byte
	sent  time.Time
	until time.Time
	// expired: nobody paid in time. It no longer holds requests back; the
	// next answer of its shape is in doubt.
	expired bool
	// overtaken: a different write went to the unit after this one, so that
	// this one's echo must not pass for that of a later equal write.
	overtaken bool
	// early: an answer came, alone, and too soon to be believed.
	early bool
}

// paid is the frame that lately paid a debt. While a copy of it may follow, it
// is not taken for the answer to another request, and the same is not asked
// again: nothing could tell the copy from the answer.
type paid struct {
	frame []byte
	req   []byte
	until time.Time
}

// ledger keeps what the units of a line owe. The zero value is not ready: make
// the maps.
type ledger struct {
	window time.Duration // how long an answer is owed
	copies time.Duration // how long after a late answer a copy may follow
	debts  map[byte][]debt
	paid   map[byte][]paid
}

func newLedger(timeout, copies time.Duration) *ledger {
	return &ledger{window: owedFor * timeout, copies: copies, debts: map[byte][]debt{}, paid: map[byte][]paid{}}
}

// expire moves the ledger to now.
func (l *ledger) expire(now time.Time) {
	for u, ds := range l.debts {
		keep := ds[:0]
		for _, d := range ds {
			if !d.expired && !now.Before(d.until) {
				if !d.read() {
					continue
				}
				d.expired = true
			}
			keep = append(keep, d)
		}
		l.set(u, keep)
	}
	for u, ps := range l.paid {
		ps = slices.DeleteFunc(ps, func(p paid) bool { return !now.Before(p.until) })
		if l.paid[u] = ps; len(ps) == 0 {
			delete(l.paid, u)
		}
	}
}

func (l *ledger) set(u byte, ds []debt) {
	if len(ds) == 0 {
		delete(l.debts, u)
		return
	}
	l.debts[u] = ds
}

// owed gives until when a request of the shape must be held back.
func (l *ledger) owed(s shape, req []byte) (until time.Time, ok bool) {
	if !s.read() {
		return until, false
	}
	for _, p := range l.paid[s.unit] {
		if bytes.Equal(p.req, req) {
			until, ok = p.until, true
		}
	}
	for _, d := range l.debts[s.unit] {
		if !d.expired && d.shape == s && d.until.After(until) {
			until, ok = d.until, true
		}
	}
	return until, ok
}

// unit gives until when the unit owes anything that holds a request back.
func (l *ledger) unit(u byte) (until time.Time, ok bool) {
	for _, p := range l.paid[u] {
		until, ok = p.until, true
	}
	for _, d := range l.debts[u] {
		if !d.expired && d.read() && d.until.After(until) {
			until, ok = d.until, true
		}
	}
	return until, ok
}

// any tells whether anything holds requests back.
func (l *ledger) any() bool {
	if len(l.paid) > 0 {
		return true
	}
	for _, ds := range l.debts {
		for _, d := range ds {
			if !d.expired {
				return true
			}
		}
	}
	return false
}

// sending notes that a request goes out now.
func (l *ledger) sending(s shape, req []byte) {
	if s.read() {
		return
	}
	for i, d := range l.debts[s.unit] {
		if !d.read() && string(d.req) != string(req) {
			l.debts[s.unit][i].overtaken = true
		}
	}
}

// owe enters a request that was not answered in time.
func (l *ledger) owe(s shape, req []byte, sent, until time.Time) {
	ds := l.debts[s.unit]
	if len(ds) >= maxDebts {
		// Prefer to forget a write: its echo names what it belongs to.
		at := 0
		for i, d := range ds {
			if !d.read() {
				at = i
				break
			}
		}
		ds = append(ds[:at], ds[at+1:]...)
	}
	l.debts[s.unit] = append(ds, debt{shape: s, req: req, sent: sent, until: until})
}

// pay clears debt i of a unit by a frame heard at now.
func (l *ledger) pay(u byte, i int, frame []byte, now time.Time) {
	ds := l.debts[u]
	sent := ds[i].sent
	if frame != nil && ds[i].read() && l.copies > 0 {
		ps := l.paid[u]
		if len(ps) >= maxDebts {
			ps = slices.Delete(ps, 0, 1)
		}
		l.paid[u] = append(ps, paid{frame: slices.Clone(frame), req: ds[i].req, until: now.Add(l.copies)})
	}
	ds = append(ds[:i], ds[i+1:]...)
	l.set(u, ds)
	// A unit, or a gateway before several, that works off one request after
	// the other begins those that came after this one only now.
	end := now.Add(l.window)
	for _, ds := range l.debts {
		for j := range ds {
			if !ds[j].expired && ds[j].sent.After(sent) && ds[j].until.Before(end) {
				ds[j].until = end
			}
		}
	}
}

// settles gives the oldest debt that a whole frame at the beginning of p pays,
// or how far p may yet become one.
func (l *ledger) settles(p []byte) (at int, f fit, need int) {
	best, bestNeed := misfit, 0
	exceptions, one := 0, -1
	for i, d := range l.debts[p[0]] {
		if d.early && d.expired {
			continue // its answer came, or nobody can tell any more
		}
		f, n := d.fit(p)
		if f == fits {
			return i, fits, n
		}
		if f == partly && (best == misfit || n > 0) {
			best, bestNeed = partly, n
		}
		switch f, n := d.refusal(p); f {
		case fits:
			exceptions++
			one = i
		case partly:
			if best == misfit {
				best, bestNeed = partly, n
			}
		}
	}
	// An exception does not say which of several requests it refuses.
	if exceptions == 1 {
		return one, fits, exceptionLen
	}
	if exceptions > 1 {
		return -1, fits, exceptionLen
	}
	return -1, best, bestNeed
}

// sameFunction tells whether the unit owes an answer, in time or not, whose
// exception would look like one to s.
func (l *ledger) sameFunction(s shape) bool {
	for _, d := range l.debts[s.unit] {
		if d.fn == s.fn {
			return true
		}
	}
	return false
}

// doubt tells whether an answer may belong to an earlier request, and clears
// what it was doubted for.
func (l *ledger) doubt(s shape) bool {
	if !s.read() {
		return false
	}
	doubt := false
	ds := l.debts[s.unit]
	keep := ds[:0]
	for _, d := range ds {
		if d.expired && d.shape == s {
			doubt = true
			continue
		}
		keep = append(keep, d)
	}
	l.set(s.unit, keep)
	return doubt
}

// copied tells whether a frame is the very one that lately paid a debt, while
// other registers are asked: an adapter or unit may send it twice.
func (l *ledger) copied(u byte, req, frame []byte) bool {
	return slices.ContainsFunc(l.paid[u], func(p paid) bool {
		return bytes.Equal(p.frame, frame) && !bytes.Equal(p.req, req)
	})
}

// overtaken pays, by a write's echo heard at now, an equal write that a
// different one came after; the echo then is not the present request's.
func (l *ledger) overtaken(s shape, now time.Time) bool {
	if s.read() {
		return false
	}
	for i, d := range l.debts[s.unit] {
		if d.overtaken && d.shape == s {
			l.pay(s.unit, i, nil, now)
			return true
		}
	}
	return false
}

// unsure tells whether a frame of the shape may be another request's.
func (l *ledger) unsure(s shape) bool {
	if len(l.paid[s.unit]) > 0 {
		return true
	}
	for _, d := range l.debts[s.unit] {
		if d.shape == s {
			return true
		}
	}
	return false
}

// explains tells whether a frame of the shape that came too soon may be an
// earlier request's: not that of one that was answered so itself, and of which
// nothing else came until it expired.
func (l *ledger) explains(s shape) bool {
	return len(l.paid[s.unit]) > 0 || slices.ContainsFunc(l.debts[s.unit], func(d debt) bool {
		return d.shape == s && !(d.early && d.expired)
	})
}

// count gives how many answers are owed, in time or not.
func (l *ledger) count() int {
	n := 0
	for _, ds := range l.debts {
		n += len(ds)
	}
	return n
}
