package station

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/book"
	"tocsin/firmware/decide/alert/compact"
)

// A warning that a county sends by every link comes twice: in full, and in the 78 bytes of narrow
// links. Both are kept, each under its own name, each ended by what names it; but here it is one alarm, under
// the name of the one that came first, and it stands as long as either does.

// twin gives what a warning's two forms have in common; "" where its issuer signs no compact ones.
func (c *county) twin(o *alert.Opened) string {
	if !o.Trusted || o.Alert == nil || o.Issuer == nil || o.Issuer.Compact == nil || !o.Concerns {
		return ""
	}
	return c.bp.Compact.Likeness(o.Alert, o.Issuer.Compact.Region)
}

// short tells whether an entry came in the compact form.
func short(e book.Entry) bool {
	_, ok := compact.Named(e.Ref.Identifier)
	return ok
}

// lifeOf is from when to when an entry was known here and had not ended, by this box's own clock; a
// zero end is still to come.
func lifeOf(e book.Entry) (from, to time.Time) {
	from = e.Heard.Wall
	switch {
	case !e.State.Over():
	case e.Ended.IsZero(): // it had ended before it came
		to = from
	default:
		to = e.Ended.Wall
	}
	return from, to
}

// twins tells whether two entries are one warning in both its forms.
func twins(a, b book.Entry) bool {
	if a.Twin == "" || a.Twin != b.Twin || a.Issuer != b.Issuer || short(a) == short(b) {
		return false
	}
	from, to := lifeOf(a)
	begin, end := lifeOf(b)
	return (to.IsZero() || begin.Before(to)) && (end.IsZero() || from.Before(end))
}

// called gives, for chains that go by another's name, that name. list is all of the book.
func called(list []book.Entry) map[string]string {
	shorts, fulls := map[string][]book.Entry{}, map[string][]book.Entry{}
	for _, e := range list {
		if e.Twin == "" || e.State == book.Unverified {
			continue
		}
		if key := e.Issuer + " " + e.Twin; short(e) {
			shorts[key] = append(shorts[key], e)
		} else {
			fulls[key] = append(fulls[key], e)
		}
	}
	first := map[string]book.Entry{} // of a name: who came first under it
	name := map[string]string{}
	under := func(chain string) string {
		if n, ok := name[chain]; ok {
			return n
		}
		return chain
	}
	for _, key := range slices.Sorted(maps.Keys(shorts)) {
		for _, e := range slices.Concat(shorts[key], fulls[key]) {
			if old, ok := first[e.Chain]; !ok || before(e, old) {
				first[e.Chain] = e
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(shorts)) {
		for _, a := range shorts[key] {
			for _, b := range fulls[key] {
				x, y := under(a.Chain), under(b.Chain)
				if x == y || !twins(a, b) {
					continue
				}
				if before(first[y], first[x]) {
					x, y = y, x
				}
				name[y] = x
				for chain, n := range name {
					if n == y {
						name[chain] = x
					}
				}
			}
		}
	}
	return name
}

// before tells which came to this box first.
func before(a, b book.Entry) bool {
	return cmp.Or(a.Heard.Wall.Compare(b.Heard.Wall), strings.Compare(a.ID, b.ID)) < 0
}

// alarmOf is what the alarm of a chain is called.
func alarmOf(chain string, names map[string]string) string {
	if n, ok := names[chain]; ok {
		chain = n
	}
	return warnedByAlert + chain
}

// inOtherForm tells whether what an entry says was said by its other form.
func inOtherForm(list []book.Entry, e book.Entry) bool {
	return slices.ContainsFunc(list, func(o book.Entry) bool { return o.State == book.InForce && before(o, e) && twins(o, e) })
}
