package announce

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/order"
)

func wide() order.Bounds {
	s := order.Scope{Kinds: []order.Kind{order.Real}, Actions: []order.Action{order.Sound, order.AllClear}, Most: 9, Outputs: []string{"*"},
		Longest: point.Span(10 * time.Minute), Rate: order.Rate{Orders: 1000, Within: point.Span(time.Minute)}}
	all := s
	all.Kinds = []order.Kind{order.Real, order.Drill, order.Test}
	return order.Bounds{
		Sources:       map[order.Source]order.Scope{order.Rule: s, order.Alert: s, order.Operator: all},
		Marked:        map[order.Kind]order.Mark{order.Drill: {Tones: []string{"drill"}}, order.Test: {Tones: []string{"test"}}},
		AllClearTones: []string{"chime"},
	}
}

// model is what somebody outside sees and expects.
type model struct {
	t    *rapid.T
	now  time.Duration
	m    *machine
	desk *order.Desk
	// fine is when a standing cause last sounded, or could not for something
	// that ranks as high.
	fine map[string]time.Duration
	// hushed are causes that were acknowledged and stopped, with the level.
	hushed map[string]point.Level
	// sounds is what each output does, as the house would.
	sounds map[string]*item
}

func (w *model) stamp() clock.Stamp { return clock.Stamp{Mono: w.now, Boot: "b"} }

func (w *model) grant(it *item, outs []string) (order.Order, error) {
	return w.desk.Make(ask(it, outs))
}

func (w *model) carry(e *effects) {
	w.m.step(e, w.stamp(), w.grant)
	for _, o := range e.silence {
		delete(w.sounds, o)
	}
	for _, s := range e.starts {
		if s.it.turn != s.turn {
			continue
		}
		if !s.order.Valid() || s.order.Kind() != s.it.r.Kind || s.order.Level() != s.it.r.Level {
			w.t.Fatalf("a turn of %s without its order", s.it.r.Cause)
		}
		for _, o := range s.order.Outputs() {
			w.sounds[o] = s.it
		}
	}
	w.check()
}

func (w *model) check() {
	held := map[string]string{}
	real := w.m.realStands()
	for _, it := range w.m.items {
		if real && it.r.Kind != order.Real {
			w.t.Fatalf("%s goes on though something real asks", it.r.Cause)
		}
		if (it.phase == Speaking) != (len(it.held) > 0) {
			w.t.Fatalf("%s is %s and holds %v", it.r.Cause, it.phase, it.held)
		}
		for _, o := range it.held {
			if held[o] != "" || w.m.holds[o] != it {
				w.t.Fatalf("%s and %s fight for %s", held[o], it.r.Cause, o)
			}
			held[o] = it.r.Cause
			if w.sounds[o] != it {
				w.t.Fatalf("%s holds %s, which plays something else", it.r.Cause, o)
			}
		}
	}
	for o, it := range w.m.holds {
		if held[o] != it.r.Cause {
			w.t.Fatalf("%s is held by %s, which does not know", o, it.r.Cause)
		}
	}
	for _, it := range w.m.items {
		if it.phase == Waiting && it.due <= w.now {
			for _, o := range it.r.Outputs {
				if h := w.m.holds[o]; h == nil || above(it, h) {
					w.t.Fatalf("%s (level %d) waits although %s could be its own", it.r.Cause, it.r.Level, o)
				}
			}
		}
		if l, ok := w.hushed[it.r.Cause]; ok && it.phase == Speaking && it.r.Level <= l {
			w.t.Fatalf("%s sounds again although it was acknowledged and stopped at level %d", it.r.Cause, l)
		}
		if !it.standing() || it.r.Kind != order.Real {
			continue
		}
		if it.phase == Speaking || it.phase == Waiting || it.forever {
			w.fine[it.r.Cause] = w.now // waiting was checked above
		}
		if quiet, most := w.now-w.fine[it.r.Cause], max(it.r.Duty.Off, it.r.Resound)+settle; quiet > most {
			w.t.Fatalf("%s has been silent for %v, more than %v (%s)", it.r.Cause, quiet, most, it.phase)
		}
	}
}

// mark says who sounded, or could not, until now.
func (w *model) mark() {
	for _, it := range w.m.items {
		if it.phase == Speaking || it.phase == Waiting || it.forever {
			w.fine[it.r.Cause] = w.now
		}
	}
}

func (w *model) do(f func(e *effects)) { var e effects; f(&e); w.carry(&e) }

// pass lets time go by, stepping when the machine wants to.
func (w *model) pass(d time.Duration) {
	end := w.now + d
	for {
		at := w.m.next(w.now)
		if at == 0 || at > end {
			w.now = end
			w.mark()
			w.do(func(*effects) {})
			return
		}
		if at < w.now {
			w.t.Fatalf("wants to step in the past")
		}
		w.now = at
		w.mark()
		w.do(func(*effects) {})
		if next := w.m.next(w.now); next != 0 && next <= w.now {
			w.t.Fatalf("steps without getting on at %v", w.now)
		}
	}
}

var outs = []string{"siren", "horn", "strobe"}

func drawRequest(t *rapid.T) Request {
	r := Request{
		Cause: rapid.SampledFrom([]string{"flood", "gas", "slope", "drill", "words"}).Draw(t, "cause"),
		Kind:  order.Real, Source: order.Rule,
		Level:   point.Level(rapid.IntRange(1, 4).Draw(t, "level")),
		Rank:    rapid.IntRange(0, 2).Draw(t, "rank"),
		Lower:   Lower(rapid.IntRange(0, 1).Draw(t, "lower")),
		Equal:   Equal(rapid.IntRange(0, 1).Draw(t, "equal")),
		Resound: time.Duration(rapid.IntRange(0, 1200).Draw(t, "resound")) * time.Second,
		For:     time.Duration(rapid.IntRange(1, 120).Draw(t, "for")) * time.Second,
		Content: order.Content{Tone: rapid.SampledFrom([]string{"fast", "slow"}).Draw(t, "tone")},
		Outputs: rapid.SliceOfNDistinct(rapid.SampledFrom(outs), 1, 3, rapid.ID).Draw(t, "outputs"),
	}
	if rapid.IntRange(0, 3).Draw(t, "standing") > 0 {
		r.Duty = Duty{time.Duration(rapid.IntRange(1, 120).Draw(t, "on")) * time.Second, time.Duration(rapid.IntRange(0, 300).Draw(t, "off")) * time.Second}
	}
	if r.Cause == "drill" {
		r.Kind, r.Source, r.Who = order.Kind(rapid.IntRange(2, 3).Draw(t, "kind")), order.Operator, order.Who{Name: "x"}
		r.Content.Tone = r.Kind.String()
	}
	return r
}

func TestWhoSpeaksNowHoldsForAnyCourseOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &model{t: t, m: newMachine(64), fine: map[string]time.Duration{}, hushed: map[string]point.Level{}, sounds: map[string]*item{}}
		w.desk = order.NewDesk(wide(), clock.Func(w.stamp), nil)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0, 1, 2, 3:
				r := drawRequest(t)
				old := w.m.find(r.Cause)
				w.do(func(e *effects) {
					// What begins or is replaced counts from now; what only changes
					// does not get a longer silence by it.
					if old == nil || !old.standing() || r.Duty.On == 0 || r.Level > old.r.Level {
						w.fine[r.Cause] = w.now
						delete(w.hushed, r.Cause)
					} else if old.r.Kind == order.Real {
						kept := max(old.r.Duty.Off, old.r.Resound)
						w.fine[r.Cause] = max(w.fine[r.Cause], w.now-min(kept, w.now-w.fine[r.Cause]))
						r.Duty.Off, r.Resound = old.r.Duty.Off, old.r.Resound
					}
					w.m.announce(e, r, order.Sound, order.Order{}, w.stamp())
				})
			case 4, 5:
				w.do(func(e *effects) {
					stopped := w.m.stop(e, order.Who{Name: "key"}, w.stamp())
					e.silence = outs
					for _, it := range w.m.items {
						if it.phase != Halted {
							t.Fatalf("%s is %s after STOP", it.r.Cause, it.phase)
						}
						if it.acked {
							w.hushed[it.r.Cause] = it.r.Level
						}
					}
					for _, s := range stopped {
						if i := w.m.find(s.Cause); i != nil && !i.acked && (s.Again.Mono == 0 || s.Again.Mono > w.now+MostResound) {
							t.Fatalf("%s is to be silent until %v", s.Cause, s.Again.Mono-w.now)
						}
					}
				})
				if len(w.sounds) > 0 {
					t.Fatalf("after STOP there sound %v", w.sounds)
				}
			case 6:
				c := rapid.SampledFrom([]string{"flood", "gas", "slope"}).Draw(t, "acked")
				w.do(func(*effects) { w.m.acknowledged(c) })
				if it := w.m.find(c); it != nil && it.phase == Halted {
					w.hushed[c] = it.r.Level
				}
			case 7:
				c := rapid.SampledFrom([]string{"flood", "gas", "slope", "words"}).Draw(t, "withdrawn")
				w.do(func(e *effects) {
					if it := w.m.find(c); it != nil {
						w.m.remove(e, it, Ended, phrase.Message{}, w.stamp())
					}
				})
				for o, it := range w.sounds {
					if it.r.Cause == c && slices.Contains(w.m.items, it) {
						t.Fatalf("%s sounds on at %s", c, o)
					}
				}
				delete(w.hushed, c)
			default:
				w.pass(time.Duration(rapid.IntRange(1, 900).Draw(t, "seconds")) * time.Second)
			}
		}
	})
}

func TestAFloodOfRequestsNeverLosesTheHighest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(8)
		var e effects
		best := point.Level(0)
		for i := range 40 {
			l := point.Level(rapid.IntRange(1, 9).Draw(t, "level"))
			best = max(best, l)
			m.announce(&e, Request{Cause: fmt.Sprint(i), Kind: order.Real, Level: l, Outputs: outs, Duty: Duty{time.Minute, time.Minute}}, order.Sound, order.Order{}, clock.Stamp{Boot: "b"})
			if len(m.items) > 8 || !slices.ContainsFunc(m.items, func(it *item) bool { return it.r.Level == best }) {
				t.Fatalf("%d items, highest %d lost", len(m.items), best)
			}
		}
	})
}
