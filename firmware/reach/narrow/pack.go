package narrow

import (
	"context"
	"encoding/binary"
	"slices"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
)

// sent is what a message that went out was about.
type sent struct {
	ids   []string
	split *splitting
}

// draft is a message that is being filled.
type draft struct {
	class     wire.Class
	items     []wire.Item
	ids       []string
	fragments [][]byte // instead of items
	split     *splitting
}

// size is what the items take: each its type and length, but the last no length.
func size(items []wire.Item) int {
	n := 0
	for _, i := range items {
		n += 2 + len(i.Bytes)
	}
	return max(0, n-1)
}

// Pack makes messages of at most most bytes of parts: together where they fit, in fragments where one does
// not. The messages are in the order of their first parts. Where it errs, what it gives besides is good and may go out.
func (e *End) Pack(ctx context.Context, most int, parts []Part) ([]Frame, error) {
	e.send.Lock()
	defer e.send.Unlock()
	e.ctx = ctx
	room := min(most, wire.NarrowMost) - wire.Overhead
	drafts, err := e.draft(room, parts)
	e.mu.Lock()
	acks := e.along(room, drafts)
	e.mu.Unlock()
	var all []Frame
	for i, d := range drafts {
		frames, failed := e.seal(d)
		all = append(all, frames...)
		if failed != nil {
			return all, failed
		}
		if acks[i] != nil {
			e.mu.Lock()
			e.ledger.told(acks[i])
			e.mu.Unlock()
		}
	}
	return all, err
}

// draft sorts parts into messages. It gives what can go also where one cannot.
func (e *End) draft(room int, parts []Part) (drafts []*draft, err error) {
	for _, p := range parts {
		switch {
		case p.Item.Type == 0 || p.Item.Type > 127 || p.Class > wire.Bulk:
			err = phrase.E("narrow.item", "id", p.ID)
			continue
		case 1+len(p.Item.Bytes) > room:
			d, failed := e.fragments(room, p)
			if failed != nil {
				err = failed
				continue
			}
			drafts = append(drafts, d)
			continue
		}
		i := slices.IndexFunc(drafts, func(d *draft) bool { return e.fits(room, d, p) })
		if i < 0 {
			i, drafts = len(drafts), append(drafts, &draft{class: p.Class})
		}
		drafts[i].add(p.Item)
		drafts[i].ids = append(drafts[i].ids, p.ID)
		drafts[i].class = min(drafts[i].class, p.Class)
	}
	return drafts, err
}

// fits tells whether a part goes into a message: what is hidden only with its own class.
func (e *End) fits(room int, d *draft, p Part) bool {
	if d.fragments != nil || len(d.items) == wire.ItemsMost || d.class != p.Class && (e.o.Hidden>>d.class|e.o.Hidden>>p.Class)&1 == 1 {
		return false
	}
	long := func(i wire.Item) bool { return len(i.Bytes) > 255 }
	return size(d.items)+2+len(p.Item.Bytes) <= room && !(long(p.Item) && slices.ContainsFunc(d.items, long))
}

// add adds an item; one that is too long for its length to be written goes to the end.
func (d *draft) add(i wire.Item) {
	if n := len(d.items); n > 0 && len(d.items[n-1].Bytes) > 255 {
		d.items = slices.Insert(d.items, n-1, i)
		return
	}
	d.items = append(d.items, i)
}

// along lets acknowledgements, and the epoch, ride along where there is room, and gives which ones are in which message.
func (e *End) along(room int, drafts []*draft) map[int][]wire.Ack {
	all := map[int][]wire.Ack{}
	told := e.ledger.acks(len(drafts) * wire.ItemsMost)
	for i, d := range drafts {
		left := func() int {
			if d.fragments != nil || len(d.items) >= wire.ItemsMost {
				return 0
			}
			return room - size(d.items) - 2
		}
		for len(told) > 0 && left() >= wire.AckSize {
			d.items = slices.Insert(d.items, 0, wire.Item{Type: wire.ItemAck, Bytes: told[0].Append(nil)})
			all[i], told = append(all[i], told[0]), told[1:]
		}
		if len(e.o.Keys) > 1 && left() >= 4 {
			d.items = slices.Insert(d.items, 0, e.epoch())
		}
	}
	return all
}

// epoch says which keys this end has.
func (e *End) epoch() wire.Item {
	return wire.Item{Type: wire.ItemEpoch, Bytes: binary.BigEndian.AppendUint32(nil, e.o.Keys[0].Epoch)}
}

// seal makes the messages of a draft. send is held.
func (e *End) seal(d *draft) (all []Frame, err error) {
	m := wire.Message{Class: d.class, Kind: wire.Whole}
	contents := d.fragments
	if contents != nil {
		m.Kind = wire.Fragment
	} else {
		contents = [][]byte{content(nil, d.items)}
	}
	for _, m.Content = range contents {
		b, n, err := e.sealed(m)
		if err != nil {
			return all, err
		}
		if len(d.ids) > 0 {
			e.mu.Lock()
			e.remember(n, sent{d.ids, d.split})
			e.mu.Unlock()
		}
		all = append(all, Frame{Bytes: b, IDs: slices.Clone(d.ids), Class: d.class})
	}
	return all, nil
}

func content(b []byte, items []wire.Item) []byte {
	for i, x := range items {
		b = wire.AppendItem(b, x, i == len(items)-1)
	}
	return b
}

// sealed seals one message and gives its counter. send is held, and ctx is set.
func (e *End) sealed(m wire.Message) ([]byte, uint64, error) {
	e.mu.Lock()
	key := e.proven
	if e.silent > silentMost {
		key = e.silent % len(e.o.Keys)
	}
	e.silent++
	e.mu.Unlock()
	e.tx.Keys = e.o.Keys[key]
	n, err := e.number()
	if err != nil {
		return nil, 0, err
	}
	b, err := e.tx.SealAs(n, m, e.self)
	return b, n, err
}

// remember notes what a message is about. mu is held.
func (e *End) remember(n uint64, s sent) {
	e.out[n] = s
	e.order = append(e.order, n)
	for len(e.order) > outMost {
		delete(e.out, e.order[0])
		e.order = e.order[1:]
	}
}
