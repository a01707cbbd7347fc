package setpoint

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// world is a device and a house around a desk.
type world struct {
	*Desk
	boot    string
	trust   clock.Trust
	began   time.Time
	value   map[string]float64
	err     error
	slow    time.Duration
	faults  map[string]phrase.Message
	changes []Change
	kept    []byte
}

var gate = Spec{ID: "gate.opening", Name: phrase.Text{ZH: "开度", EN: "opening"}, Unit: "%", Max: 100, Step: 1,
	Takes: func(v float64) error {
		if !(v >= 0 && v <= 100) {
			return phrase.E("profile.set_range", "value", v, "unit", "%", "min", 0, "max", 100)
		}
		return nil
	}, FailSafe: 5, After: 10 * time.Minute}

func newWorld(specs ...Spec) *world {
	w := &world{boot: "a", trust: clock.Set, began: time.Now(), value: map[string]float64{}, faults: map[string]phrase.Message{}}
	w.Desk = New(Opts{
		Clock: clock.Func(func() clock.Stamp {
			return clock.Stamp{Mono: time.Since(w.began), Wall: time.Now(), Boot: w.boot, Trust: w.trust}
		}),
		Write: func(ctx context.Context, id string, v float64) (float64, error) {
			if w.slow > 0 {
				select {
				case <-ctx.Done():
					return math.NaN(), ctx.Err()
				case <-time.After(w.slow):
				}
			}
			if w.err != nil {
				return math.NaN(), w.err
			}
			old, ok := w.value[id]
			if !ok {
				old = math.NaN()
			}
			w.value[id] = v
			return old, nil
		},
		Keep: func(b []byte) { w.kept = b },
		Changed: func(c Change, b []byte) {
			w.changes = append(w.changes, c)
			if b != nil {
				w.kept = b
			}
		},
		Fault:   func(thing string, m phrase.Message) { w.faults[thing] = m },
		Cleared: func(thing string) { delete(w.faults, thing) },
	})
	w.Plan(specs)
	w.Recall(nil)
	return w
}

func (w *world) set(t *testing.T, v float64) Change {
	t.Helper()
	c, err := w.Set(t.Context(), gate.ID, v, Who{"李梅", "socket"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pass lets time go by as Run does.
func (w *world) pass(t *testing.T, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		w.Restore(t.Context())
	}
	w.Restore(t.Context())
}

func TestAChangeTellsWhoAndWhatStoodThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(gate)
		w.set(t, 20)
		c := w.set(t, 30)
		if c.Err != nil || c.Old != 20 || c.New != 30 || c.Who.Name != "李梅" || len(w.changes) != 2 || w.value[gate.ID] != 30 {
			t.Errorf("%+v, %v", c, w.changes)
		}
		if all := w.All(); len(all) != 1 || all[0].Held == nil || all[0].Held.Value != 30 {
			t.Errorf("%+v", all)
		}
	})
}

func TestTheFailSafeValueComesBackWhereNobodyAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(gate)
		w.set(t, 20)
		w.pass(t, 9*time.Minute)
		w.set(t, 20) // refreshed
		w.pass(t, 9*time.Minute)
		if w.value[gate.ID] != 20 {
			t.Fatal("it was restored in spite of the refresh")
		}
		w.pass(t, 2*time.Minute)
		last := w.changes[len(w.changes)-1]
		if w.value[gate.ID] != 5 || !last.Restored || last.Old != 20 || last.Err != nil {
			t.Fatalf("%v %+v", w.value, last)
		}
		n := len(w.changes)
		w.pass(t, time.Hour)
		if len(w.changes) != n {
			t.Error("it is restored again and again")
		}
	})
}

func TestAFailSafeValueThatDoesNotTakeIsCalledAndTriedUntilItDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(gate)
		w.set(t, 20)
		w.err = phrase.E("line.timeout", "device", "gate", "unit", 3, "line", "west")
		w.pass(t, 12*time.Minute)
		m, called := w.faults["setpoint gate.opening"]
		if !called || m.Code != "setpoint.not_restored" {
			t.Fatalf("%v", w.faults)
		}
		if len(w.changes) != 2 {
			t.Errorf("%d records of one trouble", len(w.changes))
		}
		if !strings.Contains(string(w.kept), gate.ID) {
			t.Error("a power cut now would forget it")
		}
		w.err = nil
		w.pass(t, 11*time.Second)
		if w.value[gate.ID] != 5 || len(w.faults) != 0 {
			t.Errorf("%v %v", w.value, w.faults)
		}
		if strings.Contains(string(w.kept), gate.ID) {
			t.Error("it is still kept as held")
		}
	})
}

func TestAValueThatDidNotTakeIsCalledAndItsFailSafeStillComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(gate)
		w.err = errors.New("no echo")
		if c := w.set(t, 20); c.Err == nil {
			t.Fatal("it took")
		}
		if m := w.faults["setpoint gate.opening"]; m.Code != "setpoint.not_taken" || !strings.Contains(m.In(phrase.ZH), "李梅") {
			t.Errorf("%v", w.faults)
		}
		w.err = nil
		w.value[gate.ID] = 20 // the answer was lost, the value was not
		w.pass(t, 11*time.Minute)
		if w.value[gate.ID] != 5 || len(w.faults) != 0 {
			t.Errorf("%v %v", w.value, w.faults)
		}
	})
}

func TestAPowerCutForgetsNoFailSafe(t *testing.T) {
	for name, c := range map[string]struct {
		trust clock.Trust
		off   time.Duration
		after time.Duration // from the start of the second run
	}{
		"the clock tells how long": {clock.Set, 5 * time.Minute, 5 * time.Minute},
		"no clock tells":           {clock.Free, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(gate)
				w.trust = c.trust
				w.slow = time.Second
				began := time.Now()
				w.set(t, 20)
				time.Sleep(c.off)
				x := newWorld(gate)
				x.boot, x.trust = "b", c.trust
				if err := x.Recall(w.kept); err != nil {
					t.Fatal(err)
				}
				if c.after > 0 {
					x.pass(t, c.after-5*time.Second)
					if len(x.changes) != 0 {
						t.Fatalf("restored %v after it was asked for", time.Since(began))
					}
				}
				x.pass(t, 10*time.Second)
				if x.value[gate.ID] != 5 {
					t.Errorf("%v", x.value)
				}
			})
		})
	}
}

func TestWhatMaySoundIsRefusedAndNeverWritten(t *testing.T) {
	siren := gate
	siren.ID, siren.Refused = "relay.1", phrase.M("setpoint.sounds", "id", "relay.1", "output", "siren")
	w := newWorld(gate, siren)
	for _, c := range []struct {
		id    string
		value float64
		who   string
		code  string
	}{
		{"relay.1", 1, "李梅", "setpoint.sounds"}, {"gate.none", 1, "李梅", "setpoint.unknown"},
		{gate.ID, 101, "李梅", "profile.set_range"}, {gate.ID, math.NaN(), "李梅", "profile.set_range"}, {gate.ID, 1, "  ", "setpoint.needs_name"},
	} {
		_, err := w.Set(t.Context(), c.id, c.value, Who{c.who, "socket"})
		var said *phrase.Error
		if !errors.As(err, &said) || said.Code != c.code {
			t.Errorf("%s=%v: %v, want %s", c.id, c.value, err, c.code)
		}
	}
	if len(w.value) != 0 || len(w.changes) != 0 {
		t.Errorf("written: %v", w.value)
	}
}

func TestADeviceIsAskedByOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(gate)
		w.slow = time.Minute // never within the limit
		done := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := w.Set(t.Context(), gate.ID, 7, Who{"李梅", "socket"})
				done <- err
			}()
		}
		first, second := <-done, <-done
		if (first == nil) == (second == nil) {
			t.Errorf("%v and %v: one must have been told to wait", first, second)
		}
	})
}

func TestBeforeTheDiskHasSpokenNothingReplacesWhatItKeeps(t *testing.T) {
	w := newWorld(gate)
	w.recalled = false
	w.set(t, 20)
	if w.kept != nil {
		t.Errorf("kept %s", w.kept)
	}
	if w.Recall([]byte("{")) == nil {
		t.Error("a damaged memory was taken")
	}
	if w.set(t, 30); w.kept == nil {
		t.Error("nothing is kept after that")
	}
}

func TestAReloadForgetsNoHeldValueAndClearsWhatIsGone(t *testing.T) {
	w := newWorld(gate)
	w.err = errors.New("no echo")
	w.set(t, 20)
	w.Plan([]Spec{gate})
	if all := w.All(); all[0].Held == nil || len(w.faults) != 1 {
		t.Errorf("%+v %v", all, w.faults)
	}
	w.Plan(nil)
	if len(w.faults) != 0 {
		t.Errorf("%v", w.faults)
	}
}

// Whatever a damaged disk gives as what was held: it is refused or held, and what
// is held is written only as the profile allows.
func FuzzRecall(f *testing.F) {
	f.Add([]byte(`{"gate.opening":{"value":20,"who":{"name":"李梅","via":"socket"},"at":{"mono":1,"wall":"2026-06-14T22:40:00Z","boot":"a","trust":"set"}}}`))
	f.Add([]byte(`{"gate.opening":null,"x":{}}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld(gate)
		w.recalled = false
		w.Recall(b)
		for range 3 {
			w.Restore(t.Context())
		}
		for id, v := range w.value {
			if id != gate.ID || v != gate.FailSafe {
				t.Fatalf("%q wrote %v to %s", b, v, id)
			}
		}
		if _, err := w.Set(t.Context(), gate.ID, 7, Who{"李梅", "socket"}); err != nil || w.value[gate.ID] != 7 {
			t.Fatalf("after %q: %v", b, err)
		}
	})
}
