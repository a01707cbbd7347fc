package station

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/guard/power"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

// PowerPlan is where this site's supply is measured: nil where nothing measures it.
type PowerPlan struct {
	Points map[profile.Role]*PointInfo
	Config config.Power
	Rules  *power.Rules
	// Chemistry is nil where the site's file names none.
	Chemistry *power.Chemistry
	// Watts is what each output draws while it sounds.
	Watts map[string]float64
}

// provePower finds the points of the supply: those that the site names, else those that profiles give a role.
func (p *prover) provePower() {
	c := p.site.Power
	x := PowerPlan{Points: map[profile.Role]*PointInfo{}, Config: c, Watts: map[string]float64{}}
	for i := range p.bp.Points {
		pt := &p.bp.Points[i]
		if pt.Role != "" && !slices.Contains(boxRoles, pt.Role) && x.Points[pt.Role] == nil {
			x.Points[pt.Role] = pt
		}
	}
	for role, w := range map[profile.Role]struct {
		key, point string
		units      []point.Unit
	}{
		profile.Battery: {"battery", c.Battery, []point.Unit{"V", "mV"}}, profile.Mains: {"mains", c.Mains, nil}, profile.MainsLost: {"mains_lost", c.MainsLost, nil},
		profile.Charge: {"charge", c.Charge, []point.Unit{"%"}}, profile.Runtime: {"runtime", c.Runtime, []point.Unit{"s"}}, profile.Drawn: {"load", c.Load, []point.Unit{"W", "A", "mA"}},
		profile.Solar: {"solar", c.Solar, []point.Unit{"W", "A", "mA"}}, profile.Failing: {"failing", c.Failing, nil},
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
	for key, v := range map[string][2]float64{"capacity_wh": {c.Capacity, 1e6}, "usable": {c.Usable, 100}, "load_w": {c.Draw, 1e5}, "blocks": {float64(c.Blocks), 40}} {
		if v[0] < 0 || v[0] > v[1] || math.IsNaN(v[0]) {
			p.problem(phrase.M("site.power_number", "key", key, "most", strconv.FormatFloat(v[1], 'f', -1, 64)), "power", key)
		}
	}
	if d := c.Reserve.Duration(); d != 0 && (d < power.ReserveLeast || d > power.ReserveMost) {
		p.problem(phrase.M("site.power_reserve", "least", point.Span(power.ReserveLeast).String(), "most", point.Span(power.ReserveMost).String()), "power", "reserve")
	}
	r, err := power.LoadRules(p.fsys)
	if err != nil {
		p.problem(phrase.M("site.bad_power", "detail", err), "power")
		return
	}
	x.Rules = r
	if c.Chemistry != "" {
		k, ok := r.Chemistries[c.Chemistry]
		if !ok {
			p.problem(phrase.M("site.power_chemistry", "chemistry", c.Chemistry, "have", strings.Join(slices.Sorted(maps.Keys(r.Chemistries)), "、")), "power", "chemistry")
			return
		}
		x.Chemistry = &k
	}
	for _, o := range p.bp.Outputs {
		x.Watts[o.Name] = r.Outputs[string(o.Kind)]
		if w := o.Config.Watts; w != nil {
			if !(*w >= 0 && *w <= 1e5) {
				p.problem(phrase.M("site.power_number", "key", "watts", "most", "100000"), "outputs", o.Name, "watts")
				continue
			}
			x.Watts[o.Name] = *w
		}
	}
	if len(x.Points) == 0 && c == (config.Power{}) {
		return
	}
	p.bp.Power = &x
	if why, ok := x.blindspot(); ok && x.Points[profile.Runtime] == nil {
		p.warn(phrase.M("site.power_forecast", "why", why), "power")
	}
	if s := x.site(p.site.Site.At); s.Capacity > 0 && s.Capacity*s.Usable/100 < 1.5*s.Reserve() {
		p.warn(phrase.M("site.power_small", "capacity", rounded(s.Capacity*s.Usable/100), "reserve", rounded(s.Reserve()), "for", spanText(s.For), "watts", rounded(s.Sounding)), "power", "capacity_wh")
	}
}

func rounded(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) }

// site is what the room that keeps house must know.
func (x *PowerPlan) site(at []float64) power.Site {
	c := x.Config
	s := power.Site{Chemistry: x.Chemistry, Blocks: max(1, c.Blocks), Capacity: c.Capacity, Usable: c.Usable, Draw: c.Draw, For: c.Reserve.Duration(), Has: map[power.Measure]bool{}}
	if s.Usable == 0 {
		s.Usable = usableUsual
	}
	if s.For == 0 {
		s.For = x.Rules.Reserve.For
	}
	for _, w := range x.Watts {
		s.Sounding += w
	}
	if len(at) == 2 {
		s.At = &[2]float64{at[0], at[1]}
	}
	for role, m := range map[profile.Role]power.Measure{
		profile.Battery: power.Voltage, profile.Charge: power.Charge, profile.Runtime: power.Runtime, profile.Drawn: power.Drawn, profile.Solar: power.Harvest,
		profile.Mains: power.MainsHere, profile.MainsLost: power.MainsHere, profile.Failing: power.Failing,
	} {
		if x.Points[role] != nil {
			s.Has[m] = true
		}
	}
	s.Sun = s.Has[power.Harvest]
	return s
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
	case x.Points[profile.Charge] == nil && x.Points[profile.Mains] == nil && x.Points[profile.MainsLost] == nil && (x.Points[profile.Battery] == nil || x.Chemistry == nil):
		return phrase.M("ready.need_charge"), true
	}
	return phrase.Message{}, false
}

// usableUsual is the percent of a battery that is drawn where the site's file does not say: a lead battery is drawn
// down no further when it is to last.
const usableUsual = 80

// lasting bounds what is told of how long a battery lasts; beyond it says more than anybody knows.
const lasting = 30 * 24 * time.Hour
