package output

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
)

// siren is a relay, its contact, a contactor in series, and the load, as
// hardware behaves: what the coil says and what flows are two things.
type siren struct {
	mu                       sync.Mutex
	coil, welded, open, dead bool // open: the contactor; dead: the load
	busDead, cutDead         bool
	senseDead, senseStuck    bool
	lag                      time.Duration // of each call
	expire                   time.Duration // a Timed device's own count; 0: not timed
	offAt                    time.Time
	ons                      []time.Time // when the coil went on, and off
	offs                     []time.Time
	sets                     int
	lost                     int // commands to lose
	last                     bool
	changes                  []change
}

type change struct {
	at time.Time
	on bool
}

func (s *siren) expireNow() {
	if s.coil && !s.offAt.IsZero() && !time.Now().Before(s.offAt) {
		s.coil = false
	}
}

func (s *siren) flows() bool { s.expireNow(); return (s.coil || s.welded) && !s.open && !s.dead }

func (s *siren) sounds() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.flows() }

func (s *siren) note() {
	if f := s.flows(); f != s.last {
		s.last = f
		s.changes = append(s.changes, change{time.Now(), f})
	}
}

func (s *siren) with(f func()) { s.mu.Lock(); f(); s.note(); s.mu.Unlock() }

type coil struct{ *siren }

func (c coil) String() string { return "coil" }

func (c coil) Set(ctx context.Context, on bool) error { return c.set(ctx, on, 0) }

func (c coil) set(ctx context.Context, on bool, d time.Duration) error {
	c.mu.Lock()
	lag, dead := c.lag, c.busDead
	c.sets++
	if c.lost > 0 {
		c.lost--
		c.mu.Unlock()
		return &drivers.Fault{Kind: drivers.FaultGarbled}
	}
	c.mu.Unlock()
	if dead {
		<-ctx.Done()
		return &drivers.Fault{Kind: drivers.FaultTimeout}
	}
	select {
	case <-ctx.Done():
		return &drivers.Fault{Kind: drivers.FaultCancelled}
	case <-time.After(lag):
	}
	c.with(func() {
		if on && !c.coil {
			c.ons = append(c.ons, time.Now())
		}
		if !on && c.coil {
			c.offs = append(c.offs, time.Now())
		}
		c.coil = on
		c.offAt = time.Time{}
		if d > 0 {
			c.offAt = time.Now().Add(d)
		}
	})
	return nil
}

type timedCoil struct{ coil }

func (c timedCoil) SetFor(ctx context.Context, d time.Duration) error { return c.set(ctx, true, d) }
func (c timedCoil) Longest() time.Duration                            { return c.expire }

type contactor struct{ *siren }

func (c contactor) String() string { return "contactor" }
func (c contactor) Set(ctx context.Context, on bool) error {
	if c.cutDead {
		<-ctx.Done()
		return &drivers.Fault{Kind: drivers.FaultTimeout}
	}
	time.Sleep(c.lag)
	c.with(func() { c.open = on })
	return nil
}

type probe struct{ *siren }

func (p probe) String() string { return "current switch" }
func (p probe) Read(ctx context.Context) (bool, error) {
	time.Sleep(p.lag)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.senseDead {
		return false, &drivers.Fault{Kind: drivers.FaultTimeout}
	}
	return p.flows() || p.senseStuck, nil
}

// world is a house under virtual time.
type world struct {
	t      *testing.T
	start  time.Time
	h      *House
	desk   *order.Desk
	cancel context.CancelFunc

	mu     sync.Mutex
	events []Event
	faults []Fault
}

func sirenSpec(name string, s *siren) Spec {
	return Spec{Name: name, Kind: Electronic, Relay: coil{s}, Sensed: probe{s}, SensedBy: Current, Cut: contactor{s}}
}

func newWorld(t *testing.T, specs ...Spec) *world {
	w := &world{t: t, start: time.Now()}
	c := clock.Func(func() clock.Stamp {
		d := time.Since(w.start) + time.Hour
		return clock.Stamp{Mono: d, Wall: time.Now(), Boot: "test"}
	})
	ctx, cancel := context.WithCancel(t.Context())
	w.cancel = cancel
	g := guard.New(ctx, slog.New(slog.NewTextHandler(io.Discard, nil)), func(e guard.Event) { t.Errorf("failed: %v %s", e.Err, e.Stack) })
	h, err := New(specs, Opts{Clock: c, Guard: g,
		Event: func(e Event) { w.mu.Lock(); w.events = append(w.events, e); w.mu.Unlock() },
		Fault: func(f Fault) { w.mu.Lock(); w.faults = append(w.faults, f); w.mu.Unlock() }})
	if err != nil {
		t.Fatal(err)
	}
	w.h = h
	scope := order.Scope{Kinds: []order.Kind{order.Real}, Actions: []order.Action{order.Sound, order.AllClear}, Least: 1, Most: 9,
		Outputs: []string{"*"}, Longest: point.Span(time.Hour), Rate: order.Rate{Orders: 1000, Within: point.Span(time.Hour)}}
	all := scope
	all.Kinds = []order.Kind{order.Real, order.Drill}
	w.desk = order.NewDesk(order.Bounds{Sources: map[order.Source]order.Scope{order.Rule: scope, order.Operator: all},
		Marked: map[order.Kind]order.Mark{order.Drill: {Tones: []string{"chime"}, Words: phrase.Text{ZH: "x"}}}, AllClearTones: []string{"chime"}}, c, nil)
	g.Go("output", "house", guard.Once, h.Run)
	t.Cleanup(func() {
		cancel()
		if left := g.Wait(time.Minute); left != nil {
			t.Errorf("goroutines left: %v", left)
		}
	})
	return w
}

func (w *world) sound(level point.Level, d time.Duration, p Programme, outs ...string) *Running {
	w.t.Helper()
	o, err := w.desk.Make(order.Ask{Cause: "c", Kind: order.Real, Source: order.Rule, Action: order.Sound, Level: level, Outputs: outs, For: d})
	if err != nil {
		w.t.Fatal(err)
	}
	if p == nil {
		p = pulses{{time.Hour, 0}} // on throughout
	}
	return w.h.Do(o, p)
}

func (w *world) silence(outs ...string) {
	o, err := w.desk.Make(order.Ask{Source: order.Hand, Action: order.Silence, Outputs: outs, Who: order.Who{Name: "key"}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.h.Silence(o)
}

// states gives the states of one output's receipt lines.
func (w *world) states(output string) []State {
	w.mu.Lock()
	defer w.mu.Unlock()
	var s []State
	for _, e := range w.events {
		if e.Output == output {
			s = append(s, e.State)
		}
	}
	return s
}

func (w *world) lastEvent(output string) Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range slices.Backward(w.events) {
		if e.Output == output {
			return e
		}
	}
	return Event{}
}

func (w *world) wantStates(output string, want ...State) {
	w.t.Helper()
	if got := w.states(output); !slices.Equal(got, want) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.t.Errorf("%s: receipt %v, want %v\n%+v", output, got, want, w.events)
	}
}

func (w *world) stands(output string, code FaultCode) bool {
	for _, s := range w.h.Status() {
		if s.Name == output {
			return slices.ContainsFunc(s.Faults, func(f Fault) bool { return f.Code == code })
		}
	}
	return false
}

func (w *world) want(ok bool, format string, args ...any) {
	w.t.Helper()
	if !ok {
		w.t.Errorf(format, args...)
	}
}

func run(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t); t.Log("end") })
}

func codeOf(err error) string {
	var e *phrase.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func (s *siren) faulty() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.welded || s.busDead }

// pause lets time pass until everything else waits.
func pause(d time.Duration) { time.Sleep(d); synctest.Wait() }

func wait(r *Running) { <-r.Done(); synctest.Wait() }

// seen is a copy of what the hardware has been through.
type seen struct {
	sets       int
	coil, open bool
	ons, offs  []time.Time
}

func (s *siren) get() seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return seen{s.sets, s.coil, s.open, slices.Clone(s.ons), slices.Clone(s.offs)}
}

func (w *world) allFaults() []Fault { w.mu.Lock(); defer w.mu.Unlock(); return slices.Clone(w.faults) }
