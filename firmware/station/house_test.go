package station

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/hwtest/line"
	"tocsin/hwtest/storm"
)

func TestACrossingSoundsAndLeavesATruthfulReceipt(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.start()
	began := time.Now()
	w.v.Gas.Set(gasPrepare)
	a := w.raised("gas", "prepare")
	w.sounds(began)
	if w.v.Horn.Current().OnBetween(time.Time{}, began) > 0 {
		t.Error("it sounded before")
	}
	heard := w.recorded("receipt.heard", a.ID)
	if heard.Body["measured"] != "current" || heard.Body["output"] != "siren" || heard.Body["kind"] != "real" {
		t.Errorf("heard: %v", heard.Body)
	}
	// From the raise to the receipt: one cause, in this order of time, one order.
	// The journal comes behind the sound, so that its own order may differ.
	at := map[string]time.Duration{}
	orders := map[any]bool{}
	for _, r := range w.journal() {
		if r.Cause != a.ID {
			if r.Cause != "" {
				t.Errorf("another cause: %+v", r)
			}
			continue
		}
		if _, twice := at[r.Kind]; !twice {
			at[r.Kind] = r.Mono
		}
		if o, ok := r.Body["order"]; ok && o != "" {
			orders[o] = true
		}
	}
	last := time.Duration(0)
	for _, kind := range []string{"alarm.raised", "receipt.ordered", "receipt.started", "receipt.heard"} {
		if t0, there := at[kind]; !there || t0 < last {
			t.Errorf("%s (there: %v) at %v, after %v: %v", kind, there, t0, last, at)
		} else {
			last = t0
		}
	}
	if len(orders) != 1 {
		t.Errorf("orders of one sounding: %v", orders)
	}
	var s api.Soundings
	if err := w.get("/soundings", &s); err != nil || len(s.Now) != 1 || s.Now[0].Cause != a.ID || len(s.Last) == 0 || s.Last[0].State != "heard" {
		t.Errorf("%v %+v", err, s)
	}
	// Broken wire: the next receipt must not say that it was heard.
	w.v.Horn.Break(true)
	w.faulty("output siren no_current", []string{"siren"}, []string{"siren"})
}

func TestStopSilencesTheSoundAndNotTheLevel(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.start()
	w.crosses()
	a, _ := w.alarm("gas")
	pressed := time.Now()
	w.post("/stop", map[string]string{"who": "王建国"})
	off := w.silent()
	if still, ok := w.alarm("gas"); !ok || still.ID != a.ID || still.Level != "prepare" || still.State != "raised" {
		t.Errorf("after STOP: %+v %v", still, ok)
	}
	// Nobody acknowledged: it sounds again.
	w.sounds(off.Add(500 * time.Millisecond))
	if on, _ := w.v.Horn.Current().FirstOn(off.Add(500 * time.Millisecond)); on.Sub(pressed) < resound-time.Second {
		t.Errorf("it sounds again %v after STOP, not after %v", on.Sub(pressed), resound)
	}
	stop := w.recorded("operator.stop", "")
	if stop.Who == nil || stop.Who.Name != "王建国" {
		t.Errorf("who stopped: %+v", stop)
	}
	w.recorded("receipt.stopped", a.ID)

	// Taken in hand and stopped: it stays silent beyond its resound.
	w.post("/alarms/"+a.ID+"/acknowledge", map[string]string{"who": "李梅"})
	w.post("/stop", map[string]string{"who": "李梅"})
	// An on that was on the wire when STOP came may still arrive, and is undone.
	time.Sleep(2 * time.Second)
	off = w.silent()
	time.Sleep(time.Until(off.Add(resound + 2*time.Second)))
	if d := w.v.Horn.Current().OnBetween(off, time.Now()); d > 0 {
		t.Errorf("acknowledged and stopped, it sounded for %v", d)
	}
	if now, _ := w.alarm("gas"); now.State != "acknowledged" || now.Level != "prepare" {
		t.Errorf("%+v", now)
	}

	// A higher level sounds in spite of STOP, under the same id.
	w.v.Gas.Set(gasEvacuate)
	if b := w.raised("gas", "evacuate"); b.ID != a.ID {
		t.Errorf("escalated as %s, was %s", b.ID, a.ID)
	}
	w.sounds(off.Add(resound + 2*time.Second))
	w.recorded("alarm.escalated", a.ID)
}

func TestAFaultHoldsTheLevel(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.start()
	w.crosses()
	a, _ := w.alarm("gas")
	held := func(when string) {
		t.Helper()
		if b, ok := w.alarm("gas"); !ok || b.ID != a.ID || b.Level != "prepare" || b.State != "raised" {
			t.Fatalf("%s: %+v %v", when, b, ok)
		}
	}
	w.v.Gas.Fault(true)
	w.until("sensor fault", func() bool { return w.reading("gas.ch4").Quality == point.SensorFault })
	held("probe broken")
	w.recorded("hazard.blind", a.ID)
	w.faulty("hazard gas", []string{"全部测点失去数据"}, []string{"no gauge is good any more"})
	w.v.Field.SetFault(storm.UnitGas, line.Fault{Dead: true})
	w.until("no answer", func() bool { return w.reading("gas.ch4").Quality == point.CommFault })
	held("dead")
	if r := w.reading("gas.ch4"); r.Value != nil {
		t.Errorf("a dead gauge has the value %v", *r.Value)
	}
	from := time.Now()
	w.sounds(from)
	w.v.Field.ClearFault(storm.UnitGas)
	w.v.Gas.Fault(false)
	w.v.Gas.Set(gasCalm)
	w.until("subsided, not released", func() bool { b, ok := w.alarm("gas"); return ok && b.ID == a.ID && b.State == "subsided" })
	w.silent()
}

func TestTheKeyWorksWithDiskAndPageGone(t *testing.T) {
	for _, how := range []string{"never there", "gone while it runs"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := newTown(t)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			w.listen = l.Addr().String()
			if how == "never there" {
				w.write("file", "")
				w.data = filepath.Join(w.dir, "file", "data")
			}
			w.start()
			if how != "never there" {
				// In one step: the house makes files in it meanwhile.
				if err := os.Rename(w.data, w.data+".gone"); err != nil {
					t.Fatal(err)
				}
				if err := os.RemoveAll(w.data + ".gone"); err != nil {
					t.Fatal(err)
				}
			} else {
				w.until("journal fault", func() bool { _, there := w.fault("journal"); return there })
			}
			w.faulty("page", []string{w.listen}, []string{w.listen})
			began := time.Now()
			w.v.Board.Turn(storm.InputKeyEvacuate, true)
			a := w.raised("by-hand", "evacuate")
			w.sounds(began)
			if a.By == nil || a.By.Name != "村部钥匙" || a.By.Via != "key" {
				t.Errorf("by: %+v", a.By)
			}
			w.v.Board.Turn(storm.InputKeyEvacuate, false)
			// And the button silences it.
			w.v.Board.Hold(storm.InputStop, 2*time.Second)
			w.silent()
		})
	}
}

func TestReloadRestartsOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.start()
	w.until("the lines were asked", func() bool { return w.line("field").Asked > 20 && w.line("out").Asked > 20 })
	field, out := w.line("field").Asked, w.line("out").Asked

	// A file with a problem changes nothing but one fault.
	w.edit("every: 300ms", "every: 400ms", "gas.ch4, prepare: 20 %LEL", "gas.ch4, prepare: 20 kPa")
	w.hangUp()
	w.faulty("site file", []string{"site.yaml:", "新配置有误，仍按原配置运行", "%LEL"}, []string{"site.yaml:", "the old one stays in force", "%LEL"})
	if f, o := w.line("field").Asked, w.line("out").Asked; f < field || o < out {
		t.Errorf("a bad file restarted a line: field %d → %d, out %d → %d", field, f, out, o)
	}

	// A good one takes the lines over that differ, and the rules.
	w.edit("every: 300ms", "every: 400ms", "prepare: 20 %LEL", "prepare: 25 %LEL")
	out = w.line("out").Asked
	w.hangUp()
	r := w.recorded("system.reloaded", "")
	if s := fmt.Sprint(r.Body["lines_started"], r.Body["lines_stopped"]); s != "[field] [field]" {
		t.Errorf("started and stopped: %s", s)
	}
	w.mended("site file")
	if o := w.line("out").Asked; o < out {
		t.Errorf("the other line's counters begin anew: %d → %d", out, o)
	}
	w.until("the changed line is asked", func() bool { return w.line("field").Asked > 5 })
	w.v.Gas.Set(22)
	w.until("the new line reads", func() bool { r := w.reading("gas.ch4"); return r.Value != nil && *r.Value == 22 })
	time.Sleep(time.Second)
	if a, ok := w.alarm("gas"); ok {
		t.Errorf("the old threshold still counts: %+v", a)
	}
	w.crosses()
}

func TestARestartResumesUnderTheSameID(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.start()
	w.crosses()
	a, _ := w.alarm("gas")
	again := func() time.Time {
		t.Helper()
		w.halt()
		w.silent() // outputs do not outlive the house that ended
		at := time.Now()
		w.start()
		if b, ok := w.alarm("gas"); !ok || b.ID != a.ID || b.Level != "prepare" {
			t.Fatalf("after the restart %+v, was %s", b, a.ID)
		}
		return at
	}
	at := again()
	w.sounds(at)

	// Acknowledged and stopped, it stays so.
	w.post("/alarms/"+a.ID+"/acknowledge", map[string]string{"who": "李梅"})
	w.post("/stop", map[string]string{"who": "李梅"})
	w.silent()
	at = again()
	time.Sleep(resound + time.Second)
	if d := w.v.Horn.Current().OnBetween(at, time.Now()); d > 0 {
		t.Errorf("a halted alarm sounded for %v after the restart", d)
	}
	if b, _ := w.alarm("gas"); b.State != "acknowledged" {
		t.Errorf("%+v", b)
	}
	n := 0
	for _, r := range w.journal() {
		if r.Kind == "alarm.raised" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("raised %d times", n)
	}
}

// What sounded again after a STOP sounds at once after a power cut too.
func TestAResoundOutlivesARestart(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.start()
	w.crosses()
	w.post("/stop", map[string]string{"who": "王建国"})
	off := w.silent()
	w.sounds(off.Add(500 * time.Millisecond))
	time.Sleep(1500 * time.Millisecond) // the house looks twice a second
	w.halt()
	// From here on a STOP would last far beyond the test.
	w.write("plans/town.yaml", strings.ReplaceAll(townPlan, "resound: 4s", "resound: 10m"))
	at := time.Now()
	w.start()
	w.sounds(at)
}

// A STOP lasts for its plan's time from the press, however often the box is
// started in between.
func TestARestartLengthensNoStop(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.write("plans/town.yaml", strings.ReplaceAll(townPlan, "resound: 4s", "resound: 10m"))
	w.start()
	w.crosses()
	a, _ := w.alarm("gas")
	w.post("/stop", map[string]string{"who": "王建国"})
	w.silent()
	w.halt()
	at := time.Now()
	w.start()
	time.Sleep(2 * time.Second)
	if d := w.v.Horn.Current().OnBetween(at, time.Now()); d > 0 {
		t.Errorf("stopped, it sounded for %v after the restart", d)
	}
	w.halt()
	w.remember(keyHalted, func(b []byte) []byte {
		halts := map[string]halt{}
		if err := json.Unmarshal(b, &halts); err != nil || halts[a.ID].At.IsZero() {
			t.Fatalf("%v: %s", err, b)
		}
		x := halts[a.ID]
		x.At = x.At.Add(-10*time.Minute + 5*time.Second)
		out, _ := json.Marshal(map[string]halt{a.ID: x})
		return out
	})
	at = time.Now()
	w.start()
	w.sounds(at)
}

func TestAKeyLeftTurnedSoundsNothingAtTheStart(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.v.Board.Turn(storm.InputKeyEvacuate, true)
	w.start()
	w.until("the key is seen", func() bool { r := w.reading("relay.in2"); return r.Value != nil && *r.Value == 1 })
	time.Sleep(2500 * time.Millisecond) // its hold is one second
	if a, ok := w.alarm("by-hand"); ok {
		t.Fatalf("raised: %+v", a)
	}
	if ev := w.v.Horn.Current().Events(); len(ev) > 0 {
		t.Fatalf("it sounded: %v", ev)
	}
	w.v.Board.Turn(storm.InputKeyEvacuate, false)
	w.until("let go", func() bool { r := w.reading("relay.in2"); return r.Value != nil && *r.Value == 0 })
	w.v.Board.Turn(storm.InputKeyEvacuate, true)
	w.raised("by-hand", "evacuate")
}
