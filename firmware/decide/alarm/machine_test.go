package alarm

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/point"
)

func at(n int) clock.Stamp { return clock.Stamp{Mono: time.Duration(n) * time.Second, Boot: "a"} }

func verdict(l point.Level, n int) rule.Verdict {
	return rule.Verdict{Hazard: "flood", Level: l, At: at(n)}
}

func kinds(ev []Event) (k []Kind) {
	for _, e := range ev {
		k = append(k, e.Kind)
	}
	return
}

var wang = Who{"王建国", "key"}

func TestAnAlarmKeepsItsIDUntilANamedPersonReleasesIt(t *testing.T) {
	m := New()
	ev := m.Apply(verdict(1, 1))
	if len(ev) != 1 || ev[0].Kind != EventRaised {
		t.Fatalf("raise: %v", kinds(ev))
	}
	id := ev[0].Alarm.ID
	if _, err := m.Release(id, wang, "", at(2)); err == nil {
		t.Error("released while the measurements hold it")
	}
	for i, c := range []struct {
		level point.Level
		want  Kind
	}{{2, EventEscalated}, {1, EventEased}, {0, EventSubsided}, {1, EventAgain}, {0, EventSubsided}} {
		ev := m.Apply(verdict(c.level, 3+i))
		if len(ev) != 1 || ev[0].Kind != c.want || ev[0].Alarm.ID != id {
			t.Fatalf("step %d: %+v", i, ev)
		}
	}
	if _, err := m.Release(id, Who{}, "", at(20)); err == nil {
		t.Error("released by nobody")
	}
	e, err := m.Release(id, wang, "水位已回落", at(21))
	if err != nil || e.Kind != EventReleased || e.Alarm.Peak != 2 {
		t.Fatalf("release: %+v %v", e, err)
	}
	if ev := m.Apply(verdict(1, 30)); ev[0].Alarm.ID == id {
		t.Error("a new alarm has the old id")
	}
}

func TestAcknowledgementEndsWithAnEscalation(t *testing.T) {
	m := New()
	id := m.Apply(verdict(1, 1))[0].Alarm.ID
	if _, err := m.Acknowledge(id, wang, at(2)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Acknowledge(id, wang, at(3)); err == nil {
		t.Error("acknowledged twice")
	}
	m.Apply(verdict(2, 4))
	if a := m.Open()[0]; a.State != Raised || a.By != nil {
		t.Errorf("the worse level counts as acknowledged: %+v", a)
	}
}

func TestBlindnessIsToldAndChangesNoLevel(t *testing.T) {
	m := New()
	v := verdict(0, 1)
	v.Blind = true
	if ev := m.Apply(v); len(ev) != 1 || ev[0].Kind != EventBlind || len(m.Open()) != 0 {
		t.Fatalf("%+v", ev)
	}
	if !m.AnyBlind() {
		t.Error("not blind")
	}
	v.Level, v.Blind = 1, false
	if k := kinds(m.Apply(v)); len(k) != 2 || k[0] != EventSighted || k[1] != EventRaised {
		t.Errorf("%v", k)
	}
}

func TestAPersonMayRaiseAndOnlyAPersonEndsIt(t *testing.T) {
	m := New()
	e, err := m.RaiseByHand(1, wang, "", at(1))
	if err != nil || e.Kind != EventRaised {
		t.Fatal(e, err)
	}
	if _, err := m.RaiseByHand(1, wang, "", at(2)); err == nil {
		t.Error("raised twice to the same level")
	}
	e2, err := m.RaiseByHand(2, wang, "", at(3))
	if err != nil || e2.Kind != EventEscalated || e2.Alarm.ID != e.Alarm.ID {
		t.Fatal(e2, err)
	}
	if ev := m.Apply(verdict(0, 4)); len(ev) != 0 {
		t.Errorf("a calm rule touched it: %v", kinds(ev))
	}
	if _, err := m.Release(e.Alarm.ID, wang, "误报", at(5)); err != nil {
		t.Error(err)
	}
}

func TestAlarmsComeBackUnderTheirIDs(t *testing.T) {
	m := New()
	m.Apply(verdict(2, 1))
	want := m.Open()[0]
	b, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	m2 := New()
	if _, err := m2.Restore(b); err != nil {
		t.Fatal(err)
	}
	if got := m2.Open()[0]; got.ID != want.ID || got.Level != 2 || got.State != Raised {
		t.Errorf("%+v", got)
	}
	if ev := m2.Apply(verdict(2, 5)); len(ev) != 0 {
		t.Errorf("the same level raised again: %v", kinds(ev))
	}
	for _, bad := range []string{"", "{", `{"version":2}`} {
		if _, err := New().Restore([]byte(bad)); err == nil {
			t.Errorf("%q was restored", bad)
		}
	}
}

// TestNoSequenceOfVerdictsClearsWithoutAPerson is the promise of the package as
// a property: over any sequence there is one id until a release, and only
// Release ends it.
func TestNoSequenceOfVerdictsClearsWithoutAPerson(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := New()
		n := 0
		m.newID = func() string { n++; return fmt.Sprint("a", n) }
		id := ""
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			v := verdict(point.Level(rapid.IntRange(0, 3).Draw(t, "level")), i)
			v.Blind = rapid.Bool().Draw(t, "blind")
			for _, e := range m.Apply(v) {
				if e.Kind == EventReleased {
					t.Fatal("released by measurements")
				}
				if e.Alarm.ID == "" {
					continue
				}
				if id != "" && e.Alarm.ID != id {
					t.Fatalf("id changed from %s to %s", id, e.Alarm.ID)
				}
				id = e.Alarm.ID
			}
			if id != "" && len(m.Open()) != 1 {
				t.Fatal("the alarm is gone")
			}
			if id != "" && m.Open()[0].Level != v.Level {
				t.Fatalf("level %v, measured %v", m.Open()[0].Level, v.Level)
			}
			if id != "" && rapid.IntRange(0, 9).Draw(t, "act") == 0 {
				if _, err := m.Release(id, wang, "", at(i)); err == nil {
					id = ""
				}
			}
		}
	})
}

func TestAChangedConfigurationLowersNoLevel(t *testing.T) {
	m := New()
	id := m.Apply(verdict(2, 1))[0].Alarm.ID
	m.Ruled([]string{"flood"})
	if kept := m.Keep([]string{"flood", "other"}); fmt.Sprint(kept) != "[flood]" {
		t.Fatal(kept)
	}
	// The new thresholds are not reached: nothing eases, whatever they say, also after a restart.
	b, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if ev := m.Apply(verdict(1, 2)); len(ev) != 0 || m.Worst() != 2 {
		t.Fatalf("%v %v", kinds(ev), m.Worst())
	}
	if _, err := m.Release(id, wang, "", at(3)); err == nil {
		t.Fatal("released while the new thresholds hold a level")
	}
	m = New()
	m.Ruled([]string{"flood"})
	if _, err := m.Restore(b); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Release(id, wang, "", at(4)); err == nil {
		t.Fatal("released before anything was measured")
	}
	if ev := m.Apply(verdict(0, 5)); len(ev) != 0 || m.Worst() != 2 {
		t.Fatalf("after a restart: %v %v", kinds(ev), m.Worst())
	}
	if e, err := m.Release(id, wang, "", at(6)); err != nil || e.Alarm.Kept != 0 {
		t.Fatal("a named person cannot give the all-clear:", err)
	}
	// What rises by the new thresholds falls by them.
	m.Apply(verdict(1, 7))
	m.Keep([]string{"flood"})
	m.Apply(verdict(2, 8))
	if ev := m.Apply(verdict(1, 9)); len(ev) != 1 || ev[0].Kind != EventEased {
		t.Fatal(kinds(ev))
	}
}
