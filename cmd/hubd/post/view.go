package post

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
)

// Bounds of what is shown; the streams hold the rest.
const (
	recentMost = 20 // receipts of a station
	sentMost   = 50 // what the desk sent
	linksMost  = 16 // of a station
)

const (
	oddLabel   = "label"
	oddUnknown = "unknown"
	oddTwice   = "twice"
)

// Station is what the hub knows of one.
type Station struct {
	ID   letter.Station
	Name phrase.Text
	// Seen is when something of it came last, by each link.
	Seen map[string]time.Time
	// Letters counts what was kept, by class, Copies what came again since the
	// start.
	Letters [6]int
	Copies  int
	// Mislabelled and Twice count letters that were kept without a receipt.
	Mislabelled, Twice int
	Recent             []Kept // newest first
}

// Last gives the newest of Seen.
func (s *Station) Last() (at time.Time, link string) {
	for l, t := range s.Seen {
		if t.After(at) || t.Equal(at) && l < link {
			at, link = t, l
		}
	}
	return at, link
}

// Kept is a receipt with its id.
type Kept struct {
	ID string
	Receipt
}

// Sent is one thing that the desk sent.
type Sent struct {
	ID, About, By string
	// Names and With are those of the Dispatch.
	Names, With string
	Class       letter.Class
	At          time.Time
	To          map[letter.Station]Took
}

// Took is by which link and when a station took it; zero where it has not.
type Took struct {
	At   time.Time
	Link string
}

type view struct {
	mu       sync.Mutex
	stations map[letter.Station]*Station
	sent     map[string]*Sent
	early    map[letter.Station]map[string]Took // taken, before DOWN was read
	unknown  int
	read     map[string]uint64 // how far each stream was
	copies   func(s letter.Station, id, link string, at time.Time)
}

// fresh tells whether a message was not taken in before its stream was read anew.
func (v *view) fresh(m *jetstream.MsgMetadata) bool {
	if m.Sequence.Stream <= v.read[m.Stream] {
		return false
	}
	v.read[m.Stream] = m.Sequence.Stream
	return true
}

func (v *view) make(f *hubfile.File) {
	v.stations, v.sent = map[letter.Station]*Station{}, map[string]*Sent{}
	v.early, v.read = map[letter.Station]map[string]Took{}, map[string]uint64{}
	for id, s := range f.Stations {
		v.stations[letter.Station(id)] = &Station{ID: letter.Station(id), Name: s.Name, Seen: map[string]time.Time{}}
	}
}

func (v *view) odd(s letter.Station, what string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	st := v.stations[s]
	switch {
	case st == nil:
		v.unknown++
	case what == oddTwice:
		st.Twice++
	default:
		st.Mislabelled++
	}
}

func (v *view) copy(s letter.Station) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if st := v.stations[s]; st != nil {
		st.Copies++
	}
}

// Heard notes that a station was heard by a link, without a letter.
func (p *Post) Heard(s letter.Station, link string, at time.Time) {
	p.view.mu.Lock()
	defer p.view.mu.Unlock()
	if st := p.view.stations[s]; st != nil {
		st.seen(link, at)
	}
}

func (s *Station) seen(link string, at time.Time) {
	if _, known := s.Seen[link]; link == "" || !letter.IsLink(link) || !known && len(s.Seen) >= linksMost {
		link = "?"
	}
	if at.After(s.Seen[link]) {
		s.Seen[link] = at
	}
}

// Watch reads the ledger and what was sent from their beginnings, and on, until
// ctx ends: what is shown after a restart is what was shown before it.
func (p *Post) Watch(ctx context.Context) error {
	return p.follow(ctx, letter.StreamReceipt, jetstream.OrderedConsumerConfig{}, p.view.receipt)
}

// WatchDown is Watch for what was sent.
func (p *Post) WatchDown(ctx context.Context) error {
	return p.follow(ctx, letter.StreamDown, jetstream.OrderedConsumerConfig{HeadersOnly: true}, p.view.down)
}

func (v *view) receipt(m jetstream.Msg, meta *jetstream.MsgMetadata) {
	at := meta.Timestamp
	sub, ok := letter.ParseSubject(m.Subject())
	if !ok || !sub.Receipt {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	st := v.stations[sub.Station]
	if st == nil || !v.fresh(meta) {
		return
	}
	if sub.Way == "down" {
		link := m.Headers().Get(letter.HeaderLink)
		st.seen(link, at)
		v.took(sub.Station, sub.ID, Took{at, link})
		return
	}
	if sub.Way == "also" {
		link := m.Headers().Get(letter.HeaderLink)
		st.seen(link, at)
		if v.copies != nil {
			v.copies(sub.Station, sub.ID, link, at.UTC())
		}
		return
	}
	var r Receipt
	if json.Unmarshal(m.Data(), &r) != nil || r.Class > letter.Bulk {
		return
	}
	st.seen(r.Link, r.At)
	st.Letters[r.Class]++
	st.Recent = slices.Insert(st.Recent, 0, Kept{sub.ID, r})
	if len(st.Recent) > recentMost {
		st.Recent = st.Recent[:recentMost]
	}
}

func (v *view) took(s letter.Station, id string, t Took) {
	if d := v.sent[id]; d != nil {
		if old, to := d.To[s]; to {
			if old.At.IsZero() {
				d.To[s] = t
			}
			return
		}
		// DOWN was read for other stations and not yet for this one.
	}
	if v.early[s] == nil {
		v.early[s] = map[string]Took{}
	}
	if len(v.early[s]) < 4*sentMost {
		v.early[s][id] = t
	}
}

func (v *view) down(m jetstream.Msg, meta *jetstream.MsgMetadata) {
	at := meta.Timestamp
	sub, ok := letter.ParseSubject(m.Subject())
	id := m.Headers().Get(letter.HeaderID)
	if !ok || !letter.IsID(id) {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.fresh(meta) {
		return
	}
	d := v.sent[id]
	if d == nil {
		d = &Sent{ID: id, About: m.Headers().Get(headerAbout), By: m.Headers().Get(headerBy), Names: m.Headers().Get(headerNames), With: m.Headers().Get(headerWith), Class: sub.Class, At: at, To: map[letter.Station]Took{}}
		v.sent[id] = d
		if len(v.sent) > sentMost {
			oldest := slices.MinFunc(slices.Collect(maps.Values(v.sent)), func(a, b *Sent) int { return a.At.Compare(b.At) })
			delete(v.sent, oldest.ID)
		}
	}
	if _, to := d.To[sub.Station]; !to {
		d.To[sub.Station] = v.early[sub.Station][id]
		delete(v.early[sub.Station], id)
	}
}

// State is what the page shows.
type State struct {
	Stations []Station // by id
	Sent     []Sent    // newest first
	// Unknown counts letters of stations that are not in the file, since the
	// start.
	Unknown int
}

// State gives a copy of what is known now.
func (p *Post) State() State {
	v := &p.view
	v.mu.Lock()
	defer v.mu.Unlock()
	out := State{Unknown: v.unknown}
	for _, s := range v.stations {
		c := *s
		c.Seen, c.Recent = maps.Clone(s.Seen), slices.Clone(s.Recent)
		out.Stations = append(out.Stations, c)
	}
	slices.SortFunc(out.Stations, func(a, b Station) int { return cmp.Compare(a.ID, b.ID) })
	for _, d := range v.sent {
		c := *d
		c.To = maps.Clone(d.To)
		out.Sent = append(out.Sent, c)
	}
	slices.SortFunc(out.Sent, func(a, b Sent) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.ID, b.ID)) })
	return out
}
