package rule

import (
	"fmt"
	"math"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// Verdict is what the measurements say of one hazard now.
type Verdict struct {
	Hazard string
	// Level is the level that the conditions stand at; while points are at
	// fault, the level that they had is in it.
	Level point.Level
	// Blind: no point of the hazard is good.
	Blind bool
	// Because says why the level stands: one message for each condition that
	// holds it.
	Because []phrase.Message
	// Faulty lists the points that are not good.
	Faulty []point.ID
	At     clock.Stamp
}

// Note is something that the engine saw and did not believe, for the people who
// look after the gauges.
type Note struct {
	Point point.ID
	Why   phrase.Message
	At    clock.Stamp
}

// Engine holds the state of all rules. It is used by one goroutine.
type Engine struct {
	rules  []*hazard
	points map[point.ID]*source
	notes  []Note
	// changed counts what would be missed after a restart: gains and levels
	// that turned. Baselines of counters alone are bridged by the counters.
	changed uint64

	doubts   Doubts
	jumps    []jump
	holding  []*source
	admitted []point.Reading
	surgeAt  time.Duration // of the last surge that was told
	surged   bool
}

type hazard struct {
	spec  Spec
	conds []*condition
	// blindSince is when the last good point was lost, on the engine's time
	// line; NaN time is told by blind.
	blind      bool
	blindSince time.Duration
	// held is a level that stood before a restart and that the rules' own memory
	// does not explain; see Hold.
	held      point.Level
	seeing    bool
	seenSince time.Duration
}

type condition struct {
	spec   Condition
	src    *source
	rises  levels
	states []state // one a threshold
	value  float64 // what was compared last
}

type state struct {
	on      bool
	pending bool          // the other state's side has been reached
	since   time.Duration // since when
}

type source struct {
	id      point.ID
	spec    Source
	keep    time.Duration // longest window of a Sum on it
	gains   gains
	last    float64 // last good total of a counter
	lastAt  time.Duration
	counted bool    // last is valid
	doubted bool    // a total came that cannot be true; see doubt
	doubt   sample  // the first such
	minute  gains   // as measured, for the intensity
	watch   watched // for surges
	clog    clog
	good    bool
	heard   time.Duration
	everGot bool
	conds   []*condition
	hazards []*hazard
}

// New makes an engine of rules over points. A rule that names a point which
// sources lacks is an error: config has proved that it does not happen.
func New(specs []Spec, sources map[point.ID]Source, now clock.Stamp) (*Engine, error) {
	named := map[point.ID]bool{}
	for _, s := range specs {
		for _, c := range s.AnyOf {
			named[c.Point] = true
		}
	}
	e := &Engine{points: map[point.ID]*source{}}
	for id, s := range sources {
		if !named[id] && s.Counter == nil && s.Step == nil {
			continue // nobody looks at it: most points of a large site
		}
		e.points[id] = &source{id: id, spec: s, heard: now.Mono, clog: clog{fresh: now.Mono}}
	}
	for _, s := range specs {
		h := &hazard{spec: s, blindSince: now.Mono}
		for _, c := range s.AnyOf {
			src := e.points[c.Point]
			if src == nil {
				return nil, fmt.Errorf("rule %s: no point %s", s.Hazard, c.Point)
			}
			if c.Kind == Sum && src.spec.Counter == nil {
				return nil, fmt.Errorf("rule %s: %s does not count, it has no sum", s.Hazard, c.Point)
			}
			k := &condition{spec: c, src: src, states: make([]state, len(c.Levels)), value: math.NaN()}
			if c.Kind == Sum {
				src.keep = max(src.keep, c.Window)
			}
			src.conds = append(src.conds, k)
			if n := len(src.hazards); n == 0 || src.hazards[n-1] != h {
				src.hazards = append(src.hazards, h)
			}
			h.conds = append(h.conds, k)
		}
		e.rules = append(e.rules, h)
	}
	return e, nil
}

// Looks tells whether any rule looks at a point, or whether it counts or is a
// level, by which surges are told.
func (e *Engine) Looks(id point.ID) bool {
	s := e.points[id]
	return s != nil && (len(s.hazards) > 0 || s.spec.Counter != nil || s.spec.Step != nil)
}

// Observe takes one reading and gives the verdict of each hazard that looks at
// its point. Readings that no rule looks at cost next to nothing.
func (e *Engine) Observe(r point.Reading) []Verdict {
	s := e.points[r.Point]
	if s == nil || len(s.hazards) == 0 && s.spec.Counter == nil {
		return nil
	}
	now := r.At.Mono
	s.heard = max(s.heard, now)
	if s.spec.Counter != nil {
		e.count(s, r)
	}
	if !r.IsGood() {
		s.good = false
	} else {
		s.good, s.everGot = true, true
		for _, c := range s.conds {
			if c.observe(now, r.Value) {
				e.changed++
			}
		}
	}
	if len(s.hazards) == 0 {
		return nil
	}
	var v []Verdict
	for _, h := range s.hazards {
		v = append(v, h.verdict(r.At))
	}
	return v
}

func (e *Engine) note(r point.Reading, m phrase.Message) {
	if len(e.notes) < 64 {
		e.notes = append(e.notes, Note{r.Point, m, r.At})
	}
}

// Notes takes what was noted since the last call.
func (e *Engine) Notes() []Note {
	n := e.notes
	e.notes = nil
	return n
}

// Tick gives every hazard's verdict at now: windows slide, dwells end, and
// points of which nothing was heard become stale, also when no reading comes.
func (e *Engine) Tick(now clock.Stamp) []Verdict {
	for _, s := range e.points {
		if s.good && s.spec.Limit > 0 && now.Mono-s.heard > s.spec.Limit {
			s.good = false
		}
	}
	v := make([]Verdict, 0, len(e.rules))
	for _, h := range e.rules {
		for _, c := range h.conds {
			if c.src.good && c.settle(now.Mono) {
				e.changed++
			}
		}
		v = append(v, h.verdict(now))
	}
	return v
}

// observe takes a value and tells whether a level turned.
func (c *condition) observe(now time.Duration, v float64) (turned bool) {
	switch c.spec.Kind {
	case Sum:
		v = c.src.gains.sum(now, c.spec.Window)
	case Rise:
		c.rises.add(now, v, c.spec.Window)
		v = c.rises.rise(now, c.spec.Window, v)
	}
	c.value = v
	return c.compare(now)
}

// settle re-compares without a new reading: a sum shrinks as its window slides.
func (c *condition) settle(now time.Duration) (turned bool) {
	if c.spec.Kind == Sum {
		c.value = c.src.gains.sum(now, c.spec.Window)
	}
	return !math.IsNaN(c.value) && c.compare(now)
}

func (c *condition) compare(now time.Duration) (turned bool) {
	for i, t := range c.spec.Levels {
		st := &c.states[i]
		over, back := c.value >= t.On, c.value < t.Off
		if c.spec.Below {
			over, back = c.value <= t.On, c.value > t.Off
		}
		other, dwell := over, c.spec.Dwell
		if st.on {
			other, dwell = back, c.spec.ClearDwell
		}
		switch {
		case !other:
			st.pending = false
		case !st.pending:
			st.pending, st.since = true, now
			fallthrough
		default:
			if now-st.since >= dwell {
				st.on, st.pending, turned = !st.on, false, true
			}
		}
	}
	return turned
}

// Changed counts changes that a restart must not forget.
func (e *Engine) Changed() uint64 { return e.changed }

func (h *hazard) verdict(now clock.Stamp) Verdict {
	v := Verdict{Hazard: h.spec.Hazard, At: now}
	anyGood := false
	for _, c := range h.conds {
		if c.src.good {
			anyGood = true
		} else if n := len(v.Faulty); n == 0 || v.Faulty[n-1] != c.src.id {
			v.Faulty = append(v.Faulty, c.src.id)
		}
		lv, at := point.Calm, 0.0
		for i, t := range c.spec.Levels {
			if c.states[i].on && t.Level > lv {
				lv, at = t.Level, t.On
			}
		}
		if lv > point.Calm {
			v.Because = append(v.Because, c.because(at))
			v.Level = max(v.Level, lv)
		}
	}
	if h.held > point.Calm {
		h.hold(&v, anyGood, now.Mono)
	}
	if anyGood {
		h.blind = false
	} else if !h.blind {
		h.blind, h.blindSince = true, now.Mono
	}
	if h.blind && len(h.conds) > 0 {
		v.Blind = true
		if h.spec.LossTo > point.Calm && now.Mono-h.blindSince >= h.spec.LossAfter {
			v.Level = max(v.Level, h.spec.LossTo)
			v.Because = append(v.Because, phrase.M("rule.blind_raises", "after", point.Span(h.spec.LossAfter).String()))
		}
	}
	return v
}

// Hold tells the engine of a level that stood when the box went down. Where the
// rules' memory was lost and does not explain it, it is held until a gauge of the
// hazard has been good for the longest clearing dwell, at least a minute, without
// reaching it: forgetting is no reason to call people back.
func (e *Engine) Hold(hazard string, l point.Level) {
	for _, h := range e.rules {
		if h.spec.Hazard != hazard {
			continue
		}
		own := point.Calm
		for _, c := range h.conds {
			for i, t := range c.spec.Levels {
				if c.states[i].on {
					own = max(own, t.Level)
				}
			}
		}
		if own < l {
			h.held = l
		}
	}
}

// holdLeast is the shortest that a forgotten level is held for.
const holdLeast = time.Minute

func (h *hazard) hold(v *Verdict, seeing bool, now time.Duration) {
	if seeing && !h.seeing {
		h.seenSince = now
	}
	h.seeing = seeing
	dwell := holdLeast
	for _, c := range h.conds {
		dwell = max(dwell, c.spec.ClearDwell)
	}
	if v.Level >= h.held || seeing && now-h.seenSince >= dwell {
		h.held = point.Calm
		return
	}
	v.Level = h.held
	v.Because = append(v.Because, phrase.M("rule.held"))
}

func (c *condition) because(threshold float64) phrase.Message {
	p, u, w := string(c.spec.Point), string(c.spec.Unit), point.Span(c.spec.Window).String()
	switch c.spec.Kind {
	case Sum:
		return phrase.M("rule.sum_over", "point", p, "value", c.value, "unit", u, "window", w, "threshold", threshold)
	case Rise:
		return phrase.M("rule.rise_over", "point", p, "value", c.value, "unit", u, "window", w, "threshold", threshold)
	}
	if c.spec.Below {
		return phrase.M("rule.value_under", "point", p, "value", c.value, "unit", u, "threshold", threshold)
	}
	return phrase.M("rule.value_over", "point", p, "value", c.value, "unit", u, "threshold", threshold)
}
