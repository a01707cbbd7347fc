package station

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/announce"
)

func TestWhatTheDeskWouldRefuseIsAProblemOfTheSite(t *testing.T) {
	for what, f := range map[string][2]string{
		"a": {"outputs: [\"*\"]", "outputs: [\"horn-*\"]"},
		"b": {"least: 1", "least: 2"},
	} {
		dir := t.TempDir()
		os.MkdirAll(filepath.Join(dir, "plans"), 0o755)
		os.WriteFile(filepath.Join(dir, "plans/town.yaml"), []byte(townPlan), 0o644)
		os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(modelSite), 0o644)
		b, _ := os.ReadFile("../../configs/order-bounds.yaml")
		s := strings.Replace(string(b), f[0], f[1], 1)
		if s == string(b) {
			t.Fatal(what)
		}
		os.WriteFile(filepath.Join(dir, "order-bounds.yaml"), []byte(s), 0o644)
		_, ps := Load(filepath.Join(dir, "site.yaml"))
		if !config.Fatal(ps) {
			t.Error(what, "proved")
		}
		for _, p := range ps {
			t.Log(p.In(phrase.EN))
		}
	}
}

func TestAKeyThatWasNotSeenHeldRaisesNothing(t *testing.T) {
	h := modelHouse(t, t.TempDir())
	h.build()
	h.keys = []keyWatch{{plan: InputPlan{Name: "key", Level: 2, Hold: time.Second}, point: "relay.in2"}}
	r := func(q point.Quality, v float64, d time.Duration) {
		h.watchKeys(point.Reading{Point: "relay.in2", Quality: q, Value: v, At: clock.Stamp{Mono: d, Boot: "a"}})
	}
	r(point.Good, 0, 0)
	r(point.Good, 1, 100*time.Millisecond)
	r(point.CommFault, 0, 200*time.Millisecond)
	r(point.Good, 1, 5*time.Second)
	if len(h.alarms.Open()) != 0 {
		t.Error("raised")
	}
	r(point.Good, 1, 6100*time.Millisecond)
	if len(h.alarms.Open()) != 1 {
		t.Error("held, and not raised")
	}
}
func TestAPersonMayEndAnAlarmWhoseRuleIsGone(t *testing.T) {
	dir := t.TempDir()
	h := modelHouse(t, dir)
	h.build()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go h.decide(ctx, h.dog.Proof("decide", time.Minute))
	h.do(func() { h.judge(rule.Verdict{Hazard: "gas", Level: 2, At: h.clock.Now()}) })
	os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(strings.Replace(modelSite, "  gas:\n    name", "  methane:\n    name", 1)), 0o644)
	h.reload(ctx)
	if !calls(h, "rule gas") {
		t.Errorf("nobody is told: %+v", h.Faults())
	}
	a := h.seen().open[0]
	if len(h.announcer.Sounding()) != 1 {
		t.Error("silent")
	}
	if err := h.Release(a.ID, struct {
		Name string `json:"name"`
		Via  string `json:"via"`
	}{"王", "page"}, "x"); err != nil {
		t.Error(err)
	}
	if calls(h, "rule gas") {
		t.Errorf("still called: %+v", h.Faults())
	}
}

// calls tells whether a thing is called as a fault.
func calls(h *House, thing string) bool {
	for _, f := range h.Faults() {
		if f.Thing == thing {
			return true
		}
	}
	return false
}

func TestDamagedMemorySilencesNothing(t *testing.T) {
	h := modelHouse(t, t.TempDir())
	h.build()
	<-h.journal.Loaded()
	h.journal.Commit(journal.Batch{State: map[string][]byte{keyHalted: []byte("null"), keyRules: []byte(`{"version":1,"rules":{"gas":[{"point":"gas.ch4","on":[true]}]}}`),
		keyAlarms: []byte(`{"version":1,"open":[{"id":"a9","hazard":"gas","level":200,"state":"x"}]}`)}})
	h.resume(h.restore())
	s := h.announcer.Sounding()
	if len(s) != 1 || s[0].Phase != announce.Speaking {
		t.Errorf("%+v", s)
	}
	h.stopped(struct {
		Name string `json:"name"`
		Via  string `json:"via,omitempty"`
	}{"a", "b"}, h.clock.Now())
}
func TestASlowDiskForgetsNoAlarm(t *testing.T) {
	h := modelHouse(t, t.TempDir())
	h.build()
	<-h.journal.Loaded()
	old := `{"version":1,"open":[{"id":"old","hazard":"by-hand","level":1,"state":"raised"}]}`
	h.journal.Put(keyAlarms, []byte(old))
	h.recalls = false // not yet
	h.judge(rule.Verdict{Hazard: "gas", Level: 2, At: h.clock.Now()})
	if b, _ := h.journal.Get(keyAlarms); string(b) != old {
		t.Errorf("%s", b)
	}
	h.resume(h.restore())
	if n := len(h.announcer.Sounding()); n != 2 {
		t.Error(n)
	}
}

// A new siren in the file, its plan names it, SIGHUP: the old siren must sound.
func TestAReloadWithANewOutputKeepsTheOldSirenOrdered(t *testing.T) {
	dir := t.TempDir()
	h := modelHouse(t, dir)
	if err := h.build(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pr := h.dog.Proof("decide", time.Minute)
	go h.decide(ctx, pr)
	os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(strings.Replace(modelSite, "outputs:\n", "outputs:\n  horn: {kind: electronic, relay: relay.2, fail_safe: 30s}\n", 1)), 0o644)
	os.WriteFile(filepath.Join(dir, "plans/town.yaml"), []byte(strings.ReplaceAll(townPlan, "duty:", "outputs: [siren, horn], duty:")), 0o644)
	h.reload(ctx)
	h.do(func() { h.judge(rule.Verdict{Hazard: "gas", Level: 2, At: h.clock.Now()}) })
	s := h.announcer.Sounding()
	if len(s) != 1 || s[0].Phase != announce.Speaking {
		t.Errorf("%+v", s)
	}
}
