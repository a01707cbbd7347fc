package station

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/history"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// DryWord tells edged-desk to play rules: a child of its own, since a
// month of readings costs memory and a processor that the alarm path has a better use for.
const DryWord = "dry-run"

// Bounds of a dry run.
const (
	dryMemory = 192 << 20
	dryIn     = 60 * time.Second
	dryRows   = 200_000
	dryAnswer = 1 << 20
	dryEvents = 500
	dryRead   = 25 * time.Second // of the history
)

// dryTask is what the child is told.
type dryTask struct {
	File     string           `json:"file"`
	Document string           `json:"document"`
	From, To time.Time        `json:"-"`
	FromMS   int64            `json:"from"`
	ToMS     int64            `json:"to"`
	Curve    []api.DrawnCurve `json:"curve,omitempty"`
	Series   []drySeries      `json:"series,omitempty"`
}

type drySeries struct {
	Point point.ID `json:"point"`
	Rows  []dryRow `json:"rows"`
}

// dryRow is a value that held: from, until, value, quality.
type dryRow struct {
	From, Until int64
	Value       *float64
	Quality     point.Quality
}

// DryRun plays the last days, or a drawn curve, through the rules of a document.
func (h *House) DryRun(ctx context.Context, q api.DryRun) (api.DryRan, error) {
	if q.Days == 0 && len(q.Curve) == 0 {
		return api.DryRan{}, phrase.E("rules.dry_nothing")
	}
	if !h.dry.TryLock() {
		return api.DryRan{}, phrase.E("rules.dry_busy")
	}
	defer h.dry.Unlock()
	s := h.seen()
	to := h.clock.Now().Wall
	t := dryTask{File: s.bp.Doc.File, Document: string(s.bp.Doc.Source), From: to.AddDate(0, 0, -q.Days), To: to, Curve: q.Curve}
	if q.Document != "" {
		var err error
		if t.Document, err = h.hidden.show(q.Document); err != nil {
			return api.DryRan{}, err
		}
	}
	var cut *api.Text
	if len(q.Curve) > 0 {
		last := time.Duration(0)
		for _, c := range q.Curve {
			for _, p := range c.Steps {
				last = max(last, p.After)
			}
		}
		t.From, t.To = to, to.Add(last)
	} else if at := h.drySeries(ctx, s, &t); !at.IsZero() {
		t.To = at
		m := api.TextOf(phrase.M("rules.dry_cut", "to", at.Format("2006-01-02 15:04")))
		cut = &m
	}
	t.FromMS, t.ToMS = t.From.UnixMilli(), t.To.UnixMilli()
	in, err := json.Marshal(t)
	if err != nil {
		return api.DryRan{}, err
	}
	out, err := h.dryChild(ctx, in)
	if err != nil {
		return api.DryRan{}, err
	}
	out.Cut = cut
	return out, nil
}

// drySeries reads what rules look at. It gives where it broke off, the zero time where it
// did not. Which points those are the running rules say; a draft's new points have no history.
func (h *House) drySeries(ctx context.Context, s shown, t *dryTask) (cutAt time.Time) {
	if h.history.h == nil {
		return time.Time{}
	}
	ctx, cancel := context.WithTimeout(ctx, dryRead)
	defer cancel()
	left := dryRows
	for _, p := range s.bp.Points {
		if !p.Used && p.Counter == nil {
			continue
		}
		x := drySeries{Point: p.ID}
		for from := t.From; from.Before(t.To); {
			a, err := h.history.h.Query(ctx, history.Query{Point: p.ID, From: from, To: t.To, Most: history.MostRows, Raw: true})
			if err != nil {
				if ctx.Err() != nil {
					cutAt = earlier(cutAt, from)
				}
				break
			}
			for _, r := range a.Rows {
				x.Rows = append(x.Rows, dryRow{r.At.UnixMilli(), r.Until.UnixMilli(), number(r.Value), r.Quality})
			}
			if left -= len(a.Rows); left <= 0 || a.Next.IsZero() {
				if left <= 0 && !a.Next.IsZero() {
					cutAt = earlier(cutAt, a.Next)
				}
				break
			}
			from = a.Next
		}
		if len(x.Rows) > 0 {
			t.Series = append(t.Series, x)
		}
	}
	return cutAt
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// dryChild runs the child and reads its answer.
func (h *House) dryChild(ctx context.Context, in []byte) (out api.DryRan, err error) {
	program, err := Beside(DeskProgram)
	if err != nil {
		return out, err
	}
	cmd := exec.Command(program, DryWord)
	cmd.Env, cmd.Dir = []string{"TZ=" + os.Getenv("TZ")}, "/"
	cmd.Stdin = bytes.NewReader(in)
	said, tail := &atMost{n: dryAnswer}, &tailOf{}
	cmd.Stdout, cmd.Stderr = said, tail
	err = h.guard.Child(ctx, "decide", "dry run", cmd, guard.Caps{Memory: dryMemory, Nice: 15, Within: dryIn})
	var x struct {
		api.DryRan
		Why *phrase.Text
	}
	if json.Unmarshal(said.Bytes(), &x) == nil && x.Why != nil {
		return out, phrase.E("rules.dry_bad", "problem", *x.Why)
	}
	if err != nil {
		why := tail.last()
		if why == "" {
			why = err.Error()
		}
		return out, phrase.E("rules.dry_failed", "detail", why)
	}
	return x.DryRan, nil
}

// PlayRules is the child: it reads a task and writes what the rules would have done.
func PlayRules(r io.Reader, w io.Writer) error {
	var t dryTask
	if err := json.NewDecoder(r).Decode(&t); err != nil {
		return err
	}
	doc, problems := config.Parse(t.File, []byte(t.Document))
	var bp *Blueprint
	if doc != nil {
		bp, problems = Prove(doc)
	}
	if bp == nil {
		for _, p := range problems {
			if !p.Warning {
				return json.NewEncoder(w).Encode(map[string]any{"Why": phrase.Text{ZH: p.In(phrase.ZH), EN: p.In(phrase.EN)}})
			}
		}
		return errors.New("the document is not good")
	}
	out, err := play(bp, &t)
	var said *phrase.Error
	if errors.As(err, &said) {
		return json.NewEncoder(w).Encode(map[string]any{"Why": phrase.Text{ZH: said.Message.In(phrase.ZH), EN: said.Message.In(phrase.EN)}})
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(out)
}

// tick is how often windows slide while nothing is read.
const tick = 10 * time.Second

// play runs the engine over the task in time of its own.
func play(bp *Blueprint, t *dryTask) (api.DryRan, error) {
	from, to := time.UnixMilli(t.FromMS), time.UnixMilli(t.ToMS)
	if len(bp.Rules) == 0 {
		return api.DryRan{}, phrase.E("rules.dry_no_rules")
	}
	// The clock begins an hour in, so that nothing lies before it.
	stamp := func(at time.Time) clock.Stamp {
		return clock.Stamp{Mono: time.Hour + at.Sub(from), Wall: at, Boot: DryWord, Trust: clock.Held}
	}
	specs := bp.Rules
	if len(t.Curve) > 0 { // what is not drawn is not looked at, and makes nobody blind
		drawn := func(c rule.Condition) bool {
			return !slices.ContainsFunc(t.Curve, func(d api.DrawnCurve) bool { return d.Point == c.Point })
		}
		specs = nil
		for _, s := range bp.Rules {
			s.AnyOf = slices.DeleteFunc(slices.Clone(s.AnyOf), drawn)
			if len(s.AnyOf) > 0 {
				specs = append(specs, s)
			}
		}
		for _, c := range t.Curve {
			if !slices.ContainsFunc(specs, func(s rule.Spec) bool {
				return slices.ContainsFunc(s.AnyOf, func(k rule.Condition) bool { return k.Point == c.Point })
			}) {
				return api.DryRan{}, phrase.E("rules.dry_no_point", "point", string(c.Point))
			}
		}
	}
	e, err := rule.New(specs, bp.Sources, stamp(from))
	if err != nil {
		return api.DryRan{}, err
	}
	e.Doubt(bp.Doubts)
	var played []*track
	for _, p := range bp.Points {
		f := &track{p: p, every: max(p.Every, time.Second), due: from}
		for i := range t.Series {
			if t.Series[i].Point == p.ID {
				f.rows = t.Series[i].Rows
			}
		}
		for i := range t.Curve {
			if t.Curve[i].Point == p.ID {
				f.curve = t.Curve[i].Steps
			}
		}
		if e.Looks(p.ID) && (f.rows != nil || f.curve != nil) {
			played = append(played, f)
		}
	}
	d := &dry{bp: bp, out: api.DryRan{From: from, To: to, Events: []api.DryEvent{}}, was: map[string]rule.Verdict{}}
	for at, next := from, from; !at.After(to) && len(d.out.Events) < dryEvents; at = at.Add(time.Second) {
		for _, f := range played {
			if at.Before(f.due) {
				continue
			}
			f.due = at.Add(f.every)
			r, ok := f.at(at, from)
			if !ok {
				continue
			}
			r.At = stamp(at)
			d.out.Readings++
			for _, r := range e.Admit(r) {
				d.take(e.Observe(r), at)
			}
		}
		if !at.Before(next) {
			for _, r := range e.Due(stamp(at)) {
				d.take(e.Observe(r), at)
			}
			d.take(e.Tick(stamp(at)), at)
			next = at.Add(tick)
		}
	}
	return d.out, nil
}

// track gives what a point measured at a time.
type track struct {
	p     PointInfo
	every time.Duration
	due   time.Time
	rows  []dryRow
	curve []api.DrawnPlace
}

func (f *track) at(at, from time.Time) (point.Reading, bool) {
	r := point.Reading{Point: f.p.ID, Unit: f.p.Unit, Quality: point.Good}
	if f.curve != nil {
		after := at.Sub(from)
		v, ok := drawnAt(f.curve, after)
		r.Value = v
		return r, ok
	}
	ms := at.UnixMilli()
	for len(f.rows) > 0 && f.rows[0].Until <= ms {
		f.rows = f.rows[1:]
	}
	if len(f.rows) == 0 || f.rows[0].From > ms {
		return r, false
	}
	row := f.rows[0]
	r.Quality, r.Value = row.Quality, math.NaN()
	if row.Value != nil {
		r.Value = *row.Value
	} else if r.Quality == point.Good {
		return r, false
	}
	return r, true
}

// drawnAt goes straight between two places of a curve.
func drawnAt(c []api.DrawnPlace, after time.Duration) (float64, bool) {
	i := slices.IndexFunc(c, func(p api.DrawnPlace) bool { return p.After >= after })
	switch {
	case i < 0:
		return 0, false
	case i == 0:
		return c[0].Value, c[0].After == after || after == 0
	}
	a, b := c[i-1], c[i]
	if b.After == a.After {
		return b.Value, true
	}
	return a.Value + (b.Value-a.Value)*float64(after-a.After)/float64(b.After-a.After), true
}

// dry gathers what turned.
type dry struct {
	bp  *Blueprint
	out api.DryRan
	was map[string]rule.Verdict
}

func (d *dry) take(vs []rule.Verdict, at time.Time) {
	for _, v := range vs {
		was, known := d.was[v.Hazard]
		d.was[v.Hazard] = v
		kind := ""
		switch {
		case v.Level > was.Level:
			kind = "rises"
		case v.Level < was.Level:
			kind = "falls"
		case known && v.Blind && !was.Blind:
			kind = "blind"
		case known && was.Blind && !v.Blind:
			kind = "sees"
		default:
			continue
		}
		rank := d.bp.Levels.Rank(v.Level)
		name, _ := d.bp.hazardText(v.Hazard)
		x := api.DryEvent{At: at, Hazard: v.Hazard, HazardText: words(name, v.Hazard), Kind: kind, Level: rank.Code, LevelText: words(rank.Name, rank.Code), Because: []api.Text{}}
		for _, m := range v.Because {
			x.Because = append(x.Because, api.TextOf(d.bp.spell(m)))
		}
		if p := d.bp.PlanOf[v.Hazard]; kind == "rises" && p != nil {
			t := api.TextOf(d.bp.does(p.At(v.Level, d.bp.Levels)))
			x.Does = &t
		}
		d.out.Events = append(d.out.Events, x)
	}
}
