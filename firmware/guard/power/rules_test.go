package power

import (
	"strings"
	"testing"
	"time"

	"tocsin/configs"
)

func shipped(t testing.TB) *Rules {
	t.Helper()
	r, err := LoadRules(configs.FS)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheShippedRulesProve(t *testing.T) {
	r := shipped(t)
	lead := r.Chemistries["lead"]
	for volts, want := range map[float64]float64{9: 0.1, 11.51: 0.1, 12.10: 0.5, 12.17: 0.55, 12.73: 1, 14: 1} {
		if got := lead.Charge(volts); got < want-0.001 || got > want+0.001 {
			t.Errorf("%.2f V: %.3f, want %.3f", volts, got, want)
		}
	}
}

func TestAFaultInTheRulesIsNamedWithItsPlace(t *testing.T) {
	b, err := configs.FS.ReadFile(RulesName)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, by, says string }{
		"unknown key":              {"version: 1", "version: 1\nmost: 3", "most"},
		"older version":            {"version: 1", "version: 0", "version 0"},
		"no reserve":               {"for: 30m", "for: 0s", "reserve.for"},
		"a siren in the order":     {"what: bulk", "what: siren", "siren"},
		"twice":                    {"what: recording", "what: bulk", "bulk"},
		"later before sooner":      {"{what: bulk, at: prepare", "{what: bulk, at: critical", "order.2"},
		"only when it is too late": {"{what: probes, at: critical", "{what: probes, at: brown-out", "order.5"},
		"always off":               {"{what: bulk, at: prepare", "{what: bulk, at: mains", "order.1"},
		"a table that falls":       {"[12.10, 50]", "[12.10, 30]", "lead"},
		"no source":                {"source: recalled from Trojan Battery Company's User's Guide (charge by open-circuit voltage, 12 V); hold it against your battery's sheet", `source: ""`, "lead"},
		"critical over low":        {"low: 45", "low: 20", "chemistries.lead.critical"},
		"a factor of one":          {"factor: 6", "factor: 1", "factor"},
		"not a number":             {"margin: 25", "margin: .nan", "reserve.margin"},
	} {
		text := strings.Replace(string(b), c.old, c.by, 1)
		if text == string(b) {
			t.Errorf("%s: the file has no %q", name, c.old)
			continue
		}
		if _, err := ParseRules([]byte(text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseRules(f *testing.F) {
	b, _ := configs.FS.ReadFile(RulesName)
	f.Add(b)
	f.Add([]byte("version: 1\norder: [{what: bulk, at: low}]\nchemistries: {x: {rest: [[1, 2], [0, 3]]}}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRules(b)
		if err != nil {
			return
		}
		for _, c := range r.Chemistries {
			for v := -1.0; v < 20; v += 0.3 {
				if q := c.Charge(v); !(q >= 0 && q <= 1) {
					t.Fatalf("%v V is %v", v, q)
				}
			}
		}
		if r.Reserve.For < ReserveLeast || r.Dwell.Worse <= 0 {
			t.Fatal("what proves keeps no reserve")
		}
	})
}

// Times as almanacs print them, to the minute.
func TestTheSunRisesWhenItDoes(t *testing.T) {
	utc := func(s string) time.Time {
		x, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for name, c := range map[string]struct {
		lat, lon    float64
		after, want string
	}{
		"Hong Kong, midsummer":    {22.30, 114.17, "2026-06-20 18:00", "2026-06-20 21:40"},
		"Hong Kong, midwinter":    {22.30, 114.17, "2026-12-21 12:00", "2026-12-21 22:58"},
		"just after it rose":      {22.30, 114.17, "2026-12-21 23:30", "2026-12-22 22:58"},
		"Beijing, midsummer":      {39.90, 116.40, "2026-06-20 18:00", "2026-06-20 20:46"},
		"Beijing, midwinter":      {39.90, 116.40, "2026-12-20 12:00", "2026-12-20 23:32"},
		"Greenwich at an equinox": {51.48, 0, "2026-03-20 00:00", "2026-03-20 06:03"},
		"Sydney, midsummer":       {-33.87, 151.21, "2026-12-21 12:00", "2026-12-21 18:41"},
	} {
		got, ok := Sunrise(utc(c.after), c.lat, c.lon)
		if d := got.Sub(utc(c.want)).Abs(); !ok || d > 3*time.Minute {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
	if at, ok := Sunrise(utc("2026-12-01 00:00"), 78.2, 15.6); !ok || at.Month() != time.February {
		t.Errorf("Longyearbyen: %v %v", at, ok)
	}
	if d := LongestNight(53.5); d < 16*time.Hour || d > 17*time.Hour {
		t.Errorf("Mohe: %v", d)
	}
	if LongestNight(80) != 24*time.Hour || LongestNight(0) < 11*time.Hour+45*time.Minute || LongestNight(0) > 12*time.Hour {
		t.Error("the pole, the equator")
	}
}
