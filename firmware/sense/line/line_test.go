package line

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

func every(d time.Duration) map[string]time.Duration { return map[string]time.Duration{"": d} }

func gauges(t *testing.T, n int, d time.Duration) []Unit {
	p := parse(t, "gauge", gaugeYAML)
	var us []Unit
	for i := range n {
		us = append(us, Unit{Device: "g" + string(rune('1'+i)), Unit: uint8(i + 1), Profile: p, Every: every(d)})
	}
	return us
}

func TestReadingsCarryUnitZeroAndTheTimeOfTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		b.data[1] = []byte{0, 7}
		us := gauges(t, 1, time.Second)
		us[0].Zero = map[string]float64{"v": 96.2}
		l := New(Config{Name: "west", Units: us}, b, opts(s))
		run(t, l)
		<-l.FirstRound()
		synctest.Wait()
		r := s.last(t, "g1.v")
		if !r.IsGood() || r.Value != 103.2 || r.Unit != "m" || r.At.Mono != b.wire {
			t.Errorf("got %+v", r)
		}
	})
}

func TestDeadlinesDoNotDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		l := New(Config{Name: "west", Units: gauges(t, 1, time.Second)}, b, opts(s))
		run(t, l)
		time.Sleep(100*time.Second + 500*time.Millisecond)
		if got := b.count(1); got != 101 {
			t.Errorf("asked %d times in 100.5 s, want 101", got)
		}
	})
}

func TestReadsKeepToTheGridOfTheirPeriod(t *testing.T) {
	start := time.Now()
	l := &Line{o: Opts{Clock: testClock{start}}}
	for name, c := range map[string]struct{ due, now, next time.Duration }{
		"in time":                         {100, 105, 200},
		"late reads are not asked twice":  {0, 350, 400},
		"asked off the grid, after it":    {130, 135, 200},
		"asked off the grid, just before": {295, 296, 400},
		"nobody drifts":                   {60_000, 60_099, 60_100},
	} {
		t.Run(name, func(t *testing.T) {
			j := &job{every: 100 * time.Millisecond, due: start.Add(c.due * time.Millisecond)}
			l.schedule(j, start.Add(c.now*time.Millisecond))
			if got := j.due.Sub(start); got != c.next*time.Millisecond {
				t.Errorf("next due after %v, want %v", got, c.next*time.Millisecond)
			}
		})
	}
}

func TestADeadUnitIsQuarantinedAndReturnsWithinTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		b.dead[2] = true
		l := New(Config{Name: "west", Units: gauges(t, 3, time.Second), Timeout: b.timeout}, b, opts(s))
		run(t, l)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if u := l.Snapshot().Units[1]; !u.Quarantined || u.Faults["timeout"] == 0 || u.Wasted == 0 {
			t.Fatalf("not quarantined: %+v", u)
		}
		if r := s.last(t, "g2.v"); r.Quality != point.CommFault || !strings.Contains(r.Why.In(phrase.EN), "g2 (unit 2) on line west does not answer") {
			t.Errorf("got %v %q", r.Quality, r.Why.In(phrase.EN))
		}
		m, ok := s.fault("device g2")
		if !ok || !strings.Contains(m.In(phrase.ZH), "没有应答") {
			t.Errorf("fault %q", m.In(phrase.ZH))
		}
		if got := len(s.of("g1.v")); got < 20 {
			t.Errorf("the healthy unit was read %d times in 20 s", got)
		}
		b.set(func() { b.dead[2] = false })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if r := s.last(t, "g2.v"); !r.IsGood() {
			t.Errorf("10 s after its return: %v", r.Quality)
		}
		if _, ok := s.fault("device g2"); ok {
			t.Error("its fault still stands")
		}
		n := b.count(2)
		time.Sleep(10 * time.Second)
		if got := b.count(2) - n; got < 9 {
			t.Errorf("read %d times in 10 s after its return", got)
		}
	})
}

func TestADeadUnitCostsABusyLineLittle(t *testing.T) {
	for _, owed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b, s := newFake(), &sink{}
			l := New(Config{Name: "west", Units: gauges(t, 5, 0), Timeout: b.timeout}, b, opts(s))
			b.dead[5] = true
			if owed {
				// As our Modbus driver: after a timeout the unit is not asked for six.
				var until time.Time
				b.fault[5] = func(int) *drivers.Fault {
					if now := time.Now(); now.Before(until) {
						return &drivers.Fault{Kind: drivers.FaultOwed, Until: until}
					}
					until = time.Now().Add(6 * b.timeout)
					return nil
				}
			}
			run(t, l)
			// Three rounds: the dead unit was tried thrice.
			time.Sleep(3 * (4*b.wire + b.timeout))
			before := 0
			for u := range uint8(4) {
				before += b.count(u + 1)
			}
			const span = 60 * time.Second
			time.Sleep(span)
			good := -before
			for u := range uint8(4) {
				good += b.count(u + 1)
			}
			if healthy := int(span / b.wire); float64(good) < 0.9*float64(healthy) {
				t.Errorf("owed %v: %d reads of %d", owed, good, healthy)
			}
			b.set(func() { b.dead[5] = false; delete(b.fault, 5) })
			time.Sleep(20 * time.Second)
			synctest.Wait()
			if r := s.last(t, "g5.v"); !r.IsGood() {
				t.Errorf("owed %v: not back on a busy line: %v", owed, r.Quality)
			}
		})
	}
}

func TestOneLostAnswerIsAskedForAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		b.fault[1] = func(n int) *drivers.Fault {
			if n == 2 {
				return &drivers.Fault{Kind: drivers.FaultGarbled}
			}
			return nil
		}
		l := New(Config{Name: "west", Units: gauges(t, 1, time.Second)}, b, opts(s))
		run(t, l)
		time.Sleep(3500 * time.Millisecond)
		for _, r := range s.of("g1.v") {
			if !r.IsGood() {
				t.Errorf("got %v", r.Quality)
			}
		}
		if got := l.Snapshot().Units[0]; got.Faults["garbled"] != 1 || got.Asked != 5 {
			t.Errorf("counted %+v", got)
		}
	})
}

func TestARefusalNamesTheExceptionAndTheUnitIsNotDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		b.fault[1] = func(int) *drivers.Fault { return &drivers.Fault{Kind: drivers.FaultRefused, Code: 2} }
		l := New(Config{Name: "west", Units: gauges(t, 1, time.Second)}, b, opts(s))
		run(t, l)
		time.Sleep(10500 * time.Millisecond)
		r := s.last(t, "g1.v")
		if r.Quality != point.CommFault || !strings.Contains(r.Why.In(phrase.EN), "exception 2: illegal data address") {
			t.Errorf("got %v %q", r.Quality, r.Why.In(phrase.EN))
		}
		if u := l.Snapshot().Units[0]; u.Quarantined || u.Faults["refused"] != 11 {
			t.Errorf("got %+v", u)
		}
		if s.raised != 1 {
			t.Errorf("raised %d times", s.raised)
		}
		b.set(func() { delete(b.fault, 1) })
		time.Sleep(time.Second)
		synctest.Wait()
		if _, ok := s.fault("device g1"); ok {
			t.Error("the fault still stands")
		}
	})
}

func TestADoubtfulAnswerIsSuspect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		b.doubt[1] = true
		l := New(Config{Name: "west", Units: gauges(t, 1, time.Second)}, b, opts(s))
		run(t, l)
		<-l.FirstRound()
		synctest.Wait()
		if r := s.last(t, "g1.v"); r.Quality != point.Suspect || r.Why.Code != "line.doubt" {
			t.Errorf("got %v %v", r.Quality, r.Why)
		}
	})
}

func TestAnOwedReadWaitsWhileOthersAreAskedAndTheBusListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		until := time.Now().Add(5 * time.Second)
		b.fault[1] = func(int) *drivers.Fault {
			if time.Now().Before(until) {
				return &drivers.Fault{Kind: drivers.FaultOwed, Until: until}
			}
			return nil
		}
		l := New(Config{Name: "west", Units: gauges(t, 2, time.Second)}, b, opts(s))
		run(t, l)
		time.Sleep(4900 * time.Millisecond)
		synctest.Wait()
		if got := len(s.of("g1.v")); got != 0 {
			t.Errorf("%d readings of a unit that was not asked", got)
		}
		if got := len(s.of("g2.v")); got != 5 {
			t.Errorf("the other unit was read %d times", got)
		}
		b.set(func() {
			if !slices.Contains(b.log, "listen") {
				t.Error("nobody listened")
			}
		})
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if r := s.last(t, "g1.v"); !r.IsGood() || r.At.Mono > 5*time.Second+10*time.Millisecond+2*b.wire {
			t.Errorf("got %+v", r)
		}
	})
}

func TestALateAnswerThatTheBusHearsLetsTheUnitBeAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		paid := false
		until := time.Now().Add(time.Hour)
		b.fault[1] = func(int) *drivers.Fault {
			if !paid {
				return &drivers.Fault{Kind: drivers.FaultOwed, Until: until}
			}
			return nil
		}
		heard := time.Now().Add(100 * time.Millisecond)
		b.listen = func(ctx context.Context, until time.Time) error {
			if until.Before(heard) {
				sleep(ctx, time.Until(until))
				return nil
			}
			sleep(ctx, time.Until(heard))
			paid = true
			return nil
		}
		l := New(Config{Name: "west", Units: gauges(t, 1, time.Second)}, b, opts(s))
		run(t, l)
		time.Sleep(150 * time.Millisecond)
		synctest.Wait()
		if r := s.last(t, "g1.v"); !r.IsGood() {
			t.Errorf("got %v", r.Quality)
		}
	})
}

func TestAnActuationGoesBeforeEveryDueReadAndWaitsForOneRequestAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		us := append(gauges(t, 5, 0), Unit{Device: "relay", Unit: 10, Profile: parse(t, "board", boardYAML)})
		l := New(Config{Name: "west", Units: us}, b, opts(s))
		run(t, l)
		out, err := l.Output("relay", "2")
		if err != nil {
			t.Fatal(err)
		}
		<-l.FirstRound()
		for i := range 50 {
			time.Sleep(time.Duration(i) * 7 * time.Millisecond)
			began := time.Now()
			if err := out.Set(t.Context(), i%2 == 0); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > l.Longest()+b.wire {
				t.Errorf("took %v, longest read %v, own %v", took, l.Longest(), b.wire)
			}
		}
	})
}

func TestAnActuationEndsAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		b.dead[1] = true
		b.timeout = 5 * time.Second
		us := append(gauges(t, 1, time.Second), Unit{Device: "relay", Unit: 10, Profile: parse(t, "board", boardYAML)})
		l := New(Config{Name: "west", Units: us, Timeout: 5 * time.Second}, b, opts(s))
		run(t, l)
		out, _ := l.Output("relay", "2")
		time.Sleep(60 * time.Second)
		synctest.Wait()
		if !l.Snapshot().Units[0].Quarantined {
			t.Fatal("not quarantined")
		}
		for range 100 {
			time.Sleep(333 * time.Millisecond)
			began := time.Now()
			if err := out.Set(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 2*b.wire {
				t.Errorf("waited %v behind a probe", took)
			}
		}
	})
}

func TestAnOutputIsTimedAndConfirmedWhereItsProfileSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		l := New(Config{Name: "west", Units: []Unit{{Device: "relay", Unit: 10, Profile: parse(t, "board", boardYAML)}}}, b, opts(s))
		run(t, l)
		out, err := l.Output("relay", "1")
		if err != nil {
			t.Fatal(err)
		}
		timed, ok := out.(drivers.Timed)
		if !ok || timed.Longest() != 300*time.Second || out.String() != "relay.1" {
			t.Fatalf("got %T %v", out, out)
		}
		if plain, _ := l.Output("relay", "2"); plain != nil {
			if _, ok := plain.(drivers.Timed); ok {
				t.Error("relay.2 cannot time")
			}
		}
		if err := timed.SetFor(t.Context(), 2*time.Minute+time.Millisecond); err != nil {
			t.Fatal(err)
		}
		b.set(func() {
			if !slices.Contains(b.log, "single 10 coil 0x200 1201") {
				t.Errorf("log %v", b.log)
			}
		})
		if err := timed.SetFor(t.Context(), time.Hour); err == nil {
			t.Error("an hour was taken")
		}
		if err := out.Set(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		b.set(func() { b.stuck = true })
		err = out.Set(t.Context(), true)
		if err == nil || !strings.Contains(err.Error(), "did not take the command") {
			t.Errorf("a coil that does not take: %v", err)
		}
		b.set(func() { b.stuck, b.dead[10] = false, true })
		err = out.Set(t.Context(), true)
		if drivers.KindOf(err) != drivers.FaultTimeout || !strings.Contains(phrase.In(err, phrase.ZH), "没有应答") {
			t.Errorf("a dead board: %v", err)
		}
	})
}

func TestASenseReadsTheStateOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		l := New(Config{Name: "west", Units: []Unit{{Device: "relay", Unit: 10, Profile: parse(t, "board", boardYAML)}}}, b, opts(s))
		run(t, l)
		in, err := l.Sense("relay", "in1")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []bool{true, false, true} {
			b.set(func() { b.coils[8] = want })
			if got, err := in.Read(t.Context()); err != nil || got != want {
				t.Errorf("got %v, %v", got, err)
			}
		}
		b.set(func() { b.doubt[10] = true })
		if _, err := in.Read(t.Context()); err == nil {
			t.Error("a doubtful answer was taken")
		}
		if _, err := l.Sense("relay", "in9"); err == nil {
			t.Error("in9 was found")
		}
		if _, err := l.Output("siren", "1"); err == nil {
			t.Error("siren was found")
		}
	})
}

func TestAnActuationHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		l := New(Config{Name: "west", Units: []Unit{{Device: "relay", Unit: 10, Profile: parse(t, "board", boardYAML)}}}, b, opts(s))
		out, _ := l.Output("relay", "2")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := out.Set(ctx, true) // nobody runs the line
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestAPortThatIsGoneTakesEveryPointDownAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		l := New(Config{Name: "west", Units: gauges(t, 3, time.Second)}, b, opts(s))
		run(t, l)
		time.Sleep(2500 * time.Millisecond)
		b.set(func() { b.gone = true })
		time.Sleep(time.Second)
		synctest.Wait()
		for _, id := range []point.ID{"g1.v", "g2.v", "g3.v"} {
			if r := s.last(t, id); r.Quality != point.CommFault || r.Why.Code != "line.gone" {
				t.Errorf("%s: %v %v", id, r.Quality, r.Why)
			}
		}
		if _, ok := s.fault("line west"); !ok || l.Snapshot().Up {
			t.Error("no fault of the line")
		}
		n := b.count(1) + b.count(2) + b.count(3)
		time.Sleep(time.Minute)
		if got := b.count(1) + b.count(2) + b.count(3) - n; got > 15 {
			t.Errorf("tried to open %d times in a minute", got)
		}
		b.set(func() { b.gone = false })
		time.Sleep(11 * time.Second)
		synctest.Wait()
		for _, id := range []point.ID{"g1.v", "g2.v", "g3.v"} {
			if r := s.last(t, id); !r.IsGood() {
				t.Errorf("%s: %v", id, r.Quality)
			}
		}
		if _, ok := s.fault("line west"); ok || !l.Snapshot().Up {
			t.Error("the fault still stands")
		}
	})
}

func TestAValueGrowsStaleWhileItsUnitIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		us := gauges(t, 1, time.Second)
		us[0].Stale = every(4 * time.Second)
		l := New(Config{Name: "west", Units: us}, b, opts(s))
		run(t, l)
		time.Sleep(2500 * time.Millisecond)
		until := time.Now().Add(time.Hour)
		b.set(func() {
			b.fault[1] = func(int) *drivers.Fault { return &drivers.Fault{Kind: drivers.FaultOwed, Until: until} }
		})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if r := s.last(t, "g1.v"); !r.IsGood() {
			t.Fatalf("too early: %v", r.Quality)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		n := len(s.of("g1.v"))
		if r := s.last(t, "g1.v"); r.Quality != point.Stale || r.Why.Code != "line.stale" {
			t.Errorf("got %v", r.Quality)
		}
		time.Sleep(10 * time.Second)
		if got := len(s.of("g1.v")); got != n {
			t.Errorf("said %d times more", got-n)
		}
	})
}

func TestTheOwnerProvesThatItLivesWithEverySensorDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		b.dead[1], b.dead[2] = true, true
		var w guard.Watchdog
		o := opts(s)
		o.Proof = w.Proof("line west", 3*time.Second)
		l := New(Config{Name: "west", Units: gauges(t, 2, time.Second), Timeout: b.timeout}, b, o)
		run(t, l)
		for range 120 {
			time.Sleep(time.Second)
			if hung := w.Hung(); len(hung) > 0 {
				t.Fatalf("hung: %v", hung)
			}
		}
		b.set(func() { b.gone = true })
		for range 60 {
			time.Sleep(time.Second)
			if hung := w.Hung(); len(hung) > 0 {
				t.Fatalf("hung without a port: %v", hung)
			}
		}
	})
}

func TestAlarmPointsComeFirstAndDoNotStarveTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		p := parse(t, "gauge", strings.Replace(gaugeYAML, "every: 1s", "every: 0s\n    priority: alarm", 1))
		us := append(gauges(t, 2, 0), Unit{Device: "gas", Unit: 9, Profile: p})
		l := New(Config{Name: "west", Units: us}, b, opts(s))
		run(t, l)
		time.Sleep(10 * time.Second)
		alarm, rest := b.count(9), b.count(1)+b.count(2)
		var first string
		b.set(func() { first = b.log[0] })
		if first != "read 9 holding 0+1" || alarm < rest || rest < alarm/2 {
			t.Errorf("alarm %d, rest %d, first %s", alarm, rest, first)
		}
	})
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	us := gauges(t, 2, time.Second)
	us[1].Unit = 1
	c := Config{Name: "west", Units: us}
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "same unit 1") {
		t.Errorf("got %v", err)
	}
	us[1].Unit = 2
	if err := c.Check(); err != nil {
		t.Errorf("got %v", err)
	}
}
