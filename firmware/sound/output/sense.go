package output

import (
	"time"

	"tocsin/firmware/phrase"
)

// sense is what is known from whatever measures the output.
type sense struct {
	busy    bool
	asked   time.Duration
	askedOn bool // it was ordered and confirmed on when it was asked
	due     time.Duration

	valid, on bool
	lastAsked time.Duration
	errs      int
	lost      bool
	// liar: it said on where it cannot have been, so an on proves nothing until
	// it has said off.
	liar    bool
	unasked int // times in a row that it was on while nothing was ordered
}

const lostAfter = 3

func (m *machine) running() bool {
	if m.s.Player != nil {
		return m.job != nil && m.job.started && m.voice.busy && !m.voice.cancelled
	}
	return m.relay.told == toldOn
}

func (m *machine) stepSense(now time.Duration, on bool, a *acts) {
	if m.s.Sensed == nil {
		return
	}
	s := &m.sense
	if s.busy || a.relay != nil || m.relay.busy {
		return // a command comes first on its line, and until it is done a reading proves nothing
	}
	watch := m.contact.verifying || m.job == nil || on && (m.running() || m.s.Player != nil)
	if !watch {
		return // a pulse's pause, a motor's rest, or the relay was not told yet
	}
	if now < s.due {
		a.wake(s.due)
		return
	}
	s.busy, s.asked, s.askedOn = true, now, m.job != nil && on && m.running()
	a.sense = true
}

func (m *machine) poll() time.Duration {
	switch {
	case m.contact.verifying && (m.contact.reported && m.sense.liar):
		return pollLater
	case m.contact.verifying || m.job != nil && (!m.job.heard || m.job.dark > 0 || len(m.job.cadence) > 0):
		return pollSoon // one look a second would fall into the pauses of a pulsed siren for ever
	case m.job != nil:
		return pollLater
	}
	return pollIdle
}

// sensed takes a reading.
func (m *machine) sensed(now time.Duration, on bool, err error) {
	s := &m.sense
	s.busy = false
	defer func() { s.due = now + m.poll() }()
	if err != nil {
		if s.errs++; s.errs >= lostAfter && !s.lost {
			s.lost = true
			m.fault(SenseLost, true, phrase.M("sound.sense_lost", "output", m.s.Name))
		}
		return
	}
	s.valid, s.on, s.lastAsked, s.errs = true, on, s.asked, 0
	if s.lost {
		s.lost = false
		m.fault(SenseLost, false, phrase.Message{})
	}
	if !on && s.liar {
		s.liar = false
		if c := &m.contact; c.failed && c.attempts == 0 {
			c.failed = false
			m.fault(CutFailed, false, phrase.Message{})
		}
	}
	target, _ := m.target(now)
	j := m.job
	switch {
	case j == nil || s.asked < j.from:
		m.idle(on, target)
	case on && s.askedOn && !s.liar:
		m.flows(now, j)
	case !on && s.askedOn && target && m.running():
		m.dark(now, j)
	}
}

// flows: what was ordered is measured to sound.
func (m *machine) flows(now time.Duration, j *job) {
	j.dark = 0
	j.darkUntil = m.sense.asked
	m.back(NoCurrent, now)
	if !j.heard {
		j.heard = true
		m.emit(j, Heard, m.s.SensedBy, phrase.Message{}, now)
	}
	m.fault(NoCurrent, false, phrase.Message{})
}

// dark: it is on and nothing flows. What counts is the time on, pulse by
// pulse. A loudspeaker that was heard once may pause between words.
func (m *machine) dark(now time.Duration, j *job) {
	if m.s.Player != nil && j.heard {
		return
	}
	from := max(j.darkUntil, j.begun)
	if m.s.Player == nil {
		from = max(from, m.relay.since)
	}
	j.dark += max(0, m.sense.asked-from)
	j.darkUntil = m.sense.asked
	if j.dark < m.s.SettleOn {
		return
	}
	why := phrase.M("sound.no_current", "output", m.s.Name)
	m.fault(NoCurrent, true, why)
	m.failJob(now, NoCurrent, why)
}

// idle looks at a reading while nothing is ordered.
func (m *machine) idle(on, target bool) {
	s, c := &m.sense, &m.contact
	if m.job != nil || target || c.verifying || c.stuck {
		return
	}
	if !on {
		if s.unasked >= 2 {
			m.fault(Unordered, false, phrase.Message{})
		}
		s.unasked = 0
		return
	}
	if s.unasked++; s.unasked == 2 {
		s.liar = true
		m.fault(Unordered, true, phrase.M("sound.unordered", "output", m.s.Name))
	}
}
