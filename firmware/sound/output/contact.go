package output

import (
	"time"

	"tocsin/firmware/phrase"
)

// contact is what is known of the contact behind the relay: whether it has
// fallen silent after an off, and what the contactor in series does about it.
type contact struct {
	// verifying: switched off at since, and silence is not confirmed. quietAt is
	// when the devices had confirmed the off, 0 before.
	verifying      bool
	since, quietAt time.Duration
	reported       bool // the failure of this off is in the receipt
	// stuck: it sounded although it was off. It stays so until somebody has
	// repaired it: from then on the contactor does the switching.
	stuck bool
	// forced: the off could not be confirmed, so the contactor silences.
	forced bool

	cut      told
	cutSince time.Duration
	busy     bool
	retryAt  time.Duration
	attempts int
	failed   bool
}

const (
	// dropOut is how long a relay or contactor may take to open once it is told.
	dropOut   = 100 * time.Millisecond
	pollSoon  = 200 * time.Millisecond // while something is to be confirmed
	pollLater = time.Second            // while it sounds
	pollIdle  = time.Minute            // while nothing is ordered
)

func (c *contact) verify(now time.Duration) {
	c.verifying, c.since, c.quietAt, c.reported = true, now, 0, false
}

// quiet tells whether the devices have confirmed that they are off.
func (m *machine) quiet() bool {
	return (m.s.Relay == nil || m.relay.told == toldOff) && !m.voice.busy
}

func (m *machine) stepContact(now time.Duration, on bool, a *acts) {
	c := &m.contact
	switch {
	case m.job != nil:
		c.verifying, c.forced = false, false
	case !on && m.ending != nil && !c.verifying:
		c.verify(now)
		m.sense.due = now
	}
	if c.verifying {
		m.stepVerify(now, a)
	}
	if m.s.Cut != nil {
		m.stepCut(now, on, a)
	}
}

func (m *machine) stepVerify(now time.Duration, a *acts) {
	c, s := &m.contact, &m.sense
	if quiet := m.quiet(); !quiet {
		c.quietAt = 0
	} else if c.quietAt == 0 {
		c.quietAt = now
	}
	read := s.valid && s.lastAsked >= c.since
	// Silence counts where it was read after the off, or after the cut, was
	// confirmed.
	off := read && !s.on && (c.quietAt > 0 && s.lastAsked >= c.quietAt || c.cut == toldOn && s.lastAsked >= c.cutSince)
	deadline := c.since + m.s.SettleOff
	switch {
	case off || m.s.Sensed == nil && (c.quietAt > 0 || c.cut == toldOn):
		m.silent(now)
	case now < deadline:
		a.wake(deadline)
	case c.quietAt == 0 && !(read && !s.on):
		m.notOff(now)
	case c.quietAt > 0 && read && s.on && s.lastAsked >= c.quietAt+dropOut:
		m.stillOn(now)
	case c.quietAt > 0 && !read:
		m.silent(now) // nothing measured it, and the receipt does not claim so
	}
	if c.verifying && c.cut == toldOn && read && s.on && s.lastAsked >= c.cutSince+m.s.SettleOff {
		s.liar = true
		m.cutFails(phrase.M("sound.still_on_cut", "output", m.s.Name))
	}
}

func (m *machine) silent(now time.Duration) {
	c := &m.contact
	c.verifying = false
	if c.reported && m.ending != nil && c.cut == toldOn {
		m.ending.endState, m.ending.endWhy = Stopped, phrase.M("sound.end_cut", "output", m.s.Name)
	}
	m.finish(now, m.ending)
	m.ending = nil
}

// stillOn: it is measured to sound although it was switched off.
func (m *machine) stillOn(now time.Duration) {
	c := &m.contact
	why := phrase.M("sound.still_on", "output", m.s.Name)
	if m.s.Cut == nil {
		why = phrase.M("sound.still_on_no_cut", "output", m.s.Name)
	}
	if !c.stuck {
		c.stuck = true
		m.fault(Stuck, true, why)
	}
	m.reportOff(now, why)
}

// notOff: the off was not confirmed and nothing says that it is silent.
func (m *machine) notOff(now time.Duration) {
	m.contact.forced = true
	m.relayFails(now, false)
	m.reportOff(now, phrase.M("sound.no_answer_off", "output", m.s.Name))
}

func (m *machine) reportOff(now time.Duration, why phrase.Message) {
	if c := &m.contact; !c.reported {
		c.reported = true
		if m.ending != nil {
			m.emit(m.ending, Failed, Unmeasured, why, now)
		}
	}
}

func (m *machine) stepCut(now time.Duration, on bool, a *acts) {
	c := &m.contact
	if c.forced && !c.stuck && m.quiet() {
		c.forced = false
	}
	var want told
	switch {
	case m.job != nil || on:
		want = toldOff // also where nothing is known of it: an earlier life may have left it open
	case c.stuck || c.forced:
		want = toldOn
	case c.cut == toldOn:
		want = toldOff
	}
	if want == unsure || want == c.cut || c.busy {
		return
	}
	if want == toldOff && (a.relay != nil || m.relay.busy) {
		return // on one line the two would queue: first what sounds, then what lets it
	}
	if now < c.retryAt {
		a.wake(c.retryAt)
		return
	}
	c.busy = true
	open := want == toldOn
	a.cut = &open
}

// cutDone takes the result of a command to the contactor.
func (m *machine) cutDone(now time.Duration, open bool, err error) {
	c := &m.contact
	c.busy = false
	if err != nil {
		c.attempts++
		c.retryAt = now + backoff(c.attempts, time.Second)
		known := c.cut
		if c.cut = unsure; c.attempts >= m.s.Retries {
			m.cutFails(phrase.M("sound.cut_no_answer", "output", m.s.Name))
			if !open && known == toldOn {
				m.failJob(now, CutFailed, phrase.M("sound.cut_no_answer", "output", m.s.Name))
			}
		}
		return
	}
	c.attempts, c.retryAt = 0, 0
	if is := saying(open); c.cut != is {
		released := c.cut == toldOn && !open
		c.cut, c.cutSince = is, now
		if released && m.job == nil {
			c.verify(now) // it may sound again now
		}
		m.sense.due = now
	}
	if c.failed && !m.sense.liar {
		c.failed = false
		m.fault(CutFailed, false, phrase.Message{})
	}
}

func (m *machine) cutFails(why phrase.Message) {
	if c := &m.contact; !c.failed {
		c.failed = true
		m.fault(CutFailed, true, why)
	}
}

// repaired takes a person's word that the contact is free again; the next off
// proves it.
func (m *machine) repaired(time.Duration) {
	if c := &m.contact; c.stuck {
		c.stuck = false
		m.fault(Stuck, false, phrase.Message{})
	}
}
