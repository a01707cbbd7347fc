package rule

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/firmware/clock"
	"tocsin/firmware/point"
)

const (
	prepare  point.Level = 1
	evacuate point.Level = 2
)

var t0 = time.Date(2026, 5, 12, 22, 40, 0, 0, time.UTC)

func at(d time.Duration) clock.Stamp {
	return clock.Stamp{Mono: d, Wall: t0.Add(d), Boot: "a", Trust: clock.Set}
}

func good(id point.ID, v float64, d time.Duration) point.Reading {
	return point.Reading{Point: id, Value: v, Unit: "mm", Quality: point.Good, At: at(d)}
}

func bad(id point.ID, q point.Quality, d time.Duration) point.Reading {
	return point.Reading{Point: id, Value: math.NaN(), Quality: q, At: at(d)}
}

func rainRule() Spec {
	return Spec{Hazard: "flash-flood", AnyOf: []Condition{{
		Point: "rain.total", Unit: "mm", Kind: Sum, Window: time.Hour,
		Levels: []Threshold{{prepare, 45, 36}, {evacuate, 60, 48}},
	}}}
}

func levelRule() Spec {
	return Spec{Hazard: "flash-flood", AnyOf: []Condition{
		{Point: "river.level", Unit: "m", Dwell: 10 * time.Second, ClearDwell: 10 * time.Minute,
			Levels: []Threshold{{prepare, 101.2, 100.9}, {evacuate, 102.4, 102.1}}},
		{Point: "river.level", Unit: "m", Kind: Rise, Window: 30 * time.Minute, Levels: []Threshold{{prepare, 0.8, 0.6}}},
	}}
}

func engine(t interface{ Fatal(...any) }, specs ...Spec) *Engine {
	e, err := New(specs, map[point.ID]Source{
		"rain.total":  {Limit: time.Minute, Counter: &point.Counter{Wrap: 6553.6, Most: 8.0 / 60, Burst: 0.4}},
		"river.level": {Limit: time.Minute},
		"gas.o2":      {Limit: time.Minute},
	}, at(0))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func last(v []Verdict) Verdict { return v[len(v)-1] }

func TestASlidingSumRaisesAndFallsWithItsWindow(t *testing.T) {
	e := engine(t, rainRule())
	now, total := time.Duration(0), 100.0
	e.Observe(good("rain.total", total, now))
	var v Verdict
	for total < 145-1e-9 { // 1 mm a minute
		now += time.Minute
		total++
		v = last(e.Observe(good("rain.total", total, now)))
	}
	if v.Level != prepare || len(v.Because) != 1 {
		t.Fatalf("45 mm in an hour: %+v", v)
	}
	for i := 0; i < 15; i++ {
		now += time.Minute
		total++
		v = last(e.Observe(good("rain.total", total, now)))
	}
	if v.Level != evacuate {
		t.Fatalf("60 mm in an hour: %+v", v)
	}
	for i := 0; i < 61; i++ {
		now += time.Minute
		v = last(e.Observe(good("rain.total", total, now)))
	}
	if v.Level != point.Calm {
		t.Errorf("an hour without rain: %+v", v)
	}
}

func TestAFaultHoldsTheLevelAndNeverRaisesOrClears(t *testing.T) {
	for _, q := range []point.Quality{point.Unknown, point.Suspect, point.Stale, point.OutOfRange, point.SensorFault, point.CommFault} {
		e := engine(t, levelRule())
		for i := range 5 {
			e.Observe(good("river.level", 101.5, time.Duration(i)*10*time.Second))
		}
		r := bad("river.level", q, time.Minute)
		r.Value = 0
		v := last(e.Observe(r))
		if v.Level != prepare || !v.Blind {
			t.Errorf("%v after a level: %+v", q, v)
		}
		if v := last(e.Tick(at(5 * time.Hour))); v.Level != prepare {
			t.Errorf("%v held for hours: %+v", q, v)
		}
		e = engine(t, levelRule())
		r = bad("river.level", q, time.Minute)
		r.Value = 999
		if v := last(e.Observe(r)); v.Level != point.Calm {
			t.Errorf("%v with a high number raised: %+v", q, v)
		}
	}
}

func TestHysteresisAndDwell(t *testing.T) {
	e := engine(t, levelRule())
	step := func(v float64, d time.Duration) point.Level {
		return last(e.Observe(good("river.level", v, d))).Level
	}
	if l := step(101.3, 0); l != point.Calm {
		t.Errorf("before the dwell: %v", l)
	}
	if l := step(101.3, 10*time.Second); l != prepare {
		t.Errorf("after the dwell: %v", l)
	}
	if l := step(101.0, 20*time.Second); l != prepare {
		t.Errorf("between on and off: %v", l)
	}
	if l := step(100.5, 30*time.Second); l != prepare {
		t.Errorf("below off, before the clearing dwell: %v", l)
	}
	if l := step(100.5, 40*time.Minute); l != point.Calm {
		t.Errorf("below off for longer than the clearing dwell: %v", l)
	}
}

func TestARiseIsCountedFromTheLowestOfTheWindow(t *testing.T) {
	e := engine(t, levelRule())
	var v Verdict
	for i := range 31 {
		v = last(e.Observe(good("river.level", 98+float64(i)*0.03, time.Duration(i)*time.Minute)))
	}
	if v.Level != prepare {
		t.Errorf("0.9 m in 30 min: %+v", v)
	}
}

func TestACountersResetWrapAndSurgeAreNeverRain(t *testing.T) {
	for _, c := range []struct {
		name   string
		totals []float64
		sum    float64
		notes  int
	}{
		{"reset to zero", []float64{500, 0, 0.2}, 0.2, 1},
		{"exchanged for a lower one", []float64{500, 12, 12.2}, 0.2, 1},
		{"wrap", []float64{6553.4, 0.2}, 0.4, 0},
		{"surge", []float64{500, 560, 560.2}, 0.2, 1},
		{"two tips at once are true", []float64{500, 500.4}, 0.4, 0},
	} {
		e := engine(t, rainRule())
		for i, v := range c.totals {
			e.Observe(good("rain.total", v, time.Duration(i)*2*time.Second))
		}
		got := e.points["rain.total"].gains.sum(time.Hour, time.Hour)
		if math.Abs(got-c.sum) > 1e-9 {
			t.Errorf("%s: %v mm, want %v", c.name, got, c.sum)
		}
		if n := len(e.Notes()); n != c.notes {
			t.Errorf("%s: %d notes, want %d", c.name, n, c.notes)
		}
	}
}

func TestAGapIsFilledByTheCounterEvenly(t *testing.T) {
	e := engine(t, rainRule())
	e.Observe(good("rain.total", 0, 0))
	// Four hours without an answer, in which 40 mm fell: 10 mm an hour must
	// not become 40 mm in one.
	v := last(e.Observe(good("rain.total", 40, 4*time.Hour)))
	if s := e.points["rain.total"].gains.sum(4*time.Hour, time.Hour); s < 9.5 || s > 10.5 || v.Level != point.Calm {
		t.Errorf("%v mm in the last hour, %v", s, v.Level)
	}
}

func TestSilenceMakesAHazardBlindWithoutAnyReading(t *testing.T) {
	s := levelRule()
	s.LossAfter, s.LossTo = 20*time.Minute, prepare
	e := engine(t, s)
	e.Observe(good("river.level", 99, 0))
	if v := last(e.Tick(at(30 * time.Second))); v.Blind {
		t.Error("blind while fresh")
	}
	if v := last(e.Tick(at(2 * time.Minute))); !v.Blind || v.Level != point.Calm {
		t.Errorf("stale: %+v", v)
	}
	if v := last(e.Tick(at(23 * time.Minute))); v.Level != prepare {
		t.Errorf("blind for longer than the rule allows: %+v", v)
	}
}

func TestTooLittleIsADangerToo(t *testing.T) {
	e := engine(t, Spec{Hazard: "oxygen", AnyOf: []Condition{{Point: "gas.o2", Unit: "%VOL", Below: true, Levels: []Threshold{{prepare, 19.5, 20}}}}})
	if v := last(e.Observe(good("gas.o2", 19.4, 0))); v.Level != prepare {
		t.Errorf("19.4: %+v", v)
	}
	if v := last(e.Observe(good("gas.o2", 19.8, time.Second))); v.Level != prepare {
		t.Errorf("19.8: %+v", v)
	}
	if v := last(e.Observe(good("gas.o2", 20.5, 2*time.Second))); v.Level != point.Calm {
		t.Errorf("20.5: %+v", v)
	}
}

func TestMemorySurvivesARestartInTheSameAndInALaterBoot(t *testing.T) {
	for _, boot := range []string{"a", "b"} {
		e := engine(t, rainRule(), levelRule())
		for i := range 41 {
			e.Observe(good("rain.total", float64(i), time.Duration(i)*time.Minute))
			e.Observe(good("river.level", 101.5, time.Duration(i)*time.Minute))
		}
		b, err := e.State(at(40 * time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		// Five minutes without power; a later boot counts from zero again.
		now := at(45 * time.Minute)
		if boot == "b" {
			now = clock.Stamp{Mono: 3 * time.Second, Wall: t0.Add(45 * time.Minute), Boot: "b", Trust: clock.Set}
		}
		e2 := engine(t, rainRule(), levelRule())
		if err := e2.Restore(b, now); err != nil {
			t.Fatal(err)
		}
		r := point.Reading{Point: "rain.total", Value: 45, Quality: point.Good, At: now}
		if v := last(e2.Observe(r)); v.Level != prepare {
			t.Errorf("boot %s: 45 mm within the hour, over the cut: %+v", boot, v)
		}
		if v := last(e2.Tick(now)); v.Level != prepare {
			t.Errorf("boot %s: the river's level was forgotten: %+v", boot, v)
		}
	}
}

func TestDamagedMemoryIsAnErrorAndNothingElse(t *testing.T) {
	e := engine(t, rainRule())
	for _, b := range []string{"", "{", `{"version":9}`, `{"version":1,"points":{"rain.total":{"gains":[{"t":1e18,"v":1e308}],"counted":true}}}`} {
		_ = e.Restore([]byte(b), at(0))
	}
	if v := last(e.Tick(at(0))); v.Level != point.Calm {
		t.Errorf("damaged memory raised: %+v", v)
	}
}

// TestASumIsNeverLessThanTheTruth holds the bounded series against an exact sum.
func TestASumIsNeverLessThanTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var g gains
		var exact []sample
		now := time.Duration(0)
		n := rapid.IntRange(1, 3*most/2).Draw(t, "n")
		step := time.Duration(rapid.IntRange(1, 30).Draw(t, "step")) * time.Second
		for range n {
			now += step
			g.add(now, 0.2, 72*time.Hour)
			exact = append(exact, sample{now, 0.2})
		}
		if len(g.s) > most {
			t.Fatalf("%d samples", len(g.s))
		}
		w := time.Duration(rapid.IntRange(5, 72*60).Draw(t, "w")) * time.Minute
		want := 0.0
		for _, s := range exact {
			if s.At > now-w {
				want += s.V
			}
		}
		got := g.sum(now, w)
		if got < want-1e-6 {
			t.Fatalf("sum %v, truth %v", got, want)
		}
	})
}

func FuzzRestore(f *testing.F) {
	e := engine(f, rainRule(), levelRule())
	e.Observe(good("rain.total", 1, 0))
	b, _ := e.State(at(time.Minute))
	f.Add(b)
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e := engine(t, rainRule(), levelRule())
		_ = e.Restore(b, at(time.Hour))
		e.Observe(good("rain.total", 2, time.Hour))
		e.Tick(at(2 * time.Hour))
	})
}

func TestALevelFromBeforeARestartIsHeldWhenTheMemoryIsGone(t *testing.T) {
	e := engine(t, levelRule())
	e.Hold("flash-flood", evacuate)
	if v := last(e.Tick(at(time.Second))); v.Level != evacuate || !v.Blind {
		t.Errorf("blind after the restart: %+v", v)
	}
	if v := last(e.Observe(good("river.level", 99, 2*time.Second))); v.Level != evacuate {
		t.Errorf("the first low reading called people back: %+v", v)
	}
	if v := last(e.Observe(bad("river.level", point.CommFault, time.Minute))); v.Level != evacuate {
		t.Errorf("a fault: %+v", v)
	}
	for d := 2 * time.Minute; d < 11*time.Minute; d += 10 * time.Second {
		if v := last(e.Observe(good("river.level", 99, d))); v.Level != evacuate {
			t.Fatalf("after %v of calm: %+v", d, v)
		}
	}
	if v := last(e.Observe(good("river.level", 99, 13*time.Minute))); v.Level != point.Calm {
		t.Errorf("calm for longer than the clearing dwell: %+v", v)
	}
	// Where the memory explains the level, nothing more is held.
	e = engine(t, levelRule())
	e.Observe(good("river.level", 101.5, 0))
	e.Observe(good("river.level", 101.5, 10*time.Second))
	e.Hold("flash-flood", prepare)
	if h := e.rules[0].held; h != point.Calm {
		t.Errorf("held %v", h)
	}
}

func TestMemoryThatComesLateLowersNothing(t *testing.T) {
	old := engine(t, levelRule())
	old.Observe(good("river.level", 99, 0))
	b, err := old.State(at(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	e := engine(t, levelRule())
	e.Observe(good("river.level", 103, 10*time.Second))
	e.Observe(good("river.level", 103, 20*time.Second))
	if err := e.Restore(b, at(21*time.Second)); err != nil {
		t.Fatal(err)
	}
	if v := last(e.Tick(at(22 * time.Second))); v.Level != evacuate {
		t.Errorf("a disk that was slow lowered the level: %+v", v)
	}
}

// A box without a clock runs on from its floor; the next boot is given the time.
func TestAClockThatIsSetLaterForgetsNoRain(t *testing.T) {
	old := engine(t, rainRule())
	free := clock.Stamp{Mono: time.Hour, Wall: t0.AddDate(0, -3, 0), Boot: "a", Trust: clock.Free}
	rain := func(e *Engine, total float64, s clock.Stamp) []Verdict {
		return e.Observe(point.Reading{Point: "rain.total", Value: total, Unit: "mm", Quality: point.Good, At: s})
	}
	rain(old, 0, free)
	rain(old, 50, free.Add(10*time.Minute))
	b, err := old.State(free.Add(11 * time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	now := clock.Stamp{Mono: time.Minute, Wall: t0, Boot: "b", Trust: clock.Set}
	e := engine(t, rainRule())
	if err := e.Restore(b, now); err != nil {
		t.Fatal(err)
	}
	if v := last(rain(e, 50, now.Add(time.Second))); v.Level != prepare {
		t.Errorf("50 mm of the last minutes are forgotten: %+v", v)
	}
}
