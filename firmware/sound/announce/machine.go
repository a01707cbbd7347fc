package announce

import (
	"cmp"
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sound/order"
)

// item is one request that stands, sounds or waits.
type item struct {
	r     Request
	act   order.Action
	seq   uint64 // age: lower is older
	since clock.Stamp

	phase Phase
	// due is when the phase ends: the turn, the pause, the halt, or the wait
	// for the desk. forever is a halt that only an escalation ends.
	due     time.Duration
	forever bool
	// quiet is since when it has been silent.
	quiet time.Duration
	acked bool
	by    order.Who

	// turn counts its turns; held are the outputs of the present one.
	turn    uint64
	held    []string
	orderID string
	off     time.Duration
	ready   order.Order // made before its first turn
	refused string      // the last refusal that was told
}

func (it *item) standing() bool { return it.r.Duty.On > 0 && it.act == order.Sound }

// above tells whether a ranks strictly above b; age is not looked at.
func above(a, b *item) bool { return rank(a, b) < 0 }

func rank(a, b *item) int {
	return cmp.Or(cmp.Compare(b.r.Level, a.r.Level), cmp.Compare(a.r.Kind, b.r.Kind), cmp.Compare(b.r.Rank, a.r.Rank))
}

// mayTake tells whether a may take an output that b holds.
func mayTake(a, b *item) bool {
	return above(a, b) || rank(a, b) == 0 && a.seq > b.seq && a.r.Equal == Newest
}

// start is a turn that begins.
type start struct {
	it    *item
	turn  uint64
	order order.Order
}

// effects is what the shell is to do.
type effects struct {
	starts  []start
	silence []string // outputs that nothing holds any more
	events  []Event
}

// grant asks the desk for an order for an item's turn on outputs.
type grant func(it *item, outputs []string) (order.Order, error)

// machine decides who speaks. It is pure: time and the desk come in, effects go
// out. Times are monotonic.
type machine struct {
	limit int
	seq   uint64
	items []*item
	holds map[string]*item
}

func newMachine(limit int) *machine { return &machine{limit: limit, holds: map[string]*item{}} }

// settle is how much longer than its order a turn holds its outputs, so that
// they end by themselves and say finished rather than replaced.
const settle = 50 * time.Millisecond

func (m *machine) event(e *effects, it *item, what Happening, why phrase.Message, now clock.Stamp) {
	e.events = append(e.events, Event{
		What: what, Cause: it.r.Cause, Hazard: it.r.Hazard, Level: it.r.Level, Kind: it.r.Kind, Source: it.r.Source,
		OrderID: it.orderID, Who: it.r.Who, Why: why, At: now,
	})
}

func (m *machine) find(cause string) *item {
	for _, it := range m.items {
		if it.r.Cause == cause {
			return it
		}
	}
	return nil
}

func (m *machine) realStands() bool {
	return slices.ContainsFunc(m.items, func(it *item) bool { return it.r.Kind == order.Real && it.act == order.Sound })
}

// release gives up an item's outputs.
func (m *machine) release(e *effects, it *item, now clock.Stamp) {
	for _, o := range it.held {
		if m.holds[o] == it {
			delete(m.holds, o)
			e.silence = append(e.silence, o)
		}
	}
	if it.phase == Speaking {
		it.quiet = now.Mono
	}
	it.held = nil
}

func (m *machine) remove(e *effects, it *item, what Happening, why phrase.Message, now clock.Stamp) {
	m.release(e, it, now)
	m.items = slices.DeleteFunc(m.items, func(x *item) bool { return x == it })
	m.event(e, it, what, why, now)
	it.turn++ // a turn that is being composed is off
}

// announce takes a request.
func (m *machine) announce(e *effects, r Request, act order.Action, ready order.Order, now clock.Stamp) {
	if r.Resound <= 0 || r.Resound > MostResound {
		r.Resound = MostResound
	}
	r.Duty.Off = max(r.Duty.Off, 0)
	m.seq++
	it := &item{r: r, act: act, seq: m.seq, since: now, phase: Waiting, due: now.Mono, quiet: now.Mono, ready: ready}
	if r.Kind == order.Real {
		// Whatever real asks ends every drill and test, wherever they sound.
		for _, x := range slices.Clone(m.items) {
			if x.r.Kind != order.Real {
				m.remove(e, x, Dropped, phrase.M("sound.real_ends", "cause", r.Cause), now)
			}
		}
	} else if m.realStands() {
		m.event(e, it, Dropped, phrase.M("sound.real_stands", "kind", r.Kind.Message()), now)
		return
	}
	old := m.find(r.Cause)
	if old != nil && act == order.Sound && old.act == order.Sound && old.r.Kind == r.Kind && it.standing() && old.standing() {
		m.update(e, old, r, now)
		return
	}
	if old != nil {
		m.remove(e, old, Ended, phrase.M("sound.replaced"), now)
	}
	if r.Acknowledged {
		it.acked = true
	}
	if r.Stopped && it.standing() {
		it.halt(now.Mono, now.Mono+r.Resound-max(r.StoppedFor, 0))
	}
	m.items = append(m.items, it)
	m.event(e, it, Asked, r.Why, now)
	m.shed(e, now)
}

// update replaces what a standing item says. What is worse begins anew and at
// once, whoever stopped or acknowledged the old level. What is not keeps its
// silence, its pause and its turn.
func (m *machine) update(e *effects, it *item, r Request, now clock.Stamp) {
	worse := r.Level > it.r.Level
	same := r.Level == it.r.Level && slices.Equal(r.Outputs, it.r.Outputs) && r.Content.Equal(it.r.Content)
	oldResound := it.r.Resound
	it.r = r
	m.event(e, it, Asked, r.Why, now)
	if r.Acknowledged && !worse {
		m.acknowledged(r.Cause)
	}
	switch {
	case worse:
		m.release(e, it, now)
		it.turn++
		it.acked, it.forever, it.by = r.Acknowledged, false, order.Who{}
		it.phase, it.due, it.since = Waiting, now.Mono, now
		m.seq++
		it.seq = m.seq
	case it.phase == Speaking && !same:
		m.release(e, it, now)
		it.turn++
		it.phase, it.due = Waiting, now.Mono
	case it.phase == Pausing:
		it.due = min(it.due, it.quiet+max(r.Duty.Off, 0))
	case it.phase == Halted && !it.forever && r.Resound < oldResound:
		it.due = min(it.due, now.Mono+r.Resound)
	}
}

// shed keeps the items within the limit: the lowest goes, the newest of these
// first.
func (m *machine) shed(e *effects, now clock.Stamp) {
	for len(m.items) > m.limit {
		low := m.items[0]
		for _, it := range m.items[1:] {
			if c := rank(it, low); c > 0 || c == 0 && it.seq > low.seq {
				low = it
			}
		}
		m.remove(e, low, Overflow, phrase.M("sound.overflow", "limit", m.limit), now)
	}
}

func (it *item) halt(now, until time.Duration) {
	it.phase, it.due, it.forever = Halted, max(until, now), it.acked
}

// stop silences everything that sounds or is about to.
func (m *machine) stop(e *effects, who order.Who, now clock.Stamp) []Stopped {
	var all []Stopped
	for _, it := range slices.Clone(m.items) {
		if it.phase == Halted {
			continue // it is silent, and its time runs from the first STOP
		}
		s := Stopped{Cause: it.r.Cause, OrderID: it.orderID, Hazard: it.r.Hazard, Level: it.r.Level, Kind: it.r.Kind, Was: it.phase}
		why := phrase.M("sound.end_silenced", "who", who.Name)
		if !it.standing() {
			it.r.Who = who
			m.remove(e, it, Halt, why, now)
			all = append(all, s)
			continue
		}
		until := now.Mono + it.r.Resound
		if it.phase == Pausing {
			until = min(until, it.quiet+max(it.r.Resound, it.off))
		}
		m.release(e, it, now)
		it.turn++
		it.by = who
		it.halt(now.Mono, until)
		if !it.forever {
			s.Again = now.Add(it.due - now.Mono)
		}
		m.event(e, it, Halt, why, now)
		e.events[len(e.events)-1].Who = who
		all = append(all, s)
	}
	return all
}

func (m *machine) acknowledged(cause string) {
	for _, it := range m.items {
		if it.r.Cause == cause {
			it.acked = true
			if it.phase == Halted {
				it.forever = true
			}
		}
	}
}

// over ends a turn: its time is up, or all that was to be heard was.
func (m *machine) over(e *effects, it *item, turn uint64, now clock.Stamp) {
	if it.turn != turn || it.phase != Speaking {
		return
	}
	// The outputs have ended by themselves: nothing to silence.
	quiet := effects{}
	m.release(&quiet, it, now)
	if !it.standing() {
		m.remove(e, it, Ended, phrase.M("sound.done"), now)
		return
	}
	it.phase, it.due = Pausing, now.Mono+it.off
}

// step moves time on and gives outputs to who ranks highest.
func (m *machine) step(e *effects, now clock.Stamp, g grant) {
	for _, it := range slices.Clone(m.items) {
		if it.phase == Speaking && now.Mono >= it.due {
			m.over(e, it, it.turn, now)
		}
		switch {
		case it.phase == Pausing && now.Mono >= it.due, it.phase == Halted && !it.forever && now.Mono >= it.due:
			it.phase, it.by = Waiting, order.Who{}
		}
	}
	// Who loses an output to somebody higher may find another one free: again,
	// until nobody loses anything. Each round hands outputs upwards only.
	for range len(m.items) + 1 {
		lost := false
		for _, it := range m.ready(now.Mono) {
			lost = m.tryTurn(e, it, now, g) || lost
		}
		if !lost {
			break
		}
	}
	// What somebody holds again is not silenced: the new order replaces the old.
	e.silence = slices.DeleteFunc(e.silence, func(o string) bool { return m.holds[o] != nil })
}

// ready lists who may have a turn, the highest first.
func (m *machine) ready(now time.Duration) []*item {
	r := slices.DeleteFunc(slices.Clone(m.items), func(it *item) bool { return it.phase != Waiting || now < it.due })
	slices.SortStableFunc(r, func(a, b *item) int {
		if c := rank(a, b); c != 0 {
			return c
		}
		if a.r.Equal == Newest && b.r.Equal == Newest {
			return cmp.Compare(b.seq, a.seq)
		}
		return cmp.Or(cmp.Compare(a.r.Equal, b.r.Equal), cmp.Compare(a.quiet, b.quiet), cmp.Compare(a.seq, b.seq))
	})
	return r
}

// tryTurn begins a turn on the outputs that an item may have. It tells whether
// somebody else lost its turn by that.
func (m *machine) tryTurn(e *effects, it *item, now clock.Stamp, g grant) (lost bool) {
	var outs []string
	for _, o := range it.r.Outputs {
		if h := m.holds[o]; h == nil || mayTake(it, h) {
			outs = append(outs, o)
		}
	}
	if len(outs) == 0 && len(it.r.Outputs) > 0 {
		if it.r.Lower == Drop && !it.standing() {
			m.remove(e, it, Dropped, phrase.M("sound.outranked"), now)
		}
		return false
	}
	o, err := g(it, outs)
	if err != nil {
		m.refusedTurn(e, it, err, now)
		return false
	}
	for _, name := range outs {
		if h := m.holds[name]; h != nil {
			lost = m.lose(e, h, name, it, now) || lost
		}
		m.holds[name] = it
	}
	it.turn++
	it.phase, it.held, it.orderID, it.refused = Speaking, outs, o.ID(), ""
	it.due, it.off = now.Mono+o.For()+settle, max(o.Off(), it.r.Duty.Off)
	it.ready = order.Order{}
	e.starts = append(e.starts, start{it, it.turn, o})
	m.event(e, it, Turn, it.r.Why, now)
	return lost
}

// lose takes one output from an item; with its last one, its turn ends, and
// that is told.
func (m *machine) lose(e *effects, it *item, name string, to *item, now clock.Stamp) bool {
	it.held = slices.DeleteFunc(it.held, func(o string) bool { return o == name })
	if len(it.held) > 0 {
		return false
	}
	it.turn++
	it.quiet = now.Mono
	it.phase, it.due = Waiting, now.Mono
	if it.r.Lower == Drop && !it.standing() {
		m.remove(e, it, Dropped, phrase.M("sound.end_replaced", "cause", to.r.Cause), now)
	}
	return true
}

func (m *machine) refusedTurn(e *effects, it *item, err error, now clock.Stamp) {
	why := phrase.Of(err)
	if it.refused != why.Code {
		it.refused = why.Code
		m.event(e, it, Refused, why, now)
	}
	wait, again := order.RetryAfter(err)
	switch {
	case !it.standing() && !again:
		m.remove(e, it, Ended, why, now)
		return
	case !again:
		// The bounds may be mended while the level stands.
		wait = max(it.r.Duty.Off, time.Minute)
	}
	it.due = now.Mono + min(max(wait, time.Second), it.r.Resound)
}

// next gives when step has something to do; 0 where only a request will bring
// it.
func (m *machine) next(now time.Duration) time.Duration {
	var at time.Duration
	for _, it := range m.items {
		if it.phase == Halted && it.forever || it.phase == Waiting && it.due <= now {
			continue
		}
		if at == 0 || it.due < at {
			at = it.due
		}
	}
	return at
}
