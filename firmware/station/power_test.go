package station

import (
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/sense/profile"
)

func TestHowLongABatteryLastsIsKnownOrSaidToBeUnknown(t *testing.T) {
	f := func(v float64) *float64 { return &v }
	on, off := true, false
	for name, c := range map[string]struct {
		s    supply
		want time.Duration
		by   string // "" where it is not known
	}{
		"nothing":                        {supply{}, 0, ""},
		"the supply says it itself":      {supply{runtime: f(1500), capacity: 1200, draw: 10, usable: 80}, 25 * time.Minute, "ready.by_supply"},
		"charge and load measured":       {supply{charge: f(70), watts: f(10), capacity: 1200, usable: 80}, 60 * time.Hour, "ready.by_charge"},
		"charge, load as configured":     {supply{charge: f(70), draw: 20, capacity: 1200, usable: 80}, 30 * time.Hour, "ready.by_draw"},
		"below what may be drawn":        {supply{charge: f(10), watts: f(10), capacity: 1200, usable: 80}, 0, "ready.by_charge"},
		"mains there, full":              {supply{mains: &on, draw: 12, capacity: 1200, usable: 50}, 50 * time.Hour, "ready.by_draw"},
		"mains gone an hour":             {supply{mains: &off, sawMains: true, lostFor: time.Hour, watts: f(12), capacity: 1200, usable: 50}, 49 * time.Hour, "ready.by_capacity"},
		"mains gone before it began":     {supply{mains: &off, watts: f(12), capacity: 1200, usable: 50}, 0, ""},
		"no capacity":                    {supply{charge: f(70), watts: f(10), usable: 80}, 0, ""},
		"no load":                        {supply{charge: f(70), capacity: 1200, usable: 80}, 0, ""},
		"a voltage alone tells nothing":  {supply{volts: f(12.6), capacity: 1200, draw: 10, usable: 80}, 0, ""},
		"nothing is drawn, as it seems":  {supply{charge: f(70), watts: f(0), capacity: 1200, usable: 80}, 0, ""},
		"no more than anybody can know":  {supply{charge: f(100), watts: f(0.1), capacity: 1e6, usable: 80}, lasting, "ready.by_charge"},
		"the supply's own word is spent": {supply{runtime: f(0), mains: &off}, 0, ""},
	} {
		left, by, ok := c.s.lasts()
		if ok != (c.by != "") || by.Code != c.by || (left-c.want).Abs() > time.Second {
			t.Errorf("%s: %v %s (%v)", name, left, by.Code, ok)
		}
	}
}

func TestWhatIsDrawnIsAveragedAndMainsIsRemembered(t *testing.T) {
	var x supplied
	f := func(v float64) *float64 { return &v }
	on, off := true, false
	if _, saw, _ := x.see(0, f(10), &off); saw {
		t.Error("mains was never there")
	}
	x.see(time.Second, f(10), &on)
	// A siren of 100 W for ten seconds is no load of the night.
	w, _, _ := x.see(11*time.Second, f(100), &on)
	if *w < 10 || *w > 12 {
		t.Errorf("%.1f W", *w)
	}
	w, saw, lost := x.see(3*time.Hour, f(30), &off)
	if !saw || lost != 0 || *w < 29 {
		t.Errorf("%v %v %.1f", saw, lost, *w)
	}
	if _, _, lost = x.see(4*time.Hour, nil, &off); lost != time.Hour {
		t.Errorf("gone for %v", lost)
	}
	if _, _, lost = x.see(5*time.Hour, nil, &on); lost != 0 {
		t.Errorf("there, and gone for %v", lost)
	}
}

func TestTheLineTellsUntilWhenOrHowItWouldBeKnown(t *testing.T) {
	f := func(v float64) *float64 { return &v }
	off := false
	wall := time.Date(2026, 7, 1, 22, 40, 0, 0, time.UTC)
	s := supply{now: clock.Stamp{Wall: wall, Trust: clock.Free + 1}, mains: &off, charge: f(70), volts: f(12.4), watts: f(10), capacity: 1200, usable: 80}
	plan := &PowerPlan{Points: map[profile.Role]*PointInfo{profile.Charge: {}, profile.Drawn: {}}, Config: config.Power{Capacity: 1200}}
	p := s.told(plan)
	if p.Until == nil || !p.Until.Equal(wall.Add(60*time.Hour)) || !strings.Contains(p.Line.ZH, "还能用约 60 小时") || !strings.Contains(p.Line.EN, "12.4 V, 70 %") {
		t.Errorf("%+v", p)
	}
	s.now.Trust = clock.Free
	if p := s.told(plan); p.Until != nil || p.Left == 0 {
		t.Errorf("until a time that nobody knows: %+v", p)
	}
	for code, plan := range map[string]*PowerPlan{
		"power":       nil,
		"capacity_wh": {Points: map[profile.Role]*PointInfo{profile.Battery: {}}},
		"load":        {Points: map[profile.Role]*PointInfo{profile.Battery: {}}, Config: config.Power{Capacity: 1}},
		"charge":      {Points: map[profile.Role]*PointInfo{profile.Battery: {}}, Config: config.Power{Capacity: 1, Draw: 1}},
	} {
		if p := (supply{volts: f(12)}).told(plan); p.Left != 0 || p.Until != nil || p.How == nil || !strings.Contains(p.How.ZH, code) || !strings.Contains(p.Line.EN, "not known") {
			t.Errorf("%s: %+v", code, p)
		}
	}
}

func TestTheSupplysPointsAreTheSitesOrTheProfiles(t *testing.T) {
	site := strings.Replace(whole, "devices:\n", "devices:\n  sun: {profile: renogy-rover, line: west, unit: 7}\n", 1)
	bp, ps := prove(t, site+"power: {capacity_wh: 1200}\n")
	if bp == nil || len(ps) != 0 {
		t.Fatal(ps)
	}
	for role, id := range map[profile.Role]string{profile.Battery: "sun.battery", profile.Charge: "sun.charge_level", profile.Drawn: "sun.load_power"} {
		if i := bp.Power.Points[role]; i == nil || string(i.ID) != id {
			t.Errorf("%s: %+v", role, i)
		}
	}
	for text, code := range map[string]string{
		"power: {battery: sun.nothing}\n":           "site.no_point",
		"power: {battery: sun.charge_level}\n":      "site.power_unit",
		"power: {capacity_wh: -4}\n":                "site.power_number",
		"power: {load_w: 3, charge: sun.battery}\n": "site.power_unit",
	} {
		bp, ps := prove(t, site+text)
		if bp != nil || len(ps) == 0 {
			t.Errorf("%s: it proves", text)
		}
		found := false
		for _, p := range ps {
			found = found || strings.HasPrefix(p.Message.Code, code)
		}
		if !found {
			t.Errorf("%s: %v", text, ps)
		}
	}
	// What is missing for a forecast is said by check.
	_, ps = prove(t, site)
	if len(ps) != 1 || !ps[0].Warning || ps[0].Message.Code != "site.power_forecast" {
		t.Errorf("%v", ps)
	}
	// A contact of a board serves as mains where the site says so.
	bp, ps = prove(t, whole+"power: {mains: relay.in1, capacity_wh: 600, load_w: 12}\n")
	if bp == nil || len(ps) != 0 || bp.Power.Points[profile.Mains] == nil {
		t.Errorf("%v", ps)
	}
}
