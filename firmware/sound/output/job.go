package output

import (
	"slices"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sound/order"
)

// job is one order on one output.
type job struct {
	o   order.Order
	p   Programme
	run *Running
	// primary is the output that was ordered, and tried those that have failed
	// at it; where the job's own output is another, it is a takeover.
	primary string
	tried   []string

	from, until     time.Duration
	cadence         Cadence
	started, heard  bool
	failed          FaultCode     // why it does not sound at present; "" while it does
	handed          bool          // to the next output
	begun           time.Duration // when it first started
	voice           int           // failed attempts to play
	endState        State
	endWhy          phrase.Message
	endReported     bool
	dark, darkUntil time.Duration
}

// outranks tells whether a's order may take an output from b's.
func outranks(a, b order.Order) bool {
	if a.Level() != b.Level() {
		return a.Level() > b.Level()
	}
	return a.Kind() < b.Kind()
}

// Bare is a programme without samples: what is left when nothing could be
// composed, since a siren that just runs is better than silence. It pulses,
// because a steady tone is the civil-defence all-clear (domain/warning.md 3.1),
// at 3 s and 2 s, more than 20 % away from every reserved pattern. It is for the
// real thing only: a drill or an all-clear that cannot be told apart by ear
// does not sound at all.
type Bare struct{}

// Samples gives nothing.
func (Bare) Samples(drivers.Format) Reader { return nil }

// Cadence gives the pulses; a motor runs and rests in longer turns.
func (Bare) Cadence(k Kind) Cadence {
	if k == Motor {
		return Cadence{{On: 18 * time.Second, Off: 10 * time.Second}}
	}
	return Cadence{{On: 3 * time.Second, Off: 2 * time.Second}}
}

// Unspoken is a voice that cannot be played: loudspeakers say that they failed, and no
// relay is switched for it.
type Unspoken struct{}

// Samples gives nothing.
func (Unspoken) Samples(drivers.Format) Reader { return nil }

// Cadence keeps relays off.
func (Unspoken) Cadence(Kind) Cadence { return Cadence{{Off: time.Second}} }

// turn gives where a job stands in a cadence, and when that changes.
func (j *job) turn(now time.Duration, c Cadence) (on bool, next time.Duration) {
	on, next = c.at(now - j.from)
	if next > 0 {
		next += j.from
	}
	if next == 0 || next > j.until {
		next = j.until
	}
	return on, next
}

// stretched gives a motor's cadence: turns no shorter than its minima, so that a
// rotor is never pulsed, and rests, since one that ran on would give the steady
// tone of the civil-defence all-clear.
func (c Cadence) stretched(minOn, minOff time.Duration) Cadence {
	out := make(Cadence, 0, len(c))
	for _, p := range c {
		if p.On > 0 {
			out = append(out, Pulse{On: max(p.On, minOn), Off: max(p.Off, minOff)})
		}
	}
	return out
}

// silent tells whether a cadence keeps the relay off: the programme is not for
// this kind of output.
func (c Cadence) silent() bool {
	return len(c) > 0 && !slices.ContainsFunc(c, func(p Pulse) bool { return p.On > 0 })
}

// unsuited tells whether a siren would say with a job what it must not: a
// chime that it has not got, an all-clear or a drill that sounds like an alarm.
func (j *job) unsuited(k Kind) bool {
	if k != Electronic && k != Motor {
		return false
	}
	c := j.p.Cadence(k)
	if _, bare := j.p.(Bare); bare || len(c) == 0 {
		return j.o.Action() == order.AllClear || j.o.Kind() != order.Real
	}
	return c.silent()
}

const shortestCycle = 100 * time.Millisecond

// at gives whether a cadence is on at a time after its beginning, and when
// that changes next (0: never).
func (c Cadence) at(since time.Duration) (on bool, next time.Duration) {
	var whole time.Duration
	for _, p := range c {
		whole += max(p.On, 0) + max(p.Off, 0)
	}
	if whole < shortestCycle {
		return true, 0 // no contact follows that
	}
	base := since - since%whole
	since %= whole
	var t time.Duration
	for _, p := range c {
		if t += max(p.On, 0); since < t {
			return true, base + t
		}
		if t += max(p.Off, 0); since < t {
			return false, base + t
		}
	}
	return false, base + whole
}

// direct takes a job that names this output, unless a takeover for something
// that outranks it is under way here.
func (m *machine) direct(now time.Duration, j *job) {
	if b := m.job; b != nil && b.primary != m.s.Name && !b.run.isRevoked(b.primary) && outranks(b.o, j.o) {
		m.decline(now, j)
		return
	}
	m.begin(now, j)
}

// deputise takes a job over from an output that failed.
func (m *machine) deputise(now time.Duration, j *job) {
	if j.run.isRevoked(j.primary) || now >= j.until {
		m.close(j)
		return
	}
	if b := m.job; b != nil && !outranks(j.o, b.o) {
		m.decline(now, j)
		return
	}
	m.begin(now, j)
}

func (m *machine) decline(now time.Duration, j *job) {
	m.emit(j, Failed, Unmeasured, phrase.M("sound.busy", "output", m.s.Name, "cause", m.job.o.Cause()), now)
	j.handed, j.endReported = true, true
	m.hand(j)
	m.close(j)
}

// dropRevoked ends a takeover whose own output does something else by now.
func (m *machine) dropRevoked(now time.Duration) {
	if j := m.job; j != nil && j.primary != m.s.Name && j.run.isRevoked(j.primary) {
		m.silence(now, phrase.M("sound.end_revoked", "primary", j.primary))
	}
}
