package modbus

import (
	"bytes"
	"time"

	"tocsin/drivers"
)

// heardFrame is a frame with the time of its last byte.
type heardFrame struct {
	b  []byte
	at time.Time
}

// hear takes what was heard, in the line's own mode.
func (r *rtu) hear(c drivers.Chunk, q *query) *heardFrame {
	if r.bare == nil {
		return r.take(c, q)
	}
	a := r.take(drivers.Chunk{At: c.At, B: r.bare.feed(c.B)}, q)
	// A frame that is just coming in is waited for before the next request.
	if r.need = r.bare.missing(); r.need > 0 && q != nil && a == nil {
		r.port.Expect(r.need)
	}
	return a
}

// take appends what was heard and searches it. q is nil between requests.
func (r *rtu) take(c drivers.Chunk, q *query) *heardFrame {
	if c.At.After(r.quiet) {
		r.quiet = c.At
	}
	for b := c.B; len(b) > 0; {
		// In pieces, so that a burst of noise does not make the buffer grow.
		n := min(len(b), maxFrame)
		r.buf = append(r.buf, b[:n]...)
		if q != nil {
			if !r.instant && c.At.Before(q.sent) {
				// No unit can answer before the request's last bit has left.
				q.old = len(r.buf)
			}
			q.heard = append(q.heard, b[:min(n, 2*maxFrame-min(2*maxFrame, len(q.heard)))]...)
		}
		b = b[n:]
		if a := r.search(q, c.At); a != nil {
			// What follows the answer is nobody's, but may pay a debt.
			r.search(nil, c.At)
			r.take(drivers.Chunk{At: c.At, B: b}, nil)
			return a
		}
	}
	return nil
}

// search looks at each place in the buffer for the echo of the request, for its
// answer, and for answers that are owed, and drops what can be none of them.
func (r *rtu) search(q *query, at time.Time) *heardFrame {
	keep, i := -1, 0
	r.need = 0
	partial := func(have, need int) {
		if keep < 0 {
			keep = i
		}
		if need > 0 && r.need == 0 {
			r.need = need - have
		}
	}
	defer func() { r.drop(q, keep) }()
	for i < len(r.buf) {
		p := r.buf[i:]
		if q != nil && (q.fn != writeCoil && q.fn != writeRegister || r.echo == echoYes) && !q.echoed {
			switch {
			case bytes.HasPrefix(p, q.req):
				q.echoed, r.echo = true, echoYes
				i += len(q.req)
				keep, r.need = -1, 0
				continue
			case bytes.HasPrefix(q.req, p):
				partial(0, 0)
			}
		}
		if q != nil && i >= q.old {
			switch f, need := q.fit(p); f {
			case fits:
				frame := append([]byte(nil), p[:need]...)
				i += need
				keep, r.need = -1, 0
				if r.led.overtaken(q.shape, at) {
					r.seen.frame(at, drivers.FrameLate, frame)
					q.explain(frame)
					continue
				}
				if r.led.copied(q.unit, q.req[:len(q.req)-2], frame) {
					// Likely the late answer once more: wait for another.
					r.seen.frame(at, drivers.FrameLate, frame)
					q.copy = &heardFrame{b: frame, at: at}
					continue
				}
				keep = i
				return &heardFrame{b: frame, at: at}
			case partly:
				partial(len(p), need)
				if need > 0 {
					r.port.Expect(need - len(p))
				}
			}
			switch f, need := q.refusal(p); f {
			case fits:
				frame := append([]byte(nil), p[:need]...)
				i += need
				keep, r.need = -1, 0
				if r.led.sameFunction(q.shape) {
					// It may refuse the earlier request: the answer to this
					// one may still come.
					q.refused = frame
					continue
				}
				keep = i
				return &heardFrame{b: frame, at: at}
			case partly:
				partial(len(p), need)
			}
		}
		switch debt, f, need := r.led.settles(p); f {
		case fits:
			if q != nil {
				q.explain(p[:need])
			}
			r.seen.frame(at, drivers.FrameLate, p[:need])
			if debt >= 0 {
				r.led.pay(p[0], debt, p[:need], at)
			}
			i += need
			keep, r.need = -1, 0
			continue
		case partly:
			partial(len(p), need)
		}
		i++
	}
	return nil
}

// explain takes a frame whose owner is known out of what may be called garbled
// or foreign.
func (q *query) explain(frame []byte) { q.heard = bytes.Replace(q.heard, frame, nil, 1) }

// drop forgets the buffer up to keep, all of it where keep is negative.
func (r *rtu) drop(q *query, keep int) {
	if keep < 0 {
		keep = len(r.buf)
	}
	if q != nil {
		q.old = max(0, q.old-keep)
	}
	r.buf = append(r.buf[:0], r.buf[keep:]...)
}
