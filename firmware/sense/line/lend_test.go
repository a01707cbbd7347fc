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
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

func TestALentLineAsksNothingSaysSoAndGoesOnAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		l := New(Config{Name: "west", Units: gauges(t, 2, time.Second)}, b, opts(s))
		run(t, l)
		time.Sleep(3500 * time.Millisecond)
		began := time.Now()
		err := l.Lend(t.Context(), phrase.M("line.doubt"), func(ctx context.Context, bus drivers.Registers) error {
			n := b.count(1)
			for range 100 {
				if _, err := bus.Read(ctx, 77, drivers.Holding, 0, 1); err != nil {
					return err
				}
			}
			if b.count(1) != n {
				t.Error("a unit was polled while the line was lent")
			}
			if r := s.last(t, "g1.v"); r.Quality != point.CommFault || r.Why.Code != "line.doubt" {
				t.Errorf("meanwhile: %v %q", r.Quality, r.Why.Code)
			}
			if m, ok := s.fault("line west"); !ok || m.Code != "line.doubt" {
				t.Errorf("the line's fault: %v %v", ok, m.Code)
			}
			return errors.New("what use says")
		})
		if err == nil || err.Error() != "what use says" || time.Since(began) < 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		n := b.count(1)
		time.Sleep(3500 * time.Millisecond)
		if got := b.count(1) - n; got < 4 || got > 5 { // at once, then on each second's grid
			t.Errorf("asked %d times in 3.5 s after it", got)
		}
		if r := s.last(t, "g1.v"); !r.IsGood() {
			t.Errorf("after it: %v", r.Quality)
		}
		if _, ok := s.fault("line west"); ok {
			t.Error("the fault still stands")
		}
	})
}

func TestASwitchingEndsALending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		us := append(gauges(t, 1, time.Second), Unit{Device: "relay", Unit: 9, Profile: parse(t, "board", boardYAML)})
		l := New(Config{Name: "west", Units: us}, b, opts(s))
		run(t, l)
		<-l.FirstRound()
		o, err := l.Output("relay", "1")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			ended <- l.Lend(t.Context(), phrase.M("line.doubt"), func(ctx context.Context, bus drivers.Registers) error {
				b.set(func() { b.dead[77] = true })
				for ctx.Err() == nil {
					bus.Read(ctx, 77, drivers.Holding, 0, 1)
				}
				return ctx.Err()
			})
		}()
		time.Sleep(10 * time.Second)
		began := time.Now()
		if err := o.Set(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 3*b.wire {
			t.Errorf("it waited %v for a scan", took)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the lending ended with %v", err)
		}
	})
}

func TestABorrowerThatIsNotWaitedForEndsWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		l := New(Config{Name: "west", Units: gauges(t, 1, time.Second)}, b, opts(s))
		run(t, l)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		l.Lend(ctx, phrase.M("line.doubt"), func(ctx context.Context, _ drivers.Registers) error { <-ctx.Done(); return nil })
		n := b.count(1)
		time.Sleep(1500 * time.Millisecond)
		if b.count(1)-n < 2 {
			t.Error("polling did not go on")
		}
	})
}

func TestAGuestDelaysAnAlarmReadByOneRequestAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		l := New(Config{Name: "west", Units: gauges(t, 1, 500*time.Millisecond), Timeout: b.timeout}, b, opts(s))
		for _, j := range l.jobs {
			j.alarm = true
		}
		run(t, l)
		<-l.FirstRound()
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		served := make([]int, 4)
		for i := range served {
			go func() {
				for ctx.Err() == nil {
					if l.Guest(ctx, 50, func(ctx context.Context, bus drivers.Registers) error {
						_, err := bus.Read(ctx, 50, drivers.Holding, uint16(i), 1)
						return err
					}) == nil {
						served[i]++
					}
				}
			}()
		}
		time.Sleep(59 * time.Second)
		cancel()
		synctest.Wait()
		if slices.Min(served) < 50 {
			t.Errorf("guests were served %v times", served)
		}
		rs := s.of("g1.v")
		if len(rs) < 117 {
			t.Errorf("the alarm point was read %d times in 59 s", len(rs))
		}
		for i, r := range rs {
			if late := r.At.Mono - time.Duration(i)*500*time.Millisecond - b.wire; late > b.wire {
				t.Fatalf("read %d came %v late", i, late)
			}
		}
	})
}

func TestALineThatIsAlwaysBusyLeavesGuestsTheirShareOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		l := New(Config{Name: "west", Units: gauges(t, 2, 0), Timeout: b.timeout}, b, opts(s))
		run(t, l)
		<-l.FirstRound()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 3 {
			go func() {
				for ctx.Err() == nil {
					l.Guest(ctx, 50, func(ctx context.Context, bus drivers.Registers) error {
						_, err := bus.Read(ctx, 50, drivers.Holding, 0, 1)
						return err
					})
				}
			}()
		}
		time.Sleep(20 * time.Second)
		guests, own := b.count(50), b.count(1)+b.count(2)
		cancel()
		if share := float64(guests) / float64(guests+own); share < 0.05 || share > 0.11 {
			t.Errorf("guests took %.2f of the line (%d of %d)", share, guests, guests+own)
		}
	})
}

func TestAGuestIsAnsweredAtOnceWhereNothingCanBeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		b.dead[2] = true
		l := New(Config{Name: "west", Units: gauges(t, 2, time.Second), Timeout: b.timeout}, b, opts(s))
		run(t, l)
		time.Sleep(5 * time.Second)
		read := func(unit uint8) error {
			return l.Guest(t.Context(), unit, func(ctx context.Context, bus drivers.Registers) error {
				_, err := bus.Read(ctx, unit, drivers.Holding, 0, 1)
				return err
			})
		}
		n := b.count(2)
		if err := read(2); drivers.KindOf(err) != drivers.FaultTimeout || b.count(2) > n+1 {
			t.Errorf("a dead unit: %v", err)
		}
		if err := read(1); err != nil {
			t.Errorf("a living one: %v", err)
		}
		b.set(func() { b.gone = true })
		time.Sleep(3 * time.Second)
		if err := read(1); drivers.KindOf(err) != drivers.FaultGone {
			t.Errorf("without a port: %v", err)
		}
		if m, ok := s.fault("line west"); !ok || !strings.Contains(m.Code, "line.") {
			t.Errorf("fault %v", m)
		}
	})
}
