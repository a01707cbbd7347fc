package line

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/guard"
	"tocsin/firmware/point"
)

// hammer tries to switch as a room of outputs does that has lost its board: a
// second's patience, a second's pause, for ever.
func hammer(ctx context.Context, o drivers.Output) {
	for pause := 20 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, time.Second) {
		c, cancel := context.WithTimeout(ctx, time.Second)
		o.Set(c, false)
		cancel()
		sleep(ctx, pause)
	}
}

func TestADeadBoardThatIsSwitchedForEverStarvesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		b.dead[10] = true
		board := parse(t, "board", boardYAML)
		us := append(gauges(t, 1, time.Second), Unit{Device: "dead", Unit: 10, Profile: board}, Unit{Device: "relay", Unit: 11, Profile: board})
		l := New(Config{Name: "west", Units: us, Timeout: b.timeout}, b, opts(s))
		run(t, l)
		<-l.FirstRound()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 8 {
			o, _ := l.Output("dead", []string{"1", "2"}[i%2])
			wg.Go(func() { hammer(ctx, o) })
		}
		time.Sleep(10 * time.Second)
		from := len(s.of("g1.v"))
		siren, _ := l.Output("relay", "2")
		for range 20 {
			time.Sleep(3 * time.Second)
			began := time.Now()
			if err := siren.Set(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > b.timeout+100*time.Millisecond+3*b.wire {
				t.Errorf("the board that lives waited %v behind the dead one", took)
			}
		}
		n := 0
		for _, r := range s.of("g1.v")[from:] {
			if r.Quality != point.Good {
				t.Errorf("the gauge is %v", r.Quality)
			}
			n++
		}
		if n < 50 {
			t.Errorf("the gauge was read %d times in a minute, not every second", n)
		}
		cancel()
		wg.Wait()
	})
}

// A panic in the owner (a driver, a profile) costs one request, not the line's
// outputs until the next start.
func TestAnOwnerThatIsStartedAgainStillSwitches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newFake(), &sink{}
		broken := 2
		b.fault[1] = func(int) *drivers.Fault {
			if broken > 0 {
				broken--
				panic("a frame that nobody thought of")
			}
			return nil
		}
		us := append(gauges(t, 1, time.Second), Unit{Device: "relay", Unit: 11, Profile: parse(t, "board", boardYAML)})
		l := New(Config{Name: "west", Units: us}, b, opts(s))
		ctx, cancel := context.WithCancel(t.Context())
		g := guard.New(ctx, l.o.Log, nil)
		g.Go("sense", "line west", guard.Restart, l.Run)
		<-l.FirstRound()
		time.Sleep(5 * time.Second)
		o, _ := l.Output("relay", "2")
		for i := range 20 {
			if err := o.Set(t.Context(), i%2 == 0); err != nil {
				t.Fatalf("after the restart: %v", err)
			}
		}
		cancel()
		if left := g.Wait(time.Second); left != nil {
			t.Errorf("left: %v", left)
		}
		if err := o.Set(t.Context(), true); drivers.KindOf(err) != drivers.FaultGone {
			t.Errorf("after the end: %v", err)
		}
	})
}
