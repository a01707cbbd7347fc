package station

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/account"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/serve/api"
)

// tally tells the county what is measured and how the box stands. It is beside the alarm
// path: it looks at what is shown, once a period, and waits for nobody.
type tally struct {
	h    *House
	came chan courier.Delivered
	// missed counts receipts that it could not follow: what they were of is told again.
	missed atomic.Int64
	told   atomic.Pointer[tallied]
	every  atomic.Int64 // of so many rows one is told, to save power

	// Owned by its goroutine.
	bp     *Blueprint
	narrow bool
	dicts  *account.Dictionaries
	asked  time.Duration // when the dictionaries were last told
	tele   *account.Telemetry
	slot   int64                  // the last row's minute
	first  map[string]clock.Stamp // of a segment's first row
	sent   map[string]sentReport  // by message
	state  account.State
	stated time.Duration
	begun  bool
}

// tallied is what the page may see.
type tallied struct {
	channels, narrow int
	number           uint8
}

type sentReport struct {
	key  string
	rows int
}

// Bounds of what a tally remembers of what is under way.
const (
	sentMost  = 1024
	firstMost = 512
	// tallyLook is how often it looks whether a period is over or something changed.
	tallyLook = time.Second
	stateLook = 5 * time.Second
	// recalled is how many records of earlier runs are looked through for receipts.
	recalled = 1000
)

// keyDictionaries is the journal's name of what the channels meant last.
const keyDictionaries = "county/dictionaries"

func newTally(h *House) *tally {
	x := &tally{h: h, came: make(chan courier.Delivered, 256), first: map[string]clock.Stamp{}, sent: map[string]sentReport{}, slot: -1}
	x.told.Store(&tallied{})
	return x
}

// proveTally loads what is told of readings.
func (p *prover) proveTally() {
	r, err := account.LoadRules(p.fsys)
	if err != nil {
		p.problem(phrase.M("site.bad_telemetry", "detail", err), "county")
		return
	}
	if d := p.site.County.Telemetry.Duration(); d != 0 {
		if !account.Every(d) {
			p.problem(phrase.M("site.county_telemetry", "least", point.Span(account.EveryLeast).String(), "most", point.Span(account.EveryMost).String()), "county", "telemetry")
			return
		}
		r.Every = d
	}
	p.bp.Tally = r
}

// arrived hands on a receipt without waiting.
func (x *tally) arrived(d courier.Delivered) {
	if d.Class != courier.Telemetry {
		return
	}
	select {
	case x.came <- d:
	default:
		x.missed.Add(1)
	}
}

// rarer has only one row of n be told; how the box stands is told as ever.
func (x *tally) rarer(n int) { x.every.Store(int64(n)) }

// run is the tally's goroutine.
func (x *tally) run(ctx context.Context) error {
	t := time.NewTimer(memoryWait)
	select {
	case <-x.h.journal.Loaded():
	case <-t.C: // a disk that hangs: the numbers begin anew, and are told
	case <-ctx.Done():
	}
	t.Stop()
	x.h.deliveries.recall(x.h.journal.Recent(recalled))
	tick := time.NewTicker(tallyLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case d := <-x.came:
			x.delivered(d)
		case <-tick.C:
			x.look(x.h.clock.Now())
		}
	}
}

// look tells what is due.
func (x *tally) look(now clock.Stamp) {
	bp := x.h.seen().bp
	if bp.Tally == nil || x.h.post.as() == nil {
		return
	}
	if bp != x.bp {
		x.renew(bp, now)
	}
	if x.dicts != nil {
		if now.Mono-x.asked >= bp.Tally.Dictionary {
			x.explain(now, nil)
		}
		minute := now.Wall.Unix() / 60
		slot := minute - minute%int64(x.dicts.Wide.Step)
		if rare := max(1, x.every.Load()); x.slot >= 0 && slot != x.slot && slot/int64(x.dicts.Wide.Step)%rare == 0 {
			x.row(slot, now)
		}
		x.slot = slot
	}
	if !x.begun || now.Mono-x.stated >= stateLook {
		x.stand(now)
	}
}

// renew takes over a site's file.
func (x *tally) renew(bp *Blueprint, now clock.Stamp) {
	fresh := false
	before := x.dicts
	if before == nil {
		if b, ok := x.h.journal.Get(keyDictionaries); ok {
			if d, err := account.ReadDictionaries(b); err == nil {
				before = d
			}
		}
	}
	first, narrow := x.bp == nil, narrowLink(bp)
	x.bp = bp
	channels := channelsOf(bp)
	if len(channels) == 0 {
		x.dicts, x.tele = nil, nil
		x.told.Store(&tallied{})
		return
	}
	d, fresh := account.Settle(before, int(bp.Tally.Every/time.Minute), channels, bp.Tally.Narrow.Channels)
	renamed := !slices.Equal(channelNames(before), channelNames(&d))
	x.dicts = &d
	x.told.Store(&tallied{len(d.Wide.Channels), len(d.Narrow.Channels), d.Wide.Number})
	if fresh || renamed {
		x.explain(now, d.Bytes())
	} else if first {
		x.asked = now.Mono
	}
	if fresh || first || narrow != x.narrow {
		x.narrow = narrow
		name, _ := x.h.post.name() // no other run of this box has it
		var err error
		if x.tele, err = account.NewTelemetry(bp.Tally.Narrow, d, narrow, name.String(), int(name.Seq)); err != nil {
			x.h.setFault("telemetry", phrase.M("station.telemetry_failed", "why", phrase.Of(err)))
			x.dicts = nil
			return
		}
		x.h.clearFault("telemetry")
		x.slot = -1
	}
}

func channelNames(d *account.Dictionaries) (all []string) {
	if d != nil {
		for _, c := range d.Wide.Channels {
			all = append(all, c.ZH+"/"+c.EN)
		}
	}
	return all
}

// narrowLink tells whether a site has a link for short forms.
func narrowLink(bp *Blueprint) bool {
	for _, l := range bp.Doc.Site.Links {
		if sends(l) && !overIP(l) {
			return true
		}
	}
	return false
}

// channelsOf gives the points that are told: those that rules judge by, then the others in the site's
// order, each in the coarser of the table's step and its register's.
func channelsOf(bp *Blueprint) (all []account.Channel) {
	steps := describe(bp).all
	for _, used := range []bool{true, false} {
		for _, p := range bp.Points {
			step, ok := bp.Tally.Resolution[string(p.Unit)]
			if p.Used != used || !ok || p.Type == profile.String || p.ID.Device() == "gpio" || len(all) == wire.ChannelsMost {
				continue
			}
			all = append(all, account.Channel{Point: string(p.ID), Unit: string(p.Unit), Resolution: max(step, steps[p.ID].Resolution), ZH: p.Name.ZH, EN: p.Name.EN})
		}
	}
	return all
}

// row takes what was measured last, and tells it. What is not good, or not of this period, is missing.
func (x *tally) row(minute int64, now clock.Stamp) {
	values := make([]wire.Value, len(x.dicts.Wide.Channels))
	old := map[point.ID]time.Duration{}
	for _, p := range x.bp.Points {
		old[p.ID] = max(p.Limit, time.Duration(x.dicts.Wide.Step)*time.Minute)
	}
	x.h.mu.RLock()
	for i, c := range x.dicts.Wide.Channels {
		s := x.h.latest[point.ID(c.Point)]
		if s == nil || s.last.Quality != point.Good || string(s.last.Unit) != c.Unit || now.Mono-s.last.At.Mono > old[s.id] {
			continue
		}
		values[i] = c.Value(s.last.Value)
	}
	x.h.mu.RUnlock()
	rs, err := x.tele.Row(minute, now.Trust > clock.Free, values)
	if err != nil {
		x.h.log.Error("a row of readings is not told", "err", err)
		return
	}
	for _, r := range rs {
		x.report(r, now)
	}
}

func (x *tally) report(r account.Report, now clock.Stamp) {
	made, ok := x.first[r.Key]
	if !ok {
		made = now.Add(-time.Duration((r.Rows-1)*x.dicts.Wide.Step) * time.Minute)
		if len(x.first) >= firstMost {
			clear(x.first) // those that are still told are dated anew
		}
		x.first[r.Key] = made
	}
	name, ok := x.tell(wire.TypeTelemetry, r.Key, r.Long, r.Short, made, now, nil)
	if !ok {
		return
	}
	if len(x.sent) >= sentMost {
		clear(x.sent) // their receipts change nothing then
	}
	x.sent[name] = sentReport{r.Key, r.Rows}
}

// tell gives the county the newest of a key.
func (x *tally) tell(kind uint8, key string, content, short []byte, made, now clock.Stamp, state map[string][]byte) (string, bool) {
	name, ok := x.h.post.name()
	if !ok {
		return "", false
	}
	b, ok := x.h.post.envelope(name, wire.Envelope{Class: wire.Class(courier.Telemetry), Slot: key, Created: max(0, now.Wall.UnixMilli()), Trust: wireTrust(now.Trust), Type: kind, Content: content})
	if !ok {
		return "", false
	}
	x.h.post.send(courier.Message{ID: name.String(), Class: courier.Telemetry, Kind: courier.NewestWins, Key: key, Made: made, Payload: b, Short: short}, journal.Batch{State: state})
	return name.String(), true
}

// explain tells what the channels mean, and keeps it where it is new.
func (x *tally) explain(now clock.Stamp, keep []byte) {
	x.asked = now.Mono
	var state map[string][]byte
	if keep != nil {
		state = map[string][]byte{keyDictionaries: keep}
	}
	x.tell(wire.TypeDictionary, "dictionary", x.dicts.Wide.Bytes(), nil, now, now, state)
	if x.dicts.Narrow.Number != x.dicts.Wide.Number {
		x.tell(wire.TypeDictionary, "dictionary/narrow", x.dicts.Narrow.Bytes(), nil, now, now, nil)
	}
}

// delivered takes the county's receipt of something that was told.
func (x *tally) delivered(d courier.Delivered) {
	r, ok := x.sent[d.ID]
	if !ok || x.tele == nil {
		return
	}
	x.tele.Arrived(r.key, r.rows, d.Short)
	if !d.Short {
		delete(x.sent, d.ID)
		delete(x.first, r.key)
	}
}

// stand tells how the box stands, where that changed or its hour has come.
func (x *tally) stand(now clock.Stamp) {
	s := x.standing(now)
	since := now.Mono - x.stated
	rule := x.bp.Tally.State
	if x.begun && since < rule.Every && (since < rule.Least || !s.News(x.state)) {
		return
	}
	if _, ok := x.tell(wire.TypeState, "state", s.Bytes(), nil, now, now, nil); ok {
		x.state, x.stated, x.begun = s, now.Mono, true
	}
}

// standing looks at what is shown.
func (x *tally) standing(now clock.Stamp) account.State {
	told := 0
	if x.dicts != nil {
		told = len(x.dicts.Wide.Channels)
	}
	return x.h.standing(now, len(x.bp.Points), told)
}

// standing is how the box stands; told is how many of its points are in the telemetry.
func (h *House) standing(now clock.Stamp, points, told int) account.State {
	st := h.Status()
	s := account.State{Version: Version, Started: st.Started.Unix(), At: now.Wall.Unix(), Trust: st.Trust, Ready: st.Armed, Level: st.Level, Journal: st.JournalOK,
		Points: points, Told: told, Overrides: h.overridesTold(), Update: h.updateStanding(), Faults: []account.Fault{}, Links: []account.Link{}}
	for _, t := range st.NotArmed {
		if len(s.NotReady) < account.FaultsMost {
			s.NotReady = append(s.NotReady, account.TextOf(t.ZH, t.EN))
		}
	}
	slices.SortFunc(s.NotReady, func(a, b account.Text) int { return strings.Compare(a.EN, b.EN) })
	for _, f := range h.Faults() {
		if hazard, blind := strings.CutPrefix(f.Thing, "hazard "); blind && len(s.Blind) < account.FaultsMost {
			s.Blind = append(s.Blind, hazard)
		}
		if len(s.Faults) == account.FaultsMost {
			s.More++
			continue
		}
		s.Faults = append(s.Faults, account.Fault{Thing: f.Thing, Since: f.Since.Unix(), Text: faultText(f)})
	}
	if c, ok := h.courierStatus(); ok {
		s.Outbox = &account.Outbox{}
		for _, k := range c.Classes {
			s.Outbox.Waiting += k.Waiting
			s.Outbox.Late += k.Late
		}
		for _, l := range c.Links[:min(len(c.Links), account.LinksMost)] {
			why := l.State.Say(l.Why)
			s.Links = append(s.Links, account.Link{Name: l.Link, State: l.State.String(), Delivery: l.Delivery, Latency: l.Latency, Balance: l.Balance, Full: l.Full,
				Text: account.TextOf(why.In(phrase.ZH), why.In(phrase.EN))})
		}
	}
	return s
}

// faultText says what is wrong with what.
func faultText(f api.Fault) account.Text {
	zh, en := f.Why.ZH, f.Why.EN
	if n := f.Name.ZH; n != "" && !strings.Contains(zh, n) {
		zh = n + "：" + zh
	}
	if n := f.Name.EN; n != "" && !strings.Contains(en, n) {
		en = n + ": " + en
	}
	return account.TextOf(zh, en)
}
