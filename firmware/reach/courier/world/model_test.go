package world

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/firmware/reach/courier"
)

// clear is a path that lost nothing since then: what was posted must come by it.
type clear struct {
	path  *Path
	since time.Duration
}

// walk holds a random history to what must always hold: nothing acknowledged is lost,
// nothing arrives under one ID with two contents, a warning meets its deadline where one
// link was good all the while, slots, budgets and what may go where (World.watch).
// It gives how many acknowledged messages and good links it held to that.
func walk(t *rapid.T, rules *courier.Rules) (acknowledged, clearly int) {
	fibre, cellular, satellite, mesh, beidou := Good()
	paths := []*Path{fibre, cellular, satellite, mesh, beidou, {Name: "sms", Delay: 3 * time.Second}, {Name: "sbd", Delay: 9 * time.Second}}
	paths = paths[:rapid.IntRange(1, len(paths)).Draw(t, "links")]
	w, err := New(rules, rapid.Uint64().Draw(t, "seed"), paths...)
	if err != nil {
		t.Fatal(err)
	}
	w.SyncMax = rapid.SampledFrom([]time.Duration{time.Millisecond, 50 * time.Millisecond, 5 * time.Second}).Draw(t, "sync")
	free := make([]clear, len(paths)) // since when each path is faultless and the box on
	spoil := func(i int) { free[i].since = 1 << 62 }
	for i, p := range paths {
		if free[i] = (clear{p, 0}); p.Loss > 0 {
			spoil(i)
		}
	}
	meets := map[string]bool{} // warnings that some path could carry from their post to their deadline
	open := map[string]time.Duration{}
	settleMeets := func() {
		for id, due := range open {
			if w.Now < due {
				continue
			}
			delete(open, id)
			for _, c := range free {
				if c.since <= w.Posted[id].At && w.Kept[id] {
					meets[id] = true
				}
			}
		}
	}
	run := func(d time.Duration) {
		for d > 0 { // a deadline is looked at when it is due, before anything changes
			step := d
			for _, due := range open {
				step = min(step, max(due-w.Now, time.Millisecond))
			}
			w.Run(step)
			d -= step
			settleMeets()
		}
	}
	n, reds := 0, 0
	post := func(t *rapid.T) {
		c := courier.Class(rapid.IntRange(0, 5).Draw(t, "class"))
		if c == courier.Warning {
			if reds++; reds > 8 {
				c = courier.Alarm
			}
		}
		n++
		m := courier.Message{ID: fmt.Sprintf("b/%d", n), Class: c, Payload: fmt.Appendf(nil, "%0*d", rapid.IntRange(4, 64).Draw(t, "bytes"), n)}
		switch {
		case c == courier.Receipt:
			m.Urgent = rapid.Bool().Draw(t, "urgent")
		case c >= courier.Telemetry && rapid.Bool().Draw(t, "newest"):
			m.Kind, m.Key = courier.NewestWins, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")
		}
		if c == courier.Telemetry && rapid.Bool().Draw(t, "summary") {
			m.Short = m.Payload[:rapid.IntRange(1, len(m.Payload)).Draw(t, "short")]
		}
		if !w.On() {
			return
		}
		if err := w.Post(m); err != nil {
			t.Fatal(err)
		}
		if c == courier.Warning {
			open[m.ID] = w.Now + rules.Classes["warning"].Deadline
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"post": post, "post more": post, "and more": post,
		"wait": func(t *rapid.T) {
			run(time.Duration(rapid.SampledFrom([]int{1, 20, 300, 2_000, 15_000, 70_000, 600_000}).Draw(t, "ms")) * time.Millisecond)
		},
		"link": func(t *rapid.T) {
			i := rapid.IntRange(0, len(paths)-1).Draw(t, "link")
			p := paths[i]
			p.Cut, p.Gone, p.Off, p.Loss = false, false, false, 0
			spoil(i)
			switch rapid.SampledFrom([]string{"good", "lossy", "cut", "gone", "off"}).Draw(t, "is") {
			case "lossy":
				p.Loss = rapid.Float64Range(0.05, 0.9).Draw(t, "loss")
			case "cut":
				p.Cut = true
			case "gone":
				p.Gone = true
			case "off":
				p.Off = true
			default:
				free[i].since = w.Now
			}
		},
		"power cut": func(t *rapid.T) {
			if w.On() {
				w.Cut()
				for i := range free {
					spoil(i)
				}
				return
			}
			if err := w.Power(); err != nil {
				t.Fatal(err)
			}
			for i, p := range paths {
				if !p.Cut && !p.Gone && !p.Off && p.Loss == 0 {
					free[i].since = w.Now
				}
			}
		},
		"": func(t *rapid.T) {
			if len(w.Faults) > 0 || w.Twisted > 0 {
				t.Fatalf("%d twisted, %v", w.Twisted, w.Faults)
			}
		},
	})
	if err := w.Power(); err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		p.Cut, p.Gone, p.Off, p.Loss = false, false, false, 0
	}
	run(12 * time.Hour)
	wide := false
	for _, p := range paths {
		wide = wide || rules.Links[p.Name].Wide && !rules.Links[p.Name].Metered
	}
	for id, p := range w.Posted {
		a, there := w.Arrived[id]
		if there && string(a.Bytes) != string(p.Payload) && string(a.Bytes) != string(p.Short) {
			t.Errorf("%s arrived as something else", id)
		}
		must := p.Class <= courier.Alarm || p.Class == courier.Telemetry && p.Kind == courier.KeepAll && wide
		if must && w.Kept[id] && !there {
			t.Errorf("%s of class %v was acknowledged and is lost; %+v", id, p.Class, w.Status())
		}
		if took := a.At - p.At; meets[id] && (!there || took > rules.Classes["warning"].Deadline) {
			t.Errorf("%s took %v although a link was good all the while", id, took)
		}
	}
	for _, c := range w.Status().Classes[:courier.Telemetry] {
		if c.Waiting > 0 {
			t.Errorf("%d of %s still wait", c.Waiting, c.Class)
		}
	}
	if len(w.Faults) > 0 {
		t.Error(w.Faults)
	}
	return len(w.Kept), len(meets)
}

func TestRandomHistoriesLoseNothingThatWasAcknowledged(t *testing.T) {
	rules := shipped(t)
	kept, met := 0, 0
	for tries := 0; tries < 20 && (kept == 0 || met == 0); tries++ { // few walks may all be through dark
		rapid.Check(t, func(t *rapid.T) {
			k, m := walk(t, rules)
			kept, met = kept+k, met+m
		})
	}
	t.Logf("%d messages acknowledged, %d warnings with a good link all the while", kept, met)
	if kept == 0 || met == 0 {
		t.Error("the walks prove nothing")
	}
}

func FuzzHistories(f *testing.F) {
	rules := shipped(f)
	f.Add(make([]byte, 256))
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { walk(t, rules) }))
}
