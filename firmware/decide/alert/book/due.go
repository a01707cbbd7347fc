package book

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// Due lets time pass: it begins what waited, ends what ran out, and forgets what
// may be forgotten. Call it every second and after the clock or the floor was set.
func (b *Book) Due(now clock.Stamp, floor time.Time) []Change {
	var due, spent []*item
	for _, e := range b.known {
		switch {
		case !e.Acts && !b.unsent(e, now),
			e.State == Waiting && !b.early(e, now),
			(e.State == Waiting || e.State == InForce) && b.over(e, now, floor):
			due = append(due, e)
		case b.spent(e, now, floor):
			spent = append(spent, e)
		}
	}
	for _, e := range spent {
		b.drop(e)
	}
	// What comes due at once comes in the order in which it was sent.
	slices.SortFunc(due, oldestFirst)
	var changes []Change
	for _, e := range due {
		changes = append(changes, b.settle(e, now, floor)...)
	}
	for i := len(b.held) - 1; i >= 0; i-- {
		if d, _ := now.Since(b.held[i].Heard); d > b.o.Keep.Duration() {
			b.release(i)
		}
	}
	return changes
}

func oldestFirst(x, y *item) int {
	if after(x, y) {
		return 1
	}
	return -1
}

// safe is the instant from which on nothing that an entry speaks about can come
// unseen and in force: its own expiry, and for one that names others the longest
// life that any of them can have.
func (b *Book) safe(e *item) time.Time {
	if len(e.Names) == 0 {
		return e.Expires
	}
	return later(e.Expires, e.Ref.Sent.Add(b.o.Longest.Duration()))
}

// spent tells whether an entry may be forgotten without loss.
func (b *Book) spent(e *item, now clock.Stamp, floor time.Time) bool {
	if e.State != Noted && !e.State.Over() {
		return false
	}
	since := e.Ended
	if since.IsZero() {
		since = e.Heard
	}
	d, _ := now.Since(since)
	return d >= b.o.Keep.Duration() && b.safe(e).Before(floor)
}

// room makes room for e. It tells what had to give way, and false where e
// must.
func (b *Book) room(e *item, now clock.Stamp, floor time.Time) ([]Change, bool) {
	var changes []Change
	need := e.weigh()
	fits := func() bool { return len(b.known) < b.o.Entries && b.bytes+need <= b.o.Bytes }
	if fits() {
		return nil, true
	}
	for _, x := range b.known {
		if b.spent(x, now.Add(b.o.Keep.Duration()), floor) { // shown less long rather than full
			b.drop(x)
		}
	}
	for !fits() {
		if b.bytes+need > b.o.Bytes && b.thin() {
			continue
		}
		if b.forget() {
			continue
		}
		x := b.leastLive()
		if x == nil || !b.endsSomething(e) && !outranks(e, x) {
			return changes, false
		}
		b.drop(x)
		b.forgot++
		if x.live() {
			x.State, x.Ended = Dropped, now
			changes = append(changes, Change{Kind: Ended, Chain: x.Chain, Entry: x.Entry, Marked: x.Marked,
				Because: []phrase.Message{phrase.M("book.gave_way", "identifier", e.Ref.Identifier)}})
		}
	}
	return changes, true
}

// endsSomething tells whether e is a Cancel of what is known: it always finds room.
func (b *Book) endsSomething(e *item) bool {
	return e.MsgType == "Cancel" && slices.ContainsFunc(e.Names, func(n string) bool { return b.known[n] != nil })
}

// thin takes the words from all that has ended.
func (b *Book) thin() bool {
	any := false
	for _, x := range b.known {
		if (x.State.Over() || x.State == Noted) && len(x.Texts) > 0 {
			x.Texts, x.Action.Clips, x.Action.Speech = nil, nil, nil
			b.bytes -= x.size
			x.size = x.weigh()
			b.bytes += x.size
			b.touch(x)
			any = true
		}
	}
	return any
}

// forget drops the ended records that matter least, a sixteenth of the book at once,
// so that a full book does not look through itself for each message: first what
// never concerned this place, then what is soonest of no use. It tells whether there
// was any.
func (b *Book) forget() bool {
	var over []*item
	for _, x := range b.known {
		if x.State.Over() || x.State == Noted {
			over = append(over, x)
		}
	}
	away := func(x *item) bool { return x.warns() && !x.Concerns }
	slices.SortFunc(over, func(x, y *item) int {
		if a, b := away(x), away(y); a != b {
			if a {
				return -1
			}
			return 1
		}
		return cmp.Or(b.safe(x).Compare(b.safe(y)), strings.Compare(x.key, y.key))
	})
	over = over[:min(len(over), max(1, b.o.Entries/16))]
	for _, x := range over {
		b.drop(x)
		b.forgot++
	}
	return len(over) > 0
}

// leastLive is the one in force or waiting that ranks lowest.
func (b *Book) leastLive() *item {
	var least *item
	for _, x := range b.known {
		if !x.State.Over() && x.State != Noted && (least == nil || outranks(least, x)) {
			least = x
		}
	}
	return least
}

// outranks tells whether x goes before y: what concerns this place, the real thing,
// by the table's rank, the earlier.
func outranks(x, y *item) bool {
	if x.Concerns != y.Concerns {
		return x.Concerns
	}
	if a, b := x.Action.Kind == "real", y.Action.Kind == "real"; a != b {
		return a
	}
	if x.Action.Rank != y.Action.Rank {
		return x.Action.Rank > y.Action.Rank
	}
	return after(y, x)
}

// weigh estimates what an entry takes in RAM.
func (e *item) weigh() int {
	n := 1500 + 3*len(e.key) + len(e.Issuer) + len(e.Digest) + len(e.Essence) + len(e.Note)
	for _, s := range e.Names {
		n += 2*len(s) + 64
	}
	for _, t := range e.Texts {
		n += 200 + len(t.Event) + len(t.SenderName) + len(t.Headline) + len(t.Description) + len(t.Instruction)
		for _, a := range t.Areas {
			n += 16 + len(a)
		}
	}
	for _, list := range e.Action.Speech {
		for _, id := range list {
			n += 3 + len(id)
		}
	}
	return n + 300*len(e.Why)
}
