package rule

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/point"
)

// saved is the engine's memory as it is journaled: version 1.
type saved struct {
	Version int                      `json:"version"`
	At      clock.Stamp              `json:"at"`
	Points  map[point.ID]savedSource `json:"points"`
	Rules   map[string][]savedCond   `json:"rules"`
}

type savedSource struct {
	Gains  []sample      `json:"gains,omitempty"`
	Last   float64       `json:"last"`
	LastAt time.Duration `json:"last_at"`
	Count  bool          `json:"counted"`
	Doubt  *sample       `json:"doubt,omitempty"`
	Clog   *sample       `json:"clog,omitempty"` // since when it is called
}

// savedCond is matched to its condition by what it compares; thresholds that
// have changed since start anew.
type savedCond struct {
	Point  point.ID      `json:"point"`
	Kind   Kind          `json:"kind"`
	Window time.Duration `json:"window"`
	Levels []Threshold   `json:"levels"`
	On     []bool        `json:"on"`
	Value  *float64      `json:"value,omitempty"`
	Rises  []sample      `json:"rises,omitempty"`
}

// State gives the engine's memory for the journal.
func (e *Engine) State(now clock.Stamp) ([]byte, error) {
	s := saved{Version: 1, At: now, Points: map[point.ID]savedSource{}, Rules: map[string][]savedCond{}}
	for id, p := range e.points {
		if p.spec.Counter != nil && p.counted {
			k := savedSource{Gains: p.gains.s, Last: p.last, LastAt: p.lastAt, Count: p.counted}
			if p.doubted {
				k.Doubt = &p.doubt
			}
			if p.clog.on {
				k.Clog = &sample{At: p.clog.since}
			}
			s.Points[id] = k
		}
	}
	for _, h := range e.rules {
		for _, c := range h.conds {
			k := savedCond{Point: c.spec.Point, Kind: c.spec.Kind, Window: c.spec.Window, Levels: c.spec.Levels, Rises: c.rises.s}
			if !math.IsNaN(c.value) {
				k.Value = &c.value
			}
			for _, st := range c.states {
				k.On = append(k.On, st.on)
			}
			s.Rules[h.spec.Hazard] = append(s.Rules[h.spec.Hazard], k)
		}
	}
	return json.Marshal(s)
}

// Restore takes back what State gave, in this boot or a later one. Times are
// shifted onto this boot's monotonic clock; across boots the gap is what the
// wall clock says, at least zero, so that with a clock that stood still rain
// stays in its window longer rather than shorter. Memory that does not fit the
// rules as they are now is left out.
func (e *Engine) Restore(b []byte, now clock.Stamp) error {
	var s saved
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("the rules' memory: %w", err)
	}
	if s.Version != 1 {
		return fmt.Errorf("the rules' memory has version %d", s.Version)
	}
	gap, _ := now.Since(s.At)
	if s.At.Boot != now.Boot && s.At.Trust == clock.Free {
		// That wall clock ran on from an old floor: against one that was set
		// since, minutes look like months, and all the rain would be forgotten.
		gap = 0
	}
	shift := now.Mono - gap - s.At.Mono
	for id, p := range s.Points {
		src := e.points[id]
		if src == nil || src.spec.Counter == nil || math.IsNaN(p.Last) || math.IsInf(p.Last, 0) {
			continue
		}
		src.last, src.lastAt, src.counted = p.Last, p.LastAt+shift, p.Count
		src.gains.s = shifted(p.Gains, shift, now.Mono)
		if p.Doubt != nil && !math.IsNaN(p.Doubt.V) && !math.IsInf(p.Doubt.V, 0) {
			src.doubted, src.doubt = true, sample{p.Doubt.At + shift, p.Doubt.V}
		}
		src.clog = clog{fresh: p.LastAt + shift}
		if len(src.gains.s) > 0 {
			src.clog.fresh = src.gains.s[0].At
		}
		if p.Clog != nil {
			src.clog.on, src.clog.since = true, p.Clog.At+shift
		}
	}
	for _, h := range e.rules {
		for _, k := range s.Rules[h.spec.Hazard] {
			for _, c := range h.conds {
				if c.spec.Point == k.Point && c.spec.Kind == k.Kind && c.spec.Window == k.Window {
					c.restore(k, shift, now.Mono)
				}
			}
		}
	}
	return nil
}

func (c *condition) restore(k savedCond, shift, now time.Duration) {
	c.rises.s = append(shifted(k.Rises, shift, now), c.rises.s...)
	if k.Value != nil && math.IsNaN(c.value) {
		c.value = *k.Value
	}
	for i, t := range c.spec.Levels {
		for j, o := range k.Levels {
			if j < len(k.On) && o.Level == t.Level {
				// Memory that comes late lowers nothing that was measured since.
				c.states[i].on = c.states[i].on || k.On[j]
			}
		}
	}
}

// shifted moves samples onto this time line and drops what is not finite, in
// the future or beyond the bound.
func shifted(in []sample, shift, now time.Duration) []sample {
	var out []sample
	for _, s := range in {
		s.At += shift
		if s.At > now || math.IsNaN(s.V) || math.IsInf(s.V, 0) || len(out) >= most {
			continue
		}
		out = append(out, s)
	}
	return out
}
