package alarm

import (
	"slices"
	"testing"

	"tocsin/firmware/point"
)

// A rule that is renamed or struck out leaves an alarm that nothing measures.
func TestAnAlarmWithoutARuleIsReleasedByAPerson(t *testing.T) {
	m := New()
	m.Ruled([]string{"flood"})
	id := m.Apply(verdict(2, 1))[0].Alarm.ID
	if _, err := m.Release(id, wang, "", at(2)); err == nil || m.Orphans() != nil {
		t.Fatal("released while its rule holds it")
	}
	m.Ruled([]string{"river"})
	if got := m.Orphans(); !slices.Equal(got, []string{"flood"}) {
		t.Errorf("orphans: %v", got)
	}
	if w := m.Worst(); w != 2 {
		t.Errorf("a change of the file lowered a level: %v", w)
	}
	if _, err := m.Release(id, wang, "规则已改", at(3)); err != nil {
		t.Errorf("nothing measures it and nobody may release it: %v", err)
	}
	if m.Orphans() != nil || m.Worst() != point.Calm {
		t.Error("it stands after its end")
	}
}

func TestDamageToOneAlarmTakesNoOtherWithIt(t *testing.T) {
	m := New()
	open, err := m.Restore([]byte(`{"version":1,"open":[
		{"id":"a1","hazard":"gas","level":999,"state":"raised"},
		{"id":"","hazard":"rain","level":1,"state":"raised"},
		{"id":"a2","hazard":"flood","level":2,"state":"of-a-later-release"}],
		"ended":[{"id":7},{"id":"a0","hazard":"gas","state":"released"}]}`))
	if err == nil {
		t.Error("nobody is told of the damage")
	}
	if len(open) != 1 || open[0].ID != "a2" || !open[0].Stands() {
		t.Fatalf("%+v", open)
	}
	// What nobody understands must not keep the level from sounding.
	if ev := m.Apply(verdict(3, 1)); len(ev) != 1 || ev[0].Kind != EventEscalated {
		t.Errorf("%v", kinds(ev))
	}
	if e := m.Ended(); len(e) != 1 || e[0].ID != "a0" {
		t.Errorf("ended: %+v", e)
	}
}

func FuzzRestore(f *testing.F) {
	m := New()
	m.Apply(verdict(2, 1))
	b, _ := m.Snapshot()
	f.Add(b)
	f.Add([]byte("null"))
	f.Add([]byte(`{"version":1,"open":[null,{}],"ended":[null]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := New()
		m.Restore(b)
		m.Apply(verdict(1, 1))
		m.Apply(verdict(0, 2))
		for _, a := range m.Open() {
			m.Acknowledge(a.ID, wang, at(3))
			m.Release(a.ID, wang, "", at(4))
		}
		m.Prune(at(5))
		if _, err := m.Snapshot(); err != nil {
			t.Error(err)
		}
	})
}
