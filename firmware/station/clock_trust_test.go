package station

import (
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
)

func TestHowFarTheClockMayBeBelievedIsToldOnceAndTakenBack(t *testing.T) {
	r := guard.ClockRules{Trust: guard.Debounce{After: 10 * time.Minute, Clears: time.Minute}, Jump: time.Minute, Told: 24 * time.Hour}
	var w clockWatch
	var mono time.Duration
	calls, clears := map[string]int{}, map[string]int{}
	pass := func(trust clock.Trust, d, by time.Duration) (last string) {
		for end := mono + d; mono < end; mono += time.Second {
			call, clear := w.look(clock.Stamp{Mono: mono, Trust: trust}, by, r)
			by = 0
			for thing, m := range call {
				calls[thing]++
				last = m.Code
			}
			for _, thing := range clear {
				clears[thing]++
			}
		}
		return last
	}
	pass(clock.Free, 5*time.Minute, 0)
	pass(clock.Set, time.Hour, 3*365*24*time.Hour) // set for the first time: no jump
	if len(calls) != 0 {
		t.Fatalf("called: %v", calls)
	}
	for range 20 { // a source that comes and goes
		pass(clock.Held, 9*time.Minute, 0)
		pass(clock.Set, time.Minute, 0)
	}
	if len(calls) != 0 {
		t.Fatalf("called: %v", calls)
	}
	if code := pass(clock.Held, 3*time.Hour, 0); calls[clockTrust] != 1 || code != "guard.clock_fell" {
		t.Fatalf("called %v, at last %s", calls, code)
	}
	pass(clock.Set, 30*time.Second, 0)
	pass(clock.Held, 30*time.Second, 0)
	if clears[clockTrust] != 0 {
		t.Error("taken back after half a minute")
	}
	pass(clock.Set, 2*time.Minute, 0)
	if clears[clockTrust] != 1 || calls[clockTrust] != 1 {
		t.Errorf("called %v, taken back %v", calls, clears)
	}
	if code := pass(clock.Set, time.Minute, -2*time.Hour); calls[clockJump] != 1 || code != "guard.clock_back" {
		t.Errorf("called %v: %s", calls, code)
	}
	pass(clock.Set, time.Hour, 30*time.Second) // within what it may drift
	if pass(clock.Set, 25*time.Hour, 0); calls[clockJump] != 1 || clears[clockJump] != 1 {
		t.Errorf("called %v, taken back %v", calls, clears)
	}
	if code := pass(clock.Set, time.Minute, 2*time.Hour); code != "guard.clock_ahead" {
		t.Errorf("ahead: %s", code)
	}
	for want, trust := range map[string]clock.Trust{"guard.clock_free": clock.Free, "guard.clock_held": clock.Held} {
		w = clockWatch{}
		if code := pass(trust, time.Hour, 0); code != want {
			t.Errorf("%v: %s", trust, code)
		}
	}
}

func TestAChipWhoseCellIsEmptyIsFound(t *testing.T) {
	floor := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		kernel time.Time
		floor  time.Time
		chip   bool
		dead   bool
	}{
		{time.Unix(0, 0), floor, true, true}, {floor.Add(-24 * time.Hour), floor, true, true}, {floor.Add(-time.Second), floor, true, false},
		{floor.Add(time.Hour), floor, true, false}, {time.Unix(0, 0), floor, false, false}, {time.Unix(0, 0), time.Time{}, true, false},
	} {
		if got := cellDead(c.kernel, c.floor, c.chip); got != c.dead {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
