package alarm

import (
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/point"
)

const flood = WarnedPrefix + "c1"

func warned(l point.Level, s int) rule.Verdict {
	return rule.Verdict{Hazard: flood, Level: l, At: at(s)}
}

func TestAWarningInForceIsReleasedByItsSenderAloneAndByNobodyHere(t *testing.T) {
	m := New()
	m.Ruled(nil)
	raised := m.Apply(warned(2, 0))
	m.InForce([]string{flood})
	if len(raised) != 1 || !raised[0].Alarm.Warned() {
		t.Fatalf("%+v", raised)
	}
	if len(m.Orphans()) != 0 {
		t.Error("a warning was taken for a hazard whose rule is gone")
	}
	id := raised[0].Alarm.ID
	if _, err := m.Release(id, wang, "", at(1)); err == nil {
		t.Fatal("a person here lifted what the county ordered")
	}
	if _, err := m.Acknowledge(id, wang, at(2)); err != nil {
		t.Fatal(err)
	}
	county := Who{Name: "county", Via: "alert"}
	e, ok := m.Lift(flood, county, "cancelled", at(3))
	if !ok || e.Kind != EventReleased || e.Alarm.ID != id || *e.Alarm.By != county {
		t.Fatalf("%+v", e)
	}
	if _, ok := m.Lift(flood, county, "", at(4)); ok {
		t.Error("lifted twice")
	}
}

func TestAWarningThatEndedByItsTimeWaitsForAPersonAndLapsesAfterALongTime(t *testing.T) {
	m := New()
	m.Apply(warned(1, 0))
	m.InForce([]string{flood})
	if ev := m.Apply(warned(0, 10)); len(ev) != 1 || ev[0].Kind != EventSubsided {
		t.Fatalf("%v", kinds(ev))
	}
	m.InForce(nil)
	if ev := m.Lapse(time.Hour, at(10+3600)); len(ev) != 0 {
		t.Errorf("lapsed early: %v", kinds(ev))
	}
	ev := m.Lapse(time.Hour, at(10+3601))
	if len(ev) != 1 || ev[0].Kind != EventLapsed || ev[0].Alarm.By != nil || len(m.Open()) != 0 {
		t.Fatalf("%+v", ev)
	}
}

func TestAWarningThatNobodyRemembersCanBeReleased(t *testing.T) {
	m := New()
	id := m.Apply(warned(2, 0))[0].Alarm.ID
	m.InForce(nil)
	if _, err := m.Release(id, wang, "", at(1)); err != nil {
		t.Error(err)
	}
}

func TestAMeasuredAlarmNeverLapses(t *testing.T) {
	m := New()
	m.Apply(verdict(2, 0))
	m.Apply(verdict(0, 1))
	if ev := m.Lapse(0, clock.Stamp{Mono: 1000 * time.Hour, Boot: at(0).Boot}); len(ev) != 0 {
		t.Errorf("%v", kinds(ev))
	}
}
