package output

import (
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
)

// told is what a device was last told and confirmed.
type told uint8

const (
	unsure told = iota // never told, or not confirmed
	toldOff
	toldOn
)

func saying(on bool) told {
	if on {
		return toldOn
	}
	return toldOff
}

// machine decides what one output does next. It is pure: time comes in, acts
// go out, and results of acts come back by the …Done methods. Times are
// monotonic, since boot.
type machine struct {
	s Spec
	// emit writes a line of a job's receipt; hand asks the next output to take
	// a job over; fault raises and clears.
	emit  func(j *job, st State, m Measure, why phrase.Message, at time.Duration)
	hand  func(j *job)
	close func(j *job)
	fault func(code FaultCode, standing bool, why phrase.Message)

	touched bool // by the first order; before it, no device is called
	job     *job
	ending  *job // over, and its silence not yet confirmed
	// override lets a motor stop before its minimum time.
	override bool
	// pause is when the last off was confirmed, for a motor's rest; restKnown
	// is false until then.
	pause     time.Duration
	restKnown bool

	relay   relay
	contact contact
	sense   sense
	voice   voice
}

// acts is what the shell is to do. next is when to step again at the latest,
// 0 for never.
type acts struct {
	relay       *relayAct
	dropRelay   bool
	cut         *bool
	sense       bool
	play        *job
	cancelVoice bool
	next        time.Duration
}

func (a *acts) wake(at time.Duration) {
	if at > 0 && (a.next == 0 || at < a.next) {
		a.next = at
	}
}

// begin takes a job in place of whatever the output does.
func (m *machine) begin(now time.Duration, j *job) {
	m.touched, m.override = true, false
	if m.job != nil {
		old := m.job
		m.job = nil
		old.endState, old.endWhy = Stopped, phrase.M("sound.end_replaced", "cause", j.o.Cause())
		m.ending, old = old, m.ending
		m.finish(now, old)
	}
	m.finish(now, m.ending)
	m.ending = nil
	j.from = now
	if j.until == 0 {
		j.until = now + j.o.For()
	}
	if m.s.Kind != Loudspeaker {
		j.cadence = j.p.Cadence(m.s.Kind)
	}
	if j.unsuited(m.s.Kind) {
		m.emit(j, Ordered, Unmeasured, j.why(m.s.Name), now)
		m.emit(j, Failed, Unmeasured, phrase.M("sound.unsuited", "output", m.s.Name), now)
		m.close(j)
		m.silence(now, phrase.Message{})
		return
	}
	m.job = j
	m.relay.fresh(now)
	m.voice.retryAt, m.voice.beat = now, now
	m.sense.due = now
	m.emit(j, Ordered, Unmeasured, j.why(m.s.Name), now)
}

func (j *job) why(output string) phrase.Message {
	if j.primary != output {
		return phrase.M("sound.takes_over", "output", output, "primary", j.primary)
	}
	return phrase.Message{}
}

// silence ends whatever the output does, and tells its devices so even where
// they are believed to be off.
func (m *machine) silence(now time.Duration, why phrase.Message) {
	m.touched, m.override = true, true
	if m.job != nil {
		m.over(now, Stopped, why)
	}
	m.relay.again = true
	m.relay.fresh(now)
	if !m.contact.verifying {
		m.contact.verify(now)
	}
	m.sense.due = now
}

// over ends the job; its last line is written when silence is confirmed.
func (m *machine) over(now time.Duration, st State, why phrase.Message) {
	m.finish(now, m.ending)
	m.ending, m.job = m.job, nil
	m.ending.endState, m.ending.endWhy = st, why
}

// finish writes a job's last line.
func (m *machine) finish(now time.Duration, j *job) {
	if j == nil || j.endReported {
		return
	}
	j.endReported = true
	st, why, by := j.endState, j.endWhy, Unmeasured
	if j.heard {
		by = m.s.SensedBy
	}
	switch {
	case st == Finished && j.failed != "":
		m.close(j) // its failure was the last line
		return
	case st == Finished && !j.started && !j.heard:
		st, why = Failed, phrase.M("sound.end_never", "output", m.s.Name)
	case why.IsZero() && by == Unmeasured:
		why = m.unmeasured()
	}
	m.emit(j, st, by, why, now)
	m.close(j)
}

func (m *machine) unmeasured() phrase.Message {
	if m.s.Sensed == nil {
		return phrase.M("sound.unmeasured", "output", m.s.Name)
	}
	return phrase.M("sound.unmeasured_sense", "output", m.s.Name)
}

// target gives whether the relay is to be on, and when that changes.
func (m *machine) target(now time.Duration) (on bool, next time.Duration) {
	r := &m.relay
	switch j := m.job; {
	case j != nil && m.s.Kind == Motor:
		if ready := m.pause + m.s.MinOff; m.restKnown && r.told != toldOn && now < ready {
			return false, ready
		}
		if ran := r.since + m.s.MinOn; r.told == toldOn && now < ran {
			return true, ran
		}
		return j.turn(now, j.cadence.stretched(m.s.MinOn, m.s.MinOff))
	case j != nil:
		return j.turn(now, j.cadence)
	case m.s.Kind == Motor && r.told == toldOn && !m.override && now < r.since+m.s.MinOn:
		return true, r.since + m.s.MinOn
	}
	return false, 0
}

// step decides what to do now.
func (m *machine) step(now time.Duration) acts {
	var a acts
	if !m.touched {
		return a
	}
	if m.job != nil && now >= m.job.until {
		m.over(now, Finished, phrase.Message{})
	}
	on, next := m.target(now)
	a.wake(next)
	if m.s.Relay != nil {
		m.stepRelay(now, on, &a)
	}
	if m.s.Player != nil {
		m.stepVoice(now, &a)
	}
	m.stepStarted(now, on)
	m.stepContact(now, on, &a)
	m.stepSense(now, on, &a)
	return a
}

func (m *machine) stepStarted(now time.Duration, on bool) {
	j := m.job
	if j == nil || j.started || m.s.Player != nil || !on || m.relay.told != toldOn {
		return
	}
	j.started, j.begun = true, max(m.relay.since, j.from)
	m.emit(j, Started, Unmeasured, m.notMeasured(), j.begun)
}

// notMeasured is the remark of a beginning that nothing will measure.
func (m *machine) notMeasured() phrase.Message {
	if m.s.Sensed == nil {
		return m.unmeasured()
	}
	return phrase.Message{}
}

// failJob says that the job's output does not sound, and asks the next to take
// over, once. The output goes on trying.
func (m *machine) failJob(now time.Duration, code FaultCode, why phrase.Message) {
	j := m.job
	if j == nil || j.failed != "" {
		return
	}
	j.failed = code
	m.emit(j, Failed, Unmeasured, why, now)
	if !j.handed {
		j.handed = true
		m.hand(j)
	}
}

// back says that what failed for a reason works again.
func (m *machine) back(code FaultCode, now time.Duration) {
	j := m.job
	if j == nil || j.failed != code {
		return
	}
	j.failed = ""
	switch {
	case code == NoCurrent:
		m.emit(j, Heard, m.s.SensedBy, phrase.Message{}, now)
		j.heard = true
	case j.started:
		m.emit(j, Started, Unmeasured, m.notMeasured(), now)
	}
}

// backoff is how long to wait after the n-th failed attempt: the first retry
// comes at once, since most failures are one lost frame.
func backoff(n int, most time.Duration) time.Duration {
	if n <= 1 {
		return 20 * time.Millisecond
	}
	return min(100*time.Millisecond<<min(n-2, 6), most)
}

func counts(err error) bool {
	k := drivers.KindOf(err)
	return k != drivers.FaultOwed && k != drivers.FaultCancelled
}
