package announce

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
)

type relay struct {
	mu   sync.Mutex
	on   bool
	offs int
}

func (r *relay) String() string { return "relay" }
func (r *relay) Set(_ context.Context, on bool) error {
	time.Sleep(20 * time.Millisecond)
	r.mu.Lock()
	if r.on && !on {
		r.offs++
	}
	r.on = on
	r.mu.Unlock()
	return nil
}
func (r *relay) Read(context.Context) (bool, error) { return r.sounds(), nil }
func (r *relay) sounds() bool                       { r.mu.Lock(); defer r.mu.Unlock(); return r.on }

// long is a programme of one long pulse.
type long struct{ output.Bare }

func (long) Cadence(output.Kind) output.Cadence { return output.Cadence{{On: time.Hour}} }

// box is an announcer over a real desk and a real house, in virtual time.
type box struct {
	t        *testing.T
	a        *Announcer
	motor    *relay
	strobe   *relay
	compose  func(order.Content) (output.Programme, error)
	mu       sync.Mutex
	events   []Event
	receipts []output.Event
	orders   map[string]bool
	cancel   context.CancelFunc
}

func newBox(t *testing.T) *box {
	b := &box{t: t, motor: &relay{}, strobe: &relay{}, orders: map[string]bool{}}
	b.compose = func(order.Content) (output.Programme, error) { return long{}, nil }
	start := time.Now()
	c := clock.Func(func() clock.Stamp {
		return clock.Stamp{Mono: time.Since(start) + time.Hour, Wall: time.Now(), Boot: "test"}
	})
	ctx, cancel := context.WithCancel(t.Context())
	b.cancel = cancel
	g := guard.New(ctx, slog.New(slog.NewTextHandler(io.Discard, nil)), func(e guard.Event) { t.Errorf("failed: %v %s", e.Err, e.Stack) })
	h, err := output.New([]output.Spec{
		{Name: "siren", Kind: output.Motor, Relay: b.motor, Sensed: b.motor, SensedBy: output.Current, MinOn: 5 * time.Second, MinOff: 30 * time.Second},
		{Name: "strobe", Kind: output.Strobe, Relay: b.strobe},
	}, output.Opts{Clock: c, Guard: g, Event: func(e output.Event) { b.mu.Lock(); b.receipts = append(b.receipts, e); b.mu.Unlock() }})
	if err != nil {
		t.Fatal(err)
	}
	desk := order.NewDesk(wide(), c, func(e order.Event) {
		if e.Order.Valid() {
			b.mu.Lock()
			b.orders[e.Order.ID()] = true
			b.mu.Unlock()
		}
	})
	b.a = New(Opts{Desk: desk, House: h, Clock: c,
		Compose: func(c order.Content) (output.Programme, error) { return b.compose(c) },
		Event:   func(e Event) { b.mu.Lock(); b.events = append(b.events, e); b.mu.Unlock() }})
	g.Go("sound", "house", guard.Once, h.Run)
	g.Go("sound", "announcer", guard.Restart, b.a.Run)
	t.Cleanup(func() {
		cancel()
		if left := g.Wait(time.Minute); left != nil {
			t.Errorf("goroutines left: %v", left)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, r := range b.receipts {
			if !b.orders[r.OrderID] {
				t.Errorf("sounded without an order: %+v", r)
			}
		}
	})
	return b
}

func (b *box) is(siren, strobe bool, when string) {
	b.t.Helper()
	if s, l := b.motor.sounds(), b.strobe.sounds(); s != siren || l != strobe {
		b.t.Errorf("%s: siren %v strobe %v, want %v %v\n%+v", when, s, l, siren, strobe, b.a.Sounding())
	}
}

func standing(cause string, level point.Level, outs ...string) Request {
	return Request{Cause: cause, Kind: order.Real, Source: order.Rule, Hazard: cause, Level: level, Outputs: outs,
		Duty: Duty{30 * time.Second, 60 * time.Second}, Resound: 5 * time.Minute}
}

func at(t *testing.T, f func(b *box)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newBox(t)) })
}

const moment = 100 * time.Millisecond

func TestAStandingLevelSoundsInItsDutyCycleForAsLongAsItStands(t *testing.T) {
	at(t, func(b *box) {
		b.a.Announce(standing("flood", 3, "siren", "strobe"))
		on := 0
		for range 6 * 3600 {
			time.Sleep(time.Second)
			if b.motor.sounds() {
				on++
			}
		}
		if share := float64(on) / (6 * 3600); share < 0.30 || share > 0.37 {
			t.Errorf("on for %.2f of six hours, want a third", share)
		}
		b.a.Withdraw("flood", phrase.Message{})
		time.Sleep(moment)
		b.is(false, false, "withdrawn")
		if s := b.a.Sounding(); len(s) != 0 {
			t.Errorf("still %+v", s)
		}
	})
}

func TestAHigherLevelTakesOverAtOnceWithoutStoppingTheMotor(t *testing.T) {
	at(t, func(b *box) {
		b.a.Announce(standing("flood", 2, "siren"))
		time.Sleep(10 * time.Second)
		b.a.Announce(standing("gas", 4, "siren", "strobe"))
		time.Sleep(moment)
		b.is(true, true, "pre-empted")
		b.a.Announce(Request{Cause: "gas", Kind: order.Real, Source: order.Rule, Level: 5, Outputs: []string{"siren"}, Duty: Duty{30 * time.Second, time.Minute}})
		time.Sleep(moment)
		b.is(true, false, "escalated to fewer outputs")
		if b.motor.offs != 0 {
			t.Errorf("the motor was stopped %d times in between", b.motor.offs)
		}
		s := b.a.Sounding()
		if len(s) != 2 || s[0].Cause != "gas" || s[0].Phase != Speaking || s[1].Phase != Waiting {
			t.Errorf("%+v", s)
		}
		b.a.Withdraw("gas", phrase.Message{})
		time.Sleep(moment)
		b.is(true, false, "the lower resumes at once, and the motor runs on")
		if b.motor.offs != 0 {
			t.Errorf("the motor was stopped %d times in between", b.motor.offs)
		}
	})
}

func TestStopSilencesTheSoundAndNotTheLevel(t *testing.T) {
	at(t, func(b *box) {
		b.a.Announce(standing("flood", 3, "strobe"))
		time.Sleep(10 * time.Second)
		stopped := b.a.Stop(order.Who{Name: "钥匙", Via: "key"})
		time.Sleep(moment)
		b.is(false, false, "stopped")
		if len(stopped) != 1 || stopped[0].Cause != "flood" || stopped[0].Again.IsZero() {
			t.Errorf("%+v", stopped)
		}
		if s := b.a.Sounding(); len(s) != 1 || s[0].Phase != Halted || s[0].StoppedBy.Name != "钥匙" {
			t.Errorf("the level does not stand: %+v", s)
		}
		b.a.Announce(standing("flood", 3, "strobe")) // the rule says the same again
		time.Sleep(4 * time.Minute)
		b.is(false, false, "before its time")
		time.Sleep(61 * time.Second)
		b.is(false, true, "nobody acknowledged it, and it stays silent")
		b.a.Stop(order.Who{Name: "key"})
		b.a.Acknowledged("flood")
		time.Sleep(2 * time.Hour)
		b.is(false, false, "acknowledged")
		b.a.Announce(standing("flood", 4, "strobe"))
		time.Sleep(moment)
		b.is(false, true, "escalated")
		b.a.Stop(order.Who{Name: "key"})
		time.Sleep(5*time.Minute + moment)
		b.is(false, true, "nobody acknowledged the higher level, and it stays silent")
	})
}

func TestWhoIsToldMayAskForMore(t *testing.T) {
	at(t, func(b *box) {
		b.mu.Lock()
		tell := b.a.o.Event
		b.mu.Unlock()
		b.a.o.Event = func(e Event) {
			tell(e)
			if e.What == Turn && e.Cause == "flood" {
				b.a.Announce(standing("gas", 4, "strobe"))
			}
		}
		b.a.Announce(standing("flood", 2, "siren"))
		time.Sleep(moment)
		b.is(true, true, "asked for while being told")
	})
}

func TestStopDuringCompositionStillSilences(t *testing.T) {
	at(t, func(b *box) {
		b.compose = func(order.Content) (output.Programme, error) {
			time.Sleep(300 * time.Millisecond) // slower than it may be
			return long{}, nil
		}
		b.a.Announce(standing("flood", 3, "strobe"))
		time.Sleep(150 * time.Millisecond)
		b.a.Stop(order.Who{Name: "key"})
		time.Sleep(10 * time.Second)
		b.is(false, false, "what was being composed sounds after STOP")
	})
}

func TestTheRealThingEndsADrillAndNoneBeginsWhileItStands(t *testing.T) {
	at(t, func(b *box) {
		drill := Request{Cause: "drill", Kind: order.Drill, Source: order.Operator, Who: order.Who{Name: "x"}, Level: 4,
			Outputs: []string{"siren", "strobe"}, Duty: Duty{time.Minute, time.Minute}, Content: order.Content{Tone: "drill"}}
		b.a.Announce(drill)
		time.Sleep(time.Second)
		b.is(true, true, "drill")
		b.a.Announce(standing("gas", 1, "siren"))
		time.Sleep(moment)
		b.is(true, false, "real")
		b.a.Announce(drill)
		b.a.Stop(order.Who{Name: "key"})
		b.a.Announce(drill)
		time.Sleep(10 * time.Second)
		b.is(false, false, "a drill over something real")
		b.mu.Lock()
		defer b.mu.Unlock()
		if !slices.ContainsFunc(b.events, func(e Event) bool { return e.What == Dropped && e.Why.Code == "sound.real_ends" }) {
			t.Errorf("the drill's end is not told: %+v", b.events)
		}
	})
}

func TestTheAllClearNeedsANameAndEndsTheLevel(t *testing.T) {
	at(t, func(b *box) {
		b.a.Announce(standing("flood", 3, "strobe"))
		time.Sleep(time.Second)
		clear := Request{Cause: "flood", Kind: order.Real, Source: order.Operator, Outputs: []string{"strobe"}, For: 10 * time.Second,
			Content: order.Content{Tone: "chime", Words: phrase.Text{ZH: "警报解除"}}}
		if err := b.a.AllClear(clear); err == nil {
			t.Error("nobody gave it")
		}
		if s := b.a.Sounding(); len(s) != 1 || s[0].Level != 3 {
			t.Errorf("a refused all-clear ended the level: %+v", s)
		}
		clear.Who = order.Who{Name: "李雷"}
		if err := b.a.AllClear(clear); err != nil {
			t.Fatal(err)
		}
		time.Sleep(moment)
		b.is(false, true, "the all-clear")
		time.Sleep(11 * time.Second)
		b.is(false, false, "after it")
		if s := b.a.Sounding(); len(s) != 0 {
			t.Errorf("%+v", s)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if r := b.receipts[len(b.receipts)-1]; r.Order.Action() != order.AllClear || r.State != output.Finished {
			t.Errorf("its receipt: %+v", r)
		}
	})
}

func TestWhatCannotBeComposedSoundsWithLess(t *testing.T) {
	for name, compose := range map[string]func(order.Content) (output.Programme, error){
		"error": func(order.Content) (output.Programme, error) { return nil, errors.New("no clip") },
		"panic": func(order.Content) (output.Programme, error) { panic("boom") },
		"nil":   func(order.Content) (output.Programme, error) { return nil, nil },
		"tone": func(c order.Content) (output.Programme, error) {
			if len(c.Clips) > 0 {
				return nil, errors.New("no clip")
			}
			return long{}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			at(t, func(b *box) {
				b.compose = compose
				r := standing("flood", 3, "siren")
				r.Content = order.Content{Tone: "fast", Clips: []string{"go"}}
				b.a.Announce(r)
				time.Sleep(moment)
				b.is(true, false, name)
				b.mu.Lock()
				defer b.mu.Unlock()
				if !slices.ContainsFunc(b.events, func(e Event) bool { return e.What == Degraded && !e.Why.IsZero() }) {
					t.Errorf("nobody is told: %+v", b.events)
				}
			})
		})
	}
}

func TestAfterARestartItResumesOrStaysStopped(t *testing.T) {
	at(t, func(b *box) {
		r := standing("flood", 3, "strobe")
		r.Resumed = true
		b.a.Announce(r)
		time.Sleep(moment)
		b.is(false, true, "resumed")
		r.Cause, r.Stopped, r.Outputs = "gas", true, []string{"siren"}
		b.a.Announce(r)
		time.Sleep(time.Minute)
		b.is(false, b.strobe.sounds(), "stopped before the restart")
		time.Sleep(4*time.Minute + moment)
		b.is(true, b.strobe.sounds(), "and acknowledged by nobody")
	})
}

func TestSomethingSaidOnceEndsWithItsContentAndQueuesOrPreempts(t *testing.T) {
	at(t, func(b *box) {
		once := func(cause string, e Equal) Request {
			return Request{Cause: cause, Kind: order.Real, Source: order.Rule, Level: 2, Outputs: []string{"strobe"}, For: 10 * time.Second, Equal: e}
		}
		b.a.Announce(once("one", Queue))
		b.a.Announce(once("two", Queue))
		time.Sleep(9 * time.Second)
		if s := b.a.Sounding(); len(s) != 2 || s[0].Cause != "one" || s[0].Phase != Speaking {
			t.Errorf("%+v", s)
		}
		time.Sleep(3 * time.Second)
		if s := b.a.Sounding(); len(s) != 1 || s[0].Cause != "two" || s[0].Phase != Speaking {
			t.Errorf("%+v", s)
		}
		b.a.Announce(once("three", Newest))
		time.Sleep(moment)
		if s := b.a.Sounding(); len(s) != 2 || s[1].Cause != "three" || s[1].Phase != Speaking || s[0].Phase != Waiting {
			t.Errorf("%+v", s)
		}
		time.Sleep(30 * time.Second)
		if s := b.a.Sounding(); len(s) != 0 {
			t.Errorf("%+v", s)
		}
		b.is(false, false, "all said")
	})
}

var (
	_ drivers.Output = (*relay)(nil)
	_ drivers.Sense  = (*relay)(nil)
	_ House          = (*output.House)(nil)
	_ Desk           = (*order.Desk)(nil)
)
