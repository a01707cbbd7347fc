package station

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/serve/api"
)

func TestADoorThatNobodyAnnouncedIsTamperingAndSoundsNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.edit("plan: town\n", "plan: town\nbox: {door: [relay.in7], water: [relay.in8]}\n")
	w.write("guard.yaml", shipped(t, "guard.yaml", `water: \{after: 5s, clears: 10m\}`, "water: {after: 1s, clears: 2s}"))
	w.start()
	began := time.Now()
	w.v.Board.Turn(6, true)
	w.faulty("box door relay.in7", []string{"箱门被打开", "没有人报过检修"}, []string{"the box's door was opened"})
	w.recorded("box.tamper", "")
	w.v.Board.Turn(7, true)
	w.faulty("box water relay.in8", []string{"箱内进水"}, []string{"water in the box"})
	// The county hears of both with how the box stands.
	h := w.house.Load()
	said := 0
	for _, f := range h.standing(h.clock.Now(), 0, 0).Faults {
		if strings.HasPrefix(f.Thing, "box ") {
			said++
		}
	}
	if said != 2 {
		t.Errorf("%d of them are told to the county", said)
	}
	if on := w.v.Horn.Current().OnBetween(began, time.Now()); on > 0 {
		t.Errorf("it sounded for %v", on)
	}
	if len(h.Alarms()) != 0 {
		t.Errorf("alarms: %+v", h.Alarms())
	}
	w.v.Board.Turn(6, false)
	w.mended("box door relay.in7")
	w.recorded("box.shut", "")
	w.v.Board.Turn(7, false)
	w.mended("box water relay.in8")

	// Announced work is no tampering.
	if _, err := h.Maintain(api.MaintenanceAsk{Minutes: 10, Why: "换电池"}, api.Who{Name: "李梅", Via: "page"}); err != nil {
		t.Fatal(err)
	}
	w.v.Board.Turn(6, true)
	w.faulty("box door relay.in7", []string{"李梅 正在检修"}, []string{"李梅 is at work"})
	tampered := 0
	for _, r := range w.journal() {
		if r.Kind == "box.tamper" {
			tampered++
		}
	}
	if tampered != 1 {
		t.Errorf("%d times tampered", tampered)
	}
}

func TestABoxThatFeelsItsLoopOpenIsNotReady(t *testing.T) {
	h := modelHouse(t, t.TempDir())
	h.build()
	h.show()
	h.bp.Senses = []SensePlan{{Role: profile.Loop, Point: "relay.in7", Limit: 5 * time.Second, Output: "siren"},
		{Role: profile.DoorShut, Point: "relay.in8", Limit: 5 * time.Second}, {Role: profile.Tilt, Point: "gas.ch4", Limit: 5 * time.Second, Most: 5}}
	x := &senses{h: h}
	now := h.clock.Now()
	say := func(id point.ID, v float64, q point.Quality) {
		h.latest[id] = &spot{id: id, last: point.Reading{Point: id, Value: v, Quality: q, At: now}}
	}
	pass := func(d time.Duration) {
		for range int(d / sensesLook) {
			now = now.Add(sensesLook)
			for _, s := range h.latest {
				s.last.At = now
			}
			x.look(now)
		}
	}
	say("relay.in7", 0, point.Good)
	say("relay.in8", 1, point.Good)
	say("gas.ch4", 4.9, point.Good)
	pass(time.Minute)
	if f := h.Faults(); len(f) != 0 {
		t.Fatalf("%+v", f)
	}
	say("relay.in7", 1, point.Good)
	say("relay.in8", 0, point.Good)
	say("gas.ch4", -5.1, point.Good)
	pass(time.Minute)
	for _, thing := range []string{"output siren loop_open", "box door relay.in8", "box tilt gas.ch4"} {
		if !calls(h, thing) {
			t.Errorf("%s is not called: %+v", thing, h.Faults())
		}
	}
	if r := h.Readiness(); r.Outputs[0].Able || r.Outputs[0].Why == nil || !strings.Contains(r.Outputs[0].Why.ZH, "喇叭回路断开") {
		t.Errorf("ready: %+v", r)
	}
	// A dead line shuts no door and mends no loop.
	say("relay.in7", 0, point.CommFault)
	say("relay.in8", 1, point.CommFault)
	pass(time.Hour)
	if !calls(h, "output siren loop_open") || !calls(h, "box door relay.in8") {
		t.Errorf("%+v", h.Faults())
	}
	say("relay.in7", 0, point.Good)
	say("relay.in8", 1, point.Good)
	say("gas.ch4", 0, point.Good)
	pass(10 * time.Minute)
	if f := h.Faults(); len(f) != 0 {
		t.Errorf("%+v", f)
	}
}

func TestWhatTheBoxFeelsIsProved(t *testing.T) {
	for name, c := range map[string]struct{ box, code string }{
		"no such point":       {"{door: [relay.in99]}", "site.no_point"},
		"a measured value":    {"{water: [gas.ch4]}", "site.box_contact"},
		"twice":               {"{door: [relay.in7], water: [relay.in7]}", "site.box_twice"},
		"too far":             {"{tilt_most: 60}", "site.box_tilt"},
		"a siren has no loop": {"{loop: {siren: relay.in7}}", "site.no_output"},
		"right":               {"{door: [relay.in7], door_shut: [relay.in8]}", ""},
	} {
		dir := t.TempDir()
		os.MkdirAll(filepath.Join(dir, "plans"), 0o755)
		os.WriteFile(filepath.Join(dir, "plans/town.yaml"), []byte(townPlan), 0o644)
		os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(modelSite+"box: "+c.box+"\n"), 0o644)
		_, ps := Load(filepath.Join(dir, "site.yaml"))
		found := c.code == "" && !config.Fatal(ps)
		for _, p := range ps {
			if p.Message.Code == c.code && strings.Contains(p.In(phrase.EN), "site.yaml:19:") {
				found = true
			}
		}
		if !found {
			for _, p := range ps {
				t.Error(name, p.Message.Code, p.In(phrase.ZH))
			}
			t.Error(name, "not as it should be")
		}
	}
}
