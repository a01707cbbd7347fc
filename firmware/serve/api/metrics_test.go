package api

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tocsin/firmware/point"
)

// countingBox is a box of which only what a collector asks for is there.
type countingBox struct{ Box }

func (countingBox) Status() Status       { return Status{Armed: true, Level: "prepare", Trust: "gnss"} }
func (countingBox) Faults() []Fault      { return nil }
func (countingBox) Alarms() []Alarm      { return []Alarm{{State: "raised"}} }
func (countingBox) Soundings() Soundings { return Soundings{} }
func (countingBox) Readings() []Reading {
	v := 1.5
	return []Reading{{Point: "river.level", Value: &v, Unit: "m", Quality: point.Good}}
}
func (countingBox) Lines() []Line {
	return []Line{{Name: "west", Up: true, Units: []Unit{{Device: "river", Unit: 2, Asked: 3, Good: 2, Faults: map[string]int64{"timeout": 1}}}}}
}
func (countingBox) UnitCounters() []UnitCounters {
	return []UnitCounters{{Line: "west", Device: "river", Unit: 2, Acts: 2, Done: 1, Held: 3 * time.Second, Wasted: time.Second, Last: time.Now().Add(-time.Minute)}}
}
func (countingBox) PointCounters() []PointCounters {
	return []PointCounters{{Point: "river.level", ByQuality: map[point.Quality]uint64{point.Good: 2, point.CommFault: 1}}}
}

func (countingBox) Times() Times {
	b, why := 40*time.Millisecond, Text{EN: "no"}
	return Times{Source: "ntp", Kind: "ntp", Bound: &b, Sure: true, Sources: []TimeSource{{Name: "ntp", Kind: "ntp", Live: true, Holds: true, Heard: 2 * time.Second}, {Name: "sky", Kind: "gnss", Ahead: -time.Hour, Why: &why}}}
}

func (countingBox) Platforms() []Platform {
	return []Platform{{Name: "home", Up: true, Told: 5, Waiting: 2, Dropped: 1}}
}

func (countingBox) Links() Links {
	quiet := 4 * time.Second
	return Links{County: true, Kept: true, Bytes: 900, Links: []Link{
		{Name: "fibre", State: "up", Quiet: &quiet, Delivery: 0.99, Latency: time.Second, Out: 2, Parcels: 7, Bytes: 800, Acked: 5, Lost: 1, Faults: 1, Probes: 30, Missed: 4},
		{Name: "sms", State: "off", Balance: 10, Full: 15, Spent: 5, Delivery: 0.5}, {Name: "mesh", State: "listening"}},
		Classes: []OutboxClass{{Class: "telemetry", Waiting: 3, Late: 1, Oldest: time.Hour, Posted: 9, Delivered: 6}}}
}

func (countingBox) People(bool) People {
	return People{Modem: &Phone{Link: "sms", Up: true, Made: 4, Answered: 3, Refused: 1}, Rounds: []Round{
		{Alarm: "a-1", Phase: "calling", People: []Reach{{Known: "confirmed"}, {Known: "rang"}, {}}}, {Alarm: "a-2", Phase: "clear", People: []Reach{{Known: "confirmed"}}}}}
}

func told(t *testing.T) map[string]float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(boxCollector{countingBox{}}, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector())
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range all {
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", f.GetName())
		}
		counter := strings.HasSuffix(f.GetName(), "_total")
		for _, m := range f.GetMetric() {
			if strings.HasPrefix(f.GetName(), "tocsin_") && counter != (m.GetCounter() != nil) {
				t.Errorf("%s: only counters end in _total", f.GetName())
			}
			out[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out
}

func TestPeopleAreCountedAndNotNamed(t *testing.T) {
	got := told(t)
	for name, want := range map[string]float64{"tocsin_people_told": 3, "tocsin_phone_calls_total": 8, "tocsin_phone_ready": 2} {
		if got[name] != want {
			t.Errorf("%s: %v", name, got[name])
		}
	}
}

func TestUnitsAndPointsAreCounted(t *testing.T) {
	got := told(t)
	for name, want := range map[string]float64{
		"tocsin_unit_acts_total": 2, "tocsin_unit_acts_done_total": 1, "tocsin_unit_line_seconds_total": 3,
		"tocsin_unit_wasted_seconds_total": 1, "tocsin_point_readings_total": 3, "tocsin_unit_failures_total": 1,
		"tocsin_clock_bound_seconds": 0.04, "tocsin_time_source_holds": 1, "tocsin_time_source_refused": 1, "tocsin_time_source_ahead_seconds": -3600, "tocsin_platform_up": 1, "tocsin_platform_waiting": 2, "tocsin_platform_messages_total": 6,
		"tocsin_link_up": 1, "tocsin_link_state": 3, "tocsin_link_parcels_total": 7, "tocsin_link_probes_total": 30, "tocsin_link_spent_yuan_total": 5, "tocsin_link_balance_full_yuan": 15,
		"tocsin_outbox_waiting": 3, "tocsin_outbox_late": 1, "tocsin_outbox_messages_total": 15, "tocsin_outbox_kept": 1, "tocsin_link_receipt_age_seconds": 4,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if a := got["tocsin_unit_answer_age_seconds"]; a < 60 || a > 120 {
		t.Errorf("the last answer is %v s old", a)
	}
}

// Each figure that the dashboard draws is one that the box tells.
func TestTheDashboardDrawsWhatTheBoxTells(t *testing.T) {
	b, err := os.ReadFile("../../../configs/grafana/tocsin.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Title  string
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	got := told(t)
	drawn := 0
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			for _, name := range regexp.MustCompile(`\b(tocsin|process|go)_[a-z_]+`).FindAllString(q.Expr, -1) {
				drawn++
				if _, ok := got[name]; !ok {
					t.Errorf("%s draws %s, which the box does not tell", p.Title, name)
				}
			}
		}
	}
	if drawn < 15 {
		t.Errorf("only %d figures are drawn", drawn)
	}
}
