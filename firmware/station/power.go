package station

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard/power"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/serve/api"
)

// supply is what the points say of it at one moment; nil is not known.
type supply struct {
	now                           clock.Stamp
	volts, charge, runtime, watts *float64
	mains                         *bool
	capacity, usable, draw        float64
	lostFor                       time.Duration // since the box has seen mains go; 0: it was gone before
	sawMains                      bool          // mains was there while this box ran, before it went
	reserve                       float64       // Wh that are kept for sounding
	view                          power.View    // of the room that keeps house
}

// lasts forecasts how long the battery bears what is drawn, and by what that is known: the supply's own word,
// the charge that is measured, or the capacity of a battery that was full when mains went.
func (s supply) lasts() (left time.Duration, by phrase.Message, ok bool) {
	if s.runtime != nil && *s.runtime > 0 {
		return time.Duration(min(*s.runtime, lasting.Seconds()) * float64(time.Second)), phrase.M("ready.by_supply"), true
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
	case s.view.Basis == power.ByVoltage && !(s.mains != nil && *s.mains):
		full, by = s.view.Level, phrase.M("ready.by_voltage")
	case s.mains != nil && *s.mains:
		full, by = 1, phrase.M("ready.by_capacity_full")
	case s.mains != nil && s.sawMains && s.view.Energy: // counted on since, over mains that comes and goes
		full, by = s.view.Level, phrase.M("ready.by_capacity")
	case s.mains != nil && s.sawMains:
		full, by, gone = 1, phrase.M("ready.by_capacity"), s.lostFor
	case s.view.Basis == power.Reckoned:
		full, by = s.view.Level, phrase.M("ready.by_reckoning")
	default:
		return 0, phrase.Message{}, false // nobody knows how full it is
	}
	if !measured {
		by = phrase.M("ready.by_draw", "by", by, "watts", strconv.FormatFloat(watts, 'f', 0, 64))
	}
	if s.reserve > 0 {
		by = phrase.M("ready.by_reserve", "by", by, "reserve", rounded(s.reserve))
	}
	hours := ((full-keep)*s.capacity-s.reserve)/watts - gone.Hours()
	return time.Duration(min(max(0, hours), lasting.Hours()) * float64(time.Hour)), by, true
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
			x.watts += (*watts - x.watts) * (1 - math.Exp(-d.Seconds()/power.LoadOver.Seconds()))
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

// measured is what points say of the supply now, what is not good left out.
func (h *House) measured(plan *PowerPlan, now clock.Stamp) power.Sample {
	x := power.Sample{Now: now}
	h.mu.RLock()
	defer h.mu.RUnlock()
	value := func(r profile.Role) *float64 {
		i := plan.Points[r]
		if i == nil {
			return nil
		}
		v, ok := h.latest[i.ID].fresh(i.Limit, now)
		if !ok {
			return nil
		}
		if i.Unit == "mV" || i.Unit == "mA" {
			v /= 1000
		}
		return &v
	}
	x.Volts, x.Charge, x.Runtime = value(profile.Battery), value(profile.Charge), value(profile.Runtime)
	watts := func(r profile.Role) *float64 {
		v := value(r)
		if v == nil || plan.Points[r].Unit == "W" {
			return v
		}
		if x.Volts == nil {
			return nil // amperes of an unknown voltage
		}
		w := math.Abs(*v) * *x.Volts
		return &w
	}
	is := func(v *float64, on bool) *bool {
		if v == nil {
			return nil
		}
		b := (*v != 0) == on
		return &b
	}
	x.Drawn, x.Harvest = watts(profile.Drawn), watts(profile.Solar)
	x.Mains, x.Failing = is(value(profile.Mains), true), is(value(profile.Failing), true)
	if m := is(value(profile.MainsLost), false); m != nil {
		x.Mains = m
	}
	return x
}

// power tells the page how the supply stands, and how long a battery lasts as far as that can be known.
func (h *House) power(s shown) api.Power {
	plan := s.bp.Power
	x := supply{now: h.clock.Now()}
	if plan != nil {
		site := plan.site(s.bp.Doc.Site.Site.At)
		x.capacity, x.draw, x.usable, x.reserve = site.Capacity, site.Draw, site.Usable, site.Reserve()
		m := h.measured(plan, x.now)
		x.volts, x.charge, x.runtime, x.mains = m.Volts, m.Charge, m.Runtime, m.Mains
		x.watts, x.sawMains, x.lostFor = h.supplied.see(x.now.Mono, m.Drawn, m.Mains)
		x.view, _ = h.economy.stands()
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
		p.Line = api.TextOf(s.also(phrase.M("ready.lasts_unknown", "what", what)))
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
		p.Line = api.TextOf(s.also(phrase.M("ready.would_last", "what", what, "for", length)))
	default:
		p.Line = api.TextOf(s.also(phrase.M("ready.lasts", "what", what, "for", length)))
	}
	if s.now.Trust > clock.Free && !s.now.Wall.IsZero() {
		t := s.now.Wall.Add(left)
		p.Until = &t
	}
	return p
}

// also adds to a line what the room that keeps house has to say: that it will not last, and what is off.
func (s supply) also(line phrase.Message) phrase.Message {
	if s.view.Short() && s.view.State > power.Mains {
		line = phrase.M("ready.short", "line", line, "need", spanText(s.view.Need.Round(time.Hour)))
	}
	if len(s.view.Shed) > 0 {
		line = phrase.M("ready.shedding", "line", line, "loads", loadNames(s.view.Shed))
	}
	return line
}
