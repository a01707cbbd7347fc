package book

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"tocsin/firmware/clock"
)

// Dirty gives what changed since the last call, one value an entry under the entry's
// ID, nil for what is gone: to be committed as one. What is not committed before
// a power cut was not taken.
func (b *Book) Dirty() map[string][]byte {
	if len(b.dirty) == 0 {
		return nil
	}
	out := make(map[string][]byte, len(b.dirty))
	for id, e := range b.dirty {
		if e == nil {
			out[id] = nil
			continue
		}
		v, err := json.Marshal(e.Entry)
		if err != nil { // strings, times and numbers: cannot fail
			panic(err)
		}
		out[id] = v
	}
	clear(b.dirty)
	return out
}

// Restore fills an empty book with what was committed. A value that cannot be
// read is left out and told; the others stand. Call Due afterwards. What stood
// before stands again without a change that tells of it: List has it.
func (b *Book) Restore(kept map[string][]byte, now clock.Stamp) error {
	b.restored = now
	var bad []error
	for _, id := range slices.Sorted(maps.Keys(kept)) {
		e := &item{}
		if err := json.Unmarshal(kept[id], &e.Entry); err != nil {
			bad = append(bad, fmt.Errorf("alert %s: %w", id, err))
			continue
		}
		if e.key = e.Ref.Key(); e.ID != id {
			bad = append(bad, fmt.Errorf("alert %s: holds %q", id, e.ID))
			continue
		}
		if e.State != Unverified {
			b.put(e)
			continue
		}
		e.size = e.weigh()
		b.heldBytes += e.size
		b.held = append(b.held, e)
	}
	slices.SortStableFunc(b.held, func(x, y *item) int {
		if x.Heard.Boot == y.Heard.Boot {
			return int((x.Heard.Mono - y.Heard.Mono).Microseconds())
		}
		return x.Heard.Wall.Compare(y.Heard.Wall)
	})
	clear(b.dirty)
	return errors.Join(bad...)
}

// Merge gives the value to keep where one entry was kept in two places; nil: own stays as it is, or other is none
// of that ID. What one of them knows to have ended has ended, and what one has verified is.
func Merge(id string, own, other []byte) []byte {
	var o, e Entry
	if json.Unmarshal(other, &o) != nil || o.ID != id {
		return nil
	}
	if json.Unmarshal(own, &e) != nil || e.ID != id || !e.State.Over() && o.State.Over() || e.State == Unverified && o.State != Unverified {
		return other
	}
	return nil
}
