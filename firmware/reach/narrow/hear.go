package narrow

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
)

// Hear takes a message from the link at a time of the monotonic clock; from is who sent it by the link's word, "" where it says none.
// An error says why nothing is to be done: it is not the peer's, was changed or cut, came before (wire.Replayed),
// cannot be read, or could not be kept. What it gives is the caller's to keep, and to say so: Kept.
func (e *End) Hear(ctx context.Context, b []byte, from string, now time.Duration) (Result, error) {
	if from != "" && OnLink(from) != e.peer {
		return Result{}, phrase.E("narrow.stranger", "link", e.o.Link, "from", from[:min(len(from), 32)], "peer", e.peer)
	}
	e.hear.Lock()
	defer e.hear.Unlock()
	if e.o.Now != nil {
		e.rx.Anew = wire.CountersFrom(e.o.Now().Unix())
	}
	m, err := e.rx.Open(b, e.peer)
	if err != nil {
		if wire.Replayed(err) {
			e.again(m.Counter, b)
		}
		return Result{}, err
	}
	unkept := false
	if err := e.keepWindow(ctx, m.Class); err != nil {
		if m.Class != wire.Warning {
			e.rx.Window.Release(m.Counter)
			return Result{}, phrase.Wrap(err, "narrow.window_unkept", "link", e.o.Link)
		}
		unkept = true
	}
	e.mu.Lock()
	e.ledger.note(m.Counter, b)
	e.mu.Unlock()
	e.heardFrom(m.Epoch)
	var items []wire.Item
	switch m.Kind {
	case wire.AckOnly:
		acks, err := wire.ReadAcks(m.Content)
		return Result{Acked: e.acked(acks)}, err
	case wire.Fragment:
		items, err = e.fragment(m, now)
	default:
		items, err = wire.Items(m.Content)
	}
	r := e.sort(ctx, items)
	if unkept {
		items = slices.DeleteFunc(r.items, func(i wire.Item) bool { return i.Type != wire.ItemWarning && i.Type != wire.ItemText })
		r.items = items
	}
	if len(r.items) > 0 {
		r.Heard = []Heard{{Class: m.Class, Items: r.items, Counter: m.Counter, Unkept: unkept}}
	}
	return r.Result, err
}

// sorted is a Result and what is the caller's of the items.
type sorted struct {
	Result
	items []wire.Item
}

// sort takes out what ends understand between themselves.
func (e *End) sort(ctx context.Context, items []wire.Item) (r sorted) {
	for _, i := range items {
		switch i.Type {
		case wire.ItemAck:
			if acks, err := wire.ReadAcks(i.Bytes); err == nil {
				r.Acked = append(r.Acked, e.acked(acks)...)
			}
		case wire.ItemMore:
			if q, err := wire.ReadMore(i.Bytes); err == nil {
				e.send.Lock()
				e.ctx = ctx
				r.Send = append(r.Send, e.asked(q)...)
				e.send.Unlock()
			}
		case wire.ItemEpoch:
			if len(i.Bytes) == 4 {
				e.heardFrom(binary.BigEndian.Uint32(i.Bytes))
			}
		default:
			r.items = append(r.items, i)
		}
	}
	return r
}

// keepWindow has the window on the disk. hear is held.
func (e *End) keepWindow(ctx context.Context, c wire.Class) error {
	wait := 4 * e.o.Patience
	if c == wire.Warning {
		wait = e.o.Patience
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	b, err := json.Marshal(e.rx.Window.Snapshot())
	if err != nil {
		return err
	}
	return e.o.Keep.Put(ctx, e.windowKey, b)
}

// heardFrom notes that the peer has the keys of an epoch.
func (e *End) heardFrom(epoch uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.silent = 0
	if i := slices.IndexFunc(e.o.Keys, func(k *wire.Keys) bool { return k.Epoch == epoch }); i >= 0 {
		e.proven = min(e.proven, i)
	}
}

// acked gives the ids of what the peer has kept, each once.
func (e *End) acked(acks []wire.Ack) (ids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range acks {
		for _, n := range a.Counters() {
			s, ours := e.out[n]
			if !ours {
				continue
			}
			delete(e.out, n)
			for _, id := range s.ids {
				if !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
			if s.split != nil {
				e.splits = slices.DeleteFunc(e.splits, func(o *splitting) bool { return o == s.split })
			}
		}
	}
	return ids
}
