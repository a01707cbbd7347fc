package book

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/trust"
)

// Opts are the site's bounds.
type Opts struct {
	// Entries and Bytes bound what is kept of verified messages, Held what is
	// kept of the others.
	Entries int `yaml:"entries"`
	Bytes   int `yaml:"bytes"`
	Held    int `yaml:"held"`
	// Names is the most messages that one may refer to.
	Names int `yaml:"names"`
	// Missing is how long after its sent a message without expires holds;
	// Longest is the longest that any holds.
	Missing point.Span `yaml:"missing"`
	Longest point.Span `yaml:"longest"`
	// Tolerance is how far ahead of a trusted clock sent may lie and count as
	// now; Ahead how far it may lie and wait.
	Tolerance point.Span `yaml:"tolerance"`
	Ahead     point.Span `yaml:"ahead"`
	// Keep is how long what has ended is shown.
	Keep point.Span `yaml:"keep"`
	// MayEnd tells whether an issuer may end another's messages; nil is never. See
	// Amends.
	MayEnd func(by, of string) bool `yaml:"-"`
}

// DefaultOpts fit a village's box.
func DefaultOpts() Opts {
	return Opts{
		Entries: 2048, Bytes: 4 << 20, Held: 128, Names: 512,
		Missing: point.Span(24 * time.Hour), Longest: point.Span(14 * 24 * time.Hour),
		Tolerance: point.Span(2 * time.Minute), Ahead: point.Span(24 * time.Hour), Keep: point.Span(72 * time.Hour),
	}
}

// Amends lets an issuer end the messages of those that its grant names.
func Amends(s *trust.Store) func(by, of string) bool {
	return func(by, of string) bool {
		i, ok := s.Issuer(by)
		return ok && i.Grant.MayAmend(of)
	}
}

// Validate names what cannot be.
func (o Opts) Validate() error {
	for _, f := range []struct {
		name        string
		have, least int
	}{{"entries", o.Entries, 16}, {"bytes", o.Bytes, 64 << 10}, {"held", o.Held, 1}, {"names", o.Names, 1}} {
		if f.have < f.least {
			return phrase.E("book.opts_small", "field", f.name, "have", f.have, "least", f.least)
		}
	}
	switch {
	case o.Missing <= 0 || o.Missing > o.Longest:
		return phrase.E("book.opts_missing", "missing", o.Missing.String(), "longest", o.Longest.String())
	case o.Tolerance < 0 || o.Tolerance > o.Ahead:
		return phrase.E("book.opts_ahead", "tolerance", o.Tolerance.String(), "ahead", o.Ahead.String())
	}
	return nil
}

// Book is the list of alerts. Use New; one goroutine uses it.
type Book struct {
	o Opts
	// known are verified messages by the Key of their triple; naming lists who
	// names a triple, known or not.
	known  map[string]*item
	naming map[string][]*item
	// stands holds who is in force here, by chain.
	stands map[string]*item
	bytes  int
	// held are unverified messages, oldest first.
	held      []*item
	heldBytes int

	restored clock.Stamp
	dirty    map[string]*item // by ID; nil is gone
	forgot   int
}

// item is an Entry in the book.
type item struct {
	Entry
	key  string
	size int
}

// New makes an empty Book. The options must be valid.
func New(o Opts) *Book {
	return &Book{o: o, known: map[string]*item{}, naming: map[string][]*item{}, stands: map[string]*item{}, dirty: map[string]*item{}}
}

// Sounding gives what may sound here now, in no order: what the alarm path asks for at
// each message, also in a flood of what is for elsewhere.
func (b *Book) Sounding() []Entry {
	var all []Entry
	for _, e := range b.known {
		if e.Sounds() {
			all = append(all, e.Entry)
		}
	}
	return all
}

// List gives every entry: what is in force first, then what waits, what is held,
// and what has ended, newest first in each.
func (b *Book) List() []Entry {
	all := make([]Entry, 0, len(b.known)+len(b.held))
	for _, e := range b.known {
		all = append(all, e.Entry)
	}
	for _, e := range b.held {
		all = append(all, e.Entry)
	}
	rank := func(s State) int {
		return slices.Index([]State{InForce, Waiting, Unverified, Superseded, Cancelled, Expired, Noted}, s)
	}
	slices.SortFunc(all, func(x, y Entry) int {
		a, b := min(rank(x.State), 3), min(rank(y.State), 3)
		return cmp.Or(cmp.Compare(a, b), y.Ref.Sent.Compare(x.Ref.Sent), strings.Compare(x.ID, y.ID))
	})
	return all
}

// Size gives how much is kept, and how many records had to be forgotten before
// it was safe.
func (b *Book) Size() (entries, bytes, forgot int) {
	return len(b.known) + len(b.held), b.bytes + b.heldBytes, b.forgot
}

func (b *Book) put(e *item) {
	b.known[e.key] = e
	for _, n := range e.Names {
		b.naming[n] = append(b.naming[n], e)
	}
	e.size = e.weigh()
	b.bytes += e.size
	b.stand(e)
	b.touch(e)
}

// stand notes whether e is in force here, under its chain.
func (b *Book) stand(e *item) {
	if e.live() {
		b.stands[e.Chain] = e
	} else if b.stands[e.Chain] == e {
		delete(b.stands, e.Chain)
	}
}

func (b *Book) drop(e *item) {
	delete(b.known, e.key)
	if b.stands[e.Chain] == e {
		delete(b.stands, e.Chain)
	}
	for _, n := range e.Names {
		rest := slices.DeleteFunc(b.naming[n], func(x *item) bool { return x == e })
		if len(rest) == 0 {
			delete(b.naming, n)
		} else {
			b.naming[n] = rest
		}
	}
	b.bytes -= e.size
	b.dirty[e.ID] = nil
}

// touch notes that an entry must be kept again.
func (b *Book) touch(e *item) { b.dirty[e.ID] = e }
