package walk

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alert/book"
)

// history is one walk under way.
type history struct {
	c          Choose
	t          times
	b          *book.Book
	md         *model
	all        []message
	kept       map[string][]byte // what was committed of the book
	saved      *model            // and the model at that time
	live       map[string]string // by chain, who stands under it: read from the changes alone
	begun      map[string]int
	savedLive  map[string]string
	savedBegun map[string]int
	log        []string
	seen       map[string]int
	reached    time.Time // the latest that a trusted clock showed
}

// One walks one history and gives what broke, nil for nothing.
func One(c Choose) error { return one(c, map[string]int{}) }

// one counts in seen what came to pass, so that a walk that walks past everything is
// noticed.
func one(c Choose, seen map[string]int) (err error) {
	h := &history{c: c, seen: seen, b: book.New(opts()), all: messages(c), kept: map[string][]byte{}, live: map[string]string{}, begun: map[string]int{}}
	h.md = &model{facts: map[string]fact{}}
	h.t = times{truth: start.Add(time.Duration(c(60, "begin")) * time.Minute), floor: start.Add(-24 * time.Hour), trust: of(c, "trust", clock.Set, clock.Set, clock.Free)}
	h.commit()
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, h.story())
		}
	}()
	for range 4 + c(28, "steps") {
		if err := h.step(); err != nil {
			return err
		}
	}
	return h.anyOrder()
}

func (h *history) step() error {
	switch h.c(12, "step") {
	case 0, 1, 2, 3, 4, 5:
		if err := h.deliver(h.all[h.c(len(h.all), "which")]); err != nil {
			return err
		}
	case 6, 7, 8:
		h.t.pass(h.c)
	case 9:
		h.commit()
	case 10:
		if h.c.often(50, "commit first") {
			h.commit()
		}
		h.cut()
	}
	return h.due()
}

func (h *history) deliver(m message) error {
	now := h.t.now()
	way := of(h.c, "way", "api", "feed", "lora", "beidou")
	h.log = append(h.log, fmt.Sprintf("%s: %s over %s", now.Wall.Format(time.TimeOnly), m.key, way))
	_, known := h.md.facts[m.key]
	changes := h.b.Take(m.Opened, way, now, h.t.floor)
	about := changes[len(changes)-1]
	switch {
	case !m.WellFormed && about.Kind != book.Refused:
		return fmt.Errorf("malformed %s: %s", m.key, about.Kind)
	case m.WellFormed && !m.verified() && about.Kind != book.Held && about.Kind != book.Duplicate && about.Kind != book.Refused:
		return fmt.Errorf("unverified %s: %s", m.key, about.Kind)
	case !m.verified() && len(changes) != 1:
		return fmt.Errorf("unverified %s changed something else", m.key)
	case m.verified():
		want := h.md.take(m, now)
		if want != "" && (about.Kind != want || len(changes) != 1) {
			return fmt.Errorf("%s: %s, the model says %s", m.key, about.Kind, want)
		}
		if want == "" && about.Entry.ID == "" {
			return fmt.Errorf("%s: no change about it", m.key)
		}
		// What is unseen and did not certainly expire must stand at once.
		if want == "" && !known && now.Trust == clock.Free && m.warns() && h.md.ender(m) == nil && !m.ends().Before(h.t.floor) {
			if about.Entry.State != book.InForce || m.Concerns && about.Kind != book.Began && about.Kind != book.Replaced || !about.Marked {
				return fmt.Errorf("%s was dropped under an untrusted clock: %s, %s", m.key, about.Kind, about.Entry.State)
			}
		}
	}
	return h.follow(changes)
}

func (h *history) due() error {
	now := h.t.now()
	if err := h.follow(h.b.Due(now, h.t.floor)); err != nil {
		return err
	}
	h.md.pass(now, h.t.floor)
	return h.compare()
}

// follow reads changes as the station does and holds them to what must always hold.
func (h *history) follow(changes []book.Change) error {
	now := h.t.now()
	if now.Trust > clock.Free && now.Wall.After(h.reached) {
		h.reached = now.Wall
	}
	for _, c := range changes {
		e := c.Entry
		h.seen[string(c.Kind)+" "+string(e.State)]++
		if c.Marked {
			h.seen["marked"]++
		}
		h.log = append(h.log, fmt.Sprintf("    %s %s %s chain %.6s", c.Kind, e.Ref.Key(), e.State, c.Chain))
		switch c.Kind {
		case book.Began, book.Replaced:
			if h.begun[e.ID]++; h.begun[e.ID] > 1 {
				return fmt.Errorf("%s began twice", e.Ref.Key())
			}
			if e.State != book.InForce || !e.Concerns || !e.Sounds() {
				return fmt.Errorf("%s began as %s", e.Ref.Key(), e.State)
			}
			// A time that a trusted clock once reached stays reached when it is set back.
			if now.Trust > clock.Free && (e.Starts.After(h.reached.Add(opts().Tolerance.Duration())) || !e.Expires.After(now.Wall)) {
				return fmt.Errorf("%s began at the wrong time", e.Ref.Key())
			}
			if h.live[c.Chain] != "" && c.Kind == book.Began {
				return fmt.Errorf("%s began in a chain in which another stands", e.Ref.Key())
			}
			for _, b := range c.Before {
				if b.By != e.ID || b.State != book.Superseded && b.State != book.Expired {
					return fmt.Errorf("%s replaced %s, which is %s", e.Ref.Key(), b.Ref.Key(), b.State)
				}
			}
			h.live[c.Chain] = e.ID
		case book.Ended:
			if h.live[c.Chain] != e.ID {
				return fmt.Errorf("%s ended and did not stand", e.Ref.Key())
			}
			if !e.State.Over() {
				return fmt.Errorf("%s ended as %s", e.Ref.Key(), e.State)
			}
			delete(h.live, c.Chain)
		}
	}
	return nil
}

// compare holds the book's list to the model.
func (h *history) compare() error {
	stands := map[string]string{}
	seen := 0
	for _, e := range h.b.List() {
		if e.State == book.Unverified {
			continue
		}
		seen++
		f, ok := h.md.facts[e.Ref.Key()]
		if !ok {
			return fmt.Errorf("the book has %s, the model has not", e.Ref.Key())
		}
		if e.State != f.state {
			return fmt.Errorf("%s: the book says %s, the model %s", e.Ref.Key(), e.State, f.state)
		}
		if e.Copies() != f.times {
			return fmt.Errorf("%s: %d copies, the model %d", e.Ref.Key(), e.Copies(), f.times)
		}
		if x := h.md.ender(f.m); f.m.warns() && x != nil && (!e.Lifted.Equal(x.Alert.Sent) || !e.Expires.Equal(f.m.ends())) {
			return fmt.Errorf("%s: lifted %v, expiry %v", e.Ref.Key(), e.Lifted, e.Expires)
		}
		if e.State == book.InForce && e.Concerns {
			if stands[e.Chain] != "" {
				return fmt.Errorf("two stand in chain %s", e.Chain)
			}
			stands[e.Chain] = e.ID
		}
	}
	if seen != len(h.md.facts) {
		return fmt.Errorf("the book has %d, the model %d", seen, len(h.md.facts))
	}
	if !maps.Equal(stands, h.live) {
		return fmt.Errorf("the changes told of %v, there stand %v", h.live, stands)
	}
	return nil
}

// commit keeps what changed, as the journal does.
func (h *history) commit() {
	for k, v := range h.b.Dirty() {
		if v == nil {
			delete(h.kept, k)
		} else {
			h.kept[k] = v
		}
	}
	h.saved, h.savedLive, h.savedBegun = h.md.copy(), maps.Clone(h.live), maps.Clone(h.begun)
}

// cut takes the power and brings the box back some time later.
func (h *history) cut() {
	h.log = append(h.log, "power cut")
	if len(h.saved.facts) < len(h.md.facts) {
		h.seen["cut that lost something"]++
	}
	d := time.Duration(h.c(30, "dark")) * time.Minute
	h.t.boot++
	h.t.mono, h.t.truth = time.Duration(h.c(60, "mono"))*time.Second, h.t.truth.Add(d)
	h.t.trust = of(h.c, "trust after", clock.Free, clock.Free, clock.Held, clock.Set)
	if h.t.trust == clock.Free {
		h.t.off = -d
	}
	h.b = book.New(opts())
	h.md, h.live, h.begun = h.saved.copy(), maps.Clone(h.savedLive), maps.Clone(h.savedBegun)
	h.md.restored = h.t.now()
	if err := h.b.Restore(h.kept, h.t.now()); err != nil {
		panic(err) // we wrote it
	}
}

// anyOrder gives all that is verified to fresh books at one instant of a trusted
// clock, in different orders: they must agree.
func (h *history) anyOrder() error {
	now := clock.Stamp{Mono: time.Hour, Wall: h.t.truth, Boot: "order", Trust: clock.Set}
	named := map[string]bool{}
	var good []message
	for _, m := range h.all {
		if m.verified() && !named[m.key] {
			named[m.key] = true
			good = append(good, m)
		}
	}
	var first map[string]book.State
	for range 3 {
		b := book.New(opts())
		for _, m := range good {
			b.Take(m.Opened, "api", now, start)
		}
		b.Due(now, start)
		states := map[string]book.State{}
		for _, e := range b.List() {
			states[e.Ref.Key()] = e.State
		}
		if first == nil {
			first = states
		} else if !maps.Equal(first, states) {
			return fmt.Errorf("the order decides: %v, %v", first, states)
		}
		for i := len(good) - 1; i > 0; i-- {
			j := h.c(i+1, "shuffle")
			good[i], good[j] = good[j], good[i]
		}
	}
	return nil
}

func (h *history) story() string {
	s := ""
	for _, m := range h.all {
		s += fmt.Sprintf("%s %s %s by %s verified %v concerns %v starts %s ends %s names", m.key, m.Alert.MsgType, m.Alert.Status, m.Alert.Sender,
			m.verified(), m.Concerns, m.starts().Format(time.TimeOnly), m.ends().Format(time.TimeOnly))
		for _, r := range m.Alert.References {
			s += " " + r.Identifier + "@" + r.Sent.Format(time.TimeOnly)
		}
		s += "\n"
	}
	for _, l := range h.log {
		s += l + "\n"
	}
	return s
}

// Report is what came of many histories.
type Report struct {
	Done, Violations int
	// First is the first that broke something, with how to walk it again.
	First error
	// Seen counts what came to pass: kinds of change with their states, marked
	// messages, cuts that lost something.
	Seen map[string]int
}

// Run walks so many histories from a seed; stop ends it early.
func Run(seed uint64, histories int, stop func() bool) Report {
	r := Report{Seen: map[string]int{}}
	for r.Done < histories && !stop() {
		dice := rand.New(rand.NewPCG(seed, uint64(r.Done)))
		if err := one(func(n int, _ string) int { return dice.IntN(n) }, r.Seen); err != nil {
			r.Violations++
			if r.First == nil {
				r.First = fmt.Errorf("seed %d, history %d: %w", seed, r.Done, err)
			}
		}
		r.Done++
	}
	return r
}
