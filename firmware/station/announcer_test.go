package station

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/configs"
	"tocsin/firmware/clock"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/speech"
)

// newHandTown is a town with a loudspeaker beside its siren, in a zone of its own.
func newHandTown(t *testing.T) (w *town, horn string) {
	w = newTown(t)
	horn = filepath.Join(w.dir, "horn")
	if err := os.Mkdir(horn, 0o755); err != nil {
		t.Fatal(err)
	}
	w.text = strings.NewReplacer("inputs:\n", "  horn: {kind: loudspeaker, file: "+horn+", zones: [north]}\ninputs:\n",
		"plan: town\n", "plan: town\nannouncer: {test: {most: 20s}, quiet: {from: \"03:00\", to: \"03:00\"}}\n").Replace(w.text)
	w.write("site.yaml", w.text)
	// What is silent for more than a pulse's pause was stopped.
	w.write("tones.yaml", shipped(t, "tones.yaml", `electronic: \[\{on: (1s|2s|500ms), off: (1s|4s|1500ms)\}\]`, "electronic: [{on: 800ms, off: 200ms}]"))
	return w, horn
}

// asks asks the house and gives what it refused by, "" where it did not.
func (w *town) asks(path string, body, into any) (refused string) {
	w.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := w.client().Post("http://edged/api/v1"+path, "application/json", bytes.NewReader(b))
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode >= 300 {
		var p api.Problem
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil || p.Code == "" {
			w.t.Fatalf("%s: %s says nothing", path, r.Status)
		}
		return p.Code
	}
	if into != nil {
		if err := json.NewDecoder(r.Body).Decode(into); err != nil {
			w.t.Fatal(err)
		}
	}
	return ""
}

func TestAMessageIsSaidOnceOnTheLoudspeakersAndRaisesNothing(t *testing.T) {
	t.Parallel()
	w, horn := newHandTown(t)
	w.start()
	var a api.Announcer
	if err := w.get("/announcer", &a); err != nil {
		t.Fatal(err)
	}
	if len(a.Messages) != 4 || len(a.Outputs) != 2 || len(a.Zones) != 1 || a.Evacuate != "evacuate" {
		t.Fatalf("%+v", a)
	}
	for _, m := range a.Messages {
		if m.Words.ZH == "" || m.Words.EN == "" || len(m.Langs) != 1 || len(m.Outputs) != 1 || m.Outputs[0] != "horn" {
			t.Errorf("%+v", m)
		}
	}
	for _, o := range a.Outputs {
		if o.State != "silent" || o.Speaks != (o.ID == "horn") || (o.MeasuredBy == "current") != (o.ID == "siren") {
			t.Errorf("%+v", o)
		}
	}
	var first, second api.Said
	if r := w.asks("/announcer/messages/river", api.SayAsk{Who: "陈志强", Key: "k1"}, &first); r != "" {
		t.Fatal(r)
	}
	if r := w.asks("/announcer/messages/river", api.SayAsk{Who: "陈志强", Key: "k1"}, &second); r != "" || !second.Again || second.Cause != first.Cause {
		t.Errorf("asked twice: %v %+v", r, second)
	}
	for what, x := range map[string]struct {
		id string
		a  api.SayAsk
	}{
		"another message": {a.Messages[1].ID, api.SayAsk{Who: "陈志强", Key: "k1"}},
		"another zone":    {"river", api.SayAsk{Who: "陈志强", Key: "k1", Zones: []string{"north"}}},
		"another output":  {"river", api.SayAsk{Who: "陈志强", Key: "k1", Outputs: []string{"horn"}}},
	} {
		if r := w.asks("/announcer/messages/"+x.id, x.a, nil); r != "station.say_key" {
			t.Errorf("the same key for %s: %q", what, r)
		}
	}
	// Keys are each person's own.
	if _, ok, err := w.house.Load().said.find(keyed{by: "li", key: "k1", what: "else"}); ok || err != nil {
		t.Errorf("another's key: %v %v", ok, err)
	}
	w.until("it is heard of", func() bool {
		w.get("/announcer", &a)
		for _, o := range a.Outputs {
			if o.ID == "horn" && o.State == "started" && o.Cause == first.Cause && o.Measured == "" && o.Why != nil {
				return true
			}
		}
		return false
	})
	r := w.recorded("announcer.said", first.Cause)
	if r.Who == nil || r.Who.Name != "陈志强" || r.Body["message"] != "river" {
		t.Errorf("%+v", r)
	}
	if _, on := w.v.Horn.Current().FirstOn(time.Time{}); on {
		t.Error("the siren sounded for words")
	}
	var all []api.Alarm
	if w.get("/alarms", &all); len(all) != 0 {
		t.Errorf("it raised %+v", all)
	}
	w.post("/stop", map[string]string{"who": "陈志强"})
	w.recorded("receipt.stopped", first.Cause)
	if files, _ := filepath.Glob(filepath.Join(horn, "[0-9]*.wav")); len(files) != 1 {
		t.Errorf("%d soundings", len(files))
	}
	for path, want := range map[string]string{"/announcer/messages/none": "station.say_unknown"} {
		if r := w.asks(path, api.SayAsk{Who: "陈志强"}, nil); r != want {
			t.Errorf("%s: %q, not %q", path, r, want)
		}
	}
	if r := w.asks("/announcer/messages/river", api.SayAsk{Who: "陈志强", Outputs: []string{"siren"}}, nil); r != "station.talk_no_speaker" {
		t.Errorf("words by the siren: %q", r)
	}
}

// earRate is enough to tell clips apart.
const earRate = 4000

// hornPlayed is what the loudspeaker has played last.
func hornPlayed(t *testing.T, horn string) []int16 {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(horn, "[0-9]*.wav"))
	if len(files) == 0 {
		return nil
	}
	f, err := os.Open(files[len(files)-1])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil || len(b) < 44 {
		return nil
	}
	// It is still being written: its head does not yet know how much there is.
	p := speech.PCM{Rate: int(binary.LittleEndian.Uint32(b[24:]))}
	channels := int(binary.LittleEndian.Uint16(b[22:]))
	for i := 44; i+2*channels <= len(b); i += 2 * channels {
		p.Samples = append(p.Samples, int16(binary.LittleEndian.Uint16(b[i:])))
	}
	return speech.Resample(p, earRate).Samples
}

// clipAt is a shipped Mandarin clip as the ear has it.
func clipAt(t *testing.T, id string) []int16 {
	t.Helper()
	f, err := configs.FS.Open("clips/" + id + ".cmn.wav")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := speech.ReadWAV(f)
	if err != nil {
		t.Fatal(err)
	}
	return speech.Resample(p, earRate).Samples
}

// find gives where the second that begins a quarter second into what is like it most in heard, and how much: 1 is the same.
// A busy machine plays with gaps: each quarter may come up to a quarter second after the one before it.
func find(heard, what []int16) (at int, like float64) {
	const piece, begins = earRate / 4, 0.6
	what = what[piece:]
	what = what[:min(len(what), earRate)/piece*piece]
	for i := 0; i+len(what) <= len(heard); i++ {
		first := resembles(heard[i:], what[:piece])
		if first < begins {
			continue
		}
		sum, pos := first, i+piece
		for p := piece; p < len(what); p += piece {
			best, late := 0.0, 0
			for d := 0; d <= piece && pos+d+piece <= len(heard) && best < 0.99; d++ {
				if c := resembles(heard[pos+d:], what[p:p+piece]); c > best {
					best, late = c, d
				}
			}
			sum, pos = sum+best, pos+late+piece
		}
		if mean := sum * piece / float64(len(what)); mean > like {
			at, like = i, mean
		}
	}
	return at, like
}

// resembles is the correlation of what with the beginning of heard.
func resembles(heard, what []int16) float64 {
	var both, own, there float64
	for k, v := range what {
		x, y := float64(v), float64(heard[k])
		both, own, there = both+x*y, own+x*x, there+y*y
	}
	if own == 0 || there == 0 {
		return 0
	}
	return both / math.Sqrt(own*there)
}

func TestFirstStepsAreBoundedWithoutTakingAnothersAway(t *testing.T) {
	var e evacuations
	arm := func(by string) {
		e.room(by)
		e.all = append(e.all, arming{by: by, word: newWord()})
	}
	for i := range armedMost / armedEach {
		for range armedEach + 5 {
			arm(fmt.Sprint("cadre", i))
		}
	}
	has := func(by string) (n int) {
		for _, x := range e.all {
			if x.by == by {
				n++
			}
		}
		return n
	}
	for i := range armedMost - armedMost/armedEach {
		arm(fmt.Sprint("other", i))
	}
	if len(e.all) > armedMost || has("cadre0") > armedEach {
		t.Errorf("%d wait, %d of one", len(e.all), has("cadre0"))
	}
	for i := range armedMost / armedEach {
		if has(fmt.Sprint("cadre", i)) == 0 {
			t.Errorf("cadre %d has lost every word to others", i)
		}
	}
}

func TestAnEvacuationTakesTwoStepsAndIsRaisedOnce(t *testing.T) {
	t.Parallel()
	w, horn := newHandTown(t)
	w.start()
	var arm api.Arming
	if r := w.asks("/announcer/evacuation", map[string]string{"who": "陈志强"}, &arm); r != "" || arm.Level != "evacuate" || arm.Words.ZH == "" || len(arm.Outputs) != 2 {
		t.Fatalf("%q %+v", r, arm)
	}
	if r := w.asks("/announcer/evacuation/confirm", map[string]string{"who": "陈志强", "word": "WRONGONE"}, nil); r != "station.evacuation_word" {
		t.Errorf("a wrong word: %q", r)
	}
	if _, on := w.v.Horn.Current().FirstOn(time.Time{}); on {
		t.Fatal("the first step sounded")
	}
	// Others neither use up the word nor use it.
	h := w.house.Load()
	for range 100 {
		if _, err := h.ArmEvacuation("", api.Who{Name: "李雷", Via: "page"}, api.Actor{ID: "li"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Evacuate(arm.Word, "", api.Who{Name: "李雷", Via: "page"}, api.Actor{ID: "li"}); phrase.Of(err).Code != "station.evacuation_word" {
		t.Errorf("another uses the word: %v", err)
	}
	began := time.Now()
	var did, again api.Evacuated
	if r := w.asks("/announcer/evacuation/confirm", map[string]string{"who": "陈志强", "word": strings.ToLower(arm.Word)}, &did); r != "" || did.Again {
		t.Fatalf("%q %+v", r, did)
	}
	w.sounds(began)
	if r := w.asks("/announcer/evacuation/confirm", map[string]string{"who": "陈志强", "word": arm.Word}, &again); r != "" || !again.Again || again.Alarm != did.Alarm {
		t.Errorf("said twice: %q %+v", r, again)
	}
	a := w.raised("by-hand", "evacuate")
	if a.ID != did.Alarm || a.By == nil || a.By.Name != "陈志强" {
		t.Errorf("%+v", a)
	}
	n := 0
	for _, r := range w.journal() {
		if r.Kind == "alarm.raised" {
			n++
		}
		// Nothing was measured: what is asked for names no measurement.
		if r.Kind == "receipt.started" && fmt.Sprint(r.Body["said"]) != "[by-village move-now]" {
			t.Errorf("a person raised it and it says %v", r.Body["said"])
		}
	}
	if n != 1 {
		t.Errorf("raised %d times", n)
	}
	if !strings.Contains(arm.Words.ZH, "村里") || strings.Contains(arm.Words.ZH, "实测") {
		t.Errorf("the page says that people will hear %q", arm.Words.ZH)
	}
	// And it is what the horn played: whose word, then what to do, as loud as clips are.
	w.within(patience, "the words are heard", func() bool { return len(hornPlayed(t, horn)) > 19*earRate })
	heard := hornPlayed(t, horn)
	last := 0
	for _, id := range []string{"by-village", "move-now"} {
		at, like := find(heard, clipAt(t, id))
		if rms, _ := speech.Measure(heard[at:min(len(heard), at+3*earRate)]); like < 0.9 || at < last || rms < -22 || rms > -10 {
			t.Errorf("%s: at %.1f s, like it by %.2f, %.1f dBFS", id, float64(at)/earRate, like, rms)
		}
		last = at
	}
	if at, like := find(heard, clipAt(t, "evacuate")[4*earRate:]); like > 0.5 {
		t.Errorf("it speaks of a measurement at %.1f s (%.2f)", float64(at)/earRate, like)
	}
	// Stopped and raised again by a new pair of steps, it sounds anew.
	w.post("/stop", map[string]string{"who": "李雷"})
	w.silent()
	w.asks("/announcer/evacuation", map[string]string{"who": "李桂芳"}, &arm)
	began = time.Now()
	if r := w.asks("/announcer/evacuation/confirm", map[string]string{"who": "李桂芳", "word": arm.Word}, &again); r != "" || !again.Again || again.Alarm != did.Alarm {
		t.Errorf("%q %+v", r, again)
	}
	w.sounds(began)
}

// hold says that a button is held until stop, and gives when it said so last.
func (w *town) hold(x *api.SoundTest, long time.Duration) (last time.Time) {
	w.t.Helper()
	for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(150 * time.Millisecond) {
		last = time.Now()
		if r := w.asks("/announcer/tests/"+x.ID+"/hold", map[string]uint64{"beat": x.Beat}, x); r != "" {
			w.t.Fatal(r)
		}
	}
	return last
}

func TestATestSoundsWhileItIsHeldAndIsSilentWithinASecond(t *testing.T) {
	t.Parallel()
	w, horn := newHandTown(t)
	w.start()
	for want, ask := range map[string]api.TestAsk{
		"station.test_clear":     {Who: "陈志强", Outputs: []string{"siren"}},
		"station.command_output": {Who: "陈志强", Outputs: []string{"none"}, Clear: true},
	} {
		if r := w.asks("/announcer/tests", ask, nil); r != want {
			t.Errorf("%q, not %q", r, want)
		}
	}
	ask := api.TestAsk{Who: "陈志强", Outputs: []string{"siren", "horn"}, Clear: true}
	// A press of a finger that has gone sounds nothing.
	var x api.SoundTest
	if r := w.asks("/announcer/tests", ask, &x); r != "" || x.State != "armed" || x.Volume != 25 {
		t.Fatalf("%q %+v", r, x)
	}
	if r := w.asks("/announcer/tests", ask, nil); r != "station.test_busy" {
		t.Errorf("two at once: %q", r)
	}
	w.until("it is over", func() bool { return w.asks("/announcer/tests/"+x.ID+"/end", struct{}{}, &x) == "" && x.State == "over" })
	if _, on := w.v.Horn.Current().FirstOn(time.Time{}); on {
		t.Fatal("it sounded without being held")
	}
	began := time.Now()
	if r := w.asks("/announcer/tests", ask, &x); r != "" {
		t.Fatal(r)
	}
	last := w.hold(&x, 3*time.Second)
	if x.State != "sounding" || len(x.Sounded) != 2 || len(x.Measured) != 1 || x.Measured[0] != "siren" {
		t.Errorf("while held: %+v", x)
	}
	// Nothing says that the finger has gone: the network is cut.
	w.until("it is over", func() bool { var a api.Announcer; return w.get("/announcer", &a) == nil && a.Testing == nil })
	w.silent()
	ons := w.v.Horn.Current().Ons(began, time.Now())
	if len(ons) < 2 {
		t.Fatalf("%d pulses", len(ons))
	}
	if d := ons[len(ons)-1].To.Sub(last); d > time.Second {
		t.Errorf("it sounded for %v after the last word of the finger", d)
	} else {
		t.Logf("silent %v after the last word of the finger", d.Round(time.Millisecond))
	}
	end := w.recorded("test.ended", x.Cause)
	if end.Body["kind"] != "test" || !strings.Contains(end.Text.ZH, "测试") || end.Who == nil || end.Who.Name != "陈志强" {
		t.Errorf("%+v", end)
	}
	for _, r := range w.journal() {
		if strings.HasPrefix(r.Kind, "alert.") || strings.HasPrefix(r.Kind, "alarm.") {
			t.Errorf("a test was told as %s", r.Kind)
		}
		if strings.HasPrefix(r.Kind, "receipt.") && r.Cause == x.Cause && r.Body["kind"] != "test" {
			t.Errorf("%+v", r)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(horn, "[0-9]*.wav")); len(files) != 1 {
		t.Errorf("%d soundings of the horn", len(files))
	}
}

func TestNobodyElseKeepsATestUp(t *testing.T) {
	t.Parallel()
	w, _ := newHandTown(t)
	w.start()
	var x api.SoundTest
	if r := w.asks("/announcer/tests", api.TestAsk{Who: "陈志强", Outputs: []string{"siren"}, Clear: true}, &x); r != "" {
		t.Fatal(r)
	}
	var a api.Announcer
	if w.get("/announcer", &a); a.Testing == nil || a.Testing.Who.Name != "陈志强" {
		t.Fatalf("others do not see it: %+v", a.Testing)
	}
	b, _ := json.Marshal(a)
	if strings.Contains(string(b), x.ID) || strings.Contains(x.Cause, x.ID) {
		t.Error("whoever looks may hold the button of another")
	}
	if r := w.asks("/announcer/tests/"+strings.TrimPrefix(x.Cause, "test-")+"/hold", map[string]uint64{"beat": x.Beat}, nil); r != "station.test_gone" {
		t.Errorf("held by its cause: %q", r)
	}
}

func TestARealAlarmEndsATestAtOnce(t *testing.T) {
	t.Parallel()
	w, _ := newHandTown(t)
	w.start()
	var x api.SoundTest
	if r := w.asks("/announcer/tests", api.TestAsk{Who: "陈志强", Outputs: []string{"siren"}, Clear: true}, &x); r != "" {
		t.Fatal(r)
	}
	w.hold(&x, time.Second)
	w.v.Gas.Set(gasEvacuate)
	w.until("the test is over while it is held", func() bool { w.hold(&x, 200*time.Millisecond); return x.State == "over" })
	a := w.raised("gas", "evacuate")
	if heard := w.recorded("receipt.heard", a.ID); heard.Body["kind"] != "real" {
		t.Errorf("%+v", heard.Body)
	}
	if r := w.asks("/announcer/tests", api.TestAsk{Who: "陈志强", Outputs: []string{"siren"}, Clear: true}, nil); r != "station.test_real" {
		t.Errorf("a test while a level stands: %q", r)
	}
}

func TestATestAtNightNeedsTheNeighbours(t *testing.T) {
	b := ByHand{Quiet: config.Quiet{From: "21:00", To: "07:00"}}
	at := func(h int, trust clock.Trust) clock.Stamp {
		return clock.Stamp{Boot: "b", Wall: time.Date(2026, 6, 14, h, 30, 0, 0, siteZone()), Trust: trust}
	}
	for h, want := range map[int]bool{20: false, 21: true, 3: true, 7: false, 12: false} {
		if quiet, known := b.quietNow(at(h, clock.Set)); quiet != want || !known {
			t.Errorf("%d o'clock: %v %v", h, quiet, known)
		}
	}
	if quiet, known := b.quietNow(at(3, clock.Free)); quiet || known {
		t.Error("a clock that nobody set knows when it is night")
	}
	t.Parallel()
	w, _ := newHandTown(t)
	w.edit(`from: "03:00", to: "03:00"`, `from: "00:00", to: "23:59"`)
	w.start()
	var a api.Announcer
	if w.get("/announcer", &a); a.Test.Quiet == "unknown" {
		t.Skip("this machine's clock is not known to be right")
	}
	ask := api.TestAsk{Who: "陈志强", Outputs: []string{"siren"}, Clear: true}
	if r := w.asks("/announcer/tests", ask, nil); r != "station.test_quiet" {
		t.Errorf("%q", r)
	}
	ask.Told = true
	if r := w.asks("/announcer/tests", ask, nil); r != "" {
		t.Errorf("%q", r)
	}
}

func TestMaintenanceIsAStopInAdvanceAndNeverOfAnEvacuation(t *testing.T) {
	t.Parallel()
	w, _ := newHandTown(t)
	w.write("plans/town.yaml", strings.Replace(townPlan, "resound: 4s", "resound: 10m", 1))
	w.start()
	var m api.Maintenance
	if r := w.asks("/announcer/maintenance", api.MaintenanceAsk{Who: "张工", Why: "换继电器", Minutes: 30}, &m); r != "" || m.By.Name != "张工" || m.Left > 30*time.Minute || m.Left < 29*time.Minute {
		t.Fatalf("%q %+v", r, m)
	}
	var st api.Status
	if w.get("/status", &st); st.Maintenance == nil || st.Maintenance.Why != "换继电器" {
		t.Errorf("the status does not tell: %+v", st.Maintenance)
	}
	// Whoever asks whether it could sound is told what would not.
	var ready api.Readiness
	if w.get("/readiness", &ready); ready.Sounds != "partly" || len(ready.Why) != 1 || !strings.Contains(ready.Why[0].ZH, "张工") || !strings.Contains(ready.Why[0].ZH, "准备转移") || strings.Contains(ready.Why[0].ZH, "立即转移") {
		t.Errorf("readiness in maintenance: %+v", ready)
	}
	if r := w.asks("/announcer/messages/river", api.SayAsk{Who: "陈志强"}, nil); r != "station.say_maintenance" {
		t.Errorf("a message: %q", r)
	}
	w.v.Gas.Set(gasPrepare)
	a := w.raised("gas", "prepare")
	w.recorded("maintenance.muted", a.ID)
	if _, on := w.v.Horn.Current().FirstOn(time.Time{}); on {
		t.Error("it sounded")
	}
	// Over a restart it goes on, and so does its silence.
	w.halt()
	w.start()
	time.Sleep(time.Second)
	if _, on := w.v.Horn.Current().FirstOn(time.Time{}); on {
		t.Error("it sounded after the restart")
	}
	if w.get("/status", &st); st.Maintenance == nil || len(st.Maintenance.Muted) != 1 {
		t.Errorf("after the restart: %+v", st.Maintenance)
	}
	began := time.Now()
	w.v.Gas.Set(gasEvacuate)
	w.raised("gas", "evacuate")
	w.sounds(began)
}

func TestWhatMaintenanceSilencedSoundsWhenItIsOver(t *testing.T) {
	for _, by := range []string{"person", "time", "time while the box was off"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			w, _ := newHandTown(t)
			w.write("plans/town.yaml", strings.Replace(townPlan, "resound: 4s", "resound: 10m", 1))
			w.start()
			if r := w.asks("/announcer/maintenance", api.MaintenanceAsk{Who: "张工", Why: "换继电器", Minutes: 5}, nil); r != "" {
				t.Fatal(r)
			}
			w.v.Gas.Set(gasPrepare)
			w.recorded("maintenance.muted", w.raised("gas", "prepare").ID)
			began := time.Now()
			switch by {
			case "person":
				w.post("/announcer/maintenance/end", map[string]string{"who": "陈志强"})
			case "time":
				h := w.house.Load()
				h.do(func() {
					m := *h.maintenance.Load()
					m.For = time.Millisecond
					h.maintenance.Store(&m)
				})
			default:
				w.halt()
				w.remember(keyMaintenance, func(b []byte) []byte {
					var m maintenance
					if json.Unmarshal(b, &m) != nil || m.For != 5*time.Minute {
						t.Errorf("kept: %s", b)
					}
					m.For = time.Millisecond
					b, _ = json.Marshal(m)
					return b
				})
				w.start()
			}
			w.sounds(began)
			var st api.Status
			if w.get("/status", &st); st.Maintenance != nil {
				t.Errorf("%+v", st.Maintenance)
			}
			n := 0
			for _, r := range w.journal() {
				if r.Kind == "maintenance.ended" {
					n++
				}
			}
			if n != 1 {
				t.Errorf("it ended %d times", n)
			}
		})
	}
}

func TestMaintenanceSilencesNobodysHand(t *testing.T) {
	t.Parallel()
	w, _ := newHandTown(t)
	w.start()
	if r := w.asks("/announcer/maintenance", api.MaintenanceAsk{Who: "张工", Why: "换继电器", Minutes: 5}, nil); r != "" {
		t.Fatal(r)
	}
	began := time.Now()
	w.post("/raise", map[string]string{"level": "prepare", "who": "陈志强", "reason": "塘坝渗水"})
	w.sounds(began)
	if r := w.asks("/announcer/maintenance", api.MaintenanceAsk{Who: "张工", Why: "换继电器", Minutes: 5}, nil); r != "station.maintenance_level" {
		t.Errorf("it began while a level stood: %q", r)
	}
}

func TestNoMessageCallsPeopleToMove(t *testing.T) {
	w, _ := newHandTown(t)
	for clip, ok := range map[string]bool{"msg-river": true, "notice": true, "evacuate": false, "prepare": false, "generic": false, "county-evacuate": false, "county-notice": false, "all-clear": false, "say-red": false, "drill": false, "not-there": false} {
		w.write("site.yaml", w.text+"messages: {x: {name: {zh: 试, en: try}, tone: chime, clips: ["+clip+"]}}\n")
		bp, ps := Load(filepath.Join(w.dir, "site.yaml"))
		if got := bp != nil && len(bp.ByHand.Messages) == 1; got != ok {
			t.Errorf("%s: %v", clip, ps)
		}
		if !ok {
			found := false
			for _, p := range ps {
				found = found || strings.HasPrefix(p.Message.Code, "site.message")
			}
			if !found {
				t.Errorf("%s: %v", clip, ps)
			}
		}
	}
	w.write("site.yaml", w.text+"messages: {x: {name: {zh: 试, en: try}, tone: evacuate, clips: [msg-river]}}\n")
	if bp, _ := Load(filepath.Join(w.dir, "site.yaml")); bp != nil {
		t.Error("a message may have the tone of an evacuation")
	}
}
