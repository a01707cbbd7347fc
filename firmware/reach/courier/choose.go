package courier

import (
	"cmp"
	"slices"
	"time"
)

// may tells whether a row of classes 0 to 3 may go out on a link now, and if not, when to
// ask again; weighed says that all links had to be compared for it.
func (m *Machine) may(now time.Duration, w *way, r *row) (ok bool, at time.Duration, weighed bool) {
	if t := r.tries[w.name]; t != nil {
		if t.ticket != 0 {
			return false, never, false
		}
		if t.next > now {
			return false, t.next, false
		}
	}
	n := m.carries(w, r)
	switch {
	case n == 0:
		return false, never, false
	case !r.everywhere():
		chosen, more := m.chosen(now, r)
		return slices.Contains(chosen, w), more, true
	case m.pays(now, w, r, n):
		return true, 0, false
	}
	return false, now + time.Minute, false
}

// carries is in how many messages a link carries a row, 0 where it cannot.
func (m *Machine) carries(w *way, r *row) int {
	b, _ := w.form(r)
	if w.state == Off || b == nil {
		return 0
	}
	if t := r.tries[w.name]; t != nil && t.misfit == w.bytes() {
		return 0
	}
	return w.messages(len(b))
}

func (m *Machine) pays(now time.Duration, w *way, r *row, n int) bool {
	b, _ := w.form(r)
	return w.money.allows(now, &r.Message, w.price(n, len(b)), m.rules)
}

// candidate is a link that could carry a row.
type candidate struct {
	w     *way
	bad   bool // does not meet the deadline, or is in doubt
	out   bool // it is out on it, and nothing speaks against that
	price float64
	eta   time.Duration
}

// chosen gives the links on which a row of classes 1 to 3 goes now, and when another
// would be added: the cheapest that meets the deadline, the next at half of what then was left,
// and so on. For what comes late already the count begins when the first link could
// have taken it, so that a backlog does not storm every link that costs.
func (m *Machine) chosen(now time.Duration, r *row) ([]*way, time.Duration) {
	var cs []candidate
	for _, least := range []State{Suspect, Down} {
		for _, w := range m.order {
			n := m.carries(w, r)
			if n == 0 || w.state < least || !m.pays(now, w, r, n) {
				continue
			}
			b, _ := w.form(r)
			c := candidate{w: w, price: w.price(n, len(b)), eta: w.eta(now, n)}
			doubt := w.state <= Suspect && !w.fresh()
			t := r.tries[w.name]
			c.out = t != nil && t.ticket != 0 && !doubt
			c.bad = !c.out && (doubt || now+c.eta > r.due())
			cs = append(cs, c)
		}
		if len(cs) > 0 {
			break // those that seem dead are tried only where there is no other
		}
	}
	if len(cs) == 0 {
		return nil, now + time.Minute
	}
	slices.SortFunc(cs, func(a, b candidate) int {
		switch {
		case a.out != b.out: // or its own slot, now taken, would send it elsewhere as well
			if a.out {
				return -1
			}
			return 1
		case a.bad != b.bad:
			if b.bad {
				return -1
			}
			return 1
		case !a.bad:
			return cmp.Or(cmp.Compare(a.price, b.price), cmp.Compare(a.eta, b.eta), cmp.Compare(a.w.name, b.w.name))
		}
		return cmp.Or(cmp.Compare(a.eta, b.eta), cmp.Compare(a.price, b.price), cmp.Compare(a.w.name, b.w.name))
	})
	start, due := max(r.born, cs[0].w.alive), r.due()
	if start >= due {
		due = start + r.Deadline
	}
	chosen := []*way{cs[0].w}
	for left := due - start; len(chosen) < len(cs); {
		left /= 2
		if at := due - left; at > now && left > 0 {
			return chosen, at
		}
		chosen = append(chosen, cs[len(chosen)].w)
	}
	return chosen, never
}

// fresh tells that a probed link was not yet heard nor missed.
func (w *way) fresh() bool { return w.state == Suspect && w.misses == 0 && !w.doubt }

// wideFor gives the wide link that carries telemetry or bulk now; wait says that one will
// at that time. anyWide says that a wide link is not given up yet.
func (m *Machine) wideFor(now time.Duration, c Class) (w *way, wait time.Duration, anyWide bool) {
	var open, held, doubtful []*way
	for _, w := range m.order {
		if !w.rule.Wide || w.rule.Metered || c == Bulk && !w.rule.Free {
			continue
		}
		anyWide = anyWide || w.state >= Suspect
		switch {
		case w.state < Suspect || w.fresh():
		case w.state == Suspect:
			doubtful = append(doubtful, w)
		case w.held > now:
			held = append(held, w)
		default:
			open = append(open, w)
		}
	}
	for _, next := range [][]*way{held, doubtful} { // nobody else carries it: no hold-down
		if len(open) == 0 {
			open = next
		}
	}
	if len(open) == 0 {
		return nil, never, anyWide
	}
	best := slices.MinFunc(open, func(a, b *way) int {
		return cmp.Or(cmp.Compare(a.rule.Cost.KiB, b.rule.Cost.KiB), cmp.Compare(a.eta(now, 1), b.eta(now, 1)), cmp.Compare(a.name, b.name))
	})
	if best.opens > now {
		return nil, best.opens, anyWide
	}
	return best, never, anyWide
}

// narrowFor gives the narrow link that carries summaries while no wide one is there.
func (m *Machine) narrowFor(now time.Duration) *way {
	var best *way
	for _, w := range m.order {
		if w.rule.Wide || w.rule.Metered || w.state < Returning {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(w.price(1, w.room()), best.price(1, best.room())), cmp.Compare(w.eta(now, 1), best.eta(now, 1))) < 0 {
			best = w
		}
	}
	return best
}

// idleRow tells whether a row of classes 4 and 5 may go out by w: nothing of it is under way
// anywhere.
func idleRow(now time.Duration, w *way, r *row) (ok bool, at time.Duration) {
	for name, t := range r.tries {
		switch {
		case t.ticket != 0:
			return false, never
		case name == w.name && t.misfit == w.bytes():
			return false, never
		case name == w.name && t.next > now:
			return false, t.next
		}
	}
	return true, 0
}

// summaryFor is how long telemetry's short form is worth sending: it says its time by the
// minute of the week, which whoever gets it takes nearest to then (reach/wire).
const summaryFor = 72 * time.Hour

// summary tells whether a row's short form is worth a narrow link. What may be of another week
// waits for a wide one.
func (m *Machine) summary(now time.Duration, r *row) bool {
	return r.Class == Telemetry && r.Short != nil && !r.shortHas && (r.Key == "" || r.born >= m.newest[r.Key]) && r.dated && now-r.born <= summaryFor
}
