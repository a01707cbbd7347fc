package station

import (
	"context"
	"fmt"
	"math"
	"net"
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/keep/commission"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
)

// Measure begins, ends or drops a measurement.
func (h *House) Measure(step string, m api.Measuring, who api.Who) error {
	return h.settled(func(s *commission.Store) error {
		st, ok := h.commissioned.table.Step(step)
		if !ok {
			return s.Answer(step, who.Name, nil) // says that there is none
		}
		things := h.seen().things(st)
		timed := slices.Contains(commission.Timed, st.Measure)
		if m.Act == "look" {
			if st.Measure == "" || timed {
				return phrase.E("commission.no_look", "step", st.Name)
			}
			takes := map[string]commission.Take{}
			for _, t := range things {
				takes[t.id] = h.look(st, t)
			}
			return s.Take(step, who.Name, takes)
		}
		i := slices.IndexFunc(things, func(t thing) bool { return t.id == m.Thing })
		if i < 0 || !timed {
			return &phrase.Error{Message: phrase.M("commission.no_thing", "thing", m.Thing), Err: api.ErrUnknown}
		}
		t := things[i]
		switch m.Act {
		case "begin":
			return h.begin(s, st, t, m.Given, who)
		case "cancel":
			return s.Cancel(step, t.id, who.Name)
		}
		run, ok := s.Run(step, t.id)
		if !ok {
			return phrase.E("commission.not_begun", "thing", t.name)
		}
		if age, known := h.clock.Now().Since(run.At); known && age > st.Limits.Most.Duration() {
			return phrase.E("commission.late", "thing", t.name, "most", st.Limits.Most.Duration())
		}
		take, err := h.ended(st, t, run)
		if err != nil {
			return err
		}
		return s.Take(step, who.Name, map[string]commission.Take{t.id: take})
	})
}

func (h *House) begin(s *commission.Store, st commission.Step, t thing, given float64, who api.Who) error {
	if err := st.Limits.Fits(st.Measure, given); err != nil {
		return err
	}
	run := commission.Run{Mark: commission.Mark{Who: who.Name}, Given: given, Began: h.begun, Seq: h.journal.Stats().LastSeq}
	if t.at.ID != "" {
		v, ok := h.goodNow(t.at.ID)
		if !ok {
			return phrase.E("commission.no_value", "thing", t.name)
		}
		run.Base, run.Peak = v, v
	}
	return s.Begin(st.ID, t.id, run)
}

// progress says how a measurement that is under way stands.
func (h *House) progress(st commission.Step, t thing, run commission.Run, r api.Reading) phrase.Message {
	now := math.NaN()
	if r.Value != nil {
		now = *r.Value
	}
	switch st.Measure {
	case commission.Rain:
		tip := t.at.Counter.Tip
		return phrase.M("commission.now_rain", "got", places(now-run.Base), "want", st.Limits.Depth, "tips", int(math.Round((now-run.Base)/max(tip, 1e-9))))
	case commission.Moved:
		return phrase.M("commission.now_moved", "got", places(metres(t, now-run.Base)), "given", run.Given)
	case commission.Gas:
		return phrase.M("commission.now_gas", "now", places(now), "peak", places(run.Peak), "given", run.Given, "unit", r.Unit)
	case commission.Sounding:
		if _, ok := h.heardSince(t.id, run.At); ok {
			return phrase.M("commission.now_sounded")
		}
		return phrase.M("commission.now_sounding")
	case commission.Restart:
		if h.begun != run.Began {
			return phrase.M("commission.now_restarted")
		}
	}
	return phrase.M("commission.now_restart")
}

func places(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return math.Round(v*1000) / 1000
}

// metres gives a length of a point in metres.
func metres(t thing, v float64) float64 {
	if m, err := t.at.Unit.Convert(v, "m"); err == nil {
		return m
	}
	return v
}

func funnelOf(t thing, st commission.Step) float64 {
	if c := t.at.Counter; c != nil && c.Funnel > 0 {
		return c.Funnel
	}
	return st.Limits.Funnel
}

// ended judges a measurement by what there is now.
func (h *House) ended(st commission.Step, t thing, run commission.Run) (commission.Take, error) {
	now := 0.0
	if t.at.ID != "" {
		v, ok := h.goodNow(t.at.ID)
		if !ok {
			return commission.Take{}, phrase.E("commission.no_value", "thing", t.name)
		}
		now = v
	}
	switch st.Measure {
	case commission.Rain:
		return commission.Bucket(st.Limits, funnelOf(t, st), t.at.Counter.Tip, run.Base, now), nil
	case commission.Moved:
		return commission.Target(st.Limits, run.Given, metres(t, run.Base), metres(t, now)), nil
	case commission.Gas:
		return commission.Bump(st.Limits, run.Given, run.Base, max(run.Peak, now), now, string(t.at.Unit)), nil
	case commission.Sounding:
		return h.sounded1(t, run)
	}
	return h.restarted(st, run)
}

// heardSince gives what became of the last test sounding of an output since a moment.
func (h *House) heardSince(out string, since clock.Stamp) (e output.Event, ended bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	measured := output.Unmeasured
	for _, r := range h.receipts {
		if r.Output != out || r.Order.Kind() != order.Test || r.At.Boot != since.Boot || r.At.Mono < since.Mono {
			continue
		}
		if r.Measured != output.Unmeasured {
			measured = r.Measured
		}
		e = r
		ended = r.State == output.Finished || r.State == output.Stopped || r.State == output.Failed
	}
	e.Measured = measured
	return e, ended
}

func (h *House) sounded1(t thing, run commission.Run) (commission.Take, error) {
	e, ended := h.heardSince(t.id, run.At)
	switch {
	case e.OrderID == "":
		return commission.Take{}, phrase.E("commission.not_sounded", "thing", t.name)
	case !ended:
		return commission.Take{}, phrase.E("commission.still_sounding", "thing", t.name)
	}
	sensed := !t.out.Sensed.None()
	x := commission.Take{Text: phrase.M("commission.sounded", "order", e.OrderID)}
	switch {
	case e.State == output.Failed:
		x.Text = phrase.M("commission.sound_failed", "why", e.Why)
	case e.Measured != output.Unmeasured:
		x.Good = true
		by := phrase.M("serve.measured_input")
		if e.Measured == output.Current {
			by = phrase.M("serve.measured_current")
		}
		x.More = []phrase.Message{phrase.M("commission.sound_measured", "by", by)}
	case sensed:
		x.Text = phrase.M("commission.sound_unmeasured")
	default:
		x.Good = true
		x.More = []phrase.Message{phrase.M("commission.sound_by_ear")}
	}
	return x, nil
}

// restarted reads from the journal how the box came back.
func (h *House) restarted(st commission.Step, run commission.Run) (commission.Take, error) {
	if h.begun == run.Began {
		return commission.Take{}, phrase.E("commission.not_restarted")
	}
	board := h.begun.Boot != run.Began.Boot
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	records, err := h.journal.Read(ctx, max(0, run.Seq-1), 1000)
	if err != nil {
		return commission.Take{}, phrase.Wrap(err, "commission.no_journal", "err", err)
	}
	var before clock.Stamp
	orderly, started := false, int64(0)
	var away time.Duration
	known := false
	for _, r := range records {
		if r.Kind == "system.started" {
			if started = r.Seq; !before.IsZero() {
				away, known = r.At.Since(before)
			}
		}
		if r.Kind == "system.stopping" && started == 0 {
			orderly = true
		}
		before = r.At
	}
	if !h.ready.Load() {
		return commission.Take{}, phrase.E("commission.not_armed")
	}
	armed := time.Duration(h.armedAfter.Load())
	x := commission.Take{Good: (board || st.Limits.Restart == "process") && !orderly && started > 0 && armed <= st.Limits.Armed.Duration(),
		Text: phrase.M("commission.restarted", "seq", started, "armed", armed.Round(100*time.Millisecond).String())}
	if known {
		x.More = append(x.More, phrase.M("commission.away", "away", away.Round(100*time.Millisecond).String()))
	}
	if ok, why := h.journal.State(); !ok {
		x.Good = false
		x.More = append(x.More, why)
	}
	switch {
	case started == 0:
		x.More = append(x.More, phrase.M("commission.no_start"))
	case orderly:
		x.More = append(x.More, phrase.M("commission.orderly"))
	case !board:
		x.More = append(x.More, phrase.M("commission.only_process"))
	case armed > st.Limits.Armed.Duration():
		x.More = append(x.More, phrase.M("commission.armed_late", "most", st.Limits.Armed.Duration().String()))
	}
	return x, nil
}

// look measures what needs no beginning.
func (h *House) look(st commission.Step, t thing) commission.Take {
	switch st.Measure {
	case commission.Place:
		return h.lookPlace()
	case commission.Network:
		return h.lookNetwork()
	case commission.Lines:
		return h.lookLine(st, t)
	}
	return h.lookSensors()
}

func (h *House) lookPlace() commission.Take {
	s, now := h.seen(), h.clock.Now()
	p := s.bp.Doc.Site.Site
	x := commission.Take{Good: true, Text: phrase.M("commission.place", "id", p.ID, "name", named(p.Name, p.ID))}
	if len(p.At) == 2 {
		x.More = append(x.More, phrase.M("commission.place_at", "lat", fmt.Sprintf("%.5f", p.At[0]), "lon", fmt.Sprintf("%.5f", p.At[1])))
	} else {
		x.Good, x.Text = false, phrase.M("commission.no_place")
	}
	t := h.Times()
	switch {
	case now.Trust == clock.Free:
		x.Good, x.Text = false, phrase.M("commission.no_time")
	case t.Bound != nil:
		x.More = append(x.More, phrase.M("commission.time_by", "now", now.Wall.Format("2006-01-02 15:04:05 -0700"), "by", phrase.Text{ZH: t.KindText.ZH, EN: t.KindText.EN}, "bound", t.Bound.Round(time.Millisecond).String()))
	default:
		x.More = append(x.More, phrase.M("commission.time_now", "now", now.Wall.Format("2006-01-02 15:04:05 -0700")))
	}
	return x
}

func (h *House) lookNetwork() commission.Take {
	x := commission.Take{Good: true, Text: phrase.M("commission.network")}
	if all, err := net.Interfaces(); err == nil {
		for _, i := range all {
			as, _ := i.Addrs()
			for _, a := range as {
				if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && !ip.IP.IsLinkLocalUnicast() && len(x.More) < 16 {
					x.More = append(x.More, phrase.M("commission.address", "interface", i.Name, "address", ip.String()))
				}
			}
		}
	}
	links := h.Links()
	for _, l := range links.Links {
		name := phrase.Text{ZH: l.NameText.ZH, EN: l.NameText.EN}
		why := phrase.Text{ZH: l.Why.ZH, EN: l.Why.EN}
		if l.State != "up" && l.State != linkListening {
			x.Good, x.Text = false, phrase.M("commission.link_down", "link", name, "why", why)
			continue
		}
		x.More = append(x.More, phrase.M("commission.link", "link", name, "state", phrase.Text{ZH: l.StateText.ZH, EN: l.StateText.EN}))
	}
	if !links.County {
		x.More = append(x.More, phrase.M("commission.no_county"))
	}
	return x
}

// lookLine judges a line by what was asked since the last look, so that a wire that was
// mended is not judged by what it was before.
func (h *House) lookLine(st commission.Step, t thing) commission.Take {
	c := &h.commissioned
	i := slices.IndexFunc(h.Lines(), func(l api.Line) bool { return l.Name == t.id })
	if i < 0 {
		return commission.Take{Text: phrase.M("commission.line_gone")}
	}
	l := h.Lines()[i]
	x := commission.Take{Good: true, Text: phrase.M("commission.line_good", "port", l.Port)}
	if !l.Up && l.Fault != nil {
		return commission.Take{Text: phrase.M("commission.line_fault", "why", phrase.Text{ZH: l.Fault.ZH, EN: l.Fault.EN})}
	}
	silent, garbled := 0, false
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range l.Units {
		key := l.Name + " " + u.Device
		was := c.looked[key]
		asked, good := u.Asked-was[0], u.Good-was[1]
		if asked < int64(st.Limits.Asked) {
			x.Good, x.Text = false, phrase.M("commission.line_wait", "device", u.Device, "asked", asked, "want", st.Limits.Asked)
			continue
		}
		c.looked[key] = [2]int64{u.Asked, u.Good}
		share := 100 * float64(good) / float64(asked)
		x.More = append(x.More, phrase.M("commission.line_unit", "device", u.Device, "unit", u.Unit, "good", good, "asked", asked))
		if good == 0 {
			silent++
		}
		garbled = garbled || u.Faults["garbled"] > 0 && good < asked
		if share < st.Limits.Answered {
			x.Good, x.Text = false, phrase.M("commission.line_bad", "device", u.Device, "unit", u.Unit, "share", fmt.Sprintf("%.1f", share))
		}
	}
	switch {
	case silent > 0 && silent == len(l.Units):
		x.More = append(x.More, phrase.M("commission.line_swap"))
	case silent > 0:
		x.More = append(x.More, phrase.M("commission.line_one"))
	case garbled && !x.Good:
		x.More = append(x.More, phrase.M("commission.line_garbled"))
	}
	return x
}

func (h *House) lookSensors() commission.Take {
	s := h.seen()
	x := commission.Take{Good: true}
	good, used := 0, 0
	readings := h.Readings()
	for i, p := range s.bp.Points {
		r := readings[i]
		if !p.Used && len(s.bp.Rules) > 0 {
			continue
		}
		used++
		name := named(p.Name, string(p.ID))
		if r.Quality == point.Good && r.Value != nil {
			good++
			if len(x.More) < 40 {
				x.More = append(x.More, phrase.M("commission.reading", "point", name, "value", *r.Value, "unit", r.Unit))
			}
			continue
		}
		why := phrase.Text{}
		if r.Why != nil {
			why = phrase.Text{ZH: r.Why.ZH, EN: r.Why.EN}
		}
		x.Good = false
		if len(x.More) < 40 {
			x.More = append(x.More, phrase.M("commission.reading_bad", "point", name, "why", why))
		}
	}
	x.Good = x.Good && used > 0
	x.Text = phrase.M("commission.readings", "good", good, "all", used)
	return x
}
