package walk

import (
	"maps"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alert/book"
)

// fact is what the model remembers of one verified message. The flags only ever
// rise.
type fact struct {
	m                        message
	heard                    clock.Stamp
	acts, began, ran, closed bool
	starts                   time.Time
	state                    book.State
	times                    int
}

// model is the set of facts. It recomputes everything until nothing changes.
type model struct {
	facts    map[string]fact
	restored clock.Stamp
}

func (md *model) copy() *model { return &model{facts: maps.Clone(md.facts), restored: md.restored} }

// take adds a message and tells what should be answered: refused, duplicate, or "".
func (md *model) take(m message, now clock.Stamp) book.Kind {
	if old, ok := md.facts[m.key]; ok {
		if old.m.Alert != m.Alert {
			return book.Refused
		}
		old.times++
		md.facts[m.key] = old
		return book.Duplicate
	}
	if now.Trust > clock.Free && m.Alert.Sent.Sub(now.Wall) > opts().Ahead.Duration() {
		return book.Refused
	}
	md.facts[m.key] = fact{m: m, heard: now, starts: m.starts(), times: 1}
	return ""
}

func (m message) starts() time.Time {
	s := m.Alert.Sent
	for _, i := range m.Alert.Infos {
		if i.Effective.After(s) {
			s = i.Effective
		}
	}
	return s
}

func (m message) ends() time.Time {
	life := opts().Missing.Duration()
	for _, i := range m.Alert.Infos {
		if !i.Expires.IsZero() {
			life = min(i.Expires.Sub(m.Alert.Sent), opts().Longest.Duration())
		}
	}
	return m.Alert.Sent.Add(life)
}

func (m message) warns() bool { return m.Alert.MsgType == "Alert" || m.Alert.MsgType == "Update" }

// before is the order in which messages count.
func before(a, b message) bool {
	kinds := "AUC" // Alert, Update, Cancel
	at := func(m message) int {
		for i := range kinds {
			if kinds[i] == m.Alert.MsgType[0] {
				return i
			}
		}
		return -1
	}
	switch {
	case !a.Alert.Sent.Equal(b.Alert.Sent):
		return a.Alert.Sent.Before(b.Alert.Sent)
	case at(a) != at(b):
		return at(a) < at(b)
	}
	return a.key < b.key
}

// lawful tells whether x, if it names e, may end it.
func lawful(x, e message) bool {
	if t := x.Alert.MsgType; t != "Update" && t != "Cancel" {
		return false
	}
	named := false
	for _, r := range x.Alert.References {
		named = named || r.Key() == e.key
	}
	return named && x.Alert.Status == e.Alert.Status && before(e, x) &&
		(x.Issuer.ID == e.Issuer.ID || mayEnd(x.Issuer.ID, e.Issuer.ID))
}

// ender is the earliest that ends e, nil for none.
func (md *model) ender(e message) *message {
	var first *message
	for _, f := range md.facts {
		if f.acts && lawful(f.m, e) && (first == nil || before(f.m, *first)) {
			first = &f.m
		}
	}
	return first
}

// pass brings every fact up to date.
func (md *model) pass(now clock.Stamp, floor time.Time) {
	for changed := true; changed; {
		changed = false
		for k, f := range md.facts {
			n := md.next(f, now, floor)
			if n.acts != f.acts || n.began != f.began || n.ran != f.ran || n.closed != f.closed || n.state != f.state || !n.starts.Equal(f.starts) {
				md.facts[k] = n
				changed = true
			}
		}
	}
}

func (md *model) next(f fact, now clock.Stamp, floor time.Time) fact {
	sure := now.Trust > clock.Free
	sent := f.m.Alert.Sent
	if !sure || sent.Sub(now.Wall) <= opts().Tolerance.Duration() {
		f.acts = true
	}
	if !f.m.warns() {
		f.state = book.Noted
		return f
	}
	for _, p := range md.facts {
		if p.m.warns() && p.m.Concerns && f.m.Alert.MsgType == "Update" && lawful(f.m, p.m) && !p.starts.After(sent) && p.m.ends().After(sent) {
			f.starts = sent
		}
	}
	seen := f.heard
	if seen.Boot != now.Boot {
		seen = md.restored
	}
	ends := f.m.ends()
	if !f.closed && (ends.Before(floor) || sure && !now.Wall.Before(ends) || ends.After(sent) && now.Mono-seen.Mono >= ends.Sub(sent)) {
		f.ran = true
	}
	x := md.ender(f.m)
	switch {
	case x != nil && x.Alert.Sent.Before(ends) && x.Alert.MsgType == "Update":
		f.state = book.Superseded
	case x != nil && x.Alert.Sent.Before(ends):
		f.state = book.Cancelled
	case x != nil || f.ran:
		f.state = book.Expired
	case !f.began && sure && f.starts.After(sent) && f.starts.After(now.Wall), !f.began && !f.acts:
		f.state = book.Waiting
	default:
		f.state, f.began = book.InForce, true
	}
	f.closed = f.closed || f.state.Over()
	return f
}
