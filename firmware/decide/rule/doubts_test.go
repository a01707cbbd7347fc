package rule

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/configs"
	"tocsin/firmware/clock"
	"tocsin/firmware/point"
)

// shipped are the doubts that the firmware comes with.
func shipped(t interface{ Fatal(...any) }) Doubts {
	d, err := LoadDoubts(configs.FS, "plausibility.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// village has three rain gauges, a river and the rule of each.
func village(t interface{ Fatal(...any) }) *Engine {
	rain := []point.ID{"rain.total", "rain-b.total", "rain-c.total"}
	sources := map[point.ID]Source{"river.level": {Limit: time.Minute, Step: &Step{Most: 1, Per: time.Minute}}}
	spec := Spec{Hazard: "flash-flood", AnyOf: []Condition{{Point: "river.level", Unit: "m", Levels: []Threshold{{prepare, 101.2, 100.9}}}}}
	d := shipped(t)
	for i, id := range rain {
		s := Source{Limit: time.Minute, Counter: &point.Counter{Wrap: 6553.6, Resets: true, Tip: 0.2, Most: 8.0 / 60, Burst: 0.4, Within: d.Rain}}
		s.Neighbours = append(s.Neighbours, rain[(i+1)%3], rain[(i+2)%3])
		sources[id] = s
		spec.AnyOf = append(spec.AnyOf, Condition{Point: id, Unit: "mm", Kind: Sum, Window: time.Hour, Levels: []Threshold{{prepare, 45, 36}, {evacuate, 60, 48}}})
	}
	e, err := New([]Spec{spec}, sources, at(0))
	if err != nil {
		t.Fatal(err)
	}
	e.Doubt(d)
	return e
}

// seen is what came of the readings of a point.
type seen struct {
	t     interface{ Fatalf(string, ...any) }
	e     *Engine
	last  map[point.ID]point.Reading
	level point.Level
	notes map[string]int
}

func watch(t interface{ Fatalf(string, ...any) }, e *Engine) *seen {
	return &seen{t, e, map[point.ID]point.Reading{}, 0, map[string]int{}}
}

func (s *seen) take(rs []point.Reading) {
	for _, r := range rs {
		if old, there := s.last[r.Point]; there && r.At.Mono < old.At.Mono && r.At.Boot == old.At.Boot {
			s.t.Fatalf("%s went back in time", r.Point)
		}
		s.last[r.Point] = r
		for _, v := range s.e.Observe(r) {
			s.level = v.Level
		}
	}
	for _, n := range s.e.Notes() {
		s.notes[n.Why.Code]++
	}
}

func (s *seen) put(id point.ID, v float64, d time.Duration) {
	s.take(append([]point.Reading(nil), s.e.Admit(good(id, v, d))...))
}

func (s *seen) tick(d time.Duration) {
	s.take(append([]point.Reading(nil), s.e.Due(at(d))...))
	for _, v := range s.e.Tick(at(d)) {
		s.level = v.Level
	}
}

func (s *seen) sum(id point.ID, now time.Duration) float64 {
	return s.e.points[id].gains.sum(now, 72*time.Hour)
}

func TestInputsThatJumpInOneInstantAreASurge(t *testing.T) {
	for _, c := range []struct {
		name         string
		apart        time.Duration
		rainB, river float64 // what they jump by
		surge        bool
	}{
		{"two gauges and the river", 100 * time.Millisecond, 1.65, 0.95, true},
		{"a gauge and the river", 100 * time.Millisecond, 0, 0.95, true},
		{"two gauges", 300 * time.Millisecond, 1.65, 0, true},
		{"two gauges, seconds apart", 3 * time.Second, 1.65, 0, false},
		{"one gauge alone", 100 * time.Millisecond, 0, 0, false},
		{"heavy rain on both", 100 * time.Millisecond, 0.6, 0.05, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := watch(t, village(t))
			s.put("rain.total", 100, 0)
			s.put("rain-b.total", 50, 0)
			s.put("river.level", 98, 0)
			const poll = 10 * time.Second
			jumpA := 1.65
			if c.name == "heavy rain on both" {
				jumpA = 0.6
			}
			s.put("rain.total", 100+jumpA, poll)
			s.put("rain-b.total", 50+c.rainB, poll+c.apart)
			s.put("river.level", 98+c.river, poll+c.apart+50*time.Millisecond)
			s.tick(poll + 5*time.Second)
			if q := s.last["rain.total"].Quality; (q == point.Suspect) != c.surge {
				t.Errorf("rain is %v", q)
			}
			if n := s.notes["rule.surge"]; n != map[bool]int{true: 1, false: 0}[c.surge] {
				t.Errorf("told %d times", n)
			}
			for range 3 { // what stays where it jumped to is still not rain
				s.put("rain.total", 100+jumpA, 2*poll)
				s.put("rain-b.total", 50+c.rainB, 2*poll)
				s.tick(2*poll + time.Second)
			}
			want := jumpA
			if c.surge {
				want = 0
			}
			if got := s.sum("rain.total", time.Hour); math.Abs(got-want) > 1e-9 {
				t.Errorf("counted %v mm, want %v", got, want)
			}
			if q := s.last["rain.total"].Quality; q != point.Good {
				t.Errorf("a total that stays is %v", q)
			}
		})
	}
}

func TestAJumpAloneCountsAfterItsInstantAndInOrder(t *testing.T) {
	e := village(t)
	s := watch(t, e)
	s.put("river.level", 100.5, 0)
	s.put("river.level", 101.45, 10*time.Second)
	if s.level != point.Calm {
		t.Fatal("it did not wait for others")
	}
	s.put("river.level", 101.5, 10*time.Second+500*time.Millisecond)
	s.tick(11 * time.Second)
	if s.level != prepare || s.last["river.level"].Value != 101.5 || s.last["river.level"].Quality != point.Good {
		t.Errorf("after its instant: level %v, %+v", s.level, s.last["river.level"])
	}
	// A fault behind a jump stays behind it, and nothing is lost with the engine.
	s.put("river.level", 102.45, 20*time.Second)
	s.take(append([]point.Reading(nil), e.Admit(bad("river.level", point.CommFault, 20*time.Second+time.Millisecond))...))
	if rs := e.Held(); len(rs) != 2 || rs[0].Value != 102.45 || rs[1].Quality != point.CommFault {
		t.Errorf("held: %+v", rs)
	}
}

func TestALevelThatASurgeMovedIsBelievedWhenItHasStayed(t *testing.T) {
	s := watch(t, village(t))
	s.put("river.level", 98, 0)
	s.put("rain.total", 100, 0)
	s.put("river.level", 98.95, time.Second)
	s.put("rain.total", 101.2, time.Second+50*time.Millisecond)
	for d := 2 * time.Second; d < 11*time.Second; d += time.Second {
		if s.put("river.level", 98.95, d); s.last["river.level"].Quality != point.Suspect {
			t.Fatalf("at %v: %v", d, s.last["river.level"].Quality)
		}
	}
	s.put("river.level", 98.95, 12*time.Second)
	s.tick(14 * time.Second)
	if q := s.last["river.level"].Quality; q != point.Good {
		t.Errorf("after it stayed: %v", q)
	}
	// One that went back is believed at once.
	s = watch(t, village(t))
	s.put("river.level", 98, 0)
	s.put("rain.total", 100, 0)
	s.put("river.level", 98.95, time.Second)
	s.put("rain.total", 101.2, time.Second+50*time.Millisecond)
	s.put("river.level", 98.01, 2*time.Second)
	if q := s.last["river.level"].Quality; q != point.Good {
		t.Errorf("back where it was: %v", q)
	}
}

// storm rains on the gauges for a time, at mm a minute each, one reading every ten
// seconds.
func (s *seen) storm(totals map[point.ID]float64, perMinute map[point.ID]float64, from, long time.Duration) time.Duration {
	now := from
	for ; now < from+long; now += 10 * time.Second {
		for _, id := range []point.ID{"rain.total", "rain-b.total", "rain-c.total"} {
			totals[id] += perMinute[id] / 6
			s.put(id, 0.2*math.Floor(totals[id]/0.2+1e-9), now)
		}
		s.tick(now + time.Second)
	}
	return now
}

func TestAGaugeThatIsDryWhileItsNeighboursPourIsClogged(t *testing.T) {
	s := watch(t, village(t))
	totals := map[point.ID]float64{}
	all := map[point.ID]float64{"rain.total": 0.5, "rain-b.total": 0.5, "rain-c.total": 0.5}
	now := s.storm(totals, all, 0, 20*time.Minute)
	b := all["rain-b.total"]
	all["rain-b.total"] = 0
	now = s.storm(totals, all, now, 15*time.Minute)
	if q := s.last["rain-b.total"].Quality; q != point.Good {
		t.Fatalf("called too early: %v", q)
	}
	now = s.storm(totals, all, now, 15*time.Minute)
	r := s.last["rain-b.total"]
	if r.Quality != point.Suspect || r.Why.Code != "rule.clogged" {
		t.Fatalf("after half an hour of its neighbours' rain: %+v", r)
	}
	for _, id := range []point.ID{"rain.total", "rain-c.total"} {
		if s.last[id].Quality != point.Good {
			t.Errorf("%s: %v", id, s.last[id].Quality)
		}
	}
	// The others decide: an hour of it is 30 mm; go on until they reach 45 mm.
	for _, id := range []point.ID{"rain.total", "rain-c.total"} {
		all[id] = 1
	}
	now = s.storm(totals, all, now, 40*time.Minute)
	if s.level != prepare {
		t.Errorf("the others have %v mm in the hour: level %v", s.e.points["rain.total"].gains.sum(now, time.Hour), s.level)
	}
	// A single tip out of a clogged funnel proves nothing while they pour …
	totals["rain-b.total"] += 0.2
	now = s.storm(totals, all, now, time.Minute)
	if q := s.last["rain-b.total"].Quality; q != point.Suspect {
		t.Errorf("after one tip: %v", q)
	}
	// … its share of what they count does.
	all["rain-b.total"] = b * 4
	now = s.storm(totals, all, now, 6*time.Minute)
	if q := s.last["rain-b.total"].Quality; q != point.Good {
		t.Errorf("it counts again: %v, %s", q, s.last["rain-b.total"].Why.In("en"))
	}
	// Lowering: its own sum is good for that again only now.
	_ = now
}

func TestAClogIsRememberedOverARestart(t *testing.T) {
	s := watch(t, village(t))
	totals := map[point.ID]float64{}
	all := map[point.ID]float64{"rain.total": 0.6, "rain-b.total": 0, "rain-c.total": 0.6}
	now := s.storm(totals, all, 0, 40*time.Minute)
	if q := s.last["rain-b.total"].Quality; q != point.Suspect {
		t.Fatalf("%v", q)
	}
	b, err := s.e.State(at(now))
	if err != nil {
		t.Fatal(err)
	}
	e := village(t)
	boot := func(d time.Duration) clock.Stamp {
		return clock.Stamp{Mono: d, Wall: t0.Add(now + d), Boot: "b", Trust: clock.Set}
	}
	if err := e.Restore(b, boot(time.Second)); err != nil {
		t.Fatal(err)
	}
	r := good("rain-b.total", 0, 0)
	r.At = boot(2 * time.Second)
	if got := e.Admit(r); len(got) != 1 || got[0].Quality != point.Suspect {
		t.Errorf("after a restart: %+v", got)
	}
}

func TestEveryGaugeDryOrOneNeighbourAloneCallsNobody(t *testing.T) {
	for name, rates := range map[string]map[point.ID]float64{
		"no rain":                {},
		"drizzle":                {"rain.total": 0.1, "rain-c.total": 0.1},
		"only one of them pours": {"rain.total": 2},
	} {
		s := watch(t, village(t))
		s.storm(map[point.ID]float64{}, rates, 0, time.Hour)
		if r := s.last["rain-b.total"]; r.Quality != point.Good {
			t.Errorf("%s: %v %s", name, r.Quality, r.Why.In("en"))
		}
	}
}

// TestWhatIsNoRainIsNeverCounted: a gauge is reset, rolls over, is exchanged or
// hit by a surge, alone and together with a line that is down and a box that is
// restarted meanwhile. What fell before and after is counted, what happened is
// not.
func TestWhatIsNoRainIsNeverCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := village(t)
		s := watch(t, e)
		total := rapid.Float64Range(0, 1000).Draw(t, "total")
		if rapid.Bool().Draw(t, "near its end") {
			total = 6553.6 - rapid.Float64Range(0.2, 5).Draw(t, "before its end")
		}
		now, fell := time.Duration(0), 0.0
		s.put("rain.total", total, now)
		for step := range rapid.IntRange(1, 12).Draw(t, "steps") {
			over := 10 * time.Second
			if rapid.Bool().Draw(t, fmt.Sprint("gap ", step)) {
				over = time.Duration(rapid.IntRange(20, 7200).Draw(t, "gap")) * time.Second
				s.take(append([]point.Reading(nil), s.e.Admit(bad("rain.total", point.CommFault, now+time.Second))...))
			}
			tips := rapid.IntRange(0, 4).Draw(t, "tips")
			rain := 0.2 * float64(tips)
			now += over
			what := rapid.SampledFrom([]string{"rain", "rain", "reset", "lower", "surge"}).Draw(t, "what")
			if (what == "reset" || what == "lower") && total > 0.95*6553.6 {
				what = "rain" // so near its end nobody can tell it from a roll-over
			}
			switch what {
			case "rain":
				fell += rain
				if total += rain; total >= 6553.6 {
					total -= 6553.6
				}
			case "reset": // what fell since is not known to be rain
				fell += max(0, rain-total) // a total that went up is a gain like any other
				total = rain
			case "lower": // another gauge
				total *= rapid.Float64Range(0.1, 0.8).Draw(t, "share")
			case "surge":
				if up := total + 8.0/60*over.Seconds() + 0.4 + rapid.Float64Range(5, 500).Draw(t, "jump"); up < 6553 {
					total = up
				}
			}
			if rapid.Bool().Draw(t, fmt.Sprint("restart ", step)) {
				b, err := s.e.State(at(now - time.Second))
				if err != nil {
					t.Fatal(err)
				}
				e = village(t)
				if err := e.Restore(b, at(now)); err != nil {
					t.Fatal(err)
				}
				s.e = e
			}
			s.put("rain.total", total, now)
			s.tick(now + time.Second)
			now += time.Second
		}
		if got := s.sum("rain.total", now); got > fell+1e-6 {
			t.Fatalf("counted %v mm, only %v fell", got, fell)
		}
	})
}

// A surge that the line calls suspect until its total has stayed must not become
// rain when it has, nor over a restart in between.
func TestATotalThatStaysAfterASurgeIsNoRain(t *testing.T) {
	for _, restart := range []bool{false, true} {
		s := watch(t, village(t))
		s.put("rain.total", 100, 0)
		for d := time.Second; d < 10*time.Second; d += time.Second {
			r := good("rain.total", 101.4, d)
			r.Quality = point.Suspect
			s.take(append([]point.Reading(nil), s.e.Admit(r)...))
		}
		if restart {
			b, err := s.e.State(at(10 * time.Second))
			if err != nil {
				t.Fatal(err)
			}
			s.e = village(t)
			if err := s.e.Restore(b, at(10*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		s.put("rain.total", 101.6, 20*time.Second)
		s.tick(30 * time.Second)
		if got := s.sum("rain.total", time.Minute); math.Abs(got-0.2) > 1e-9 {
			t.Errorf("restart %v: counted %v mm, 0.2 fell", restart, got)
		}
	}
	// A spike that went back takes nothing from the rain.
	s := watch(t, village(t))
	s.put("rain.total", 100, 0)
	r := good("rain.total", 480, time.Second)
	r.Quality = point.Suspect
	s.take(append([]point.Reading(nil), s.e.Admit(r)...))
	s.put("rain.total", 100.4, 10*time.Second)
	if got := s.sum("rain.total", time.Minute); math.Abs(got-0.4) > 1e-9 {
		t.Errorf("after a spike: %v mm, 0.4 fell", got)
	}
}

func TestABucketIsCorrectedOnlyAboveItsIntensity(t *testing.T) {
	for perMinute, want := range map[float64]float64{2: 1, 4: 1, 6: 1.05} {
		e, err := New(nil, map[point.ID]Source{"rain.total": {Limit: time.Minute,
			Counter: &point.Counter{Tip: 0.1, Most: 20, Burst: 1, Intensity: []point.Correction{{PerMinute: 4, Factor: 1}, {PerMinute: 6, Factor: 1.05}}}}}, at(0))
		if err != nil {
			t.Fatal(err)
		}
		e.points["rain.total"].keep = time.Hour
		total, now := 0.0, time.Duration(0)
		e.Observe(good("rain.total", total, now))
		for range 100 {
			now += 6 * time.Second
			total += perMinute / 10
			e.Observe(good("rain.total", total, now))
		}
		got := e.points["rain.total"].gains.sum(now, 5*time.Minute) / (5 * perMinute)
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("at %v mm/min it is multiplied by %v, want %v", perMinute, got, want)
		}
	}
}

func FuzzDoubts(f *testing.F) {
	b, err := configs.FS.ReadFile("plausibility.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("version: 1\nsurge: {within: 1s, inputs: 2, share: 1}\n"))
	f.Add([]byte("version: 1\nclogged: {over: 1m, pour: 1 m, neighbours: -1}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseDoubts(b)
		if err != nil {
			return
		}
		if d.Surge.Within > mostHeld && d.Surge.Inputs > 0 || math.IsNaN(d.Clogged.Most) || d.Clogged.Most < 0 {
			t.Fatalf("%+v", d)
		}
		e := village(t)
		e.Doubt(d)
		for i := range 20 {
			e.Observe(good("rain.total", float64(i), time.Duration(i)*time.Second))
			e.Admit(good("rain.total", float64(i*i), time.Duration(i)*time.Second))
			e.Due(at(time.Duration(i) * time.Second))
		}
	})
}

// BenchmarkAdmit is one reading of a level that does not jump.
func BenchmarkAdmit(b *testing.B) {
	e := village(b)
	i := 0
	for b.Loop() {
		i++
		e.Admit(good("river.level", 98+float64(i%2)/100, time.Duration(i)*time.Second))
	}
}
