package courier

import (
	"time"

	"tocsin/firmware/phrase"
)

// SetLimits tells what a link says of itself.
func (m *Machine) SetLimits(now time.Duration, link string, l Limits) {
	w := m.ways[link]
	if w == nil {
		return
	}
	if l.Bytes != w.limits.Bytes {
		for _, r := range m.rows {
			if t := r.tries[link]; t != nil {
				t.misfit = 0
			}
		}
	}
	w.limits = l
	switch {
	case !l.May:
		m.turnTo(now, w, Off, l.Why)
	case w.state != Off:
	case w.probed():
		// Nobody knows yet whether the far end is there; what cannot wait goes all the same.
		m.turnTo(now, w, Suspect, phrase.M("courier.unprobed"))
		w.probeAt, w.misses, w.good, w.doubt, w.alive = now, 0, 0, false, now
		m.release(now, w)
	default:
		m.back(now, w)
		m.turnTo(now, w, Up, phrase.Message{})
	}
}

// Probed tells the answer to a probe.
func (m *Machine) Probed(now time.Duration, link string, ok bool) {
	w := m.ways[link]
	if w == nil {
		return
	}
	w.probing = false
	w.count.Probes++
	if ok {
		if w.count.Acked == 0 && now > w.asked { // nothing better is known
			w.m.trip(now - w.asked)
		}
		m.sign(now, w)
		return
	}
	m.miss(now, w, true)
}

// sign is a sign of life from the far end.
func (m *Machine) sign(now time.Duration, w *way) {
	first := w.fresh()
	w.misses = 0
	w.good++
	w.doubt = true
	switch w.state {
	case Down:
		w.good = 1
		m.back(now, w)
		m.turnTo(now, w, Returning, phrase.Message{})
		w.probeAt = now + w.rule.Probe.Every/5
	case Suspect:
		if first { // since it was opened
			m.back(now, w)
			w.held = now
		}
		m.turnTo(now, w, Up, phrase.Message{})
	}
	if w.state == Returning && w.good >= w.rule.Probe.Good {
		m.turnTo(now, w, Up, phrase.Message{})
	}
}

// miss is a sign that was missed. Only probes make a link dead: a parcel without a receipt may
// have met a busy hub.
func (m *Machine) miss(now time.Duration, w *way, probe bool) {
	if !w.probed() || w.state == Off {
		return
	}
	w.good, w.doubt = 0, true
	if probe {
		w.misses++
		w.count.Missed++
	}
	why := phrase.M("courier.missed", "misses", w.misses)
	switch {
	case w.misses >= w.rule.Probe.Misses || w.state == Returning && probe && w.lastAck < w.alive:
		m.turnTo(now, w, Down, why)
	case w.state >= Returning:
		m.turnTo(now, w, Suspect, why)
		w.probeAt = min(w.probeAt, now) // ask again at once
	}
}

// fell is a link that says itself that it is gone.
func (m *Machine) fell(now time.Duration, w *way, why string) {
	if w.probed() && w.state != Off {
		w.good = 0
		w.misses = max(w.misses, w.rule.Probe.Misses)
		m.turnTo(now, w, Down, phrase.M("courier.gone", "why", why))
	}
}

// back opens a link that came back: at once for classes 0 to 3, for the others after
// a random moment and, where another carries them, the hold-down.
func (m *Machine) back(now time.Duration, w *way) {
	w.alive = now
	w.held = now + w.rule.HoldDown
	w.opens = now + 1
	if w.rule.Spread > 0 {
		w.opens += time.Duration(m.rand.Int64N(int64(w.rule.Spread)))
	}
	// What left in the dark is no more waited for than what leaves now: a receipt still on its
	// way does no harm, and the newest alarm must not sit out a wait that the dark had doubled.
	w.patience = 0
	for _, f := range w.out {
		if at := f.began + max(ackLeast, w.m.patience()); w.rule.Wide && f.until > at {
			f.until, f.measured = max(at, now), true
		}
	}
	m.release(now, w)
}

// release lets what was tried in vain go again at once.
func (m *Machine) release(now time.Duration, w *way) {
	for _, r := range m.rows {
		if t := r.tries[w.name]; t != nil && t.ticket == 0 {
			t.next, t.fails = min(t.next, now), 0
		}
	}
}

func (m *Machine) turnTo(now time.Duration, w *way, s State, why phrase.Message) {
	if w.state != s {
		w.since = now
		m.turned = append(m.turned, Turned{Link: w.name, From: w.state, To: s, Why: why})
	}
	w.state, w.why = s, why
}

// probes gives the probes that are due.
func (m *Machine) probes(now time.Duration) (due []string, next time.Duration) {
	next = never
	for _, w := range m.order {
		if !w.probed() || w.state == Off || w.probing {
			continue
		}
		if w.probeAt > now {
			next = min(next, w.probeAt)
			continue
		}
		every := w.rule.Probe.Every
		switch {
		case w.state == Returning:
			every /= 5
		case w.state == Suspect && w.misses > 0 && w.rule.Probe.Again > 0:
			every = w.rule.Probe.Again
		case w.state == Up && m.spare.Probes > 1:
			every *= time.Duration(m.spare.Probes)
		}
		w.probing, w.asked = true, now
		w.probeAt = now + every
		due = append(due, w.name)
	}
	return due, next
}
