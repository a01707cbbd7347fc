package narrow

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"slices"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
)

// checkSize is the checksum before a content of fragments. Each fragment has its own MAC; this is against shards of
// two contents that met in one group.
const checkSize = 4

// How sure it is that a content needs nothing more than what goes out at first.
const (
	sureUrgent = 0.999 // classes 0 to 3
	sureOther  = 0.9
)

// splitting is a content that goes out in fragments.
type splitting struct {
	id    string
	class wire.Class
	room  int
	whole []byte
	wire  *wire.Split
	gone  int // shards that were sent
}

// group names a content that comes in fragments.
type group struct {
	class  wire.Class
	number uint8
}

// coming is what is known of one.
type coming struct {
	since, last, asked time.Duration
	asks               int
	// whole is set when it was given, as what came with the message counter.
	whole   []byte
	counter uint64
}

const (
	comingMost = 10
	asksMost   = 6 // then the sender's own patience decides
)

// fragments makes the fragments of a part: the data and some parity, or where it went out before, as many of what follows as give it back.
func (e *End) fragments(room int, p Part) (*draft, error) {
	body := content(nil, []wire.Item{p.Item})
	whole := append(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)), body...)
	if !e.begun {
		// The first counter of this life is far from those of the last: so are its groups.
		n, err := e.number()
		if err != nil {
			return nil, err
		}
		e.begun, e.next = true, uint8(n&127)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.splits, func(s *splitting) bool {
		return s.id == p.ID && s.class == p.Class && s.room == room && bytes.Equal(s.whole, whole) && s.gone < s.wire.Data+wire.ShardsMost
	})
	if i >= 0 {
		s := e.splits[i]
		n := s.wire.Data + e.parity(s.wire.Data, s.class)
		s.gone += n
		return &draft{class: s.class, ids: []string{s.id}, fragments: s.wire.More(n), split: s}, nil
	}
	w, err := wire.NewSplit(whole, e.next, room)
	if err != nil {
		return nil, phrase.Wrap(err, "narrow.too_long", "id", p.ID, "bytes", len(p.Item.Bytes), "most", room+wire.Overhead)
	}
	e.next = (e.next + 1) & 127
	s := &splitting{id: p.ID, class: p.Class, room: room, whole: whole, wire: w}
	e.splits = slices.DeleteFunc(e.splits, func(o *splitting) bool { return o.id == p.ID && o.class == p.Class })
	if len(e.splits) == splitsMost {
		e.splits = slices.Delete(e.splits, 0, 1)
	}
	e.splits = append(e.splits, s)
	parity := e.parity(w.Data, s.class)
	s.gone = w.Data + parity
	return &draft{class: s.class, ids: []string{s.id}, fragments: w.First(parity), split: s}, nil
}

// parity gives how many shards more than k are to go so that k of them arrive, as sure as the class wants.
func (e *End) parity(k int, c wire.Class) int {
	loss := defaultLoss
	if e.o.Loss != nil {
		loss = e.o.Loss()
	}
	sure := sureOther
	if c <= wire.Alarm {
		sure = sureUrgent
	}
	return Parity(k, loss, sure)
}

// Parity gives how many messages beyond k must go, each lost with a chance of loss, so that k arrive with the chance sure: at most 16.
func Parity(k int, loss, sure float64) int {
	if !(loss > 0) {
		return 0
	}
	loss = min(loss, 0.9)
	for p := range wire.ShardsMost {
		// The chance that at most p of k+p are lost.
		chance, all := 0.0, 1.0
		for range k + p {
			all *= 1 - loss
		}
		for i := range p + 1 {
			chance += all
			all *= loss / (1 - loss) * float64(k+p-i) / float64(i+1)
		}
		if chance >= sure {
			return p
		}
	}
	return wire.ShardsMost
}

// asked answers a request for more of a content. send is held.
func (e *End) asked(r wire.MoreRequest) []Frame {
	e.mu.Lock()
	i := slices.IndexFunc(e.splits, func(s *splitting) bool { return s.class == r.Class && s.wire.Group == r.Group })
	if i < 0 {
		e.mu.Unlock()
		return nil
	}
	s := e.splits[i]
	n := min(r.Count+e.parity(r.Count, s.class), s.wire.Data+wire.ShardsMost)
	s.gone += n
	d := &draft{class: s.class, ids: []string{s.id}, fragments: s.wire.More(n), split: s}
	e.mu.Unlock()
	all, _ := e.seal(d) // what could not be sealed is asked for again
	return all
}

// fragment takes one and gives the items of the content that it made whole. hear is held.
func (e *End) fragment(m wire.Message, now time.Duration) ([]wire.Item, error) {
	if len(m.Content) <= wire.FragmentHead {
		return nil, phrase.E("wire.fragment")
	}
	g := group{m.Class, wire.GroupOf(m.Content)}
	c := e.told[g]
	if c != nil && c.whole != nil {
		if c.is(m.Content, g.number) {
			e.mu.Lock()
			kept := e.ledger.has(c.counter)
			if kept {
				e.ledger.keep(m.Counter) // and the sender does not know
			}
			e.mu.Unlock()
			if kept {
				return nil, nil
			}
			c.counter = m.Counter // the caller was busy, and may not be now
			return wire.Items(bytes.Clone(c.whole[checkSize:]))
		}
		e.asm.Drop(g.class, g.number) // the numbers went round
		c = nil
	}
	if c == nil {
		c = &coming{since: now}
		e.know(g, c)
	}
	c.last = now
	whole, err := e.asm.Add(g.class, m.Content, now)
	if err != nil || whole == nil {
		return nil, err
	}
	if len(whole) <= checkSize || binary.BigEndian.Uint32(whole) != crc32.ChecksumIEEE(whole[checkSize:]) {
		e.asm.Drop(g.class, g.number)
		delete(e.told, g)
		return nil, phrase.E("narrow.spoiled", "link", e.o.Link)
	}
	c.whole, c.counter = whole, m.Counter
	return wire.Items(bytes.Clone(whole[checkSize:]))
}

// is tells whether a fragment belongs to the content that was given.
func (c *coming) is(fragment []byte, number uint8) bool {
	s, err := wire.NewSplit(c.whole, number, len(fragment))
	return err == nil && bytes.Equal(s.Fragment(int(fragment[0]>>3)), fragment)
}

// know notes a content, and forgets the oldest where there are too many.
func (e *End) know(g group, c *coming) {
	e.told[g] = c
	for len(e.told) > comingMost {
		delete(e.told, slices.MinFunc(slices.Collect(maps.Keys(e.told)), func(a, b group) int {
			return cmp.Or(cmp.Compare(e.told[a].since, e.told[b].since), cmp.Compare(a.class, b.class), cmp.Compare(a.number, b.number))
		}))
	}
}
