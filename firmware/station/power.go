package station

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/serve/api"
)

// PowerPlan is where this site's supply is measured: nil where nothing measures it.
type PowerPlan struct {
	Points map[profile.Role]*PointInfo
	Config config.Power
}

const (
	usableUsual = 80 // percent; a lead battery is drawn down no further when it is to last
	// loadOver is over how long what is drawn is averaged: sirens come and go.
	loadOver = 10 * time.Minute
	// untilMost is the longest forecast that is told; beyond it says more than anybody knows.
	untilMost = 30 * 24 * time.Hour
)

// provePower finds the points of the supply: those that the site names, else those that profiles give a role.
func (p *prover) provePower() {
	c := p.site.Power
	x := PowerPlan{Points: map[profile.Role]*PointInfo{}, Config: c}
	for i := range p.bp.Points {
		pt := &p.bp.Points[i]
		if pt.Role != "" && x.Points[pt.Role] == nil {
			x.Points[pt.Role] = pt
		}
	}
	for role, w := range map[profile.Role]struct {
		key, point string
		units      []point.Unit
	}{
		profile.Battery: {"battery", c.Battery, []point.Unit{"V", "mV"}}, profile.Mains: {"mains", c.Mains, nil}, profile.MainsLost: {"mains_lost", c.MainsLost, nil},
		profile.Charge: {"charge", c.Charge, []point.Unit{"%"}}, profile.Runtime: {"runtime", c.Runtime, []point.Unit{"s"}}, profile.Drawn: {"load", c.Load, []point.Unit{"W", "A", "mA"}},
	} {
		if w.point == "" {
			continue
		}
		i := slices.IndexFunc(p.bp.Points, func(i PointInfo) bool { return string(i.ID) == w.point })
		if i < 0 {
			p.problem(p.noPoint(w.point), "power", w.key)
			continue
		}
		pt := &p.bp.Points[i]
		if len(w.units) > 0 && !slices.Contains(w.units, pt.Unit) {
			p.problem(phrase.M("site.power_unit", "point", w.point, "unit", string(pt.Unit), "units", fmt.Sprint(w.units)), "power", w.key)
			continue
		}
		x.Points[role] = pt
	}
	for key, v := range map[string][2]float64{"capacity_wh": {c.Capacity, 1e6}, "usable": {c.Usable, 100}, "load_w": {c.Draw, 1e5}} {
		if v[0] < 0 || v[0] > v[1] || math.IsNaN(v[0]) {
			p.problem(phrase.M("site.power_number", "key", key, "most", strconv.FormatFloat(v[1], 'f', -1, 64)), "power", key)
		}
	}
	if len(x.Points) > 0 || c != (config.Power{}) {
		p.bp.Power = &x
		if why, ok := x.blindspot(); ok && x.Points[profile.Runtime] == nil {
			p.warn(phrase.M("site.power_forecast", "why", why), "power")
		}
	}
}

// blindspot says what is missing for a forecast.
func (x *PowerPlan) blindspot() (phrase.Message, bool) {
	switch {
	case x == nil || len(x.Points) == 0 && x.Config == (config.Power{}):
		return phrase.M("ready.need_points"), true
	case x.Points[profile.Runtime] != nil:
	case x.Config.Capacity == 0:
		return phrase.M("ready.need_capacity"), true
	case x.Points[profile.Drawn] == nil && x.Config.Draw == 0:
		return phrase.M("ready.need_load"), true
	case x.Points[profile.Charge] == nil && x.Points[profile.Mains] == nil && x.Points[profile.MainsLost] == nil:
		return phrase.M("ready.need_charge"), true
	}
	return phrase.Message{}, false
}

// supply is what the points say of it at one moment; nil is not known.
type supply struct {
	now                           clock.Stamp
	volts, charge, runtime, watts *float64
	mains                         *bool
	capacity, usable, draw        float64
	lostFor                       time.Duration // since the box has seen mains go; 0: it was gone before
	sawMains                      bool          // mains was there while this box ran, before it went
}

// lasts forecasts how long the battery bears what is drawn, and by what that is known: the supply's own word,
// the charge that is measured, or the capacity of a battery that was full when mains went.
func (s supply) lasts() (left time.Duration, by phrase.Message, ok bool) {
	if s.runtime != nil && *s.runtime > 0 {
		return time.Duration(min(*s.runtime, untilMost.Seconds()) * float64(time.Second)), phrase.M("ready.by_supply"), true
	}
	watts, measured := s.draw, false
	if s.watts != nil && *s.watts > 0 {
		watts, measured = *s.watts, true
	}
	if s.capacity <= 0 || watts <= 0 {
		return 0, phrase.Message{}, false
	}
	keep := 1 - s.usable/100 // of the whole, what must stay in it
	full, by := 0.0, phrase.Message{}
	gone := time.Duration(0)
	switch {
	case s.charge != nil:
		full, by = *s.charge/100, phrase.M("ready.by_charge")
	case s.mains != nil && *s.mains:
		full, by = 1, phrase.M("ready.by_capacity_full")
	case s.mains != nil && s.sawMains:
		full, by, gone = 1, phrase.M("ready.by_capacity"), s.lostFor
	default:
		return 0, phrase.Message{}, false // nobody knows how full it is
	}
	if !measured {
		by = phrase.M("ready.by_draw", "by", by, "watts", strconv.FormatFloat(watts, 'f', 0, 64))
	}
	hours := (full-keep)*s.capacity/watts - gone.Hours()
	return time.Duration(min(max(0, hours), untilMost.Hours()) * float64(time.Hour)), by, true
}

// supplied keeps what a forecast needs of the past: what was drawn of late, and when mains went.
type supplied struct {
	mu       sync.Mutex
	watts    float64
	last     time.Duration
	begun    bool
	sawMains bool
	lostAt   time.Duration
	lost     bool
}

// see takes what is drawn now into the average, and whether mains is there.
func (x *supplied) see(now time.Duration, watts *float64, mains *bool) (average *float64, sawMains bool, lostFor time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if watts != nil {
		if !x.begun {
			x.watts, x.begun = *watts, true
		} else if d := now - x.last; d > 0 {
			x.watts += (*watts - x.watts) * (1 - math.Exp(-d.Seconds()/loadOver.Seconds()))
		}
		x.last = now
		w := x.watts
		average = &w
	}
	if mains != nil {
		switch {
		case *mains:
			x.sawMains, x.lost = true, false
		case !x.lost:
			x.lost, x.lostAt = true, now
		}
		if x.lost {
			lostFor = now - x.lostAt
		}
	}
	return average, x.sawMains, lostFor
}

// power reads what points say of the supply, and how long a battery lasts as far as that can be known.
func (h *House) power(s shown) api.Power {
	plan := s.bp.Power
	x := supply{now: h.clock.Now()}
	if plan != nil {
		x.capacity, x.draw, x.usable = plan.Config.Capacity, plan.Config.Draw, plan.Config.Usable
		if x.usable == 0 {
			x.usable = usableUsual
		}
		value := func(r profile.Role) *float64 {
			i := plan.Points[r]
			if i == nil {
				return nil
			}
			l := h.latest[i.ID]
			if l == nil || l.last.Point == "" || l.last.Quality != point.Good || math.IsNaN(l.last.Value) || x.now.Mono-l.last.At.Mono > i.Limit {
				return nil
			}
			v := l.last.Value
			if i.Unit == "mV" || i.Unit == "mA" {
				v /= 1000
			}
			return &v
		}
		h.mu.RLock()
		x.volts, x.charge, x.runtime = value(profile.Battery), value(profile.Charge), value(profile.Runtime)
		if v := value(profile.Mains); v != nil {
			on := *v != 0
			x.mains = &on
		}
		if v := value(profile.MainsLost); v != nil {
			on := *v == 0
			x.mains = &on
		}
		load := value(profile.Drawn)
		if load != nil && plan.Points[profile.Drawn].Unit != "W" {
			if x.volts == nil {
				load = nil // amperes of an unknown voltage
			} else {
				w := math.Abs(*load) * *x.volts
				load = &w
			}
		}
		h.mu.RUnlock()
		x.watts, x.sawMains, x.lostFor = h.supplied.see(x.now.Mono, load, x.mains)
	}
	return x.told(plan)
}

// told says it.
func (s supply) told(plan *PowerPlan) api.Power {
	p := api.Power{Mains: s.mains, Volts: s.volts, Charge: s.charge}
	what := phrase.M("ready.power_unknown")
	switch {
	case s.mains != nil && !*s.mains:
		what = phrase.M("ready.power_battery")
	case s.mains != nil:
		what = phrase.M("ready.power_mains")
	case s.volts != nil || s.charge != nil:
		what = phrase.M("ready.power_only_battery")
	}
	var zh, en []string
	if s.volts != nil {
		v := strconv.FormatFloat(*s.volts, 'f', 1, 64) + " V"
		zh, en = append(zh, v), append(en, v)
	}
	if s.charge != nil {
		v := strconv.FormatFloat(*s.charge, 'f', 0, 64) + " %"
		zh, en = append(zh, v), append(en, v)
	}
	if len(zh) > 0 {
		what = phrase.M("ready.power_with", "what", what, "values", phrase.Text{ZH: strings.Join(zh, "、"), EN: strings.Join(en, ", ")})
	}
	left, by, ok := s.lasts()
	if !ok {
		why, missing := plan.blindspot()
		if !missing {
			why = phrase.M("ready.need_charge_now")
		}
		how := api.TextOf(why)
		p.How = &how
		p.Line = api.TextOf(phrase.M("ready.lasts_unknown", "what", what))
		return p
	}
	p.Left = left
	by2 := api.TextOf(by)
	p.How = &by2
	length := spanText(left.Truncate(time.Minute))
	if left >= 2*time.Hour {
		length = spanText(left.Truncate(time.Hour))
	}
	switch {
	case s.mains != nil && *s.mains:
		p.Line = api.TextOf(phrase.M("ready.would_last", "what", what, "for", length))
	default:
		p.Line = api.TextOf(phrase.M("ready.lasts", "what", what, "for", length))
	}
	if s.now.Trust > clock.Free && !s.now.Wall.IsZero() {
		t := s.now.Wall.Add(left)
		p.Until = &t
	}
	return p
}
