package courier

import (
	"time"

	"tocsin/firmware/phrase"
)

// Say gives the state in words, with why where there is a reason.
func (s State) Say(why phrase.Message) phrase.Message {
	if !why.IsZero() {
		return why
	}
	switch s {
	case Up:
		return phrase.M("courier.up")
	case Returning:
		return phrase.M("courier.returning")
	case Suspect:
		return phrase.M("courier.suspect")
	case Down:
		return phrase.M("courier.down")
	}
	return phrase.M("courier.off")
}

// Status is everything that a page, the API and metrics show.
type Status struct {
	// Kept: what waits is in the journal's file, or about to be. Why says what is wrong.
	Kept    bool           `json:"kept"`
	Why     phrase.Message `json:"why,omitzero"`
	Rows    int            `json:"rows"`
	Bytes   int            `json:"bytes"`
	Classes []ClassStatus  `json:"classes"`
	Links   []LinkStatus   `json:"links"`
	// Stray receipts are of nothing that waits; Unread letters had tries that nobody can read.
	Stray  int64 `json:"stray"`
	Unread int64 `json:"unread"`
}

// ClassStatus is how one class stands.
type ClassStatus struct {
	Class   string `json:"class"`
	Waiting int    `json:"waiting"`
	// Late of those that wait are past their deadline; Oldest is the age of the oldest.
	Late   int           `json:"late"`
	Oldest time.Duration `json:"oldest_ns"`
	// Since the start.
	Posted        int64 `json:"posted"`
	Delivered     int64 `json:"delivered"`
	DeliveredLate int64 `json:"delivered_late"`
	Replaced      int64 `json:"replaced"`
	Refused       int64 `json:"refused"`
	Dropped       int64 `json:"dropped"`
	Expired       int64 `json:"expired"`
}

// LinkStatus is how one link stands.
type LinkStatus struct {
	Link  string         `json:"link"`
	State State          `json:"state"`
	Why   phrase.Message `json:"why"`
	// For is how long it has been so; Quiet how long ago its last receipt came, -1 for never.
	For   time.Duration `json:"for_ns"`
	Quiet time.Duration `json:"quiet_ns"`
	// Delivery and Latency are measured.
	Delivery float64       `json:"delivery"`
	Latency  time.Duration `json:"latency_ns"`
	// Slot is how long until it takes the next message, Held until it takes telemetry
	// again where another link carries it.
	Slot time.Duration `json:"slot_ns"`
	Held time.Duration `json:"held_ns"`
	// Sending and Out are parcels in Send, and out without a receipt.
	Sending int `json:"sending"`
	Out     int `json:"out"`
	// Balance of Full yuan, of which Reserve is for classes 0 to 2; 0 of 0 where it costs nothing.
	Balance float64 `json:"balance"`
	Full    float64 `json:"full"`
	Reserve float64 `json:"reserve"`
	LinkCounts
}

// Status tells how everything stands.
func (c *Courier) Status() Status {
	now := c.o.Clock.Now()
	c.mu.Lock()
	s := c.m.Status(now.Mono)
	s.Unread = c.unread
	c.mu.Unlock()
	ok, why := c.o.Keep.State()
	if s.Kept = ok; !ok {
		s.Why = phrase.M("courier.ram", "why", why)
	}
	return s
}

// Status tells how the machine stands; whether it is kept is the shell's to say.
func (m *Machine) Status(now time.Duration) Status {
	s := Status{Rows: len(m.rows), Bytes: m.bytes, Stray: m.count.Stray}
	for i := range classes {
		s.Classes = append(s.Classes, ClassStatus{Class: classNames[i], Posted: m.count.Posted[i], Delivered: m.count.Delivered[i],
			DeliveredLate: m.count.Late[i], Replaced: m.count.Replaced[i], Refused: m.count.Refused[i],
			Dropped: m.count.Dropped[i], Expired: m.count.Expired[i]})
	}
	for _, r := range m.rows {
		c := &s.Classes[r.Class]
		c.Waiting++
		c.Oldest = max(c.Oldest, now-r.born)
		if now > r.due() {
			c.Late++
		}
	}
	for _, w := range m.order {
		w.money.fill(now)
		l := LinkStatus{
			Link: w.name, State: w.state, Why: w.state.Say(w.why), For: now - w.since, Quiet: -1,
			Delivery: w.m.delivery, Latency: w.m.latency, Slot: max(0, w.next-now), Held: max(0, w.held-now),
			Sending: w.sending, Out: len(w.out), Balance: w.money.balance, Full: w.money.full,
			Reserve: w.money.full * m.rules.Reserve, LinkCounts: w.count,
		}
		if w.lastAck > 0 {
			l.Quiet = now - w.lastAck
		}
		s.Links = append(s.Links, l)
	}
	return s
}
