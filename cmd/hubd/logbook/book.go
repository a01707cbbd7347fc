package logbook

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
)

// Bounds of what is shown; the streams hold the rest.
const (
	alarmsMost    = 200 // of all stations
	alarmsLeast   = 4   // of a station, whatever the others have
	messagesMost  = 40  // of one alarm
	waysMost      = 16  // by which one message came
	warningsMost  = 200 // of a station
	strangeMost   = 8   // of a station, beside their count
	faultsMost    = 64
	linksMost     = 16
	pendingBlocks = 16
)

// Book is what is known. Take is called by one reader for each class.
type Book struct {
	file *hubfile.File

	mu       sync.Mutex
	read     map[letter.Class]uint64
	stations map[letter.Station]*station
	alarms   map[alarmKey]*Alarm
	progress map[wire.About]*progress
	stir     []func() // told of a stage that rose
	also     *also
}

type alarmKey struct {
	station letter.Station
	cause   uint16
}

type progress struct {
	by map[letter.Station]*Reached
}

// Way is a link by which something came, and when first.
type Way struct {
	Link  string
	At    time.Time
	Short bool
}

// Message is one thing that a station said of an alarm, in whichever forms it came.
type Message struct {
	Name wire.Name
	// At is when the station said it; zero where it had no clock.
	At     time.Time
	Event  wire.AlarmEvent
	Long   bool
	Signed Signed // of the long form
	Ways   []Way
}

// Alarm is one alarm of a station, by its newest message.
type Alarm struct {
	Station letter.Station
	Cause   uint16
	Kind    string // real, drill or test
	// Title and Text are the long form's, or what the short one has.
	Title, Text phrase.Text
	Rank        uint8 // of the newest short form
	Hazard      string
	Over        bool
	At          time.Time // when something of it came last
	Messages    []Message // newest first
}

// Reached is how far a warning got at a station, and by which links that came.
type Reached struct {
	wire.Progress
	At time.Time // when that stage came
	By map[string]Step
	// Note is what its box said of it in words.
	Note string
}

// Step is the highest stage that a link brought.
type Step struct {
	wire.Progress
	At time.Time
}

// LeftOut is a link by which a station is not served, and why.
type LeftOut struct {
	Link string
	Why  phrase.Message
}

// Strange is a letter that was not acted on.
type Strange struct {
	ID, Link string
	At       time.Time
	Why      phrase.Message
}

type station struct {
	state    *wire.StateContent
	stateOf  wire.Name
	stateAt  time.Time
	strange  int
	last     []Strange
	dict     map[int]*wire.DictionaryContent
	decoders map[decoderKey]*decoder
	values   []Value
	valuesAt time.Time
	left     []LeftOut
	outcome  Outcome                  // of the last update
	order    Order                    // the last one to activate a release
	told     map[wire.About]time.Time // the warnings of which it spoke, and when last
}

// New makes an empty book.
func New(f *hubfile.File) *Book {
	return &Book{file: f, read: map[letter.Class]uint64{}, stations: map[letter.Station]*station{}, alarms: map[alarmKey]*Alarm{}, progress: map[wire.About]*progress{}, also: newAlso()}
}

// OnStage has f called, without the book's lock, when a receipt came.
func (b *Book) OnStage(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stir = append(b.stir, f)
}

// Take takes a letter that the stream UP holds, once.
func (b *Book) Take(s letter.Station, l letter.Letter, at time.Time, seq uint64) {
	of, known := b.file.Stations[string(s)]
	if !known {
		return
	}
	if !b.first(l.Class, seq) {
		return
	}
	o, err := open(s, of, &l, b.file.Warnings.CAP)
	for _, f := range b.enter(s, of, &l, o, err, at) {
		f()
	}
}

// first tells whether a letter was not read yet, and notes it.
func (b *Book) first(c letter.Class, seq uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if seq <= b.read[c] {
		return false
	}
	b.read[c] = seq
	return true
}

// enter takes in what was opened, or why it was not, and gives who is to be told. A letter on which it panics
// leaves no lock behind: the next ones are read.
func (b *Book) enter(s letter.Station, of hubfile.Station, l *letter.Letter, o *opened, err error, at time.Time) []func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := b.station(s)
	if err == nil {
		err = b.act(s, of, st, l, o, at)
	}
	if err == nil && l.Class <= letter.Alarm {
		b.came(s, l.ID, o)
	}
	if err != nil {
		st.strange++
		st.last = slices.Insert(st.last, 0, Strange{l.ID, l.Link, at, phrase.Of(err)})
		slices.SortStableFunc(st.last, func(x, y Strange) int { return y.At.Compare(x.At) })
		st.last = st.last[:min(len(st.last), strangeMost)]
	}
	if err == nil && o.receipts != nil {
		return b.stir
	}
	return nil
}

// station finds a station, or enters it. The lock is held.
func (b *Book) station(s letter.Station) *station {
	st := b.stations[s]
	if st == nil {
		st = &station{dict: map[int]*wire.DictionaryContent{}, decoders: map[decoderKey]*decoder{}, told: map[wire.About]time.Time{}}
		b.stations[s] = st
	}
	return st
}

// Leave notes that a station is not served by a link.
func (b *Book) Leave(s letter.Station, link string, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := b.station(s)
	st.left = append(st.left, LeftOut{link, phrase.Of(why)})
}

// act takes in what was opened. The lock is held.
func (b *Book) act(s letter.Station, of hubfile.Station, st *station, l *letter.Letter, o *opened, at time.Time) error {
	for _, r := range o.receipts {
		if err := b.receipts(s, of, r, l.Link, at); err != nil {
			return err
		}
	}
	switch {
	case o.alarm != nil:
		b.short(s, o, l.Link, at)
	case o.cap != nil && (o.cap.MsgType == "Ack" || o.cap.MsgType == "Error"):
		b.answer(s, o.cap, at)
	case o.cap != nil:
		b.long(s, o, l.Link, at)
	case o.block != nil:
		return st.telemetry(o, at)
	case o.dict != nil:
		st.dictionary(o.dict)
	case o.state != nil:
		if st.state != nil && st.stateOf.Outbox == o.name.Outbox && o.name.Seq < st.stateOf.Seq {
			return nil // an older one came later
		}
		o.state.Faults = o.state.Faults[:min(len(o.state.Faults), faultsMost)]
		o.state.Links = o.state.Links[:min(len(o.state.Links), linksMost)]
		o.state.Blind = o.state.Blind[:min(len(o.state.Blind), faultsMost)]
		st.state, st.stateOf, st.stateAt = o.state, o.name, at
		if u := o.state.Update; u != nil && u.Order != nil {
			x := u.Order
			st.ordered(Order{State: clip(x.State), Number: x.Number, By: clip(x.By), Code: clip(x.Code), Text: phrase.Text{ZH: clip(x.ZH), EN: clip(x.EN)}, At: unix(x.At), Until: unix(x.Until)})
		}
		if u := o.state.Update; u != nil && u.Outcome != "" {
			st.ended(Outcome{Code: wire.ParseOutcome(u.Outcome), Version: clip(u.OutcomeOf), Number: u.OutcomeNumber, Text: phrase.Text{ZH: clip(u.ZH), EN: clip(u.EN)}, At: unix(u.At)})
		}
	case o.update != nil:
		u := o.update
		if u.Outcome == wire.UpdateOrdered || u.Outcome == wire.UpdateDeclined {
			st.ordered(Order{State: map[bool]string{true: OrderWaits, false: OrderDeclined}[u.Outcome == wire.UpdateOrdered], Number: uint64(u.Number), Text: phrase.Text{ZH: u.Text, EN: u.Text}, At: unix(int64(u.At)), Short: true})
			return nil
		}
		st.ended(Outcome{Code: u.Outcome, Version: u.Version, Number: uint64(u.Number), Text: phrase.Text{ZH: u.Text, EN: u.Text}, At: unix(int64(u.At)), Short: true})
	}
	return nil
}

// Outcome is what became of the last release at a station. Short: only its short form came.
type Outcome struct {
	Code    wire.UpdateOutcome
	Version string
	Number  uint64
	Text    phrase.Text
	At      time.Time // zero where the station had no clock
	Short   bool
}

// ended takes in an outcome, unless a later one is known; of one, the long form counts.
func (st *station) ended(o Outcome) {
	if o.Code == wire.UpdateNone || o.At.Before(st.outcome.At) {
		return
	}
	if o.Short && !st.outcome.Short && o.At.Equal(st.outcome.At) && o.Code == st.outcome.Code {
		return
	}
	st.outcome = o
	if o.Number == st.order.Number && st.order.State == OrderWaits && (o.Code == wire.UpdateTrial || o.Code == wire.UpdateConfirmed || o.Code == wire.UpdateBack) {
		st.order.State = OrderDone
	}
}

// How an order stands, as stations say it.
const (
	OrderWaits    = "waits"
	OrderDone     = "done"
	OrderDeclined = "declined"
)

// Order is an officer's order to activate a release, and how it stands at a station: Text is why it waits or was not
// carried out, by Code. Short: only its short form came, which says neither Code nor By nor Until.
type Order struct {
	State     string
	Number    uint64 // 0: what was ordered before was withdrawn
	By        string
	Code      string
	Text      phrase.Text
	At, Until time.Time // zero where the station had no clock
	Short     bool
}

// ordered takes in how an order stands, unless a later word of it is known; of one, the long form counts. A station
// that has lost its clock since is believed.
func (st *station) ordered(o Order) {
	if !o.At.IsZero() && o.At.Before(st.order.At) || o.Short && !st.order.Short && o.At.Equal(st.order.At) && o.Number == st.order.Number && st.order.State != "" {
		return
	}
	st.order = o
}

func unix(s int64) time.Time {
	if s <= 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// causeOf is the short name of an alarm's id.
func causeOf(id string) uint16 {
	d := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint16(d[:])
}

// alarm finds an alarm, or makes it.
func (b *Book) alarm(s letter.Station, cause uint16, at time.Time) *Alarm {
	k := alarmKey{s, cause}
	a := b.alarms[k]
	if a == nil {
		a = &Alarm{Station: s, Cause: cause, Kind: "real"}
		b.alarms[k] = a
	}
	if at.After(a.At) { // classes are read beside each other
		a.At = at
	}
	if len(b.alarms) > alarmsMost {
		b.shed()
	}
	return a
}

// shed drops an alarm of the station that has the most, so that none drives out another's: the oldest
// that is over goes first.
func (b *Book) shed() {
	of, most := map[letter.Station]int{}, 0
	for k := range b.alarms {
		of[k.station]++
		most = max(most, of[k.station])
	}
	if most <= alarmsLeast {
		return
	}
	var out *Alarm
	for k, a := range b.alarms {
		if of[k.station] == most && (out == nil || a.Over && !out.Over || a.Over == out.Over && a.At.Before(out.At)) {
			out = a
		}
	}
	delete(b.alarms, alarmKey{out.Station, out.Cause})
}

// message finds a message by its name, or makes it, and notes the way.
func (a *Alarm) message(o *opened, link string, at time.Time) *Message {
	i := slices.IndexFunc(a.Messages, func(m Message) bool { return m.Name == o.name })
	if i < 0 {
		a.Messages = append(a.Messages, Message{Name: o.name})
		i = len(a.Messages) - 1
	}
	m := &a.Messages[i]
	if !slices.ContainsFunc(m.Ways, func(w Way) bool { return w.Link == link && w.Short == o.short }) && len(m.Ways) < waysMost {
		m.Ways = append(m.Ways, Way{link, at, o.short})
		slices.SortStableFunc(m.Ways, func(x, y Way) int { return x.At.Compare(y.At) })
	}
	return m
}

// newest tells whether a message is the newest of its alarm, after sorting them.
func (a *Alarm) newest(n wire.Name) bool {
	slices.SortStableFunc(a.Messages, func(x, y Message) int {
		if x.Name.Outbox == y.Name.Outbox {
			return cmp.Compare(y.Name.Seq, x.Name.Seq)
		}
		return y.Ways[0].At.Compare(x.Ways[0].At)
	})
	a.Messages = a.Messages[:min(len(a.Messages), messagesMost)]
	return a.Messages[0].Name == n
}

func (b *Book) short(s letter.Station, o *opened, link string, at time.Time) {
	x := o.alarm
	a := b.alarm(s, x.Cause, at)
	m := a.message(o, link, at)
	m.Event = x.Event
	if x.At > 0 {
		m.At = time.Unix(int64(x.At), 0).UTC()
	}
	if long := m.Long; a.newest(x.Name) {
		a.Over, a.Rank, a.Hazard = x.Event == wire.AlarmReleased, x.Rank, x.Hazard
		if !long {
			a.Title, a.Text = b.file.Warnings.CAP.HazardName(x.Hazard), phrase.Text{ZH: x.Text, EN: x.Text}
		}
	}
}

func (b *Book) long(s letter.Station, o *opened, link string, at time.Time) {
	c := o.cap
	cause := c.Identifier
	if len(c.Incidents) > 0 {
		cause = c.Incidents[0]
	}
	a := b.alarm(s, causeOf(cause), at)
	m := a.message(o, link, at)
	m.Long, m.Signed, m.At = true, o.signed, c.Sent.UTC()
	if !slices.ContainsFunc(m.Ways, func(w Way) bool { return w.Short }) { // no short form said it more exactly
		m.Event = map[string]wire.AlarmEvent{"Update": wire.AlarmAgain, "Cancel": wire.AlarmReleased}[c.MsgType]
	}
	if !a.newest(o.name) {
		return
	}
	a.Over = c.MsgType == "Cancel"
	a.Kind = map[string]string{"Exercise": "drill", "Test": "test"}[c.Status]
	if a.Kind == "" {
		a.Kind = "real"
	}
	if zh, en := c.Info("zh-CN"), c.Info("en-US"); zh != nil {
		a.Title = phrase.Text{ZH: clip(zh.Headline), EN: clip(en.Headline)}
		a.Text = phrase.Text{ZH: clip(zh.Description), EN: clip(en.Description)}
	} else if a.Title.ZH == "" {
		a.Title = phrase.Text{ZH: clip(c.Note), EN: clip(c.Note)}
	}
}

// receipts takes in a packet. A station speaks for itself alone.
func (b *Book) receipts(s letter.Station, of hubfile.Station, packet []byte, link string, at time.Time) error {
	about, all, err := wire.ReadReceipts(packet)
	if err != nil {
		return phrase.E("hubd.strange_content")
	}
	for _, r := range all {
		if of.Number == 0 || int(r.Station) != of.Number {
			return phrase.E("hubd.strange_number", "number", int(r.Station))
		}
	}
	g := b.reached(about, s, at)
	for _, r := range all {
		if j := g.Progress.Join(r.Progress); j != g.Progress || g.At.IsZero() {
			g.Progress, g.At = j, at
		}
		old, had := g.By[link]
		if j := old.Progress.Join(r.Progress); !had && len(g.By) < linksMost || had && j != old.Progress {
			g.By[link] = Step{j, at}
		}
	}
	return nil
}

func (b *Book) reached(about wire.About, s letter.Station, at time.Time) *Reached {
	p := b.progress[about]
	if p == nil {
		p = &progress{by: map[letter.Station]*Reached{}}
		b.progress[about] = p
	}
	told := b.stations[s].told
	told[about] = at
	if len(told) > warningsMost {
		b.forget(s, about)
	}
	g := p.by[s]
	if g == nil {
		g = &Reached{By: map[string]Step{}}
		p.by[s] = g
	}
	return g
}

// forget drops what a station said longest ago, and of no other: each has its own room.
func (b *Book) forget(s letter.Station, but wire.About) {
	told := b.stations[s].told
	var old wire.About
	var first time.Time
	for k, at := range told {
		if k != but && (first.IsZero() || at.Before(first)) {
			old, first = k, at
		}
	}
	delete(told, old)
	if p := b.progress[old]; p != nil {
		if delete(p.by, s); len(p.by) == 0 {
			delete(b.progress, old)
		}
	}
}

// answer notes what a box said in words of a warning. The stage is the packet's, not guessed from words.
func (b *Book) answer(s letter.Station, c *alert.Alert, at time.Time) {
	for _, r := range c.References {
		g := b.reached(wire.AboutAlert(r.Key()), s, at)
		g.Note = clip(strings.TrimSpace(c.Note))
	}
}

// Station is what a station said of itself.
type Station struct {
	Ready    bool
	Version  string
	Blind    []string // hazards that it cannot see
	Faults   []wire.FaultContent
	Links    []wire.LinkContent
	StateAt  time.Time // zero: it said nothing yet
	Strange  int
	Last     []Strange // newest first
	Left     []LeftOut // links by which it is not served
	Values   []Value
	ValuesAt time.Time
	// Update is how its software stands, nil where it says nothing of that; Outcome what became of the last release.
	Update  *wire.UpdateContent
	Outcome Outcome
	// Order is the last one to activate a release; its State is "" for none.
	Order Order
}

// State is what the page shows.
type State struct {
	Stations map[letter.Station]Station
	Alarms   []Alarm // newest first, those that stand before those that are over
}

// State gives a copy of what is known now.
func (b *Book) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := State{Stations: map[letter.Station]Station{}}
	for id, st := range b.stations {
		v := Station{Strange: st.strange, Last: slices.Clone(st.last), Left: slices.Clone(st.left), Values: slices.Clone(st.values), ValuesAt: st.valuesAt, StateAt: st.stateAt, Outcome: st.outcome, Order: st.order}
		if st.state != nil {
			if u := st.state.Update; u != nil {
				c := *u
				c.Slot, c.Phase, c.Next, c.Order = clip(c.Slot), clip(c.Phase), clip(c.Next), nil
				v.Update = &c
			}
			v.Ready, v.Version, v.Faults, v.Links, v.Blind = st.state.Ready, clip(st.state.Version), st.state.Faults, st.state.Links, st.state.Blind
		}
		out.Stations[id] = v
	}
	for _, a := range b.alarms {
		c := *a
		c.Messages = slices.Clone(a.Messages)
		for i := range c.Messages {
			c.Messages[i].Ways = slices.Clone(c.Messages[i].Ways)
		}
		out.Alarms = append(out.Alarms, c)
	}
	slices.SortFunc(out.Alarms, func(x, y Alarm) int {
		if x.Over != y.Over {
			if y.Over {
				return -1
			}
			return 1
		}
		return cmp.Or(y.At.Compare(x.At), cmp.Compare(x.Station, y.Station), cmp.Compare(x.Cause, y.Cause))
	})
	return out
}

// Reached tells how far a warning got at each station, whichever of its names they used.
func (b *Book) Reached(names []wire.About) map[letter.Station]Reached {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[letter.Station]Reached{}
	for _, n := range names {
		p := b.progress[n]
		if p == nil {
			continue
		}
		for s, g := range p.by {
			o, had := out[s]
			if !had {
				c := *g
				c.By = maps.Clone(g.By)
				out[s] = c
				continue
			}
			if j := o.Progress.Join(g.Progress); j != o.Progress || o.At.IsZero() {
				o.Progress, o.At = j, g.At
			}
			if o.Note == "" {
				o.Note = g.Note
			}
			for link, step := range g.By {
				if have, ok := o.By[link]; !ok || have.Progress.Join(step.Progress) != have.Progress {
					o.By[link] = step
				}
			}
			out[s] = o
		}
	}
	return out
}
