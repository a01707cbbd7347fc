package courier

import (
	"slices"
	"time"
)

// Bounds of one parcel.
const (
	partsMost   = 256
	lookMost    = 256 // rows of classes 0 to 3 that are found, or weighed in vain, for one parcel
	fillersMost = 64  // summaries that are weighed for one slot
	sendsMost   = 4   // parcels in Send on a wide link; a warning may exceed it twice
)

// pack makes the next parcel of a link, nil where there is none now; then it says when to
// ask again.
func (m *Machine) pack(now time.Duration, w *way) (*Parcel, time.Duration) {
	if w.state == Off || w.room() <= 0 {
		return nil, never
	}
	if w.next > now {
		if len(m.rows) == 0 {
			return nil, never
		}
		return nil, w.next
	}
	most := 1
	if w.rule.Wide {
		most = sendsMost
	}
	if w.sending >= 2*most || !w.rule.Wide && w.sending >= most {
		return nil, never
	}
	full := w.rule.Wide && len(w.out) >= w.rule.Window // what is out is not answered: do not add to a jam
	if full && len(w.out) >= 2*w.rule.Window {
		return nil, never
	}
	urgent, soon := m.urgent(now, w)
	if full || w.sending >= most {
		urgent = slices.DeleteFunc(urgent, func(r *row) bool { return !r.everywhere() })
		if len(urgent) == 0 {
			return nil, soon
		}
	}
	c := cargo{w: w, room: w.room()}
	for _, r := range urgent {
		if b, _ := w.form(r); len(c.rows) > 0 && !w.money.allows(now, &r.Message, w.price(1, c.used+len(b)), m.rules) {
			continue
		}
		c.take(r)
		if c.messages > 1 {
			return m.launch(now, w, &c), 0
		}
	}
	if !full && w.sending < most {
		soon = min(soon, m.fillUp(now, w, &c))
	}
	if len(c.rows) == 0 {
		return nil, soon
	}
	return m.launch(now, w, &c), 0
}

// urgent gives the rows of classes 0 to 3 that may go now: by class, those that this link
// tried least first, then the newest.
func (m *Machine) urgent(now time.Duration, w *way) (rows []*row, soon time.Duration) {
	soon = never
	vain := 0
	for _, r := range m.rows {
		if r.order() > int(Alarm) || len(rows) == lookMost {
			break
		}
		if vain == lookMost && !r.everywhere() {
			soon = min(soon, now+time.Second) // the others' turn comes when these are done
			break
		}
		ok, at, weighed := m.may(now, w, r)
		switch {
		case ok:
			rows = append(rows, r)
		case weighed:
			vain++
		}
		if !ok {
			soon = min(soon, at)
		}
	}
	slices.SortStableFunc(rows, func(a, b *row) int {
		if a.order() != b.order() {
			return a.order() - b.order()
		}
		return w.tried(a) - w.tried(b)
	})
	return rows, soon
}

func (w *way) tried(r *row) int {
	if t := r.tries[w.name]; t != nil {
		return t.n
	}
	return 0
}

// cargo is a parcel that is being filled.
type cargo struct {
	w        *way
	rows     []*row
	parts    []Part
	room     int
	used     int
	messages int
}

// take adds a row where it fits; the first may be longer than one message.
func (c *cargo) take(r *row) bool {
	b, short := c.w.form(r)
	size := len(b) + c.w.rule.Part
	switch {
	case len(c.rows) >= partsMost:
		return false
	case len(c.rows) == 0:
		c.messages = c.w.messages(len(b))
	case c.used+size > c.room:
		return false
	}
	c.used += size
	c.rows = append(c.rows, r)
	c.parts = append(c.parts, Part{ID: r.ID, Class: r.Class, Short: short, Bytes: b})
	return true
}

// fillUp adds telemetry, or bulk where there is nothing else. It says when to ask again.
func (m *Machine) fillUp(now time.Duration, w *way, c *cargo) (soon time.Duration) {
	wide, soon, anyWide := m.wideFor(now, Telemetry)
	from, _ := slices.BinarySearchFunc(m.rows, int(Telemetry), func(a *row, o int) int { return a.order() - o })
	if !w.rule.Wide {
		if wide == nil && !anyWide {
			soon = min(soon, m.fillSlot(now, w, c, m.rows[from:]))
		}
		return soon
	}
	backlog := 0
	for _, f := range w.out {
		if f.backlog {
			backlog++
		}
	}
	if backlog >= max(1, w.rule.Window/2) {
		return soon
	}
	if wide == w {
		for _, r := range m.rows[from:] {
			if r.order() != int(Telemetry) || len(c.rows) == partsMost || c.used >= c.room {
				break
			}
			ok, at := idleRow(now, w, r)
			if !ok {
				soon = min(soon, at)
				continue
			}
			b, _ := w.form(r)
			if b == nil {
				continue
			}
			if !w.money.allows(now, &r.Message, w.price(1, len(b)+c.used), m.rules) {
				return min(soon, now+time.Minute)
			}
			c.take(r)
		}
	}
	if len(c.rows) > 0 || m.spare.Bulk {
		return soon
	}
	free, wait, _ := m.wideFor(now, Bulk)
	soon = min(soon, wait)
	if free != w {
		return soon
	}
	from, _ = slices.BinarySearchFunc(m.rows, int(Bulk), func(a *row, o int) int { return a.order() - o })
	for _, r := range slices.Backward(m.rows[from:]) { // the oldest first
		ok, at := idleRow(now, w, r)
		if b, _ := w.form(r); b == nil {
			continue
		}
		if ok {
			c.take(r)
			return soon
		}
		soon = min(soon, at)
	}
	return soon
}

// fillSlot fills what a slot has left with the summaries that fill it best. A slot with
// nothing else waits until it is worth going out.
func (m *Machine) fillSlot(now time.Duration, w *way, c *cargo, rows []*row) (soon time.Duration) {
	soon = never
	alone := len(c.rows) == 0
	if alone && m.narrowFor(now) != w || !alone && w.rule.Cost.KiB > 0 {
		return soon
	}
	var items []*row
	var sizes []int
	due := never
	for _, r := range rows {
		if r.order() != int(Telemetry) || len(items) == fillersMost {
			break
		}
		if !m.summary(now, r) {
			continue
		}
		if ok, at := idleRow(now, w, r); !ok {
			soon = min(soon, at)
			continue
		}
		size := len(r.Short) + w.rule.Part
		if size > c.room-c.used || alone && !w.money.allows(now, &r.Message, w.price(1, size), m.rules) {
			continue
		}
		items = append(items, r)
		sizes = append(sizes, size)
		due = min(due, r.born+r.Deadline/2)
	}
	picked, used := knapsack(sizes, c.room-c.used)
	if len(picked) == 0 {
		return soon
	}
	if alone && used+w.rule.Overhead < w.rule.Fill && due > now {
		w.count.Waits++
		return min(soon, due)
	}
	for _, i := range picked {
		c.take(items[i])
	}
	return soon
}

// knapsack gives the items that together come nearest to room without exceeding it, and how
// much they fill; of equal fillings the one of earlier items.
func knapsack(sizes []int, room int) (picked []int, used int) {
	if room <= 0 {
		return nil, 0
	}
	last := make([]int, room+1) // the item by which a filling was first reached, from 1
	for i, size := range sizes {
		for s := room; s >= size && size > 0; s-- {
			if last[s] == 0 && (s == size || last[s-size] != 0) {
				last[s] = i + 1
			}
		}
	}
	for used = room; used > 0 && last[used] == 0; used-- {
	}
	for s := used; s > 0; s -= sizes[last[s]-1] {
		picked = append(picked, last[s]-1)
	}
	slices.Reverse(picked)
	return picked, used
}

// launch sends a cargo on its way.
func (m *Machine) launch(now time.Duration, w *way, c *cargo) *Parcel {
	m.ticket++
	total := 0
	f := &flight{ticket: m.ticket, rows: c.rows, began: now, first: true, class: Bulk, slotFrom: w.next}
	f.backlog = c.rows[0].order() >= int(Telemetry)
	for i, r := range c.rows {
		total += len(c.parts[i].Bytes)
		t := r.try(w.name)
		t.ticket = f.ticket
		f.first = f.first && t.n == 0
		f.class = min(f.class, Class(r.order()))
	}
	f.parcel = Parcel{Ticket: f.ticket, Link: w.name, Parts: c.parts, Messages: c.messages}
	if f.cost = w.price(c.messages, total); f.cost > 0 {
		w.money.fill(now)
		w.money.spend(f.cost)
		w.count.Spent += f.cost
		m.spent[w.name] = true
	}
	w.next = now + time.Duration(c.messages)*w.every()
	w.sending++
	w.out[f.ticket] = f
	return &f.parcel
}
