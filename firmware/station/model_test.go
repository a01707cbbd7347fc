package station

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/announce"
	"tocsin/firmware/sound/order"
)

const modelSite = `version: 1
site: {id: "441882103201", name: {zh: 黄渡村, en: Huangdu}, datum: 1985, languages: [cmn]}
lines:
  field: {port: /dev/null/x, baud: 9600}
devices:
  gas:      {profile: generic-ch4-rs485, line: field, unit: 4, every: 300ms}
  relay:    {profile: generic-relay-8in-8out, line: field, unit: 11, every: 250ms}
outputs:
  siren: {kind: electronic, relay: relay.1, sensed_by: relay.in5, sense: current, cut_by: relay.8, fail_safe: 30s}
inputs:
  key:    {input: relay.in2, means: evacuate, name: 村部钥匙}
rules:
  gas:
    name: {zh: 甲烷, en: methane}
    set_by: {name: 台架, date: 2026-05-12}
    any_of: [{point: gas.ch4, prepare: 20 %LEL, evacuate: 40 %LEL, clear_below: 10 %LEL, for: 0s}]
plan: town
page: {listen: "off"}
`

func modelHouse(t *testing.T, dir string) *House {
	write := func(name, text string) {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
	}
	write("plans/town.yaml", townPlan)
	write("order-bounds.yaml", shipped(t, "order-bounds.yaml", `orders: \d+`, "orders: 500"))
	write("site.yaml", modelSite)
	bp, ps := Load(filepath.Join(dir, "site.yaml"))
	if config.Fatal(ps) {
		for _, p := range ps {
			t.Error(p.In(phrase.EN))
		}
		t.FailNow()
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	h := &House{o: Opts{Data: dir, Log: log}, log: log, dog: &guard.Watchdog{}, bp: bp, alarms: alarm.New(), blindly: map[string]clock.Stamp{}, halted: map[string]halt{}, badAt: map[string]time.Duration{},
		readings: make(chan []point.Reading, 256), acts: make(chan func(), 64), noted: make(chan func(), 1024),
		latest: map[point.ID]*spot{}, faults: map[string]fault{}, lines: lineSet{lines: map[string]*running{}}}
	ctx, cancel := context.WithCancel(context.Background())
	h.guard = guard.New(ctx, log, nil)
	t.Cleanup(func() {
		cancel()
		if left := h.guard.Wait(10 * time.Second); left != nil {
			t.Errorf("still running: %v", left)
		}
	})
	h.clock = clock.NewSystem(time.Time{}, clock.Set)
	h.begun = h.clock.Now()
	var err error
	h.journal, err = journal.Open(filepath.Join(dir, "data"), journal.Opts{Guard: h.guard, Clock: h.clock, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if h.engine, err = rule.New(bp.Rules, bp.Sources, h.begun); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestNoOrderOfActsLeavesALevelSilent(t *testing.T) {
	dir := t.TempDir()
	h := modelHouse(t, dir)
	<-h.journal.Loaded()
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		h.alarms, h.halted = alarm.New(), map[string]halt{}
		if err := h.build(); err != nil {
			r.Fatal(err)
		}
		for _, k := range []string{keyAlarms, keyRules, keyHalted} {
			h.journal.Put(k, nil)
		}
		stopped := map[string]bool{}
		var trace []string
		for range rapid.IntRange(1, 14).Draw(r, "steps") {
			now := h.clock.Now()
			was := map[string]alarm.Alarm{}
			for _, a := range h.alarms.Open() {
				was[a.ID] = a
			}
			op := rapid.SampledFrom([]string{"level", "level", "level", "hand", "stop", "ack", "release", "restart"}).Draw(r, "op")
			switch op {
			case "level":
				l := point.Level(rapid.IntRange(0, 2).Draw(r, "l"))
				op += string(rune('0' + l))
				h.judge(rule.Verdict{Hazard: "gas", Level: l, At: now})
			case "hand":
				h.raise([]string{"prepare", "evacuate"}[rapid.IntRange(0, 1).Draw(r, "h")], alarm.Who{Name: "王", Via: "key"}, "", now)
			case "stop":
				h.stopped(order.Who{Name: "王", Via: "key"}, now)
				for _, a := range h.alarms.Open() {
					if a.Stands() {
						stopped[a.ID] = true
					}
				}
			case "ack":
				for _, a := range h.alarms.Open() {
					if e, err := h.alarms.Acknowledge(a.ID, alarm.Who{Name: "李", Via: "key"}, now); err == nil {
						h.happen(e)
					}
				}
			case "release":
				for _, a := range h.alarms.Open() {
					if e, err := h.alarms.Release(a.ID, alarm.Who{Name: "李", Via: "key"}, "", now); err == nil {
						h.happen(e)
					}
				}
			case "restart":
				h.alarms, h.halted = alarm.New(), map[string]halt{}
				h.build()
				h.resume(h.restore())
			}
			trace = append(trace, op)
			sounding := map[string]announce.Sounding{}
			for _, s := range h.announcer.Sounding() {
				sounding[s.Cause] = s
			}
			for _, a := range h.alarms.Open() {
				old, had := was[a.ID]
				if !had || a.Level > old.Level || !old.Stands() && a.Stands() {
					delete(stopped, a.ID)
				}
				s, there := sounding[a.ID]
				if !a.Stands() {
					if there && s.Level > 0 {
						r.Fatalf("%v: %s sounds at %d and does not stand", trace, a.Hazard, s.Level)
					}
					continue
				}
				switch {
				case !there:
					r.Fatalf("%v: %s stands and nothing sounds", trace, a.Hazard)
				case s.Level != a.Level:
					r.Fatalf("%v: %s stands at %d and sounds at %d", trace, a.Hazard, a.Level, s.Level)
				case s.Phase == announce.Halted && !stopped[a.ID]:
					r.Fatalf("%v: %s is silent and nobody stopped it", trace, a.Hazard)
				case s.Phase != announce.Halted && stopped[a.ID] && op != "restart":
					r.Fatalf("%v: %s sounds though it was stopped", trace, a.Hazard)
				case s.Phase == announce.Halted && a.State == alarm.Raised && s.Until.IsZero():
					r.Fatalf("%v: %s is silent for ever and nobody acknowledged", trace, a.Hazard)
				}
			}
		}
	})
	_ = context.Background
	_ = strings.Join
}
