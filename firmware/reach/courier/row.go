package courier

import (
	"encoding/json"
	"time"

	"tocsin/firmware/keep/journal"
)

// row is one message of the outbox.
type row struct {
	Message
	born     time.Duration // Made on the machine's time; before 0 for an earlier boot
	dated    bool          // born is certain
	tries    map[string]*try
	shortHas bool // the county has the short form
	gone     bool // delivered, replaced or dropped
}

// try is what one link did for a row.
type try struct {
	n      int           // parcels that may have gone out
	next   time.Duration // not before
	ticket uint64        // of the parcel that is out, 0 for none
	misfit int           // did not fit messages of this size, 0: fits
	fails  int           // refusals in a row
}

func (r *row) try(link string) *try {
	t := r.tries[link]
	if t == nil {
		t = &try{}
		r.tries[link] = t
	}
	return t
}

func (r *row) size() int { return len(r.Payload) + len(r.Short) + len(r.ID) + len(r.Key) + 256 }

func (r *row) due() time.Duration { return r.born + r.Deadline }

// order is the place of a row: warnings with their receipts, commands, …
func (r *row) order() int {
	if r.Urgent {
		return int(Warning)
	}
	return int(r.Class)
}

// flags of a letter's Kind beside the message's own.
const (
	letterNewest = 1 << iota
	letterUrgent
	letterShortHas
)

// triesMost bounds what is read back.
const triesMost = 4 << 10

// letter gives what the journal keeps. Tries are kept for links that cost or have slots.
func (r *row) letter(kept func(link string) bool) *journal.Letter {
	l := &journal.Letter{
		ID: r.ID, Class: uint8(r.Class), Key: r.Key, Made: r.Made, Deadline: r.Deadline,
		Payload: r.Payload, Narrow: r.Short,
	}
	if r.Kind == NewestWins {
		l.Kind |= letterNewest
	}
	if r.Urgent {
		l.Kind |= letterUrgent
	}
	if r.shortHas {
		l.Kind |= letterShortHas
	}
	n := map[string]int{}
	for name, t := range r.tries {
		if t.n > 0 && kept(name) {
			n[name] = t.n
		}
	}
	if len(n) > 0 {
		l.Tries, _ = json.Marshal(n) // a map of numbers cannot fail
	}
	return l
}

// Letter gives the row of the outbox of a message for which no courier runs just now: the
// next one takes it up. Made must be set.
func (r *Rules) Letter(m Message) (*journal.Letter, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	if m.Deadline == 0 {
		m.Deadline = r.of(m.Class).Deadline
	}
	return (&row{Message: m}).letter(func(string) bool { return false }), nil
}

// rowOf reads a letter; the second result is false where what was tried cannot be read. A letter
// that is no message at all gives nil.
func rowOf(l *journal.Letter) (*row, bool) {
	r := &row{tries: map[string]*try{}, Message: Message{
		ID: l.ID, Class: Class(l.Class), Key: l.Key, Made: l.Made, Deadline: l.Deadline,
		Payload: l.Payload, Short: l.Narrow, Urgent: l.Kind&letterUrgent != 0,
	}}
	if l.Kind&letterNewest != 0 {
		r.Kind = NewestWins
	}
	r.shortHas = l.Kind&letterShortHas != 0
	if len(r.Short) == 0 {
		r.Short = nil
	}
	if r.check() != nil {
		return nil, false
	}
	n, ok := parseTries(l.Tries)
	for name, k := range n {
		r.try(name).n = k
	}
	return r, ok
}

// parseTries reads how often which link tried.
func parseTries(b []byte) (map[string]int, bool) {
	if len(b) == 0 {
		return nil, true
	}
	var n map[string]int
	if len(b) > triesMost || json.Unmarshal(b, &n) != nil || len(n) > linksMost {
		return nil, false
	}
	for _, k := range n {
		if k < 0 || k > 1<<30 {
			return nil, false
		}
	}
	return n, true
}
