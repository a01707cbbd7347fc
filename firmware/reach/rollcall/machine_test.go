package rollcall

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/point"
)

func table(t testing.TB) Table {
	t.Helper()
	x, err := Load(os.DirFS("../../../configs"))
	if err != nil {
		t.Fatal(err)
	}
	return *x
}

const (
	prepare  point.Level = 1
	evacuate point.Level = 2
)

// village is a secretary with two deputies, a head, and a clerk who is only written to.
func village() []Person {
	return []Person{
		{ID: "chen", Numbers: []string{"+8613800000001"}, SMS: prepare, Call: evacuate, Deputies: []string{"li", "zhao"}},
		{ID: "wang", Numbers: []string{"+8613800000002", "0763-6600002"}, SMS: prepare, Call: evacuate},
		{ID: "li", Numbers: []string{"+8613800000003"}, SMS: evacuate, Call: evacuate},
		{ID: "zhao", Numbers: []string{"+8613800000004"}, Call: evacuate},
		{ID: "clerk", Numbers: []string{"+8613800000005"}, SMS: prepare},
		{ID: "dam", Numbers: []string{"+8613800000006"}, SMS: prepare, Call: prepare, Hazards: []string{"dam"}},
	}
}

// world runs a machine by what telephones do.
type world struct {
	*Machine
	t     *testing.T
	now   time.Duration
	does  func(Task) (Outcome, time.Duration)
	log   []string
	calls map[string]int
}

func run(t *testing.T, people []Person, does func(Task) (Outcome, time.Duration)) *world {
	return &world{Machine: New(table(t), people), t: t, does: does, calls: map[string]int{}}
}

func (w *world) note(ev []Event) {
	for _, e := range ev {
		s := string(e.What)
		if e.Task.Person != "" {
			s += " " + e.Task.Person
		}
		switch e.What {
		case Called:
			s += " " + string(e.Out.Known)
		case Deputy:
			s += " after " + e.After
		case Wrote:
			if e.Task.Kind == AllClear {
				s += " all-clear"
			}
		}
		w.log = append(w.log, s)
	}
}

// until lets time pass.
func (w *world) until(at time.Duration) {
	for w.now < at {
		x, ok, wait, ev := w.Next(w.now)
		w.note(ev)
		if !ok {
			if wait <= 0 || wait > idle {
				w.t.Fatalf("wait %v", wait)
			}
			w.now += min(wait, at-w.now)
			continue
		}
		if !w.Holds(x) {
			w.t.Fatalf("%+v is not right", x)
		}
		w.calls[string(x.Kind)+" "+x.Person]++
		o, d := w.does(x)
		w.now += max(d, time.Second)
		w.note(w.Done(o, w.now))
	}
}

func (w *world) said() string { return strings.Join(w.log, ", ") }

// phones answers by person: what a call comes to.
func phones(by map[string]Known) func(Task) (Outcome, time.Duration) {
	return func(t Task) (Outcome, time.Duration) {
		if t.Kind != Call {
			return Outcome{Done: true}, 2 * time.Second
		}
		k := by[t.Person]
		switch k {
		case Confirmed:
			return Outcome{Known: k, Keys: "1"}, 20 * time.Second
		case Dialled:
			return Outcome{Known: k, Why: "busy"}, 3 * time.Second
		}
		return Outcome{Known: k, Why: "no-answer"}, 45 * time.Second
	}
}

func flood(l point.Level) Round { return Round{Cause: "a1", Hazard: "flood", Level: l} }

func TestEverybodyIsWrittenToAndCalledInOrder(t *testing.T) {
	for _, c := range []struct {
		name  string
		level point.Level
		by    map[string]Known
		want  string
	}{
		{"a level that only writes", prepare, nil, "wrote chen, wrote wang, wrote clerk"},
		{"both confirm", evacuate, map[string]Known{"chen": Confirmed, "wang": Confirmed},
			"wrote chen, wrote wang, wrote li, wrote clerk, called chen confirmed, called wang confirmed, everybody wang"},
		{"the first deputy steps in", evacuate, map[string]Known{"chen": Rang, "wang": Confirmed, "li": Confirmed},
			"wrote chen, wrote wang, wrote li, wrote clerk, called chen rang, called wang confirmed, called chen rang, missed chen, deputy li after chen, called li confirmed, everybody li"},
		{"the second one", evacuate, map[string]Known{"chen": Heard, "wang": Confirmed, "li": Dialled, "zhao": Confirmed},
			"wrote chen, wrote wang, wrote li, wrote clerk, called chen heard, called wang confirmed, called chen heard, missed chen, deputy li after chen, called li dialled, called li dialled, missed li, deputy zhao after li, called zhao confirmed, everybody zhao"},
		{"nobody", evacuate, map[string]Known{},
			"wrote chen, wrote wang, wrote li, wrote clerk, called chen , called wang , called chen , missed chen, deputy li after chen, called li , called wang , called li , missed li, deputy zhao after li, called zhao , called wang , called zhao , missed zhao, called wang , missed wang, nobody wang, time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := run(t, village(), phones(c.by))
			w.note(w.Stands(flood(c.level), 0))
			w.until(2 * time.Hour)
			if w.said() != c.want {
				t.Errorf("\n got %s\nwant %s", w.said(), c.want)
			}
		})
	}
}

func TestARoundSaysWhenNobodyIsLeftToTell(t *testing.T) {
	for _, drill := range []bool{false, true} {
		w := run(t, village(), phones(map[string]Known{"chen": Confirmed}))
		w.Stands(Round{Cause: "a1", Hazard: "flood", Level: evacuate, Drill: drill}, 0)
		if v := w.View()[0]; v.Done || !v.Missing {
			t.Errorf("%+v", v)
		}
		w.until(30 * time.Minute)
		if v := w.View()[0]; !v.Done || !v.Missing || v.Phase != Calling {
			t.Errorf("%+v", v)
		}
		// A drill is over by itself; a level's round stays as long as the level.
		w.until(3 * time.Hour)
		if n := len(w.View()); (n == 0) != drill {
			t.Errorf("drill %v: %d rounds", drill, n)
		}
	}
}

func TestNumbersAreTriedInTurn(t *testing.T) {
	var got []string
	w := run(t, village()[1:2], func(x Task) (Outcome, time.Duration) {
		if x.Kind == Call {
			got = append(got, x.Number)
		}
		return Outcome{Done: true, Known: Rang}, 40 * time.Second
	})
	w.Stands(flood(evacuate), 0)
	w.until(time.Hour)
	if s := strings.Join(got, " "); s != "+8613800000002 0763-6600002 +8613800000002 0763-6600002" {
		t.Error(s)
	}
}

func TestAHigherLevelCallsAnewAndTheSameDoesNot(t *testing.T) {
	everybody := phones(map[string]Known{"chen": Confirmed, "wang": Confirmed, "dam": Confirmed})
	w := run(t, village(), everybody)
	w.Stands(Round{Cause: "d", Hazard: "dam", Level: prepare}, 0)
	w.until(10 * time.Minute)
	if w.calls["call dam"] != 1 || w.calls["call chen"] != 0 {
		t.Fatal(w.calls)
	}
	w.Stands(Round{Cause: "d", Hazard: "dam", Level: evacuate}, w.now)
	w.until(20 * time.Minute)
	if w.calls["call dam"] != 2 || w.calls["call chen"] != 1 || w.calls["write dam"] != 2 {
		t.Fatal(w.calls)
	}
	// Eased and up again, told twice, subsided and soon again: nobody who confirmed.
	w.Stands(Round{Cause: "d", Hazard: "dam", Level: prepare}, w.now)
	w.until(22 * time.Minute)
	for range 2 {
		w.Stands(Round{Cause: "d", Hazard: "dam", Level: evacuate}, w.now)
		w.until(w.now + 2*time.Minute)
	}
	w.Subsided("d", w.now)
	w.until(w.now + 30*time.Minute)
	w.Stands(Round{Cause: "d", Hazard: "dam", Level: evacuate}, w.now)
	w.until(w.now + 10*time.Minute)
	if w.calls["call dam"] != 2 || w.calls["call chen"] != 1 || w.calls["write chen"] != 2 {
		t.Fatal(w.calls)
	}
	// Hours later it is a new danger.
	w.Subsided("d", w.now)
	w.until(w.now + 90*time.Minute)
	w.Stands(Round{Cause: "d", Hazard: "dam", Level: evacuate}, w.now)
	w.until(w.now + 10*time.Minute)
	if w.calls["call dam"] != 3 || w.calls["call chen"] != 2 || w.calls["write dam"] != 3 {
		t.Fatal(w.calls)
	}
}

func TestAGaugeThatSwingsBetweenTwoLevelsCallsNobodyWithoutEnd(t *testing.T) {
	w := run(t, village(), phones(map[string]Known{}))
	for range 40 {
		w.Stands(flood(evacuate), w.now)
		w.until(w.now + 3*time.Minute)
		w.Stands(flood(prepare), w.now)
		w.until(w.now + 2*time.Minute)
	}
	tries := table(t).Tries
	if n := w.calls["call chen"]; n != tries {
		t.Errorf("chen was called %d times, want %d", n, tries)
	}
	if n := strings.Count(w.said(), "missed chen"); n != 1 {
		t.Errorf("said %d times that chen was not reached", n)
	}
	// A level that was left for an hour and more is told anew.
	w.until(w.now + table(t).Afresh)
	w.Stands(flood(evacuate), w.now)
	w.until(w.now + 40*time.Minute)
	if n := w.calls["call chen"]; n != 2*tries {
		t.Errorf("hours later chen was called %d times in all, want %d", n, 2*tries)
	}
}

func TestALevelThatCameTooShortlyIsToldOnWhenItComesAgain(t *testing.T) {
	w := run(t, village(), phones(map[string]Known{}))
	w.Stands(flood(prepare), 0)
	w.until(time.Minute)
	w.Stands(flood(evacuate), w.now)
	w.until(w.now + time.Minute)
	w.Stands(flood(prepare), w.now)
	w.until(w.now + table(t).Within + time.Minute) // the round's time is over
	w.Stands(flood(evacuate), w.now)
	w.until(w.now + table(t).Within)
	if n, want := w.calls["call chen"], table(t).Tries; n != want {
		t.Errorf("chen was called %d times, want %d", n, want)
	}
}

func TestNobodyIsCalledOnceItIsOverAndThoseWhoWereToldHearIt(t *testing.T) {
	for _, over := range []bool{true, false} {
		w := run(t, village(), phones(map[string]Known{"chen": Rang, "wang": Rang}))
		w.Stands(flood(evacuate), 0)
		w.until(40 * time.Second)
		calls := w.calls["call chen"] + w.calls["call wang"]
		if calls == 0 {
			t.Fatal("nobody was called")
		}
		if over {
			w.Over("a1", w.now)
		} else {
			w.Subsided("a1", w.now)
		}
		w.until(time.Hour)
		told := 0
		for _, l := range w.log {
			if strings.HasSuffix(l, "all-clear") {
				told++
			}
		}
		if n := w.calls["call chen"] + w.calls["call wang"]; n != calls || over && told != 4 || !over && told != 0 {
			t.Errorf("%d calls then %d, told %d: %s", calls, n, told, w.said())
		}
	}
	// A task under way is broken off.
	m := New(table(t), village())
	m.Stands(flood(evacuate), 0)
	x, ok, _, _ := m.Next(0)
	if !ok || !m.Holds(x) {
		t.Fatal(x)
	}
	if m.Stands(Round{Cause: "a1", Hazard: "flood", Level: prepare}, 1); m.Holds(x) {
		t.Error("a call for a level that stands no more goes on")
	}
	m.Over("a1", 2)
	if m.Holds(x) {
		t.Error("a call goes on after the all-clear")
	}
}

func TestARoundEndsInTime(t *testing.T) {
	var calls int
	unable := true
	w := run(t, village(), func(x Task) (Outcome, time.Duration) {
		if unable {
			return Outcome{Unable: true}, 0
		}
		calls++
		return Outcome{Done: true, Known: Confirmed, Keys: "1"}, time.Second
	})
	w.Stands(flood(evacuate), 0)
	w.until(30 * time.Minute)
	if calls != 0 || len(w.log) != 0 {
		t.Fatal(w.said())
	}
	// A modem that comes back in time still does it all; no try was counted.
	unable = false
	w.until(35 * time.Minute)
	if calls != 6 || !strings.Contains(w.said(), "everybody") {
		t.Errorf("%d, %s", calls, w.said())
	}
	unable = true
	w.Stands(Round{Cause: "a2", Hazard: "gas", Level: evacuate}, w.now)
	w.until(w.now + 2*time.Hour)
	if !strings.HasSuffix(w.said(), "time") {
		t.Error(w.said())
	}
}

func TestAPowerCutForgetsNobodyWhoConfirmed(t *testing.T) {
	// The power goes at each task in turn, before it is done and right after.
	for cut := range 12 {
		for _, before := range []bool{true, false} {
			confirmed := map[string]int{}
			does := phones(map[string]Known{"chen": Rang, "wang": Confirmed, "li": Confirmed})
			people := village()
			m := New(table(t), people)
			now, n := time.Duration(0), 0
			var said []string
			m.Stands(flood(evacuate), 0)
			for now < time.Hour {
				x, ok, wait, _ := m.Next(now)
				if !ok {
					now += wait
					continue
				}
				restart := func() {
					b, err := m.Snapshot(now)
					if err != nil {
						t.Fatal(err)
					}
					now = 3 * time.Second // another boot
					m = New(table(t), people)
					ev, err := m.Restore(b, now)
					if err != nil {
						t.Fatal(err)
					}
					for _, e := range ev {
						said = append(said, string(e.What)+" "+e.Task.Person)
					}
					m.Stands(flood(evacuate), now) // the alarms come back by their own way
				}
				if n++; n-1 == cut && before {
					restart()
					continue
				}
				if confirmed[x.Person] > 0 && x.Kind == Call {
					t.Fatalf("cut %d: %s is called again", cut, x.Person)
				}
				o, d := does(x)
				now += d
				m.Done(o, now)
				if o.Known == Confirmed {
					confirmed[x.Person]++
				}
				if n-1 == cut && !before {
					restart()
				}
			}
			if confirmed["wang"] != 1 || confirmed["li"] != 1 && !(before && len(said) > 0) {
				t.Errorf("cut %d (%v): %v, %v", cut, before, confirmed, said)
			}
			if before && cut < 8 && (len(said) == 0 || !strings.HasPrefix(said[0], "unknown") || len(said) > 2) {
				t.Errorf("cut %d: told %v", cut, said)
			}
		}
	}
}

func TestWithoutAWayToCallPeopleAreWrittenTo(t *testing.T) {
	w := run(t, village(), phones(map[string]Known{"chen": Confirmed, "wang": Confirmed}))
	w.Mute = true
	w.note(w.Stands(flood(evacuate), 0))
	w.until(10 * time.Minute)
	if w.said() != "wrote chen, wrote wang, wrote li, wrote clerk" {
		t.Fatal(w.said())
	}
	w.Mute = false
	w.until(12 * time.Minute)
	if !strings.HasSuffix(w.said(), "everybody wang") {
		t.Error(w.said())
	}
}

func TestDrillsCallOnlyAsTheTableSays(t *testing.T) {
	for _, c := range []struct{ sms, call bool }{{false, false}, {true, false}, {true, true}} {
		w := run(t, village(), phones(map[string]Known{"chen": Confirmed, "wang": Confirmed}))
		w.t2(c.sms, c.call)
		w.Stands(Round{Cause: "x", Hazard: "flood", Level: evacuate, Drill: true}, 0)
		w.until(time.Hour)
		if (w.calls["write chen"] == 1) != c.sms || (w.calls["call chen"] == 1) != c.call {
			t.Errorf("%+v: %v", c, w.calls)
		}
	}
}

func (w *world) t2(sms, call bool) { w.Machine.t.Drill.SMS, w.Machine.t.Drill.Call = sms, call }

func TestRoundsAreBoundedAndTheRealGoesBeforeDrills(t *testing.T) {
	m := New(table(t), village())
	for i := range roundsMost {
		m.Stands(Round{Cause: fmt.Sprint("drill", i), Hazard: "flood", Level: evacuate, Drill: true}, 0)
	}
	if ev := m.Stands(Round{Cause: "one more", Hazard: "flood", Level: evacuate, Drill: true}, 0); len(ev) != 1 || ev[0].What != Shed || ev[0].Task.Cause != "one more" {
		t.Errorf("%+v", ev)
	}
	if ev := m.Stands(flood(evacuate), 0); len(ev) != 1 || ev[0].What != Shed || !ev[0].Task.Drill || len(m.rounds) != roundsMost {
		t.Errorf("%+v", ev)
	}
	if x, ok, _, _ := m.Next(0); !ok || x.Cause != "a1" {
		t.Errorf("%+v", x)
	}
}

func TestAListThatChangesKeepsWhatIsKnown(t *testing.T) {
	w := run(t, village(), phones(map[string]Known{"chen": Confirmed, "wang": Confirmed, "sun": Confirmed}))
	w.Stands(flood(evacuate), 0)
	w.until(5 * time.Minute)
	w.Configure(table(t), append(village(), Person{ID: "sun", Numbers: []string{"+8613800000009"}, SMS: prepare, Call: evacuate}))
	w.until(10 * time.Minute)
	if w.calls["call chen"] != 1 || w.calls["call sun"] != 1 || w.calls["write chen"] != 1 {
		t.Error(w.calls)
	}
	w.Configure(table(t), nil)
	w.until(20 * time.Minute)
	for _, v := range w.View() {
		if len(v.People) != 0 {
			t.Errorf("%+v", v)
		}
	}
}

func TestNumbersAreMasked(t *testing.T) {
	for in, want := range map[string]string{"+8613800138000": "138****8000", "13800138000": "138****8000", "07636600002": "076****0002", "6600002": "6****0002", "660002": "6****0002", "110": "***", "+35844123456789": "+35****6789"} {
		if got := Mask(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestTablesAreProved(t *testing.T) {
	b, err := os.ReadFile("../../../configs/rollcall.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"no keys": {`keys: "1"`, `keys: ""`}, "a letter": {`keys: "1"`, `keys: "x"`}, "tries without end": {"tries: 2", "tries: 99"},
		"calls without end": {"longest: 3m", "longest: 3h"}, "a round without end": {"within: 40m", "within: 40h"}, "another version": {"version: 1", "version: 2"},
		"an unknown key": {"linger:", "lingers:"}, "no level": {"sms: prepare, ", ""},
	} {
		x := strings.Replace(string(b), change[0], change[1], 1)
		if _, err := Parse([]byte(x)); err == nil || x == string(b) {
			t.Errorf("%s was taken", name)
		}
	}
}

// FuzzRestore gives what a disk may: nothing grows, and nobody is called without end.
func FuzzRestore(f *testing.F) {
	m := New(table(f), village())
	m.Stands(flood(evacuate), 0)
	m.Next(0)
	b, _ := m.Snapshot(0)
	f.Add(b)
	f.Add([]byte(`{"version":1,"rounds":[null,{"cause":"a","hazard":"flood","level":2,"phase":"calling","told":{"chen":null,"wang":{"calls":-5,"next":-9223372036854775808}}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := New(table(t), village())
		m.Restore(b, time.Minute)
		m.Stands(Round{Cause: "z", Hazard: "flood", Level: evacuate}, time.Minute)
		now, n := time.Minute, 0
		for now < 3*time.Hour {
			_, ok, wait, _ := m.Next(now)
			if !ok {
				if wait <= 0 {
					t.Fatal(wait)
				}
				now += wait
				continue
			}
			if n++; n > 20000 {
				t.Fatal("without end")
			}
			now += time.Second
			m.Done(Outcome{Known: Rang}, now)
		}
		if len(m.rounds) > 2*roundsMost {
			t.Fatal(len(m.rounds))
		}
		m.View()
	})
}
