package station

import (
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/update"
)

func TestAChangeWhileALevelStandsNeedsANameAndLowersNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.start()
	w.until("the revisions", func() bool { var r api.RevisionText; return w.get("/config/revisions/0", &r) == nil })
	w.v.Gas.Set(gasPrepare)
	a := w.raised("gas", "prepare")
	// A hand at the file has no name: it waits, and is called.
	byHand := strings.Replace(w.text, "prepare: 20 %LEL, evacuate: 40 %LEL, clear_below: 10 %LEL", "prepare: 80 %LEL, evacuate: 90 %LEL, clear_below: 70 %LEL", 1)
	w.write("site.yaml", byHand)
	w.hangUp()
	w.until("it is called", func() bool { f, on := w.fault("site file"); return on && f.Why.Code == "station.reload_level" })
	if got := w.house.Load().seen().bp.Doc.Source; string(got) != w.text {
		t.Fatal("taken over while a level stood")
	}
	w.write("site.yaml", w.text)
	w.hangUp()
	w.mended("site file")
	// A named person's change goes on. Its thresholds would not have raised the level.
	p := api.Proposal{Base: w.base().Number, Document: byHand, Who: "王工", Why: "探头更换"}
	if code := w.asks("/config", p, nil); code != "" {
		t.Fatal(code)
	}
	w.until("it is in force", func() bool { return string(w.house.Load().seen().bp.Doc.Source) == byHand })
	w.recorded("alarm.kept", "")
	time.Sleep(2 * time.Second) // the new rule has cleared by now
	if got, ok := w.alarm("gas"); !ok || got.ID != a.ID || got.Level != "prepare" || got.State != "raised" {
		t.Fatalf("the level that stood is %+v", got)
	}
	if code := w.asks("/alarms/"+a.ID+"/release", map[string]string{"who": "王工", "reason": "已测"}, nil); code != "" {
		t.Fatal("a named person cannot give the all-clear:", code)
	}
	// What does not touch what measures pins nothing.
	if all := remeasured(w.house.Load().seen().bp, w.house.Load().seen().bp); len(all) != 0 {
		t.Error("the same is taken for changed:", all)
	}
}

// holding is an installer on trial that is told to go back.
type holding struct {
	update.Installer
	backs int
}

func (i *holding) State() update.State { return update.State{Phase: update.Trial} }
func (i *holding) Back(phrase.Message) error {
	i.backs++
	return nil
}

func TestATrialThatFailsWaitsForALevelsEndButNotForEver(t *testing.T) {
	h := modelHouse(t, t.TempDir())
	h.build()
	i, why := &holding{}, phrase.M("update.unhealthy", "what", "gas.ch4")
	var since clock.Stamp
	h.show()
	h.shown.worst = 2
	if !h.spares(&since) {
		t.Fatal("not spared while a level stands")
	}
	if h.conclude(i, nil, false, why, true); i.backs != 0 {
		t.Fatal("the box restarts in the middle of a level")
	}
	since.Mono -= spareMost
	if h.spares(&since) {
		t.Fatal("spared for ever")
	}
	h.shown.worst = point.Calm
	if h.spares(&since) || since != (clock.Stamp{}) {
		t.Fatal("spared when it is calm")
	}
	if h.conclude(i, nil, false, why, false); i.backs != 1 {
		t.Fatal("it never goes back")
	}
}
