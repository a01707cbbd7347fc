package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/klauspost/reedsolomon"

	"tocsin/firmware/phrase"
)

const (
	// FragmentHead is what a fragment takes of the content: index 5 bits, data shards less one 4, group 7.
	FragmentHead = 2
	// ShardsMost is how many data shards a content may have, and how many of parity.
	ShardsMost = 16
	groupsKept = 8 // contents that are put together at a time
	groups     = 128
)

// GroupOf gives the group of a fragment's content, which has at least FragmentHead bytes.
func GroupOf(fragment []byte) uint8 { return fragment[1] & (groups - 1) }

// Split is a longer content in shards of equal size: any Data of them give it back. A sender sends the data
// shards, and as much parity as the link's losses ask for; asked for more, it goes on from there.
type Split struct {
	Group  uint8
	Data   int
	shards [][]byte // data, then parity
	next   int
}

// NewSplit cuts a content so that each fragment's content is at most room bytes. Group is the sender's, one higher for each content of
// the class, modulo 128.
func NewSplit(content []byte, group uint8, room int) (*Split, error) {
	size := room - FragmentHead
	full := append(binary.BigEndian.AppendUint16(nil, uint16(len(content))), content...)
	k := 0
	if size > 0 {
		k = (len(full) + size - 1) / size
	}
	if k == 0 || k > ShardsMost || len(content) == 0 || len(content) > 1<<16-1 {
		return nil, phrase.E("wire.split", "bytes", len(content), "most", max(0, min(1<<16-1, ShardsMost*size-2)))
	}
	size = (len(full) + k - 1) / k // no larger than needed
	full = append(full, make([]byte, k*size-len(full))...)
	s := &Split{Group: group % groups, Data: k}
	for i := range k {
		s.shards = append(s.shards, full[i*size:(i+1)*size])
	}
	for range ShardsMost {
		s.shards = append(s.shards, make([]byte, size))
	}
	code, err := reedsolomon.New(k, ShardsMost)
	if err != nil {
		return nil, phrase.Wrap(err, "wire.split_code")
	}
	if err := code.Encode(s.shards); err != nil {
		return nil, phrase.Wrap(err, "wire.split_code")
	}
	return s, nil
}

// Fragment gives the content of fragment i: data below Data, parity from there on.
func (s *Split) Fragment(i int) []byte {
	i %= len(s.shards)
	b := binary.BigEndian.AppendUint16(nil, uint16(i)<<11|uint16(s.Data-1)<<7|uint16(s.Group))
	return append(b, s.shards[i]...)
}

// More gives the next n fragments; after the last parity it begins again with the data.
func (s *Split) More(n int) [][]byte {
	var all [][]byte
	for range min(n, len(s.shards)) {
		all = append(all, s.Fragment(s.next))
		s.next = (s.next + 1) % len(s.shards)
	}
	return all
}

// First gives the data shards and so many of parity.
func (s *Split) First(parity int) [][]byte { return s.More(s.Data + parity) }

// MoreRequest asks for so many more fragments of a content, whichever: three bits of class, six of the count less one, seven of the group.
type MoreRequest struct {
	Class Class
	Group uint8
	Count int
}

// Bytes are two.
func (m MoreRequest) Bytes() []byte {
	return binary.BigEndian.AppendUint16(nil, uint16(m.Class)<<13|uint16(m.Count-1)&63<<7|uint16(m.Group))
}

// ReadMore reads one.
func ReadMore(b []byte) (MoreRequest, error) {
	if len(b) != 2 {
		return MoreRequest{}, phrase.E("wire.more")
	}
	v := binary.BigEndian.Uint16(b)
	m := MoreRequest{Class(v >> 13), uint8(v & 127), int(v>>7&63) + 1}
	if m.Class >= classes || m.Count > 2*ShardsMost {
		return MoreRequest{}, phrase.E("wire.more")
	}
	return m, nil
}

// Assembler puts contents of one sender together again. Give it only what Receiver.Open opened: a single false shard
// would spoil a content. One goroutine uses it.
type Assembler struct {
	// Lasts is how long a content may take; 0 is six hours.
	Lasts time.Duration
	open  []*group // oldest first
}

type group struct {
	class  Class
	number uint8
	data   int
	shards [][]byte
	have   int
	since  time.Duration
	done   bool
}

// Add takes a fragment at a time of the monotonic clock, and gives the content when it is whole: once. What came before, or
// belongs to a content that was given, changes nothing.
func (a *Assembler) Add(class Class, fragment []byte, now time.Duration) ([]byte, error) {
	if len(fragment) <= FragmentHead || len(fragment) > NarrowMost {
		return nil, phrase.E("wire.fragment")
	}
	head := binary.BigEndian.Uint16(fragment)
	index, data, number := int(head>>11), int(head>>7&15)+1, uint8(head&127)
	shard := fragment[FragmentHead:]
	if index >= data+ShardsMost || data*len(shard) < 3 {
		return nil, phrase.E("wire.fragment")
	}
	a.expire(now)
	g := a.find(class, number)
	if g != nil && (g.data != data || len(g.shards[g.first()]) != len(shard)) {
		// The numbers went round: this is a new content.
		a.open = slices.DeleteFunc(a.open, func(o *group) bool { return o == g })
		g = nil
	}
	if g == nil {
		if len(a.open) == groupsKept {
			a.open = slices.Delete(a.open, 0, 1)
		}
		g = &group{class: class, number: number, data: data, shards: make([][]byte, data+ShardsMost), since: now}
		a.open = append(a.open, g)
	}
	if g.shards[index] != nil && !g.done && !bytes.Equal(g.shards[index], shard) {
		a.Drop(class, number) // so they did, and the contents are alike in length
		return a.Add(class, fragment, now)
	}
	if g.shards[index] != nil {
		return nil, nil
	}
	g.shards[index] = slices.Clone(shard)
	if g.have++; g.done || g.have < g.data {
		return nil, nil
	}
	code, err := reedsolomon.New(g.data, ShardsMost)
	if err != nil {
		return nil, phrase.Wrap(err, "wire.split_code")
	}
	whole := slices.Clone(g.shards)
	if err := code.ReconstructData(whole); err != nil {
		return nil, phrase.Wrap(err, "wire.split_code")
	}
	g.done = true
	full := slices.Concat(whole[:g.data]...)
	n := int(binary.BigEndian.Uint16(full))
	if n == 0 || n > len(full)-2 {
		return nil, phrase.E("wire.fragment")
	}
	return full[2 : 2+n], nil
}

// Drop forgets a content: what came of it does not belong together.
func (a *Assembler) Drop(class Class, number uint8) {
	a.open = slices.DeleteFunc(a.open, func(g *group) bool { return g.class == class && g.number == number })
}

// Missing lists what to ask for: each content that is not whole, and how many fragments it wants.
func (a *Assembler) Missing(now time.Duration) []MoreRequest {
	a.expire(now)
	var all []MoreRequest
	for _, g := range a.open {
		if !g.done {
			all = append(all, MoreRequest{g.class, g.number, g.data - g.have})
		}
	}
	return all
}

func (a *Assembler) find(class Class, number uint8) *group {
	for _, g := range a.open {
		if g.class == class && g.number == number {
			return g
		}
	}
	return nil
}

func (a *Assembler) expire(now time.Duration) {
	lasts := a.Lasts
	if lasts <= 0 {
		lasts = 6 * time.Hour
	}
	a.open = slices.DeleteFunc(a.open, func(g *group) bool { return now-g.since > lasts })
}

func (g *group) first() int {
	return slices.IndexFunc(g.shards, func(s []byte) bool { return s != nil })
}
