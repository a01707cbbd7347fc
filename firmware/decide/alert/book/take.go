package book

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/phrase"
)

// Take tells the book of a message that came over a way, and gives what changed
// by it. The change that is about the message itself is the last.
func (b *Book) Take(o *alert.Opened, way string, now clock.Stamp, floor time.Time) []Change {
	if o == nil || o.Alert == nil || !o.WellFormed {
		e := Entry{Heard: now}
		if o != nil && o.Alert != nil {
			e = b.make(o, way, now).Entry
		}
		e.State = Rejected
		return []Change{{Kind: Refused, Entry: e, Because: reasons(o, alert.Form)}}
	}
	if !o.Genuine || !o.Trusted || o.Issuer == nil {
		return []Change{b.hold(o, way, now)}
	}
	e := b.make(o, way, now)
	if old := b.known[e.key]; old != nil {
		return []Change{b.again(old, e, way, now)}
	}
	refuse := func(why phrase.Message) []Change {
		e.State = Rejected
		return []Change{{Kind: Refused, Entry: e.Entry, Because: []phrase.Message{why}, Marked: e.Marked}}
	}
	if len(e.Names) > b.o.Names {
		return refuse(phrase.M("book.names", "have", len(e.Names), "most", b.o.Names))
	}
	trusted := now.Trust > clock.Free
	if trusted && e.Ref.Sent.After(now.Wall.Add(b.o.Ahead.Duration())) {
		return refuse(phrase.M("book.ahead", "sent", e.Ref.Sent.Format(time.RFC3339), "now", now.Wall.Format(time.RFC3339)))
	}
	shed, ok := b.room(e, now, floor)
	if !ok {
		return refuse(phrase.M("book.full", "entries", b.o.Entries))
	}
	b.unhold(e.key)
	b.put(e)
	return append(shed, b.settle(e, now, floor)...)
}

// make reads an Entry out of a verified message.
func (b *Book) make(o *alert.Opened, way string, now clock.Stamp) *item {
	a := o.Alert
	e := &item{key: a.Ref().Key()}
	e.Entry = Entry{
		ID: short(e.key), Ref: a.Ref(), MsgType: a.MsgType, Status: a.Status,
		Key: o.Key, Digest: hex.EncodeToString(o.Digest[:]),
		Starts: later(a.Sent, a.Starts()), Expires: b.end(a),
		Heard: now, Marked: now.Trust == clock.Free,
		Concerns: o.Concerns, ConcernsWhy: o.ConcernsWhy, Action: o.Action,
		Ways: []Way{{Name: cut(way, 64), Times: 1, First: now}}, Texts: texts(a, o.Concerns), Note: cut(a.Note, longLine),
	}
	if o.Issuer != nil {
		e.Issuer, e.Twin = o.Issuer.ID, cut(o.Twin, 128)
	}
	for _, r := range a.References {
		e.Names = append(e.Names, r.Key())
	}
	slices.Sort(e.Names)
	e.Names = slices.Compact(e.Names)
	if !e.Concerns { // the reason why it is for elsewhere is enough
		e.Action.Why, e.Action.Clips, e.Action.Speech = phrase.Message{}, nil, nil
	}
	e.Chain = e.ID
	e.Essence = essence(e.Entry)
	return e
}

// end gives when a message's life ends.
func (b *Book) end(a *alert.Alert) time.Time {
	end := a.Expires()
	if end.IsZero() {
		end = a.Sent.Add(b.o.Missing.Duration())
	}
	if longest := a.Sent.Add(b.o.Longest.Duration()); end.After(longest) {
		end = longest
	}
	return end
}

// again counts a copy of what is known, or refuses another message under its name.
func (b *Book) again(old, e *item, way string, now clock.Stamp) Change {
	c := Change{Kind: Duplicate, Chain: old.Chain, Marked: old.Marked}
	if e.Digest != old.Digest && e.Essence != old.Essence || e.Issuer != old.Issuer {
		c.Kind, c.Entry = Refused, e.Entry
		c.Entry.State = Rejected
		c.Because = []phrase.Message{phrase.M("book.other_content", "identifier", e.Ref.Identifier, "sender", e.Ref.Sender)}
		return c
	}
	old.count(way, now)
	b.touch(old)
	c.Entry = old.Entry
	c.Because = []phrase.Message{phrase.M("book.duplicate", "copies", old.Copies(), "ways", len(old.Ways))}
	return c
}

// mostWays bounds the links that are told apart for one message.
const mostWays = 16

func (e *item) count(way string, now clock.Stamp) {
	way = cut(way, 64)
	for i := range e.Ways {
		if e.Ways[i].Name == way {
			e.Ways[i].Times++
			return
		}
	}
	if len(e.Ways) < mostWays {
		// A new array: entries that were handed out keep theirs.
		e.Ways = append(slices.Clip(slices.Clone(e.Ways)), Way{Name: way, Times: 1, First: now})
	}
}

// hold shows what is not verified. It changes nothing else: a verified message of
// the same name takes its place.
func (b *Book) hold(o *alert.Opened, way string, now clock.Stamp) Change {
	e := b.make(o, way, now)
	// Whoever forges chooses the digest too; what it says tells them apart.
	e.ID = short(e.key + "\n" + e.Essence)
	e.Chain, e.State, e.Why = "", Unverified, reasons(o, alert.Genuine, alert.Trusted)
	for _, old := range b.held {
		if old.key == e.key && old.Essence == e.Essence {
			old.count(way, now)
			b.touch(old)
			return Change{Kind: Duplicate, Entry: old.Entry, Because: old.Why, Marked: old.Marked}
		}
	}
	if old := b.known[e.key]; old != nil {
		// The genuine one is here; a forged copy of its name is told, not kept.
		e.State = Rejected
		return Change{Kind: Refused, Entry: e.Entry, Because: append(e.Why, phrase.M("book.known_genuine", "identifier", e.Ref.Identifier))}
	}
	e.size = e.weigh()
	b.held = append(b.held, e)
	b.heldBytes += e.size
	b.touch(e)
	for len(b.held) > b.o.Held || b.heldBytes > b.o.Bytes/4 && len(b.held) > 1 {
		b.release(0)
	}
	return Change{Kind: Held, Entry: e.Entry, Because: e.Why, Marked: e.Marked}
}

func (b *Book) release(i int) {
	e := b.held[i]
	b.heldBytes -= e.size
	b.dirty[e.ID] = nil
	b.held = slices.Delete(b.held, i, i+1)
}

// unhold lets go of what was held under a name that is now known.
func (b *Book) unhold(key string) {
	for i := len(b.held) - 1; i >= 0; i-- {
		if b.held[i].key == key {
			b.release(i)
		}
	}
}

// reasons gives the findings that answered a question with no.
func reasons(o *alert.Opened, parts ...alert.Part) []phrase.Message {
	var why []phrase.Message
	if o != nil {
		for _, f := range o.Findings {
			if f.Fatal && slices.Contains(parts, f.Part) && len(why) < 8 {
				why = append(why, f.What)
			}
		}
	}
	if len(why) == 0 {
		why = append(why, phrase.M("book.not_verified"))
	}
	return why
}

// essence is over what a message says.
func essence(e Entry) string {
	b, _ := json.Marshal(struct { // strings, times and flags: cannot fail
		Ref             string
		MsgType, Status string
		Names           []string
		Starts, Expires int64
		Texts           []Text
		Note            string
	}{e.Ref.Key(), e.MsgType, e.Status, e.Names, e.Starts.Unix(), e.Expires.Unix(), e.Texts, e.Note})
	return short(string(b))
}
