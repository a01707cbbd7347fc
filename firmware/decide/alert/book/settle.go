package book

import (
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// order tells messages of one second apart: an alert comes before its update, an
// update before a cancel, then by identifier.
var order = map[string]int{"Alert": 0, "Update": 1, "Cancel": 2}

func after(x, e *item) bool {
	if !x.Ref.Sent.Equal(e.Ref.Sent) {
		return x.Ref.Sent.After(e.Ref.Sent)
	}
	if a, b := order[x.MsgType], order[e.MsgType]; a != b {
		return a > b
	}
	return x.key > e.key
}

// mayAct tells whether x, which names e, may end it; why is told where it may not.
func (b *Book) mayAct(x, e *item) (ok bool, why phrase.Message) {
	switch {
	case x.MsgType != "Update" && x.MsgType != "Cancel":
		return false, phrase.Message{}
	case x.Issuer != e.Issuer && (b.o.MayEnd == nil || !b.o.MayEnd(x.Issuer, e.Issuer)):
		return false, phrase.M("book.not_the_issuer", "by", x.Issuer, "of", e.Issuer, "identifier", e.Ref.Identifier)
	case x.Status != e.Status:
		return false, phrase.M("book.other_status", "by", x.Status, "of", e.Status, "identifier", e.Ref.Identifier)
	case !after(x, e):
		return false, phrase.M("book.not_after", "identifier", e.Ref.Identifier)
	}
	return true, phrase.Message{}
}

// ender gives the earliest message that acts on e.
func (b *Book) ender(e *item) *item {
	var first *item
	for _, x := range b.naming[e.key] {
		if ok, _ := b.mayAct(x, e); ok && x.Acts && (first == nil || after(first, x)) {
			first = x
		}
	}
	return first
}

// starts gives when e starts: an Update of what was running starts at its own
// sent, so that no gap is left.
func (b *Book) starts(e *item) time.Time {
	if e.MsgType == "Update" {
		for _, n := range e.Names {
			p := b.known[n]
			if p == nil || !p.warns() || !p.Concerns {
				continue
			}
			if ok, _ := b.mayAct(e, p); ok && !p.Starts.After(e.Ref.Sent) && p.Expires.After(e.Ref.Sent) {
				return e.Ref.Sent
			}
		}
	}
	return e.Starts
}

// early tells whether a trusted clock says that e's time has not come. That its sent
// was once reached stays true when the clock is set back.
func (b *Book) early(e *item, now clock.Stamp) bool {
	if now.Trust == clock.Free {
		return false
	}
	return e.Starts.After(now.Wall) && (e.Starts.After(e.Ref.Sent) || !e.Acts)
}

// unsent tells whether a trusted clock says that e is from the future.
func (b *Book) unsent(e *item, now clock.Stamp) bool {
	return now.Trust > clock.Free && e.Ref.Sent.After(now.Wall.Add(b.o.Tolerance.Duration()))
}

// over tells whether e's time has certainly ended: by the clock, or because the box
// has watched it for longer than its whole life.
func (b *Book) over(e *item, now clock.Stamp, floor time.Time) bool {
	if clock.Expired(e.Expires, now, floor) {
		return true
	}
	seen := e.Heard
	if seen.Boot != now.Boot {
		seen = b.restored // what passed before this boot is not known
	}
	// A life that ends before it begins was published with wrong times: nothing
	// follows from its length.
	life := e.Expires.Sub(e.Ref.Sent)
	return life > 0 && seen.Boot == now.Boot && now.Mono-seen.Mono >= life
}

// judge brings e's own fields up to date with what is known and tells whether
// anything about it changed.
func (b *Book) judge(e *item, now clock.Stamp, floor time.Time) bool {
	was := e.Entry
	if !e.Acts && !b.unsent(e, now) {
		e.Acts = true
	}
	if !e.warns() {
		e.State = Noted
		return e.State != was.State || e.Acts != was.Acts
	}
	e.Starts = b.starts(e)
	if !e.RanOut && !was.State.Over() && b.over(e, now, floor) {
		e.RanOut = true
	}
	x := b.ender(e)
	if x != nil {
		e.Lifted, e.By = x.Ref.Sent, x.ID
	}
	switch {
	case x != nil && x.Ref.Sent.Before(e.Expires):
		e.State = Superseded
		if x.MsgType == "Cancel" {
			e.State = Cancelled
		}
	case x != nil || e.RanOut:
		e.State = Expired
	case was.State.Over():
		// The record of what ended it had to be forgotten; it has ended all
		// the same.
	case was.State == InForce || !b.early(e, now):
		e.State = InForce
	default:
		e.State = Waiting
	}
	if e.live() && !was.live() && e.Begun.IsZero() {
		e.Begun = now
	}
	if e.State.Over() && !was.State.Over() {
		e.Ended = now
	}
	return e.State != was.State || e.Acts != was.Acts || !e.Starts.Equal(was.Starts) || e.By != was.By || e.RanOut != was.RanOut
}

// moved is an entry whose state changed, with what it was.
type moved struct {
	e   *item
	was Entry
}

// settle judges the entries and, as long as anything changes, whatever they are
// tied to, and tells what came of it. The first entry's own change comes last.
func (b *Book) settle(first *item, now clock.Stamp, floor time.Time, more ...*item) []Change {
	var all []moved
	at := map[*item]int{}
	work := append([]*item{first}, more...)
	for len(work) > 0 {
		e := work[0]
		work = work[1:]
		was := e.Entry
		if !b.judge(e, now, floor) {
			continue
		}
		if _, ok := at[e]; !ok {
			at[e] = len(all)
			all = append(all, moved{e, was})
		}
		b.touch(e)
		for _, n := range e.Names {
			if p := b.known[n]; p != nil {
				work = append(work, p)
			}
		}
		work = append(work, b.naming[e.key]...)
	}
	return b.tell(all, first)
}

// tell makes changes of what moved.
func (b *Book) tell(all []moved, first *item) []Change {
	// Ends are told first, so that a chain is free for what begins.
	var began, rest []moved
	var changes []Change
	for _, m := range all {
		if m.e.live() && !m.was.live() {
			began = append(began, m)
		} else {
			rest = append(rest, m)
			b.stand(m.e)
		}
	}
	// The newest begins first: it has the best claim to the chain.
	slices.SortStableFunc(began, func(x, y moved) int {
		if after(x.e, y.e) {
			return -1
		}
		return 1
	})
	told := map[*item]bool{}
	var begins []Change
	for _, m := range began {
		before := b.claim(m.e, rest, told)
		b.stand(m.e)
		c := Change{Kind: Began, Chain: m.e.Chain, Before: before, Because: b.because(m.e), Marked: m.e.Marked}
		if len(before) > 0 {
			c.Kind = Replaced
		}
		c.Entry = m.e.Entry
		begins = append(begins, c)
	}
	for _, m := range rest {
		if told[m.e] {
			continue
		}
		if m.was.State == "" && !m.e.live() {
			b.join(m.e)
		}
		c := Change{Kind: Kept, Chain: m.e.Chain, Entry: m.e.Entry, Because: b.because(m.e), Marked: m.e.Marked}
		switch {
		case m.was.live() && !m.e.live():
			c.Kind = Ended
		case m.was.State == m.e.State:
			continue // only a time was put right
		}
		changes = append(changes, c)
	}
	slices.SortStableFunc(changes, func(x, y Change) int { return turn(x, first) - turn(y, first) })
	slices.SortStableFunc(begins, func(x, y Change) int { return turn(x, first) - turn(y, first) })
	if len(changes) > 0 && turn(changes[len(changes)-1], first) == 1 {
		return slices.Insert(changes, len(changes)-1, begins...)
	}
	return append(changes, begins...)
}

// turn puts what a message did before what became of itself, unless it ended.
func turn(c Change, first *item) int {
	if c.Entry.ID == first.ID && c.Kind != Ended {
		return 1
	}
	return 0
}

// claim gives e, which begins, its chain: that of what it replaces just now,
// else that of what it is tied to, if nothing else stands under it, else its own.
func (b *Book) claim(e *item, rest []moved, told map[*item]bool) (before []Entry) {
	var from *item
	for _, m := range rest {
		if m.was.live() && !m.e.live() && m.e.By == e.ID && (from == nil || older(m.e, from)) {
			from = m.e
		}
	}
	if from == nil {
		b.join(e)
		return nil
	}
	if b.taken(from.Chain, e) {
		b.own(e)
		return nil
	}
	e.Chain = from.Chain
	for _, m := range rest {
		if m.was.live() && !m.e.live() && m.e.By == e.ID && m.e.Chain == e.Chain {
			before = append(before, m.e.Entry)
			told[m.e] = true
		}
	}
	return before
}

func older(x, y *item) bool {
	if x.Begun.Boot == y.Begun.Boot && x.Begun.Mono != y.Begun.Mono {
		return x.Begun.Mono < y.Begun.Mono
	}
	return after(y, x)
}

// join gives e the chain of what it is tied to.
func (b *Book) join(e *item) {
	var from *item
	look := func(x *item, ok bool) {
		if ok && x != e && x.State != Noted && !(e.live() && b.taken(x.Chain, e)) && (from == nil || after(from, x)) {
			from = x
		}
	}
	for _, n := range e.Names {
		if p := b.known[n]; p != nil {
			ok, _ := b.mayAct(e, p)
			look(p, ok)
		}
	}
	for _, x := range b.naming[e.key] {
		ok, _ := b.mayAct(x, e)
		look(x, ok)
	}
	switch {
	case from != nil:
		e.Chain = from.Chain
	case e.live() && b.taken(e.Chain, e):
		b.own(e)
	}
}

// own gives e a chain of its own.
func (b *Book) own(e *item) {
	e.Chain = e.ID
	for b.taken(e.Chain, e) {
		e.Chain += "+"
	}
}

// taken tells whether another entry stands under a chain.
func (b *Book) taken(chain string, but *item) bool {
	x := b.stands[chain]
	return x != nil && x != but
}

// because says why an entry stands as it does.
func (b *Book) because(e *item) []phrase.Message {
	var why []phrase.Message
	add := func(m phrase.Message) {
		if !m.IsZero() && len(why) < 8 {
			why = append(why, m)
		}
	}
	by, away := e.By, false
	for _, x := range b.naming[e.key] {
		if x.ID == e.By {
			by, away = x.Ref.Identifier, x.warns() && !x.Concerns
		}
	}
	switch e.State {
	case InForce:
		if e.Marked {
			add(phrase.M("book.marked"))
		}
		if !e.Concerns {
			add(phrase.M("book.elsewhere"))
		}
	case Waiting:
		add(phrase.M("book.waits", "starts", e.Starts.Format(time.RFC3339)))
	case Superseded:
		add(phrase.M("book.superseded", "by", by, "at", e.Lifted.Format(time.RFC3339)))
		if away && e.Concerns {
			add(phrase.M("book.moved_away", "by", by))
		}
	case Cancelled:
		add(phrase.M("book.cancelled", "by", by, "at", e.Lifted.Format(time.RFC3339), "expires", e.Expires.Format(time.RFC3339)))
	case Expired:
		add(phrase.M("book.expired", "at", e.Expires.Format(time.RFC3339)))
	}
	unknown := 0
	for _, n := range e.Names {
		if p := b.known[n]; p == nil {
			unknown++
		} else {
			_, m := b.mayAct(e, p)
			add(m)
		}
	}
	if unknown > 0 {
		add(phrase.M("book.names_unknown", "count", unknown))
	}
	for _, x := range b.naming[e.key] {
		_, m := b.mayAct(x, e)
		add(m)
	}
	return why
}
