package narrow

import (
	"context"
	"time"

	"tocsin/firmware/reach/wire"
)

// Kept says that what came with these counters is kept for good: an acknowledgement is due.
func (e *End) Kept(counters ...uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range counters {
		e.ledger.keep(n)
	}
}

// again notes that a message came once more: where that very message was kept, the peer is told again.
func (e *End) again(n uint64, message []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ledger.same(n, message) {
		e.ledger.keep(n)
	}
}

// AckDue tells of how many messages the peer was not told yet that they are kept.
func (e *End) AckDue() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.ledger.due)
}

// Acks makes a message of acknowledgements alone; false where none is due. How soon one is worth it is the link's to say.
func (e *End) Acks(ctx context.Context, most int) (Frame, bool, error) {
	e.send.Lock()
	defer e.send.Unlock()
	e.ctx = ctx
	e.mu.Lock()
	acks := e.ledger.acks((min(most, wire.NarrowMost) - wire.Overhead) / wire.AckSize)
	e.mu.Unlock()
	if len(acks) == 0 {
		return Frame{}, false, nil
	}
	m := wire.Message{Class: wire.Receipt, Kind: wire.AckOnly}
	for _, a := range acks {
		m.Content = a.Append(m.Content)
	}
	b, _, err := e.sealed(m)
	if err != nil {
		return Frame{}, false, err
	}
	e.mu.Lock()
	e.ledger.told(acks)
	e.mu.Unlock()
	return Frame{Bytes: b, Class: wire.Receipt}, true, nil
}

// Ask makes a message that asks for more fragments; false where nothing is lacking or it is too early: see Opts.AskAfter. Each
// content is asked for a few times, less and less often.
func (e *End) Ask(ctx context.Context, most int, now time.Duration) (Frame, bool, error) {
	room := min(most, wire.NarrowMost) - wire.Overhead
	d := &draft{class: wire.Receipt}
	e.hear.Lock()
	for _, r := range e.asm.Missing(now) {
		c := e.told[group{r.Class, r.Group}]
		if c == nil || c.asks >= asksMost || now-c.last < e.o.AskAfter || c.asks > 0 && now-c.asked < e.o.AskAfter<<c.asks {
			continue
		}
		if size(d.items)+2+2 > room || len(d.items) == wire.ItemsMost {
			break
		}
		c.asks++
		c.asked = now
		d.items = append(d.items, wire.Item{Type: wire.ItemMore, Bytes: r.Bytes()})
	}
	e.hear.Unlock()
	if len(d.items) == 0 {
		return Frame{}, false, nil
	}
	e.send.Lock()
	defer e.send.Unlock()
	e.ctx = ctx
	e.mu.Lock()
	acks := e.along(room, []*draft{d})
	e.mu.Unlock()
	all, err := e.seal(d)
	if err != nil {
		return Frame{}, false, err
	}
	e.mu.Lock()
	e.ledger.told(acks[0])
	e.mu.Unlock()
	return all[0], true, nil
}
