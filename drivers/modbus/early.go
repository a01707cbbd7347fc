package modbus

import (
	"slices"
	"time"
)

// No unit can answer before the request's last bit has left, so that what is
// heard before is no answer, though it looks like one. How long a request takes
// is reckoned of the line's rate, and some ports have none: an instrument whose
// own socket is USB (CDC ACM: the rate is told to it, and it does not heed it),
// or a port that a program or an emulator makes. There every answer comes too
// soon, and the line would be deaf for ever. So a port is taken to have no wire
// when answers came so, each whole, the only thing that was heard until the
// deadline, and with nothing owed that it could have been. On a wire that is
// not seen: the unit's own answer follows what came before it, or a debt stands.
// A debt that is only of a request that was answered so is none, once it expired.
// Until that is known none of them is taken for a value. An answer to a write looks
// like its echo, and proves nothing: with one that came so, a read is asked first.
const (
	earlyMost   = 3
	earlyWithin = time.Hour
)

// alone tells whether the answer, whole, is all that was heard beside the
// request's echo. It came too soon, else it would have been taken.
func (q *query) alone() bool {
	p := q.unexpected()
	if len(p) == 0 {
		return false
	}
	f, size := q.fit(p)
	return f == fits && len(p) == size
}

// tooSoon counts an answer that came so. With the last that it takes, the debts
// are forgiven for which such an answer came.
func (r *rtu) tooSoon(s shape, now time.Time) {
	ds := r.led.debts[s.unit]
	ds[len(ds)-1].early = true
	r.early = slices.DeleteFunc(r.early, func(t time.Time) bool { return now.Sub(t) > earlyWithin })
	if r.early = append(r.early, now); len(r.early) < earlyMost {
		return
	}
	r.instant, r.hasty, r.early = true, false, nil
	for u, ds := range r.led.debts {
		r.led.set(u, slices.DeleteFunc(ds, func(d debt) bool { return d.early }))
	}
}
