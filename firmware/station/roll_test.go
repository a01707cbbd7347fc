package station

import (
	"encoding/json"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/configs"
	"tocsin/drivers"
	"tocsin/drivers/modem"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/rollcall"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/speech"
	"tocsin/hwtest/cell"
	"tocsin/hwtest/port"
)

const rollTimes = `version: 1
from: {sms: prepare, call: evacuate}
keys: "1"
tries: 2
again: 1s
soon: 1s
repeat: 1
ring: 3s
linger: 5s
longest: 30s
first: 30s
within: 5m
afresh: 1h
drill: {sms: true, call: true}
`

// switchboard is a town whose people have telephones.
type switchboard struct {
	*town
	modem *cell.Modem
}

const (
	chen, wang, li, clerk = "+8613800000001", "+8613800000002", "+8613800000003", "+8613800000004"
)

func newSwitchboard(t *testing.T, more string) *switchboard {
	t.Helper()
	w := &switchboard{newTown(t), cell.New()}
	at, sound := serve(t, w.modem.Serve), serve(t, w.modem.Sound)
	w.modem.Set(func(x *cell.Ways) { x.Takes, x.Echo, x.Split = 50*time.Millisecond, true, 7 })
	w.write("rollcall.yaml", rollTimes)
	w.text = strings.Replace(w.text, "page:", `links: {sms: {kind: modem, port: `+at+`, sound: `+sound+`, profile: modem-sim7600, transmit: {}}}
people:
  - {id: chen, name: {zh: 陈志强}, role: {zh: 村支书}, numbers: ["`+chen+`"], language: yue}
  - {id: wang, name: {zh: 王建国}, numbers: ["`+wang+`"], deputies: [li]}
  - {id: li, name: {zh: 李桂芳}, numbers: ["`+li+`"], sms: off}
  - {id: clerk, name: {zh: 文书, en: Clerk}, numbers: ["`+clerk+`"], call: off, language: en}
`+more+"page:", 1)
	w.write("site.yaml", w.text)
	return w
}

// serve gives the path of a port that f serves.
func serve(t *testing.T, f func(io.ReadWriter) error) string {
	t.Helper()
	p, err := port.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	go f(p)
	return p.Path
}

// wrote gives what went to a number, whole texts.
func (w *switchboard) wrote(number string) (all []string) {
	part := ""
	for _, m := range w.modem.Sent() {
		if m.Number != number {
			continue
		}
		if part += m.Text; m.Of == m.Part {
			all, part = append(all, part), ""
		}
	}
	return all
}

func (w *switchboard) called(number string) (n int) {
	for _, t := range w.modem.Talks() {
		if t.Number == number {
			n++
		}
	}
	return n
}

// told gives what is recorded of people for an alarm, as "what person known".
func (w *switchboard) told(cause string) (all []string) {
	for _, r := range w.journal() {
		what, ok := strings.CutPrefix(r.Kind, "rollcall.")
		if !ok || r.Cause != cause {
			continue
		}
		person, _ := r.Body["person"].(string)
		known, _ := r.Body["known"].(string)
		all = append(all, strings.TrimSpace(what+" "+person+" "+known))
	}
	return all
}

// evacuate raises gas and waits for the siren, which no telephone may hold up.
func (w *switchboard) evacuate() (cause string) {
	w.t.Helper()
	began := time.Now()
	w.v.Gas.Set(gasEvacuate)
	a := w.raised("gas", "evacuate")
	w.sounds(began)
	return a.ID
}

// The person hears what the loudspeaker says, in their own language, and the words that
// ask for a key.
func TestAPersonWhoIsCalledHearsTheWordsAndConfirms(t *testing.T) {
	t.Parallel()
	w := newSwitchboard(t, "")
	w.modem.Subscribe(chen, cell.Phone{Rings: 100 * time.Millisecond, Answers: 100 * time.Millisecond, Presses: []cell.Press{{After: 4 * time.Second, Key: '1'}}})
	w.modem.Subscribe(wang, cell.Phone{Rings: 50 * time.Millisecond, Answers: 50 * time.Millisecond, Hangs: time.Second})
	w.modem.Subscribe(li, cell.Phone{Rings: 100 * time.Millisecond, Answers: 100 * time.Millisecond, Presses: []cell.Press{{After: 300 * time.Millisecond, Key: '4'}, {After: 700 * time.Millisecond, Key: '1'}}})
	w.start()
	id := w.evacuate()
	w.recorded("rollcall.everybody", id)
	want := "wrote chen; wrote wang; wrote clerk; called chen confirmed; called wang answered; called wang answered; missed wang answered; deputy li; called li confirmed; everybody li"
	if got := strings.Join(w.told(id), "; "); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}

	w.hears(chen, speech.Cantonese, speech.Content{Tone: "evacuate", Clips: []string{"evacuate"}})
	if x := w.modem.Talks()[0]; !x.ByModem || x.Lost > 0 {
		t.Errorf("by the modem: %v, %d lost", x.ByModem, x.Lost)
	}

	// What is written, in whose language, and to whom not.
	for number, has := range map[string][]string{chen: {"黄渡村", "甲烷", "立即转移", "60"}, wang: {"立即转移"}, clerk: {"Huangdu", "methane", "Move now"}, li: nil} {
		got := strings.Join(w.wrote(number), "|")
		for _, s := range has {
			if !strings.Contains(got, s) {
				t.Errorf("%s was written %q, without %s", number, got, s)
			}
		}
		if has == nil && got != "" {
			t.Errorf("%s was written %q", number, got)
		}
	}
	// No number stands in the record or the log.
	b, err := json.Marshal(w.journal())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{chen, wang, li, clerk} {
		if strings.Contains(string(b)+w.log.String(), n[3:]) {
			t.Errorf("%s is written down", n)
		}
	}
	if r := w.recorded("rollcall.called", id); r.Body["number"] != "138****0001" || r.Text.ZH == "" {
		t.Errorf("%+v", r)
	}

	var people api.People
	if err := w.get("/people", &people); err != nil || len(people.People) != 4 || people.People[0].Numbers[0] != chen || people.People[2].SMS != "" || people.Modem.Made != 4 || people.Modem.Mute != nil ||
		len(people.Rounds) != 1 || people.Rounds[0].Alarm != id || people.Rounds[0].People[0].Known != "confirmed" || people.Rounds[0].People[1].Known != "answered" || !people.Rounds[0].People[2].Turn {
		t.Errorf("%+v, %v", people, err)
	}

	// A stranger's message and call do nothing.
	w.modem.Say(cell.SMS{Number: "+8613999999999", Text: "解除"})
	if !w.modem.Ring("+8613999999999") {
		t.Error("a call that came was not refused")
	}
	if a, ok := w.alarm("gas"); !ok || a.State != "raised" {
		t.Errorf("%+v", a)
	}

	if n := w.called(chen) + w.called(wang) + w.called(li); n != 4 {
		t.Errorf("%d calls in all", n)
	}
}

// alike gives the correlation of two sounds and by how much the first one is louder.
func alike(a, b []int16) (like, db float64) {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb), 10 * math.Log10(aa/bb)
}

// What the county warns of is passed on in its own words, and its all-clear ends a call
// whose words are no longer right; a drill says that it is one.
func TestAWarningAndADrillTellPeopleAsWhatTheyAre(t *testing.T) {
	t.Parallel()
	w := newSwitchboard(t, "rollcall: {drills: true}\n")
	w.text = strings.Replace(w.text, "inputs:", "  horn: {kind: loudspeaker, file: "+filepath.Join(w.dir, "heard")+"}\ninputs:", 1)
	o, _ := newOffice(t, w.town)
	quick := cell.Phone{Rings: 50 * time.Millisecond, Answers: 50 * time.Millisecond, Presses: []cell.Press{{After: 3 * time.Second, Key: '1'}}}
	w.modem.Subscribe(chen, quick)
	w.modem.Subscribe(wang, quick)
	w.start()
	w.warnedBy(o.saysPlain(warning{status: "Exercise", headline: "山洪演练"}))
	w.until("everybody was drilled", func() bool {
		return slices.ContainsFunc(w.journal(), func(r api.Record) bool { return r.Kind == "rollcall.everybody" })
	})
	for number, begins := range map[string]string{chen: "【演练】", clerk: "[DRILL]"} {
		if got := w.wrote(number); len(got) != 1 || !strings.HasPrefix(got[0], begins) {
			t.Errorf("%q", got)
		}
	}
	w.hears(wang, speech.Mandarin, speech.Content{Kind: speech.Drill})

	w.modem.Subscribe(chen, cell.Phone{Rings: 50 * time.Millisecond, Answers: 50 * time.Millisecond})
	real := o.says(warning{headline: "山洪红色预警"})
	w.warnedBy(real)
	last := func() cell.Talk { x := w.modem.Talks(); return x[len(x)-1] }
	w.until("in the middle of a call", func() bool { return len(w.modem.Talks()) == 3 && len(last().Heard) > 3*drivers.CallRate/2 })
	w.warnedBy(o.says(warning{msgType: "Cancel", refers: []string{real.ref}}))
	w.until("hung up", func() bool { return last().Ended })
	if x := last(); !x.ByModem || len(x.Heard) > 10*drivers.CallRate { // of twelve seconds of words
		t.Errorf("by the modem: %v, after %d samples", x.ByModem, len(x.Heard))
	}
	w.hears(chen, speech.Cantonese, speech.Content{Tone: "evacuate", Clips: []string{"county-evacuate"}})
	w.until("the county's all-clear", func() bool { return len(w.wrote(chen)) == 3 })
	if got := w.wrote(chen); !strings.Contains(got[1], "山洪红色预警") || strings.Contains(got[1], "演练") || strings.Contains(got[1], "实测") || !strings.Contains(got[2], "解除") || !strings.Contains(got[2], "县局") {
		t.Errorf("%q", got)
	}
	if n := len(w.modem.Talks()); n != 3 {
		t.Errorf("%d calls", n)
	}
}

// hears holds the last call to a number against what it must have said.
func (w *switchboard) hears(number string, lang speech.Lang, k speech.Content) {
	w.t.Helper()
	bank, _ := speech.LoadBank(configs.FS, "clips", speech.BankOpts{})
	tones, err := speech.LoadTones(configs.FS, "tones.yaml", false)
	if err != nil {
		w.t.Fatal(err)
	}
	k.Langs, k.Repeat = []speech.Lang{lang}, 1
	p, err := speech.Composer{Bank: bank, Tones: tones}.Spoken(k, speech.ConfirmWords)
	if err != nil {
		w.t.Fatal(err)
	}
	var heard []int16
	for _, x := range w.modem.Talks() {
		if x.Number == number {
			heard = x.Heard
		}
	}
	played := make([]int16, len(heard))
	n, _ := p.Samples(drivers.Format{Rate: drivers.CallRate, Channels: 1}).Read(played)
	if n = min(n, len(heard)); n < drivers.CallRate {
		w.t.Fatalf("%d samples were heard", n)
	}
	if like, db := alike(heard[:n], played[:n]); like < 0.99 || math.Abs(db) > 0.5 {
		w.t.Errorf("%v: what was heard is like it by %.3f, %.1f dB louder", k.Clips, like, db)
	}
}

// A modem without a network, pulled out or silent holds up no siren; when it comes back
// in time, people are told.
func TestNoServiceHoldsUpNothing(t *testing.T) {
	t.Parallel()
	w := newSwitchboard(t, "")
	w.text = strings.Replace(w.text, "inputs:", "  horn: {kind: loudspeaker, file: "+filepath.Join(w.dir, "heard")+"}\ninputs:", 1)
	o, _ := newOffice(t, w.town)
	w.modem.Set(func(x *cell.Ways) { x.Unregistered = true })
	for _, n := range []string{chen, wang} {
		w.modem.Subscribe(n, cell.Phone{Rings: 50 * time.Millisecond, Answers: 50 * time.Millisecond, Presses: []cell.Press{{After: 100 * time.Millisecond, Key: '1'}}})
	}
	w.start()
	w.warnedBy(o.saysPlain(warning{status: "Exercise"})) // the site does not want to be called for drills
	began := time.Now()
	w.v.Gas.Set(gasPrepare)
	a := w.raised("gas", "prepare")
	w.sounds(began)
	if n := len(w.told(a.ID)); n != 0 || len(w.modem.Talks()) != 0 {
		t.Errorf("%d records of people", n)
	}
	w.modem.Set(func(x *cell.Ways) { x.Unregistered = false })
	w.v.Gas.Set(gasEvacuate) // the higher level's words, once
	w.raised("gas", "evacuate")
	w.within(60*time.Second, "everybody", func() bool { return strings.Contains(strings.Join(w.told(a.ID), ";"), "everybody") })
	if got := w.wrote(chen); len(got) != 1 || !strings.Contains(got[0], "立即转移") || w.called(chen) != 1 {
		t.Errorf("%q, %d calls", got, w.called(chen))
	}
}

func TestACallIsNeverSaidToBeMoreThanIsKnown(t *testing.T) {
	at := time.Now()
	for _, c := range []struct {
		got   drivers.Called
		err   error
		known rollcall.Known
		able  bool
	}{
		{drivers.Called{Stage: drivers.CallAnswered, Answered: at, Why: drivers.CallKey, Keys: "71"}, nil, rollcall.Confirmed, true},
		{drivers.Called{Stage: drivers.CallAnswered, Whole: true, Why: drivers.CallPlayed, Keys: "7"}, nil, rollcall.Heard, true},
		{drivers.Called{Stage: drivers.CallAnswered, Whole: true, Why: drivers.CallHungUp}, nil, rollcall.Heard, true},
		{drivers.Called{Stage: drivers.CallAnswered, Why: drivers.CallHungUp, Played: time.Minute}, nil, rollcall.Answered, true},
		{drivers.Called{Stage: drivers.CallAnswered, Why: drivers.CallSilent}, nil, rollcall.Answered, true},
		{drivers.Called{Stage: drivers.CallAnswered, Why: drivers.CallLost}, &drivers.Fault{Kind: drivers.FaultGone}, rollcall.Answered, true},
		{drivers.Called{Stage: drivers.CallRinging, Why: drivers.CallNoAnswer}, nil, rollcall.Rang, true},
		{drivers.Called{Stage: drivers.CallDialled, Why: drivers.CallBusy}, nil, rollcall.Dialled, true},
		{drivers.Called{Stage: drivers.CallDialled, Why: drivers.CallUnreachable}, nil, rollcall.Dialled, true},
		{drivers.Called{Stage: drivers.CallNone, Why: drivers.CallNoService}, nil, rollcall.Nothing, false},
		{drivers.Called{}, &drivers.Fault{Kind: drivers.FaultBarred}, rollcall.Nothing, false},
		{drivers.Called{}, &drivers.Fault{Kind: drivers.FaultCancelled}, rollcall.Nothing, false},
		{drivers.Called{}, &drivers.Fault{Kind: drivers.FaultRefused}, rollcall.Nothing, true},
	} {
		o := outcomeOfCall(c.got, c.err)
		if o.Known != c.known || o.Unable == c.able || o.Done {
			t.Errorf("%+v, %v: %+v", c.got, c.err, o)
		}
		if m := knownMessage(o); m.In(phrase.ZH) == "" || strings.Contains(m.In(phrase.EN), "confirmed") != (c.known == rollcall.Confirmed) {
			t.Errorf("%q", m.In(phrase.EN))
		}
	}
}

// What the box says must press no key when it comes back as an echo.
func TestNoClipPressesAKey(t *testing.T) {
	t.Parallel()
	bank, errs := speech.LoadBank(configs.FS, "clips", speech.BankOpts{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	tones, err := speech.LoadTones(configs.FS, "tones.yaml", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range bank.List() {
		id, lang, _ := strings.Cut(n, ".")
		p, err := speech.Composer{Bank: bank, Tones: tones}.Spoken(speech.Content{Tone: "evacuate", Clips: []string{id}, Langs: []speech.Lang{speech.Lang(lang)}, Repeat: 1}, "")
		if err != nil {
			t.Fatal(err)
		}
		pcm := make([]int16, 60*drivers.CallRate)
		k, _ := p.Samples(drivers.Format{Rate: drivers.CallRate, Channels: 1}).Read(pcm)
		if keys := modem.Keys(pcm[:k]); keys != "" || k < drivers.CallRate {
			t.Errorf("%s presses %s in %d samples", n, keys, k)
		}
	}
}

// The power goes in the middle of a call, while the modem keeps it up: who confirmed is
// not called again, and the call that was on is told as not known.
func TestAPowerCutInACallCallsNobodyTwiceWhoConfirmed(t *testing.T) {
	t.Parallel()
	w := newSwitchboard(t, "")
	quick := cell.Phone{Rings: 100 * time.Millisecond, Answers: 100 * time.Millisecond, Presses: []cell.Press{{After: 300 * time.Millisecond, Key: '1'}}}
	w.modem.Subscribe(chen, quick)
	w.modem.Subscribe(wang, cell.Phone{Rings: 100 * time.Millisecond, Answers: 100 * time.Millisecond})
	p := startEdged(t, w.text)
	p.until("armed", func() bool {
		out, err := p.edged("status", "--json")
		return err == nil && strings.Contains(string(out), `"armed":true`)
	})
	w.v.Gas.Set(gasEvacuate)
	p.until("in the middle of a call", func() bool { return w.called(wang) == 1 && len(w.modem.Talks()[1].Heard) > 0 })
	p.cmd.Process.Kill()
	<-p.ended
	w.modem.Subscribe(wang, quick)
	p.again()
	p.record("rollcall.everybody", "")
	var got []string
	for _, r := range p.records() {
		if what, ok := strings.CutPrefix(r.Kind, "rollcall."); ok {
			got = append(got, what+" "+r.Body["person"].(string))
		}
	}
	if s := strings.Join(got, "; "); s != "wrote chen; wrote wang; wrote clerk; called chen; unknown wang; called wang; everybody wang" {
		t.Error(s)
	}
	if w.called(chen) != 1 || w.called(wang) != 2 || len(w.wrote(chen)) != 1 {
		t.Errorf("%d and %d calls, %q", w.called(chen), w.called(wang), w.wrote(chen))
	}
}

func TestPeopleAreProvedWithTheSite(t *testing.T) {
	w := newSwitchboard(t, "")
	for name, c := range map[string]struct {
		change [2]string
		code   string
	}{
		"a number that is none":   {[2]string{`"` + wang + `"`, `"110"`}, "site.person_number"},
		"a level that is none":    {[2]string{"sms: off}", "sms: run}"}, "site.person_level"},
		"a deputy that is nobody": {[2]string{"deputies: [li]", "deputies: [nobody]"}, "site.person_deputy"},
		"a circle":                {[2]string{"sms: off}", "deputies: [wang]}"}, "site.person_circle"},
		"the same id":             {[2]string{"id: li,", "id: wang,"}, "site.person_id"},
		"an unknown hazard":       {[2]string{"call: off,", "hazards: [fire],"}, "site.person_hazard"},
		"no such modem":           {[2]string{"people:", "rollcall: {modem: phone}\npeople:"}, "site.rollcall_modem"},
		"a profile of others":     {[2]string{"modem-sim7600", "beidou-bds3"}, "site.link_profile"},
		"sound without a way":     {[2]string{"modem-sim7600", "modem-tiantong"}, "site.link_soundless"},
	} {
		w.edit(c.change[0], c.change[1])
		_, ps := Load(filepath.Join(w.dir, "site.yaml"))
		found := false
		for _, p := range ps {
			found = found || p.Message.Code == c.code
			if strings.Contains(p.In(phrase.ZH), wang[3:]) {
				t.Errorf("%s repeats a number", p.Message.Code)
			}
		}
		if !found {
			t.Errorf("%s: %v", name, ps)
		}
	}
}
