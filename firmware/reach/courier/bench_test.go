package courier

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tocsin/firmware/clock"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 5)) }

// rig drives a machine by hand on virtual time.
type rig struct {
	t    testing.TB
	m    *Machine
	now  time.Duration
	sent []Parcel // all, oldest first
	at   []time.Duration
	hold bool // Sends do not return
	next time.Duration
}

func bench(t testing.TB, r *Rules, seed uint64, links ...string) *rig {
	t.Helper()
	if links == nil {
		for name := range r.Links {
			links = append(links, name)
		}
		slices.Sort(links)
	}
	m, err := NewMachine(r, links, newRand(seed))
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, m: m, now: time.Hour}
}

// open has links say that they may send, and probed ones answer twice.
func (w *rig) open(links ...string) {
	for _, l := range links {
		w.m.SetLimits(w.now, l, Limits{May: true})
		if w.m.ways[l].probed() {
			w.m.Probed(w.now, l, true)
			w.m.Probed(w.now, l, true)
		}
	}
}

func (w *rig) message(c Class, id string, n int) Message {
	return Message{ID: id, Class: c, Payload: make([]byte, n), Made: clock.Stamp{Mono: w.now, Boot: "b"}}
}

func (w *rig) post(c Class, id string, n int, change ...func(*Message)) {
	w.t.Helper()
	m := w.message(c, id, n)
	for _, f := range change {
		f(&m)
	}
	if err := w.m.Post(w.now, m, 0, true); err != nil {
		w.t.Fatal(err)
	}
}

func short(n int, key string) func(*Message) {
	return func(m *Message) { m.Short, m.Key = make([]byte, n), key }
}

// turn asks once, and answers each Send at once unless held. Probes are not answered.
func (w *rig) turn() []Parcel {
	o := w.m.Turn(w.now)
	w.next = o.Next
	for _, p := range o.Sends {
		w.sent, w.at = append(w.sent, p), append(w.at, w.now)
		if !w.hold {
			w.m.Sent(w.now, p.Link, p.Ticket, nil)
		}
	}
	return o.Sends
}

// step goes on to when the machine asks for.
func (w *rig) step() {
	w.turn()
	w.now = max(w.now+time.Millisecond, min(w.next, w.now+time.Minute))
}

// run goes on for d, with every probe answered by answer.
func (w *rig) run(d time.Duration, answer func(link string) bool) {
	end := w.now + d
	for {
		o := w.m.Turn(w.now)
		for _, p := range o.Sends {
			w.sent, w.at = append(w.sent, p), append(w.at, w.now)
			w.m.Sent(w.now, p.Link, p.Ticket, nil)
		}
		for _, l := range o.Probes {
			w.m.Probed(w.now, l, answer(l))
		}
		if len(o.Sends)+len(o.Probes) > 0 {
			continue
		}
		if o.Next > end {
			w.now = end
			return
		}
		if o.Next <= w.now {
			w.t.Fatalf("asks to be asked again at once, at %v", w.now)
		}
		w.now = o.Next
	}
}

func all(string) bool  { return true }
func none(string) bool { return false }

// links gives by which links a message left so far, in order.
func (w *rig) links(id string) string {
	s := ""
	for _, p := range w.sent {
		for _, part := range p.Parts {
			if part.ID == id {
				s += p.Link + " "
			}
		}
	}
	return s
}

func ids(p Parcel) string {
	s := ""
	for _, part := range p.Parts {
		s += part.ID + " "
	}
	return s
}

func (w *rig) want(id, links string) {
	w.t.Helper()
	if got := w.links(id); got != links {
		w.t.Errorf("%s went by %q, not %q", id, got, links)
	}
}

func (w *rig) state(link string) State { return w.m.ways[link].state }

func number(prefix string, i int) string { return fmt.Sprintf("%s%03d", prefix, i) }
