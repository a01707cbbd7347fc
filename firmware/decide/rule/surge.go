package rule

import (
	"math"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// The reasons that the engine itself gives for a suspect reading.
const (
	codeSurge   = "rule.surge"
	codeClogged = "rule.clogged"
)

// watched is what a surge is told by: the last value seen, whatever its quality,
// and the last that was good.
type watched struct {
	seen, good     sample
	known, anyGood bool
	held           []point.Reading // the first jumped, the rest came after it
	until          time.Duration
	// After a surge: where the value stood and how long it is not believed there.
	surged  float64
	doubtTo time.Duration
}

// jump is a change too large to come alone.
type jump struct {
	src *source
	at  time.Duration
}

// mostQueued bounds how many readings of a point wait behind one that jumped.
const mostQueued = 64

// Doubt sets when readings are not believed together.
func (e *Engine) Doubt(d Doubts) {
	e.doubts = d
	for _, s := range e.points {
		if s.spec.Counter != nil && len(s.spec.Neighbours) > 0 && d.Clogged.Most > 0 {
			s.keep = max(s.keep, d.Clogged.Over)
		}
	}
}

// Admit takes a reading as its line gave it and gives those that may be observed
// now, in order, some of them with their quality lowered. What jumped waits for
// others to jump with it, at most Surge.Within (see Due). The slice is good until
// the next call.
func (e *Engine) Admit(r point.Reading) []point.Reading {
	e.admitted = e.admitted[:0]
	s := e.points[r.Point]
	if s == nil || s.spec.Counter == nil && s.spec.Step == nil {
		e.admitted = append(e.admitted, r)
		return e.admitted
	}
	e.release(r.At.Mono)
	if n := len(s.watch.held); n > 0 && n < mostQueued {
		s.watch.held = append(s.watch.held, r)
		return e.admitted
	} else if n > 0 {
		e.letGo(s, nil)
	}
	if e.doubts.Surge.Inputs > 0 && s.jumps(r, e.doubts.Surge.Share) {
		e.jumped(s, r)
		return e.admitted
	}
	e.admit(s, r)
	return e.admitted
}

// Due gives the readings that have waited long enough for others.
func (e *Engine) Due(now clock.Stamp) []point.Reading {
	e.admitted = e.admitted[:0]
	e.release(now.Mono)
	return e.admitted
}

// Held gives every reading that still waits: nothing is lost with an engine that
// is replaced.
func (e *Engine) Held() []point.Reading {
	e.admitted = e.admitted[:0]
	e.release(math.MaxInt64)
	return e.admitted
}

// jumps tells whether a reading lies further from the last one, and from the last
// good one, than what comes about by itself.
func (s *source) jumps(r point.Reading, share float64) bool {
	w := &s.watch
	if !w.known || !w.anyGood || !finite(r) {
		return false
	}
	return s.far(w.seen, r, share) && s.far(w.good, r, share)
}

func finite(r point.Reading) bool {
	return (r.Quality == point.Good || r.Quality == point.Suspect) && !math.IsNaN(r.Value) && !math.IsInf(r.Value, 0)
}

func (s *source) far(from sample, r point.Reading, share float64) bool {
	over := r.At.Mono - from.At
	if c := s.spec.Counter; c != nil {
		gain := r.Value - from.V
		return c.Most > 0 && gain > c.Tip && gain > share*(c.Burst+c.Most*max(0, over).Seconds())+1e-9
	}
	st := s.spec.Step
	return math.Abs(r.Value-from.V) > share*st.Most*max(1, float64(over)/float64(st.Per))
}

// jumped keeps a reading until it is known whether others jumped with it.
func (e *Engine) jumped(s *source, r point.Reading) {
	at, within := r.At.Mono, e.doubts.Surge.Within
	e.jumps = slices.DeleteFunc(e.jumps, func(j jump) bool { return at-j.at > 2*within })
	e.jumps = append(e.jumps, jump{s, at})
	if r.Quality == point.Suspect {
		e.admit(s, r) // it decides nothing whatever the others do
	} else {
		s.watch.held, s.watch.until = append(s.watch.held[:0], r), at+within
		e.holding = append(e.holding, s)
	}
	var together []*source
	for _, j := range e.jumps {
		if d := j.at - at; d <= within && d >= -within && !slices.Contains(together, j.src) {
			together = append(together, j.src)
		}
	}
	if len(together) < e.doubts.Surge.Inputs {
		return
	}
	var names []string
	for _, o := range together {
		names = append(names, string(o.id))
	}
	slices.Sort(names)
	why := phrase.M("rule.surge", "points", strings.Join(names, "、"), "ms", within.Milliseconds())
	if !e.surged || at-e.surgeAt > within {
		e.note(r, why)
	}
	e.surged, e.surgeAt = true, at
	for _, o := range together {
		e.letGo(o, &why)
	}
}

// release lets go what has waited long enough.
func (e *Engine) release(now time.Duration) {
	for i := 0; i < len(e.holding); {
		s := e.holding[i]
		if len(s.watch.held) > 0 && now <= s.watch.until {
			i++
			continue
		}
		e.letGo(s, nil) // takes it out of holding
	}
}

// letGo admits what a point has waiting; where there is a reason, the one that
// jumped is suspect for it.
func (e *Engine) letGo(s *source, why *phrase.Message) {
	e.holding = slices.DeleteFunc(e.holding, func(o *source) bool { return o == s })
	w := &s.watch
	for i, r := range w.held {
		if i == 0 && why != nil {
			r.Quality, r.Why = point.Suspect, *why
			w.surged, w.doubtTo = r.Value, r.At.Mono+e.doubts.Surge.Settle
		}
		e.admit(s, r)
	}
	w.held = w.held[:0]
}

// admit gives a reading out, with what the engine knows of its point.
func (e *Engine) admit(s *source, r point.Reading) {
	w := &s.watch
	if w.doubtTo > 0 && s.spec.Step != nil && finite(r) {
		stays := math.Abs(r.Value-w.surged) < math.Abs(r.Value-w.good.V)
		if r.At.Mono > w.doubtTo || !stays {
			w.doubtTo = 0
		} else if r.Quality == point.Good {
			r.Quality, r.Why = point.Suspect, phrase.M("rule.surge_settles", "from", w.good.V, "to", r.Value, "unit", string(r.Unit))
		}
	}
	if finite(r) {
		w.seen, w.known = sample{r.At.Mono, r.Value}, true
	}
	if r.IsGood() {
		w.good, w.anyGood = w.seen, true
		if s.spec.Counter != nil {
			r = e.unclogged(s, r)
		}
	}
	e.admitted = append(e.admitted, r)
}
