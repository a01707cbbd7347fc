package station

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"tocsin/firmware/keep/history"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/serve/api"
)

// keeper is the history of the house, which may be off.
type keeper struct {
	h *history.History
	// points is what the history knows of the points, made anew for each
	// blueprint.
	points *atomic.Pointer[described]
}

type described struct {
	bp  *Blueprint
	all map[point.ID]history.Point
}

// offer hands a reading over without waiting.
func (k keeper) offer(r point.Reading) {
	if k.h != nil {
		k.h.Offer(r)
	}
}

func (k keeper) close() error {
	if k.h == nil {
		return nil
	}
	return k.h.Close()
}

// proveHistory holds the site's bounds of its history.
func (p *prover) proveHistory() {
	c := p.site.History
	if d := c.Every.Duration(); d != 0 && (d < 10*time.Second || d > time.Minute) {
		p.problem(phrase.M("history.every"), "history", "every")
	}
	if n := c.Most.Bytes(); n != 0 && n < 16<<20 {
		p.problem(phrase.M("history.most"), "history", "most")
	}
}

func (h *House) startHistory() (err error) {
	c := h.bp.Doc.Site.History
	if c.Off {
		return nil
	}
	h.history.points = &atomic.Pointer[described]{}
	h.history.points.Store(describe(h.bp))
	h.history.h, err = history.Open(h.o.Data, history.Opts{
		Guard: h.guard, Clock: h.clock, Log: h.log, Describe: h.historyPoint,
		Every: c.Every.Duration(), Keep: c.Keep.Duration(), Rollups: c.Rollups.Duration(), Most: c.Most.Bytes(),
		Report: func(ok bool, why phrase.Message) {
			h.noteSoon(func() {
				if ok {
					h.clearFault("history")
				} else {
					h.setFault("history", why)
				}
			})
		},
	})
	return err
}

// historyPoint tells the history about a point. It is asked by the history's own
// goroutine.
func (h *House) historyPoint(id point.ID) history.Point {
	d := h.history.points.Load()
	if bp := h.seen().bp; bp != nil && bp != d.bp {
		d = describe(bp)
		h.history.points.Store(d)
	}
	return d.all[id]
}

func describe(bp *Blueprint) *described {
	d := &described{bp, map[point.ID]history.Point{}}
	steps := map[point.ID]float64{}
	for _, l := range bp.Lines {
		for _, u := range l.Units {
			for i := range u.Profile.Points {
				steps[point.ID(u.Device+"."+u.Profile.Points[i].ID)] = resolution(&u.Profile.Points[i])
			}
		}
	}
	for _, p := range bp.Points {
		d.all[p.ID] = history.Point{Period: p.Every, Limit: p.Limit, Resolution: steps[p.ID]}
	}
	return d
}

// resolution is the step of a point's values: one count of its register. Numbers
// with a floating point have none that their profile tells.
func resolution(p *profile.Point) float64 {
	if len(p.Curve) > 0 {
		return 0
	}
	switch p.Type {
	case profile.Bool, profile.Bits, profile.Enum:
		return 1
	case profile.Int8, profile.Uint8, profile.BCD16, profile.BCD32, profile.BCD64, profile.Int16, profile.Uint16, profile.Int32, profile.Uint32, profile.Int64, profile.Uint64:
		if p.Scale != 0 {
			return math.Abs(p.Scale)
		}
		return 1
	}
	return 0
}

// History gives what was measured at one point.
func (h *House) History(ctx context.Context, q api.HistoryQuery) (api.History, error) {
	if h.history.h == nil {
		return api.History{}, phrase.E("history.off")
	}
	s := h.seen()
	a, err := h.history.h.Query(ctx, history.Query{Point: q.Point, From: q.From, To: q.To, Most: q.Most, Raw: q.Raw})
	switch {
	case errors.Is(err, history.ErrUnknown):
		return api.History{}, &phrase.Error{Message: phrase.M("history.no_point", "point", string(q.Point)), Err: api.ErrUnknown}
	case err != nil:
		h.log.Warn("history not read", "point", q.Point, "err", err)
		return api.History{}, phrase.E("history.read")
	}
	name, ok := s.bp.pointText(string(q.Point))
	if !ok {
		name = phrase.Text{ZH: string(q.Point), EN: string(q.Point)}
	}
	out := api.History{Point: q.Point, Name: name, Unit: string(a.Unit), Period: a.Period, From: q.From, To: q.To, Source: a.Source, Step: a.Step, Rows: make([]api.HistoryRow, 0, len(a.Rows))}
	if !a.Next.IsZero() {
		out.Next = &a.Next
	}
	if ok, why := h.history.h.State(); !ok {
		t := s.text(why)
		out.Trouble = &t
	}
	for _, r := range a.Rows {
		out.Rows = append(out.Rows, s.historyRow(r, a))
	}
	return out, nil
}

func (s shown) historyRow(r history.Row, a history.Answer) api.HistoryRow {
	x := api.HistoryRow{At: r.At, Until: r.Until, Value: number(r.Value), Good: r.Good, Quality: r.Quality, Trust: r.Trust.String()}
	if a.Source != history.Raw {
		x.Min, x.Max = number(r.Min), number(r.Max)
	}
	if !r.Why.IsZero() {
		t := s.text(r.Why)
		x.Why = &t
	}
	if r.Unit != a.Unit {
		x.Unit = string(r.Unit)
	}
	return x
}

// number is nil where there is none.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
