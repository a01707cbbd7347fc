package station

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/keep/commission"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// commissioning is the site's sheet. It is opened beside the start, which no disk holds
// up; what the page shows of it at every look is in RAM.
type commissioning struct {
	ready chan struct{}
	table *commission.Table
	store *commission.Store
	err   error
	done  atomic.Bool

	mu     sync.Mutex
	looked map[string][2]int64 // askings and good answers of units at the last look
}

const commissionDir = "commissioning"

// startCommissioning opens the sheet, and watches what is being measured.
func (h *House) startCommissioning() {
	c := &h.commissioned
	c.ready, c.looked = make(chan struct{}), map[string][2]int64{}
	h.guard.Go("keep", "commissioning", guard.Restart, func(ctx context.Context) error {
		if c.table == nil && c.err == nil {
			c.table, c.err = commission.Load(h.seen().bp.FS)
			if c.err == nil {
				c.store, c.err = commission.OpenStore(commission.Opts{Dir: filepath.Join(h.o.Data, commissionDir), Table: c.table, Now: h.clock.Now})
			}
			close(c.ready)
			switch {
			case c.err != nil:
				h.setFault("commissioning", phrase.M("commission.closed", "err", c.err))
			case c.store.Broken != "":
				h.setFault("commissioning", phrase.M("commission.broken", "file", filepath.Base(c.store.Broken)))
			}
		}
		if c.store == nil {
			return nil
		}
		h.provedAll()
		t := time.NewTicker(time.Second)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
				h.watchPeaks()
			}
		}
	})
}

// sheet gives the store once it is open.
func (h *House) sheet() (*commission.Store, error) {
	c := &h.commissioned
	select {
	case <-c.ready:
	default:
		return nil, phrase.E("commission.opening")
	}
	if c.store == nil {
		return nil, phrase.Wrap(c.err, "commission.closed", "err", c.err)
	}
	return c.store, nil
}

// thing is one thing that a step measures.
type thing struct {
	id   string
	name phrase.Text
	at   PointInfo  // where it is a point
	out  OutputPlan // where it is an output
}

// things lists what a step measures on this site.
func (s shown) things(st commission.Step) []thing {
	var out []thing
	switch st.Measure {
	case commission.Place, commission.Network, commission.Sensors, commission.Restart:
		return []thing{{id: "box", name: named(s.bp.Doc.Site.Site.Name, s.bp.Doc.Site.Site.ID)}}
	case commission.Lines:
		for _, l := range s.bp.Lines {
			out = append(out, thing{id: l.Name, name: s.bp.thingText("line " + l.Name)})
		}
	case commission.Sounding:
		for _, o := range s.bp.Outputs {
			t, _ := s.bp.outputText(o.Name)
			out = append(out, thing{id: o.Name, name: t, out: o})
		}
	case commission.Rain, commission.Moved, commission.Gas:
		for _, p := range s.bp.Points {
			if slices.Contains(st.Of.Units, p.Unit) && (p.Counter != nil) == st.Of.Counter && (!st.Of.Level || p.Datum != "") {
				out = append(out, thing{id: string(p.ID), name: named(p.Name, string(p.ID)), at: p})
			}
		}
	}
	return out
}

// applies tells whether the site has anything of what a step is about.
func (s shown) applies(st commission.Step) bool {
	return st.Measure == "" || len(s.things(st)) > 0
}

func ids(ts []thing) []string {
	var out []string
	for _, t := range ts {
		out = append(out, t.id)
	}
	return out
}

// provedAll looks whether the site is commissioned.
func (h *House) provedAll() {
	c := &h.commissioned
	s, sheet := h.seen(), c.store.Sheet()
	all := true
	for _, st := range c.table.Steps {
		if e := sheet.Entries[st.ID]; s.applies(st) && e.State != commission.Passed && e.State != commission.Skipped {
			all = false
		}
	}
	c.done.Store(all)
}

var _ api.Commissionable = (*House)(nil)

// Commissioning gives the sheet with what is being measured.
func (h *House) Commissioning() (api.Commissioning, error) {
	store, err := h.sheet()
	if err != nil {
		return api.Commissioning{}, err
	}
	s, sheet, table := h.seen(), store.Sheet(), h.commissioned.table
	readings := map[string]api.Reading{}
	for _, r := range h.Readings() {
		readings[string(r.Point)] = r
	}
	out := api.Commissioning{Number: sheet.Number, Commissioned: true, PhotoQuota: table.Photos.Quota, BegunBy: sheet.Begun.Who}
	if !sheet.Begun.At.IsZero() {
		out.Begun = &sheet.Begun.At.Wall
	}
	if _, _, err := h.drawer(); err != nil {
		t := api.TextOf(phrase.Of(err))
		out.NoPDF = &t
	}
	for _, st := range table.Steps {
		e := sheet.Entries[st.ID]
		x := api.CommissioningStep{ID: st.ID, Name: st.Name, Why: st.Why, Do: st.Do, Applies: s.applies(st), State: string(e.State), Reason: e.Reason, Who: e.Who,
			Skip: st.Skip, Measure: string(st.Measure), Timed: slices.Contains(commission.Timed, st.Measure), PhotosLeast: st.Photos, PhotosMost: table.Photos.Each,
			Maintenance: st.Maintenance.Duration(), Recalled: st.Source.Recalled, Things: []api.CommissioningThing{}, Ask: []api.CommissioningQuestion{}, Photos: []api.CommissioningPhoto{}, Missing: []api.Text{}}
		if src := st.Source.Text; src.ZH != "" {
			t := words(phrase.Text(src), "")
			x.Source = &t
		}
		if !e.Mark.At.IsZero() {
			x.At = &e.Mark.At.Wall
		}
		things := s.things(st)
		for _, t := range things {
			x.Things = append(x.Things, h.thingOf(s, st, e, t, readings[t.id]))
		}
		for _, q := range st.Ask {
			x.Ask = append(x.Ask, api.CommissioningQuestion{ID: q.ID, Kind: q.Kind, Name: q.Name, Unit: q.Unit, Of: q.Of, Least: q.Least, Most: q.Most, Optional: q.Optional, Answer: e.Answers[q.ID]})
		}
		for _, p := range e.Photos {
			out.PhotoBytes += p.Size
			x.Photos = append(x.Photos, photoOf(p))
		}
		switch st.Measure {
		case commission.Moved:
			x.Given = &api.CommissioningGiven{Name: api.TextOf(phrase.M("commission.ask_moved")), Unit: "m"}
		case commission.Gas:
			x.Given = &api.CommissioningGiven{Name: api.TextOf(phrase.M("commission.ask_gas"))}
		}
		for _, m := range commission.Missing(st, e, ids(things)) {
			x.Missing = append(x.Missing, api.TextOf(s.thingNamed(m, things)))
		}
		if x.Applies && e.State != commission.Passed && e.State != commission.Skipped {
			out.Commissioned, out.Left = false, out.Left+1
		}
		out.Steps = append(out.Steps, x)
	}
	return out, nil
}

// thingNamed writes a thing's name in place of its id.
func (s shown) thingNamed(m phrase.Message, things []thing) phrase.Message {
	id, _ := m.Params["thing"].(string)
	if i := slices.IndexFunc(things, func(t thing) bool { return t.id == id }); i >= 0 {
		p := map[string]any{}
		for k, v := range m.Params {
			p[k] = v
		}
		p["thing"] = things[i].name
		return phrase.Message{Code: m.Code, Params: p}
	}
	return m
}

func photoOf(p commission.Photo) api.CommissioningPhoto {
	return api.CommissioningPhoto{ID: p.ID, Size: p.Size, Width: p.Width, Height: p.Height, Who: p.Who, At: p.At.Wall}
}

func (h *House) thingOf(s shown, st commission.Step, e commission.Entry, t thing, r api.Reading) api.CommissioningThing {
	x := api.CommissioningThing{ID: t.id, Name: t.name}
	if t.at.ID != "" {
		x.ReadingOf(r)
	}
	if st.Measure == commission.Rain {
		m := api.TextOf(phrase.M("commission.pour", "ml", int(commission.Millilitres(st.Limits.Depth, funnelOf(t, st))+0.5), "depth", st.Limits.Depth))
		x.Hint = &m
	}
	if run, ok := e.Runs[t.id]; ok {
		age, _ := h.clock.Now().Since(run.At)
		x.Run = &api.CommissioningRun{Who: run.Who, Age: age, Base: run.Base, Now: x.Value, Late: age > st.Limits.Most.Duration(), Text: api.TextOf(h.progress(st, t, run, r))}
	}
	if k, ok := e.Takes[t.id]; ok {
		x.Take = &api.CommissioningTake{Good: k.Good, Text: s.text(k.Text), Who: k.Who, At: k.At.Wall}
		for _, m := range k.More {
			x.Take.More = append(x.Take.More, s.text(m))
		}
	}
	return x
}

// settled does something to the sheet, and tells of it.
func (h *House) settled(f func(*commission.Store) error) error {
	store, err := h.sheet()
	if err != nil {
		return err
	}
	if err := f(store); err != nil {
		var said *phrase.Error
		if errors.Is(err, commission.ErrUnknown) && errors.As(err, &said) {
			return &phrase.Error{Message: said.Message, Err: api.ErrUnknown}
		}
		return err
	}
	h.provedAll()
	return nil
}

// Answer writes down what a person entered.
func (h *House) Answer(step string, answers map[string]string, who api.Who) error {
	return h.settled(func(s *commission.Store) error { return s.Answer(step, who.Name, answers) })
}

var verdictTexts = map[commission.State]phrase.Message{
	commission.Open: phrase.M("commission.state_open"), commission.Passed: phrase.M("commission.state_passed"),
	commission.Failed: phrase.M("commission.state_failed"), commission.Skipped: phrase.M("commission.state_skipped"),
}

// Settle says how a step ends.
func (h *House) Settle(step, state, reason string, who api.Who) error {
	return h.settled(func(s *commission.Store) error {
		st, _ := h.commissioned.table.Step(step)
		things := h.seen().things(st)
		if err := s.Settle(step, commission.State(state), who.Name, reason, ids(things)); err != nil {
			var said *phrase.Error
			if errors.As(err, &said) {
				if what, ok := said.Params["what"].(phrase.Message); ok {
					return phrase.E("commission.lacks", "step", st.Name, "what", h.seen().thingNamed(what, things))
				}
			}
			return err
		}
		h.record("commission.settled", phrase.M("commission.told", "step", st.Name, "state", verdictTexts[commission.State(state)], "who", who.Name, "reason", strings.TrimSpace(reason)),
			map[string]any{"step": step, "state": state, "who": who.Name, "via": who.Via})
		return nil
	})
}

// AddPhoto keeps a photo for a step.
func (h *House) AddPhoto(step string, b []byte, who api.Who) (p api.CommissioningPhoto, err error) {
	err = h.settled(func(s *commission.Store) error {
		x, err := s.AddPhoto(step, who.Name, b)
		p = photoOf(x)
		return err
	})
	return p, err
}

// DropPhoto removes one.
func (h *House) DropPhoto(step, photo string, who api.Who) error {
	return h.settled(func(s *commission.Store) error { return s.DropPhoto(step, photo, who.Name) })
}

// Photo gives one.
func (h *House) Photo(id string) (api.Paper, error) {
	var out api.Paper
	err := h.settled(func(s *commission.Store) error {
		b, p, err := s.Picture(id)
		out = api.Paper{Media: "image/" + p.Kind, Bytes: b}
		return err
	})
	return out, err
}

// CommissionAnew begins a new sheet.
func (h *House) CommissionAnew(reason string, who api.Who) error {
	return h.settled(func(s *commission.Store) error {
		if err := s.Anew(who.Name); err != nil {
			return err
		}
		h.record("commission.anew", phrase.M("commission.told_anew", "who", who.Name, "reason", reason), map[string]any{"who": who.Name, "via": who.Via, "reason": reason})
		return nil
	})
}

// watchPeaks notes the largest value of gas that a measurement has seen.
func (h *House) watchPeaks() {
	c := &h.commissioned
	sheet := c.store.Sheet()
	for _, st := range c.table.Steps {
		if st.Measure != commission.Gas {
			continue
		}
		for id := range sheet.Entries[st.ID].Runs {
			if v, ok := h.goodNow(point.ID(id)); ok {
				c.store.Peaks(st.ID, id, v)
			}
		}
	}
}

// goodNow gives a point's value where it is good.
func (h *House) goodNow(id point.ID) (float64, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	x := h.latest[id]
	if x == nil || x.last.Quality != point.Good {
		return 0, false
	}
	return x.last.Value, true
}
