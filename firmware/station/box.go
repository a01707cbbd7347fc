package station

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/announce"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
)

var _ api.Box = (*House)(nil)

func words(t phrase.Text, code string) api.Text { return api.Text{Code: code, ZH: t.ZH, EN: t.EN} }

func (h *House) seen() shown {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.shown
}

func (s shown) level(l point.Level) (string, api.Text) {
	r := s.bp.Levels.Rank(l)
	return r.Code, words(r.Name, r.Code)
}

func (s shown) hazard(code string) api.Text {
	if t, ok := s.warned[code]; ok {
		return words(t, code)
	}
	if t, ok := s.bp.hazardText(code); ok {
		return words(t, code)
	}
	return api.Text{Code: code, ZH: code, EN: code}
}

// Status gives the box at a glance.
func (h *House) Status() api.Status {
	now, s := h.clock.Now(), h.seen()
	ok, why := h.journal.State()
	st := api.Status{
		Version: Version, Site: s.bp.Doc.Site.Site.ID, Name: s.bp.Doc.Site.Site.Name,
		Armed: h.ready.Load(), ArmedAfter: time.Duration(h.armedAfter.Load()), FirstRound: time.Duration(h.firstRound.Load()),
		Started: h.begun.Wall, Boot: now.Boot, Now: now.Wall, Trust: now.Trust.String(),
		Blind: s.blind && h.ready.Load(), JournalOK: ok, Commissioned: h.commissioned.done.Load(),
	}
	if !ok {
		st.Journal = api.TextOf(why)
	}
	st.Level, st.LevelText = s.level(s.worst)
	if s.worst == point.Calm {
		st.Level = ""
	}
	st.Maintenance = h.maintenanceView()
	if !st.Armed {
		h.lines.mu.RLock()
		for name, r := range h.lines.lines {
			select {
			case <-r.firstRound():
			default:
				st.NotArmed = append(st.NotArmed, api.TextOf(phrase.M("station.not_asked", "line", name)))
			}
		}
		h.lines.mu.RUnlock()
	}
	if len(s.bp.Rules) == 0 {
		st.NotArmed = append(st.NotArmed, api.TextOf(phrase.M("site.no_rules")))
	}
	return st
}

// Readings gives the latest of each point.
func (h *House) Readings() []api.Reading {
	s, now := h.seen(), h.clock.Now()
	h.mu.RLock()
	defer h.mu.RUnlock()
	out := make([]api.Reading, 0, len(s.bp.Points))
	for _, p := range s.bp.Points {
		r := point.Reading{}
		if x := h.latest[p.ID]; x != nil && x.last.Point != "" {
			r = x.last
		} else {
			r = point.Reading{Point: p.ID, Unit: p.Unit, Value: math.NaN(), At: now, Why: phrase.M("station.not_measured")}
		}
		out = append(out, s.reading(p, r, now.Mono))
	}
	return out
}

func (s shown) reading(p PointInfo, r point.Reading, now time.Duration) api.Reading {
	a := api.Reading{Point: r.Point, Name: p.Name, Text: r.Text, Unit: string(p.Unit), Quality: r.Quality, At: r.At.Wall, Age: max(0, now-r.At.Mono), Mono: r.At.Mono}
	if !math.IsNaN(r.Value) && !math.IsInf(r.Value, 0) {
		a.Value = &r.Value
	}
	if !r.Why.IsZero() {
		t := s.text(r.Why)
		a.Why = &t
	}
	return a
}

// FollowReadings gives each reading as it is made.
func (h *House) FollowReadings(ctx context.Context, f func(api.Reading, int) error) error {
	return h.follow.run(ctx, func(r point.Reading, lost int) error {
		s := h.seen()
		p := PointInfo{ID: r.Point, Unit: r.Unit}
		if i := slices.IndexFunc(s.bp.Points, func(p PointInfo) bool { return p.ID == r.Point }); i >= 0 {
			p = s.bp.Points[i]
		}
		return f(s.reading(p, r, h.clock.Now().Mono), lost)
	})
}

// Lines gives the counters of each line.
func (h *House) Lines() []api.Line {
	h.lines.mu.RLock()
	var all []*running
	for _, r := range h.lines.lines {
		all = append(all, r)
	}
	h.lines.mu.RUnlock()
	slices.SortFunc(all, func(a, b *running) int { return strings.Compare(a.plan.Name, b.plan.Name) })
	faults := map[string]api.Text{}
	for _, f := range h.Faults() {
		faults[f.Thing] = f.Why
	}
	out := make([]api.Line, 0, len(all))
	for _, r := range all {
		sn := r.snapshot()
		l := api.Line{Name: r.plan.Name, Port: r.plan.Config.Port + r.plan.Config.TCP, Up: sn.Up}
		if f, ok := faults["line "+l.Name]; ok {
			l.Fault = &f
		}
		for _, u := range sn.Units {
			x := api.Unit{Device: u.Device, Unit: int(u.Unit), Asked: int64(u.Asked), Good: int64(u.Good), Quarantined: u.Quarantined, Faults: map[string]int64{}}
			for k, n := range u.Faults {
				x.Faults[k] = int64(n)
			}
			if bad := u.Asked - u.Good; u.Asked > u.Good {
				x.Cost = u.Wasted / time.Duration(bad)
			}
			l.Asked += x.Asked
			l.Units = append(l.Units, x)
		}
		out = append(out, l)
	}
	return out
}

// Alarms gives the alarms that stand, then those that ended lately.
func (h *House) Alarms() []api.Alarm {
	s := h.seen()
	var out []api.Alarm
	for _, a := range slices.Concat(s.open, s.ended) {
		x := api.Alarm{ID: a.ID, Hazard: a.Hazard, HazardText: s.hazard(a.Hazard), State: string(a.State), Blind: a.Blind, Raised: a.Raised.Wall, Changed: a.Changed.Wall}
		x.Level, x.LevelText = s.level(a.Level)
		x.Peak, x.PeakText = s.level(a.Peak)
		for _, b := range a.Because {
			x.Because = append(x.Because, s.text(b))
		}
		if a.By != nil {
			x.By = &api.Who{Name: a.By.Name, Via: a.By.Via}
		}
		for _, d := range h.deliveries.list(a.ID) {
			if len(x.County) < deliveriesShown {
				x.County = append(x.County, s.delivery(d))
			}
		}
		out = append(out, x)
	}
	return out
}

// Soundings gives what sounds now and the last receipts.
func (h *House) Soundings() api.Soundings {
	s := h.seen()
	var out api.Soundings
	for _, x := range h.announcer.Sounding() {
		if x.Phase != announce.Speaking {
			continue
		}
		y := api.Sounding{Cause: x.Cause, Hazard: x.Hazard, HazardText: s.hazard(x.Hazard), Kind: x.Kind.String(), Why: s.text(x.Why), Outputs: x.Outputs, OutputTexts: s.outputs(x.Outputs), Since: x.Since.Wall}
		if x.Level > point.Calm { // an all-clear says by its why what it is
			y.Level, y.LevelText = s.level(x.Level)
		}
		out.Now = append(out.Now, y)
	}
	h.mu.RLock()
	rs := slices.Clone(h.receipts)
	h.mu.RUnlock()
	out.Last = s.receipts(rs)
	return out
}

// outputs names outputs.
func (s shown) outputs(ids []string) []api.Text {
	var all []api.Text
	for _, id := range ids {
		t, _ := s.bp.outputText(id)
		all = append(all, words(t, id))
	}
	return all
}

// receipts folds the lines of each order on each output into one, newest first.
func (s shown) receipts(events []output.Event) []api.Receipt {
	var out []api.Receipt
	at := map[[2]string]int{}
	for _, e := range events {
		k := [2]string{e.OrderID, e.Output}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, api.Receipt{Cause: e.Cause, Order: e.OrderID, Output: e.Output, OutputText: s.outputs([]string{e.Output})[0], Kind: e.Order.Kind().String()})
		}
		r := &out[i]
		r.State = string(e.State)
		if e.Measured != output.Unmeasured {
			r.Measured = string(e.Measured)
		}
		r.Why = nil
		if !e.Why.IsZero() {
			t := s.text(e.Why)
			r.Why = &t
		}
		switch e.State {
		case output.Started:
			r.Started = e.At.Wall
		case output.Finished, output.Stopped, output.Failed:
			r.Ended = e.At.Wall
		}
	}
	slices.Reverse(out)
	return out
}

// Faults gives the faults that stand.
func (h *House) Faults() []api.Fault {
	h.mu.RLock()
	defer h.mu.RUnlock()
	s := h.shown
	out := make([]api.Fault, 0, len(h.faults))
	for thing, f := range h.faults {
		if s.told(thing, h.faults) {
			continue
		}
		name := s.bp.thingText(thing)
		out = append(out, api.Fault{Thing: thing, Name: words(name, ""), Why: s.faultText(name, f.why), Since: f.since})
	}
	slices.SortFunc(out, func(a, b api.Fault) int { return strings.Compare(a.Thing, b.Thing) })
	return out
}

func (s shown) record(r journal.Record) api.Record {
	x := api.Record{Seq: r.Seq, Kind: r.Kind, Cause: r.Cause, Text: s.text(r.Message), At: r.At.Wall, Mono: r.At.Mono, Boot: r.At.Boot, Trust: r.At.Trust.String()}
	if state, ok := strings.CutPrefix(r.Kind, "receipt."); ok {
		x.Text = s.receiptText(state, r)
	}
	if r.Who != "" {
		x.Who = &api.Who{Name: r.Who, Via: r.Via}
	}
	if len(r.Body) > 0 && json.Unmarshal(r.Body, &x.Body) != nil {
		x.Body = map[string]any{"text": string(r.Body)}
	}
	return x
}

// Journal gives committed records.
func (h *House) Journal(ctx context.Context, after int64, limit int) ([]api.Record, error) {
	rs, err := h.journal.Read(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	out := make([]api.Record, 0, len(rs))
	for _, r := range rs {
		out = append(out, h.seen().record(r))
	}
	return out, nil
}

// FollowJournal gives each record once it is durable.
func (h *House) FollowJournal(ctx context.Context, after int64, f func(api.Record) error) error {
	return h.journal.Follow(ctx, after, func(r journal.Record) error { return f(h.seen().record(r)) })
}

// Stop silences what sounds now, past the decide goroutine's queue: STOP must not
// wait behind readings.
func (h *House) Stop(who api.Who) (api.Receipt, error) {
	at := h.clock.Now()
	n := 0
	err := h.do(func() { n = h.stopped(order.Who{Name: who.Name, Via: who.Via}, at) })
	if err != nil {
		// The alarm path hangs: silence all the same.
		n = len(h.announcer.Stop(order.Who{Name: who.Name, Via: who.Via}))
	}
	why := api.TextOf(phrase.M("station.stopped", "who", who.Name, "n", n))
	return api.Receipt{State: "stopped", Why: &why, Started: at.Wall, Ended: h.clock.Now().Wall}, nil
}

// Acknowledge says that a named person has taken an alarm in hand.
func (h *House) Acknowledge(id string, who api.Who) error {
	return h.act(func() error {
		e, err := h.alarms.Acknowledge(id, alarm.Who(who), h.clock.Now())
		if err == nil {
			h.happen(e)
		}
		return known(err)
	})
}

// Release gives the all-clear of an alarm by a named person.
func (h *House) Release(id string, who api.Who, reason string) error {
	return h.act(func() error {
		e, err := h.alarms.Release(id, alarm.Who(who), reason, h.clock.Now())
		if err == nil {
			h.happen(e)
		}
		return known(err)
	})
}

// Raise lets a named person raise a level by hand.
func (h *House) Raise(level string, who api.Who, reason string) (id string, err error) {
	err = h.act(func() (err error) {
		id, err = h.raise(level, alarm.Who(who), reason, h.clock.Now())
		return err
	})
	return id, err
}

// act runs f on the decide goroutine and gives its error.
func (h *House) act(f func() error) error {
	var err error
	if busy := h.do(func() { err = f() }); busy != nil {
		return busy
	}
	return err
}

// known tells the served surface which error is of a thing that is not there.
func known(err error) error {
	var said *phrase.Error
	if errors.As(err, &said) && said.Code == "alarm.no_such" {
		return &phrase.Error{Message: said.Message, Err: api.ErrUnknown}
	}
	return err
}
