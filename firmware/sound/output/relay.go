package output

import (
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
)

// relay is what is known of a relay's device.
type relay struct {
	confirmed time.Duration // its device last took a command
	told      told
	// since is when told became what it is (an on that is refreshed keeps it).
	since time.Duration
	// wanted is what is being tried, wantedAt since when without success.
	wanted   told
	wantedAt time.Duration

	// again: say off once more, though it is believed to be off.
	again bool

	busy     bool
	busyOn   bool
	dropAt   time.Duration // when to give up a call that says the opposite
	attempts int
	retryAt  time.Duration
	refresh  time.Duration // when a Timed relay is due
	noAnswer bool
	// mayRun: an on was sent and no off was confirmed since, or nothing is
	// known.
	mayRun bool
}

// relayAct is one command; dur is set where a Timed relay counts by itself.
type relayAct struct {
	on  bool
	dur time.Duration
}

// dropAfter is how long a call that says the opposite of what is wanted now may
// still run: most end by themselves sooner, and breaking off a bus's request
// in the middle costs more than it saves.
const dropAfter = 80 * time.Millisecond

func (r *relay) fresh(now time.Duration) {
	r.attempts, r.retryAt, r.wantedAt = 0, now, now
}

func (m *machine) stepRelay(now time.Duration, on bool, a *acts) {
	r := &m.relay
	want := saying(on)
	if r.wanted != want {
		r.wanted, r.wantedAt, r.retryAt = want, now, now
	}
	_, isTimed := m.s.Relay.(drivers.Timed)
	due := isTimed && on && r.told == toldOn && now >= r.refresh || r.again && !on
	switch {
	case r.busy && r.busyOn != on:
		if r.dropAt == 0 {
			r.dropAt = now + dropAfter
		}
		if now >= r.dropAt {
			a.dropRelay = true
		} else {
			a.wake(r.dropAt)
		}
	case r.busy:
	case (r.told != want || due) && now >= r.retryAt:
		act := &relayAct{on: on}
		if on && isTimed {
			act.dur = m.s.FailSafe
		}
		r.busy, r.busyOn, r.dropAt, r.again = true, on, 0, false
		if on {
			r.mayRun = true
		} else if r.mayRun {
			m.rest(now) // the command may be obeyed without being confirmed
		}
		a.relay = act
	case r.told != want || due:
		a.wake(r.retryAt)
	case isTimed && on:
		a.wake(max(r.refresh, r.retryAt))
	}
	// A device that does not answer at all holds its call for long: time
	// counts as well as attempts.
	limit := r.wantedAt + time.Duration(m.s.Retries)*m.s.Patience
	if r.told != want {
		if now >= limit || r.attempts >= m.s.Retries {
			m.relayFails(now, on)
		} else {
			a.wake(limit)
		}
	}
}

func (m *machine) relayFails(now time.Duration, on bool) {
	why := phrase.M("sound.no_answer_off", "output", m.s.Name)
	if on {
		why = phrase.M("sound.no_answer_on", "output", m.s.Name)
	}
	if !m.relay.noAnswer {
		m.relay.noAnswer = true
		m.fault(NoAnswer, true, why)
	}
	// Measured to sound is sounding, whether the device confirmed or not.
	if on && m.job != nil && !m.job.heard {
		m.failJob(now, NoAnswer, why)
	}
}

// relayDone takes the result of a command.
func (m *machine) relayDone(now time.Duration, on bool, err error) {
	r := &m.relay
	r.busy, r.dropAt = false, 0
	if err != nil {
		r.told = unsure
		wait := backoff(1, 0)
		if counts(err) {
			r.attempts++
			wait = backoff(r.attempts, time.Second)
		}
		r.retryAt = now + wait
		return
	}
	r.confirmed = now
	if on {
		r.refresh = now + m.s.FailSafe/3
	}
	if is := saying(on); r.told != is {
		r.told, r.since = is, now
		if !on && r.mayRun {
			m.rest(now)
			r.mayRun = false
		}
	}
	r.attempts = 0
	if on {
		m.back(NoAnswer, now)
	}
	if r.noAnswer {
		r.noAnswer = false
		m.fault(NoAnswer, false, phrase.Message{})
	}
}

// rest begins a motor's rest.
func (m *machine) rest(now time.Duration) { m.pause, m.restKnown = now, true }
