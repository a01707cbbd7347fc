package rollcall

import (
	"slices"
	"time"

	"tocsin/firmware/point"
)

// Round is an alarm for which people are told, as it stands now.
type Round struct {
	// Cause is the alarm's.
	Cause  string      `json:"cause"`
	Hazard string      `json:"hazard"`
	Level  point.Level `json:"level"`
	// Drill: it is none, and all that is said says so.
	Drill bool `json:"drill,omitempty"`
}

// round is a Round with what became of it.
type round struct {
	Round
	// Began is when this level began, Quiet since when it does not stand.
	Began time.Duration `json:"began"`
	// Top is the highest level that people were told of, Eased since when it does not stand: what
	// swings between two levels is no reason to begin anew.
	Top   point.Level      `json:"top,omitempty"`
	Eased time.Duration    `json:"eased,omitempty"`
	Quiet time.Duration    `json:"quiet,omitempty"`
	Phase Phase            `json:"phase"`
	Told  map[string]*told `json:"told,omitempty"`
}

// Phase is where a round is.
type Phase string

// The phases.
const (
	Calling Phase = "calling" // people are told
	Spent   Phase = "spent"   // its time is over
	Still   Phase = "still"   // the level does not stand any more
	Clear   Phase = "clear"   // the all-clear was given and is told
)

// told is how far one person is.
type told struct {
	// Wrote is the level for which the message went out, Writes how often it was tried,
	// Write when it may be tried again.
	Wrote  point.Level   `json:"wrote,omitempty"`
	Writes int           `json:"writes,omitempty"`
	Write  time.Duration `json:"write,omitempty"`
	// Confirmed is the level that was confirmed, Key by which, At when.
	Confirmed point.Level   `json:"confirmed,omitempty"`
	Key       string        `json:"key,omitempty"`
	At        time.Duration `json:"at,omitempty"`
	// Calls counts tries at this level; Next is when the next may be.
	Calls int           `json:"calls,omitempty"`
	Next  time.Duration `json:"next,omitempty"`
	// Best is the most that is known of a call of this level.
	Best Known `json:"best,omitempty"`
	// Cleared: the all-clear went out.
	Cleared bool `json:"cleared,omitempty"`
	// Missed: it was said that this person was not reached.
	Missed bool `json:"missed,omitempty"`
}

// Known is how much is known of a call or person, from nothing to a key.
type Known string

// What may be known.
const (
	Nothing   Known = ""
	Dialled   Known = "dialled"
	Rang      Known = "rang"
	Answered  Known = "answered"
	Heard     Known = "heard"
	Confirmed Known = "confirmed"
)

var knowing = []Known{Nothing, Dialled, Rang, Answered, Heard, Confirmed}

// better gives the one of which more is known.
func better(a, b Known) Known {
	if slices.Index(knowing, b) > slices.Index(knowing, a) {
		return b
	}
	return a
}

// Kind is what a task is.
type Kind string

// The kinds of tasks.
const (
	Write    Kind = "write"
	Call     Kind = "call"
	AllClear Kind = "all-clear" // written
)

// Task is one thing to do.
type Task struct {
	Kind   Kind        `json:"kind"`
	Cause  string      `json:"cause"`
	Hazard string      `json:"hazard"`
	Level  point.Level `json:"level"`
	Drill  bool        `json:"drill,omitempty"`
	Person string      `json:"person"`
	Number string      `json:"number"`
	Try    int         `json:"try"`
}

// Outcome is what became of a task.
type Outcome struct {
	// Unable: it could not even be tried (no network, no modem, no right to). It counts
	// as no try.
	Unable bool
	// Done: a message is with the network.
	Done bool
	// Of a call: how far it got, the keys that were pressed, whether the first of
	// them that counts confirms, how long was played, and why it ended, in a word.
	Known  Known
	Keys   string
	Played time.Duration
	Why    string
}

// Event is something to write down.
type Event struct {
	What  What
	Task  Task
	Out   Outcome
	After string // for Deputy: who was not reached
}

// What happened.
type What string

// What may happen.
const (
	Wrote      What = "wrote"     // a message is with the network
	NotWritten What = "not-sent"  // it is not, and is not tried any more
	Called     What = "called"    // a call ended: Out says how
	Deputy     What = "deputy"    // a deputy's turn came
	Missed     What = "missed"    // a person was not reached by calls
	Unknown    What = "unknown"   // the power went during the task
	OutOfTime  What = "time"      // the round's time is over, and somebody is missing
	Complete   What = "everybody" // whoever was to confirm, or a deputy, has
	Unheeded   What = "nobody"    // all were tried, and nobody confirmed
	Shed       What = "shed"      // a round was left out since there were too many
)

// Bounds.
const (
	roundsMost = 32
	// unableWait is how long a modem that cannot is left alone.
	unableWait = 5 * time.Second
	// tick is the longest that Next lets its caller wait.
	idle = time.Minute
)

// Machine runs the rounds. One goroutine uses it.
type Machine struct {
	// Mute: there is no way to call now. People are written to meanwhile.
	Mute bool

	t      Table
	people []Person
	rounds []*round
	flying *Task
	unable time.Duration // until when nothing can be done
}

// New makes one.
func New(t Table, people []Person) *Machine { return &Machine{t: t, people: people} }

// Configure changes table and people; what is known of people stays with their ids.
func (m *Machine) Configure(t Table, people []Person) { m.t, m.people = t, people }

func (m *Machine) find(cause string) *round {
	for _, r := range m.rounds {
		if r.Cause == cause {
			return r
		}
	}
	return nil
}

// Stands says that a level stands, or stands again, or another one. Told the same
// again it changes nothing.
func (m *Machine) Stands(a Round, now time.Duration) (ev []Event) {
	if a.Cause == "" || a.Level <= point.Calm {
		return nil
	}
	r := m.find(a.Cause)
	if r == nil {
		if len(m.rounds) >= roundsMost {
			if ev = m.shed(a); ev != nil && ev[0].Task.Cause == a.Cause {
				return ev
			}
		}
		m.rounds = append(m.rounds, &round{Round: a, Began: now, Top: a.Level, Phase: Calling, Told: map[string]*told{}})
		return ev
	}
	fresh := r.Phase == Clear || r.Phase == Still && now-r.Quiet >= m.t.Afresh
	switch {
	case fresh:
		r.Told = map[string]*told{}
		r.Phase, r.Began, r.Quiet, r.Top, r.Level = Calling, now, 0, a.Level, a.Level
	case r.Phase == Still:
		r.Phase, r.Began, r.Quiet = Calling, now, 0
	}
	r.follow(a, now, m.t.Afresh)
	return nil
}

// top is the highest level of a round; a snapshot of an older program does not say it.
func (r *round) top() point.Level { return max(r.Top, r.Level) }

// follow takes a round's level. One above all before it, or that was left for long, begins anew for
// everybody. One that comes again sooner is told on where it stopped: how often each was tried stays.
func (r *round) follow(a Round, now, afresh time.Duration) {
	if a.Level > r.Level {
		if a.Level > r.top() || now-r.Eased >= afresh {
			for _, x := range r.Told {
				x.Writes, x.Write, x.Calls, x.Next, x.Best, x.Missed = 0, 0, 0, 0, Nothing, false
			}
			r.Top = a.Level
		}
		r.Phase, r.Began, r.Quiet = Calling, now, 0
	}
	if r.Level == r.top() && a.Level < r.Level {
		r.Top, r.Eased = r.Level, now
	}
	r.Round = a
}

// shed makes room for a round: by one that is over, else by the lowest.
func (m *Machine) shed(a Round) []Event {
	least := -1
	for i, r := range m.rounds {
		if r.Phase != Calling && !m.pending(r) {
			m.rounds = slices.Delete(m.rounds, i, i+1)
			return nil
		}
		if least < 0 || r.weight() < m.rounds[least].weight() {
			least = i
		}
	}
	if (&round{Round: a}).weight() <= m.rounds[least].weight() {
		return []Event{{What: Shed, Task: Task{Cause: a.Cause, Hazard: a.Hazard, Level: a.Level, Drill: a.Drill}}}
	}
	out := m.rounds[least].Round
	m.rounds = slices.Delete(m.rounds, least, least+1)
	return []Event{{What: Shed, Task: Task{Cause: out.Cause, Hazard: out.Hazard, Level: out.Level, Drill: out.Drill}}}
}

// weight orders rounds: the real before drills, the higher before the lower.
func (r *round) weight() int {
	if r.Drill {
		return int(r.Level)
	}
	return 1000 + int(r.Level)
}

// pending tells whether something of a round is still to be done.
func (m *Machine) pending(r *round) bool {
	return r.Phase == Clear && slices.ContainsFunc(m.people, func(p Person) bool { return m.clears(r, &p) })
}

// Subsided says that the level does not stand any more, and that nobody gave the
// all-clear. Nobody is called on.
func (m *Machine) Subsided(cause string, now time.Duration) {
	if r := m.find(cause); r != nil && r.Phase != Clear && r.Phase != Still {
		r.Phase, r.Quiet = Still, now
	}
}

// Over says that the all-clear was given. Those who were written to are told.
func (m *Machine) Over(cause string, now time.Duration) {
	r := m.find(cause)
	if r == nil || r.Phase == Clear {
		return
	}
	r.Phase, r.Began = Clear, now
	for _, x := range r.Told {
		x.Writes, x.Write = 0, 0
	}
}

// Holds tells whether a task is still right. One that is not is to be broken off.
func (m *Machine) Holds(t Task) bool {
	r := m.find(t.Cause)
	if r == nil {
		return false
	}
	if t.Kind == AllClear {
		return r.Phase == Clear
	}
	return (r.Phase == Calling || r.Phase == Spent) && r.Level == t.Level
}

// Next gives what to do now, and when to ask again where there is nothing. One task at
// a time: the next one comes after Done.
func (m *Machine) Next(now time.Duration) (t Task, ok bool, wait time.Duration, ev []Event) {
	ev = m.expire(now)
	if m.flying != nil {
		return Task{}, false, idle, ev
	}
	wait = idle
	if now < m.unable {
		return Task{}, false, m.unable - now, ev
	}
	best := (*round)(nil)
	for _, r := range m.byWeight() {
		x, there, w := m.of(r, now)
		if there {
			t, best = x, r
			break
		}
		wait = min(wait, w)
	}
	if best == nil {
		return Task{}, false, max(wait, 100*time.Millisecond), ev
	}
	x := best.person(t.Person)
	if t.Kind == Call {
		x.Calls++
		if x.Calls == 1 {
			if p := m.before(best, t.Person); p != "" {
				ev = append(ev, Event{What: Deputy, Task: t, After: p})
			}
		}
	} else {
		x.Writes++
	}
	m.flying = &t
	return t, true, 0, ev
}

func (m *Machine) byWeight() []*round {
	all := slices.Clone(m.rounds)
	slices.SortStableFunc(all, func(a, b *round) int { return b.weight() - a.weight() })
	return all
}

func (r *round) person(id string) *told {
	x := r.Told[id]
	if x == nil {
		x = &told{}
		if r.Told == nil {
			r.Told = map[string]*told{}
		}
		r.Told[id] = x
	}
	return x
}

// expire ends rounds whose time is over, and forgets old ones.
func (m *Machine) expire(now time.Duration) (ev []Event) {
	for _, r := range m.rounds {
		if r.Phase != Calling || now-r.Began < m.t.Within {
			continue
		}
		r.Phase = Spent
		if m.missing(r) {
			ev = append(ev, Event{What: OutOfTime, Task: Task{Cause: r.Cause, Hazard: r.Hazard, Level: r.Level, Drill: r.Drill}})
		}
	}
	m.rounds = slices.DeleteFunc(m.rounds, func(r *round) bool {
		return r.Phase == Clear && now-r.Began > m.t.Within || r.Drill && r.Phase == Spent && now-r.Began > 2*m.t.Within || r.Phase == Still && now-r.Quiet > 2*m.t.Afresh
	})
	return ev
}

// writes tells whether a person is still to be written to.
func (m *Machine) writes(r *round, p *Person) bool {
	x := r.person(p.ID)
	return p.of(r) && p.SMS > point.Calm && r.Level >= p.SMS && (!r.Drill || m.t.Drill.SMS) && len(p.Numbers) > 0 &&
		x.Wrote < r.Level && x.Writes < m.t.Tries
}

// clears tells whether a person is still to be told of the all-clear.
func (m *Machine) clears(r *round, p *Person) bool {
	x := r.Told[p.ID]
	return x != nil && x.Wrote > point.Calm && !x.Cleared && x.Writes < m.t.Tries && len(p.Numbers) > 0
}

// listed tells whether a person is called for a round at all.
func (m *Machine) listed(r *round, p *Person) bool {
	return p.of(r) && p.Call > point.Calm && r.Level >= p.Call && (!r.Drill || m.t.Drill.Call) && len(p.Numbers) > 0
}

func (m *Machine) most(p *Person) int { return m.t.Tries * len(p.Numbers) }

func (m *Machine) confirmed(r *round, id string) bool {
	x := r.Told[id]
	return x != nil && x.Confirmed >= r.Level
}

// exhausted: called as often as may be, and not confirmed.
func (m *Machine) exhausted(r *round, p *Person) bool {
	x := r.Told[p.ID]
	return x != nil && x.Calls >= m.most(p) && x.Confirmed < r.Level && !(m.flying != nil && m.flying.Kind == Call && m.flying.Cause == r.Cause && m.flying.Person == p.ID)
}

func (m *Machine) byID(id string) *Person {
	for i := range m.people {
		if m.people[i].ID == id {
			return &m.people[i]
		}
	}
	return nil
}

// turn tells whether it is a person's turn: they answer for themselves, or all before
// them were not reached.
func (m *Machine) turn(r *round, p *Person) bool { return m.leads(r, p) || m.before(r, p.ID) != "" }

// leads tells whether nobody who is called for this round has them as a deputy.
func (m *Machine) leads(r *round, p *Person) bool {
	for i := range m.people {
		if q := &m.people[i]; q.ID != p.ID && m.listed(r, q) && slices.Contains(q.Deputies, p.ID) {
			return false
		}
	}
	return true
}

// before gives who was not reached, so that it is this deputy's turn.
func (m *Machine) before(r *round, id string) string {
	for i := range m.people {
		q := &m.people[i]
		at := slices.Index(q.Deputies, id)
		if at < 0 || q.ID == id || !m.listed(r, q) || !m.exhausted(r, q) {
			continue
		}
		last, open := q.ID, true
		for _, d := range q.Deputies[:at] {
			e := m.byID(d)
			if e == nil || !m.listed(r, e) {
				continue
			}
			if m.confirmed(r, d) || !m.exhausted(r, e) {
				open = false
				break
			}
			last = d
		}
		if open {
			return last
		}
	}
	return ""
}

// of gives what a round has to do now, else how long until it has.
func (m *Machine) of(r *round, now time.Duration) (t Task, ok bool, wait time.Duration) {
	wait = idle
	task := func(k Kind, p *Person, try int) Task {
		return Task{Kind: k, Cause: r.Cause, Hazard: r.Hazard, Level: r.Level, Drill: r.Drill, Person: p.ID, Number: p.Numbers[try%len(p.Numbers)], Try: try + 1}
	}
	due := func(at time.Duration) bool {
		if at > now {
			wait = min(wait, at-now)
		}
		return at <= now
	}
	switch r.Phase {
	case Clear:
		for i := range m.people {
			if p := &m.people[i]; m.clears(r, p) && due(r.Told[p.ID].Write) {
				return task(AllClear, p, r.Told[p.ID].Writes), true, 0
			}
		}
		return t, false, wait
	case Calling:
	default:
		return t, false, idle
	}
	wait = min(wait, r.Began+m.t.Within-now)
	var write, call *Person
	for i := range m.people {
		p := &m.people[i]
		if m.writes(r, p) && (write == nil || r.person(p.ID).Writes < r.person(write.ID).Writes) && due(r.person(p.ID).Write) {
			write = p
		}
		if !m.Mute && m.listed(r, p) && !m.confirmed(r, p.ID) && r.person(p.ID).Calls < m.most(p) && m.turn(r, p) &&
			(call == nil || r.person(p.ID).Calls < r.person(call.ID).Calls) && due(r.person(p.ID).Next) {
			call = p
		}
	}
	first := now-r.Began < m.t.First
	switch {
	case write != nil && (call == nil || first && r.person(write.ID).Writes == 0):
		return task(Write, write, r.person(write.ID).Writes), true, 0
	case call != nil:
		return task(Call, call, r.person(call.ID).Calls), true, 0
	}
	return t, false, wait
}

// missing tells whether somebody who answers for themselves was to confirm, and neither
// they nor a deputy has.
func (m *Machine) missing(r *round) bool {
	for i := range m.people {
		if p := &m.people[i]; m.listed(r, p) && m.leads(r, p) && !m.answered(r, p) {
			return true
		}
	}
	return false
}

// answered: they or one of their deputies confirmed.
func (m *Machine) answered(r *round, p *Person) bool {
	return m.confirmed(r, p.ID) || slices.ContainsFunc(p.Deputies, func(d string) bool { return m.confirmed(r, d) })
}

// Done says what became of the task.
func (m *Machine) Done(o Outcome, now time.Duration) (ev []Event) {
	t := m.flying
	m.flying = nil
	if t == nil {
		return nil
	}
	r := m.find(t.Cause)
	if r == nil {
		return []Event{{What: Called, Task: *t, Out: o}}
	}
	x := r.person(t.Person)
	current := r.Level <= t.Level // else a higher level has begun, whose counts these are not
	same := r.Level == t.Level
	if o.Unable {
		m.unable = now + unableWait
		if current && t.Kind == Call {
			x.Calls = max(0, x.Calls-1)
		} else if current {
			x.Writes = max(0, x.Writes-1)
		}
		return nil
	}
	switch t.Kind {
	case Write, AllClear:
		switch {
		case o.Done && t.Kind == AllClear:
			x.Cleared = true
		case o.Done:
			x.Wrote = max(x.Wrote, t.Level)
		}
		if o.Done {
			return []Event{{What: Wrote, Task: *t, Out: o}}
		}
		x.Write = now + m.t.Again
		if current && x.Writes >= m.t.Tries {
			ev = append(ev, Event{What: NotWritten, Task: *t, Out: o})
		}
		return ev
	}
	ev = append(ev, Event{What: Called, Task: *t, Out: o})
	if o.Known == Confirmed {
		x.Confirmed, x.Key, x.At, x.Best = max(x.Confirmed, t.Level), o.Keys, now, Confirmed
		if same && r.Phase == Calling && !m.missing(r) {
			ev = append(ev, Event{What: Complete, Task: *t})
		}
		return ev
	}
	if !current {
		return ev
	}
	x.Best = better(x.Best, o.Known)
	x.Next = now + m.t.Again
	if o.Why == "busy" {
		x.Next = now + m.t.Soon
	}
	if p := m.byID(t.Person); p != nil && x.Calls >= m.most(p) && !x.Missed {
		x.Missed = true
		ev = append(ev, Event{What: Missed, Task: *t, Out: Outcome{Known: x.Best}})
		if same && m.over(r) && m.nobody(r) {
			ev = append(ev, Event{What: Unheeded, Task: *t})
		}
	}
	return ev
}

// over tells whether nobody is left to call.
func (m *Machine) over(r *round) bool {
	for i := range m.people {
		if p := &m.people[i]; m.listed(r, p) && !m.confirmed(r, p.ID) && m.turn(r, p) && r.person(p.ID).Calls < m.most(p) {
			return false
		}
	}
	return true
}

func (m *Machine) nobody(r *round) bool {
	for id := range r.Told {
		if m.confirmed(r, id) {
			return false
		}
	}
	return true
}
