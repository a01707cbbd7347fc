package logbook

import (
	"slices"
	"time"

	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
)

// alsoMost bounds how many letters are remembered for links that bring them again.
const alsoMost = 4096

// also knows what the newest letters were, and by which links those came that were not read yet: the notes
// stand in another stream than the letters.
type also struct {
	known map[alsoKey]*opened
	early map[alsoKey][]Way
	order []alsoKey
}

type alsoKey struct {
	station letter.Station
	id      string
}

func newAlso() *also { return &also{known: map[alsoKey]*opened{}, early: map[alsoKey][]Way{}} }

// note enters a key, and forgets the oldest where there are too many.
func (a *also) note(k alsoKey) {
	if a.known[k] != nil || a.early[k] != nil {
		return
	}
	a.order = append(a.order, k)
	if len(a.order) > alsoMost {
		delete(a.known, a.order[0])
		delete(a.early, a.order[0])
		a.order = a.order[1:]
	}
}

// came remembers what a letter was, and takes in by which links it came besides. The lock is held.
func (b *Book) came(s letter.Station, id string, o *opened) {
	k := alsoKey{s, id}
	b.also.note(k)
	early := b.also.early[k]
	delete(b.also.early, k)
	b.also.known[k] = &opened{name: o.name, short: o.short, receipts: o.receipts}
	for _, w := range early {
		b.again(s, b.also.known[k], w)
	}
}

// Also takes in that a letter came by a link, too.
func (b *Book) Also(s letter.Station, id, link string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k, w := alsoKey{s, id}, Way{Link: link, At: at}
	if o := b.also.known[k]; o != nil {
		b.again(s, o, w)
		return
	}
	b.also.note(k)
	if all := b.also.early[k]; len(all) < waysMost {
		b.also.early[k] = append(all, w)
	}
}

// again enters a link. The lock is held.
func (b *Book) again(s letter.Station, o *opened, w Way) {
	w.Short = o.short
	for _, a := range b.alarms {
		if i := slices.IndexFunc(a.Messages, func(m Message) bool { return m.Name == o.name }); a.Station == s && i >= 0 {
			m := &a.Messages[i]
			if !slices.ContainsFunc(m.Ways, func(x Way) bool { return x.Link == w.Link && x.Short == w.Short }) && len(m.Ways) < waysMost {
				m.Ways = append(m.Ways, w)
				slices.SortStableFunc(m.Ways, func(x, y Way) int { return x.At.Compare(y.At) })
			}
		}
	}
	of := b.file.Stations[string(s)]
	for _, r := range o.receipts {
		about, all, err := wire.ReadReceipts(r)
		if err != nil || b.progress[about] == nil || of.Number == 0 {
			continue
		}
		for _, x := range all {
			if g := b.progress[about].by[s]; g != nil && int(x.Station) == of.Number {
				if old, had := g.By[w.Link]; !had && len(g.By) < linksMost || had && old.Join(x.Progress) != old.Progress {
					g.By[w.Link] = Step{old.Join(x.Progress), w.At}
				}
			}
		}
	}
}
