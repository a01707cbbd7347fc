package trust

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

var from = CounterKey{Issuer: "county", Key: "00", Group: "all"}

func TestACounterIsTakenOnce(t *testing.T) {
	type step struct {
		n    uint64
		want string
	}
	for _, c := range []struct {
		name   string
		window int
		steps  []step
	}{
		{"rising only", 0, []step{{5, ""}, {5, "trust.counter_seen"}, {4, "trust.counter_old"}, {6, ""}}},
		{"a window takes each once in any order", 3, []step{{5, ""}, {3, ""}, {3, "trust.counter_seen"}, {4, ""}, {2, ""}, {1, "trust.counter_old"}, {6, ""}, {2, "trust.counter_old"}, {3, "trust.counter_seen"}}},
		{"a great leap", 63, []step{{1, ""}, {1000, ""}, {999, ""}, {937, ""}, {936, "trust.counter_old"}}},
		{"the ends", 63, []step{{0, "trust.counter_zero"}, {math.MaxUint64, ""}, {math.MaxUint64, "trust.counter_seen"}, {math.MaxUint64 - 1, ""}}},
	} {
		b := NewCounters(CounterOptions{Window: c.window})
		for i, s := range c.steps {
			if _, err := b.Reserve(from, s.n); code(err) != s.want {
				t.Errorf("%s, step %d (%d): %v", c.name, i, s.n, err)
			}
		}
	}
}

func TestWhatIsGivenBackMayComeAgain(t *testing.T) {
	b := NewCounters(CounterOptions{Window: 8})
	r, _ := b.Reserve(from, 100)
	if _, err := b.Reserve(from, 100); err == nil {
		t.Error("reserved twice")
	}
	r.Release()
	r.Release()
	if _, err := b.Reserve(from, 7); err != nil {
		t.Error("a counter that was given back has pushed the window:", err)
	}
	r, _ = b.Reserve(from, 9)
	if _, err := b.Reserve(from, 10); err != nil {
		t.Fatal(err)
	}
	r.Release()
	if _, err := b.Reserve(from, 9); err != nil {
		t.Error(err)
	}
	if _, err := b.Reserve(from, 10); err == nil {
		t.Error("10 was taken twice")
	}
	var none *Reservation
	none.Release()
}

func TestCountersAreBoundedAndApart(t *testing.T) {
	b := NewCounters(CounterOptions{Most: 2})
	for _, k := range []CounterKey{{"a", "1", "g"}, {"a", "1", "h"}} {
		if _, err := b.Reserve(k, 5); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.Reserve(CounterKey{"b", "2", "g"}, 5); code(err) != "trust.counter_full" {
		t.Error(err)
	}
}

// TestNothingIsTakenTwiceOverPowerCuts holds Counters to a plain set, with power cuts
// after a Snapshot and restores on top of what was taken.
func TestNothingIsTakenTwiceOverPowerCuts(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		o := CounterOptions{Window: r.IntN(64)}
		b := NewCounters(o)
		taken := map[uint64]bool{}
		base := uint64(1)
		for range 2000 {
			n := base + r.Uint64N(80)
			res, err := b.Reserve(from, n)
			switch {
			case err == nil && taken[n]:
				t.Fatalf("seed %d: %d twice", seed, n)
			case err == nil && r.IntN(5) == 0:
				res.Release()
			case err == nil:
				taken[n] = true
				base = max(base, n-min(n, 40))
			}
			if r.IntN(20) == 0 {
				s, err := json.Marshal(b.Snapshot())
				if err != nil {
					t.Fatal(err)
				}
				var back CounterState
				if err := json.Unmarshal(s, &back); err != nil {
					t.Fatal(err)
				}
				if r.IntN(2) == 0 {
					b = NewCounters(o)
				}
				if err := b.Restore(back); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestAnOlderSnapshotNeverLowers(t *testing.T) {
	b := NewCounters(CounterOptions{Window: 10, Build: may})
	if _, err := b.Reserve(from, 5); err != nil {
		t.Fatal(err)
	}
	old := b.Snapshot()
	if _, err := b.Reserve(from, 8); err != nil {
		t.Fatal(err)
	}
	if err := b.Lift("county", may.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := b.Restore(old); err != nil {
		t.Fatal(err)
	}
	for _, n := range []uint64{5, 8} {
		if _, err := b.Reserve(from, n); code(err) != "trust.counter_seen" {
			t.Errorf("%d: %v", n, err)
		}
	}
	if !b.Floor("county").Equal(may.Add(time.Hour)) {
		t.Error(b.Floor("county"))
	}
	if code(b.Restore(CounterState{Version: 2})) != "trust.counter_version" {
		t.Error("another version was read")
	}
}

func TestTheFloorOnlyRisesAndNotTooFar(t *testing.T) {
	b := NewCounters(CounterOptions{Build: may, Ahead: 24 * time.Hour, Most: 1})
	if !b.Floor("county").Equal(may) {
		t.Error("not the build's time")
	}
	if err := b.Lift("county", may.Add(25*time.Hour)); code(err) != "trust.floor_ahead" {
		t.Error(err)
	}
	for _, h := range []int{3, 2} {
		if err := b.Lift("county", may.Add(time.Duration(h)*time.Hour)); err != nil {
			t.Error(err)
		}
	}
	if !b.Floor("county").Equal(may.Add(3*time.Hour)) || !b.Floor("other").Equal(may) {
		t.Error(b.Floor("county"), b.Floor("other"))
	}
	if err := b.Lift("other", may.Add(time.Hour)); code(err) != "trust.counter_full" {
		t.Error(err)
	}
}

func TestAFloorIsPutRightOnlyWhereItLiesFarAhead(t *testing.T) {
	for what, c := range map[string]struct{ floor, want time.Duration }{
		"behind": {-time.Hour, -time.Hour}, "as far as may be": {7 * 24 * time.Hour, 7 * 24 * time.Hour}, "further": {7*24*time.Hour + time.Second, 0},
	} {
		b, now := NewCounters(CounterOptions{Build: may}), may.Add(1000*time.Hour)
		if err := b.Lift("county", now.Add(c.floor)); err != nil {
			t.Fatal(err)
		}
		b.Correct("county", now, 7*24*time.Hour)
		b.Correct("other", now, 0)
		if !b.Floor("county").Equal(now.Add(c.want)) || !b.Floor("other").Equal(may) {
			t.Errorf("%s: %s, %s", what, b.Floor("county"), b.Floor("other"))
		}
	}
}
