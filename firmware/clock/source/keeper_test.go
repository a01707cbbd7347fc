package source

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

var (
	build = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	truth = time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC) // at mono 0
)

func shipped(t testing.TB) *Rules {
	t.Helper()
	b, err := os.ReadFile("../../../configs/" + RulesName)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRules(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// world is a box under a virtual sky: its clock obeys the verdicts, its quartz is off by ppm.
type world struct {
	t     *testing.T
	k     *Keeper
	mono  time.Duration
	wall  time.Time
	ppm   float64
	trust clock.Trust
	floor time.Time
	v     Verdict
	step  time.Duration
	// tell gives what is heard in each second.
	tell func(w *world)
}

func newWorld(t *testing.T, tell func(w *world)) *world {
	return &world{t: t, k: New(Opts{Rules: shipped(t), Build: build}), wall: build, floor: build, ppm: 20, tell: tell, step: time.Second}
}

func (w *world) utc() time.Time { return truth.Add(w.mono) }

func (w *world) hear(name string, kind Kind, off time.Duration) {
	// The board's monotonic clock is its quartz's: what is true now is told at what it reads.
	w.k.Hear(Sample{Name: name, Kind: kind, At: w.quartz(), UTC: w.utc().Add(off)})
}

func (w *world) quartz() time.Duration { return time.Duration(float64(w.mono) * (1 + w.ppm/1e6)) }

func (w *world) run(d time.Duration) *world {
	for end := w.mono + d; w.mono < end; {
		before := w.quartz()
		w.mono += w.step
		w.wall = w.wall.Add(w.quartz() - before)
		if w.tell != nil {
			w.tell(w)
		}
		w.v = w.k.Judge(Now{w.quartz(), w.wall, w.trust, w.floor})
		if w.v.Set {
			if w.v.UTC.Before(w.floor) {
				w.t.Fatalf("set to %v, below the floor", w.v.UTC)
			}
			w.wall = w.v.UTC
		}
		w.trust = w.v.Trust
		if w.v.Top.After(w.wall) {
			w.t.Fatalf("the floor may rise to %v, and it is %v", w.v.Top, w.wall)
		}
		if w.v.Top.After(w.floor) {
			w.floor = w.v.Top
		}
	}
	return w
}

func (w *world) off() time.Duration { return w.wall.Sub(w.utc()) }

func (w *world) fault(name, code string) {
	w.t.Helper()
	for _, f := range w.v.Faults {
		if f.Source == name && f.Why.Code == code {
			if s := f.Why.In(phrase.EN); !strings.Contains(s, name) || strings.Contains(s, "{") {
				w.t.Errorf("the fault does not name it: %s", s)
			}
			return
		}
	}
	w.t.Errorf("%s is no fault %s: %v", name, code, w.v.Faults)
}

func (w *world) holds(name string, trust clock.Trust, within time.Duration) {
	w.t.Helper()
	if w.v.Holder != name || w.trust != trust || w.off().Abs() > within {
		w.t.Errorf("%q holds, trust %v, off by %v; want %q, %v, within %v (faults %v)", w.v.Holder, w.trust, w.off(), name, trust, within, w.v.Faults)
	}
	if w.trust == clock.Set && (w.v.Bound < 0 || w.off().Abs() > w.v.Bound+time.Millisecond) {
		w.t.Errorf("off by %v, and the bound is %v", w.off(), w.v.Bound)
	}
}

func TestTheOrderOfTrustAndEachComesInWhereTheBetterOneIsGone(t *testing.T) {
	live := map[Kind]bool{}
	w := newWorld(t, func(w *world) {
		if live[RTC] && w.trust < clock.Set {
			w.hear("rtc0", RTC, 40*time.Second)
		}
		if live[Downlink] && int(w.mono/time.Second)%600 == 0 {
			w.hear("hub", Downlink, -20*time.Second)
		}
		if live[BeiDou] {
			w.hear("bd", BeiDou, -time.Second)
		}
		if live[NTP] && int(w.mono/time.Second)%60 == 0 {
			w.hear("ntp", NTP, 4*time.Millisecond)
		}
		if live[GNSS] {
			w.hear("sky", GNSS, 200*time.Millisecond)
		}
		if live[PPS] {
			w.k.Pulse("pps0", w.quartz())
		}
	})
	w.run(10 * time.Second)
	if w.v.Holder != "" || w.trust != clock.Free {
		t.Errorf("with nothing heard: %+v", w.v)
	}
	live[RTC] = true
	w.run(10*time.Second).holds("rtc0", clock.Held, 2*time.Minute)
	live[Downlink] = true
	w.run(20*time.Minute).holds("hub", clock.Set, 30*time.Second)
	live[BeiDou] = true
	w.run(10*time.Minute).holds("bd", clock.Set, 1500*time.Millisecond)
	live[NTP] = true
	w.run(10*time.Minute).holds("ntp", clock.Set, 20*time.Millisecond)
	live[GNSS] = true
	w.run(time.Minute).holds("sky", clock.Set, 600*time.Millisecond)
	live[PPS] = true
	w.run(time.Minute).holds("pps0", clock.Set, time.Millisecond)
	if !w.v.Sure || len(w.v.Faults) > 0 {
		t.Errorf("all agree: %+v", w.v)
	}
	live[PPS], live[GNSS] = false, false
	w.run(10*time.Minute).holds("ntp", clock.Set, 50*time.Millisecond)
	live[NTP] = false
	w.run(3*time.Hour).holds("bd", clock.Set, 1500*time.Millisecond)
}

func TestWithEverySourceGoneTheClockRunsOnAndIsTrustedForAsLongAsTheQuartzAllows(t *testing.T) {
	on := true
	w := newWorld(t, func(w *world) {
		if on {
			w.hear("ntp", NTP, 0)
		}
	})
	w.run(time.Hour)
	on = false
	w.run(24 * time.Hour)
	if w.trust != clock.Set || w.v.Holder != "" || w.v.Bound < 4*time.Second || w.off().Abs() > w.v.Bound {
		t.Errorf("after a day: %v, bound %v, off %v", w.trust, w.v.Bound, w.off())
	}
	w.step = time.Minute
	w.run(69 * 24 * time.Hour) // 5 min at 50 millionths are 69.4 days
	if w.trust != clock.Free {
		t.Errorf("trusted with a bound of %v", w.v.Bound)
	}
}

func TestAClockYearsOffIsRefused(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, c := range []struct {
		name   string
		kind   Kind
		off    time.Duration
		others bool // two good sources speak from the tenth minute on
		code   string
	}{
		{"a receiver whose week rolled over", GNSS, -1024 * 7 * 24 * time.Hour, false, "time.below"},
		{"a receiver whose week rolled over, others know", GNSS, -1024 * 7 * 24 * time.Hour, true, "time.below"},
		{"a chip whose cell is dead", RTC, -27 * year, false, "time.below"},
		{"a chip that is ten years ahead", RTC, 10 * year, false, "time.beyond"},
		{"a chip that is nine years ahead", RTC, 9 * year, false, "time.leap"},
		{"a forged server, ten years ahead", NTP, 10 * year, false, "time.beyond"},
		{"a forged server, nine years ahead", NTP, 9 * year, false, "time.leap"},
		{"a forged server, nine years ahead, others know", NTP, 9 * year, true, ""},
		{"a forged server, ten years back", NTP, -10 * year, false, "time.below"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) {
				w.hear("bad", c.kind, c.off)
				if c.others && w.mono > 10*time.Minute {
					w.hear("bd", BeiDou, time.Second)
					w.hear("hub", Downlink, -10*time.Second)
				}
			})
			w.run(9 * time.Minute)
			if w.trust != clock.Free || !w.floor.Equal(build) {
				t.Fatalf("believed: %v, floor %v", w.trust, w.floor)
			}
			w.run(11 * time.Minute)
			if c.code != "" {
				w.fault("bad", c.code)
			}
			if c.others {
				w.holds("bd", clock.Set, 2*time.Second)
				if len(w.v.Faults) != 1 {
					t.Errorf("%v", w.v.Faults)
				}
			}
		})
	}
}

func TestAForgedServerCannotCarryAClockThatWasSet(t *testing.T) {
	off := time.Duration(0)
	w := newWorld(t, func(w *world) { w.hear("ntp", NTP, off) })
	w.run(2 * time.Hour)
	off = 36 * time.Hour
	w.run(time.Hour).fault("ntp", "time.jump")
	if w.off().Abs() > time.Second || w.trust != clock.Set {
		t.Errorf("it went along: off by %v, %v", w.off(), w.trust)
	}
	// A small move is taken once it stays: the older word may have been the wrong one.
	off = 90 * time.Second
	w.run(4 * time.Minute)
	if w.off().Abs() > time.Second {
		t.Errorf("moved at once: %v", w.off())
	}
	w.run(2 * time.Minute)
	if (w.off() - off).Abs() > time.Second {
		t.Errorf("not moved: %v", w.off())
	}
	if w.v.Sure {
		t.Error("the floor rises by a word that has just changed")
	}
}

func TestOneAnswerIsNotSettledByTheTimeThatPassesAfterIt(t *testing.T) {
	off, every := time.Duration(0), 30*time.Minute
	w := newWorld(t, func(w *world) {
		if w.mono%every == 0 {
			w.hear("ntp", NTP, off)
		}
	})
	w.run(2 * time.Hour)
	off = 90 * time.Second // one forged answer; the next one is in half an hour
	w.run(every + 29*time.Minute)
	if w.off().Abs() > time.Second || w.trust != clock.Set {
		t.Errorf("one answer moved the clock by %v", w.off())
	}
	off = 0
	w.run(time.Hour).holds("ntp", clock.Set, time.Second)
	// Two answers half an hour apart that say the same are settled.
	off = 90 * time.Second
	w.run(2*every + time.Minute)
	if (w.off() - off).Abs() > time.Second {
		t.Errorf("a source that is seldom heard never settles: off by %v", w.off())
	}
}

func TestOnlyADateThatIsHardToForgeRaisesTheFloorBeyondTheTimeThatPassed(t *testing.T) {
	const day = 24 * time.Hour
	const ahead = 200 * day // not far enough to be absurd
	for _, c := range []struct {
		name string
		tell func(w *world)
		most time.Duration // above what has passed
		far  bool
	}{
		{"a forged server", func(w *world) { w.hear("ntp", NTP, ahead) }, day, false},
		{"a forged server, and the chip that it set", func(w *world) { w.hear("ntp", NTP, ahead); w.hear("rtc0", RTC, ahead) }, day, false},
		{"a forged server, and a pulse that it numbers", func(w *world) { w.hear("ntp", NTP, ahead); w.k.Pulse("pps0", w.quartz()) }, day, false},
		{"a forged server, and a time of day", func(w *world) {
			w.hear("ntp", NTP, ahead)
			w.k.Hear(Sample{Name: "bd", Kind: BeiDou, At: w.quartz(), UTC: time.Unix(0, 0).Add(w.utc().Sub(w.utc().Truncate(day))), TimeOfDay: true})
		}, day, false},
		{"a receiver", func(w *world) { w.hear("sky", GNSS, 0) }, 0, true},
		{"a dated terminal", func(w *world) { w.hear("bd", BeiDou, 0) }, 0, true},
		{"the county", func(w *world) { w.hear("hub", Downlink, 0) }, 0, true},
		{"a server and the county", func(w *world) { w.hear("ntp", NTP, 0); w.hear("hub", Downlink, 0) }, 0, true},
		{"a receiver's pulse", func(w *world) { w.hear("sky", GNSS, 0); w.k.Pulse("pps0", w.quartz()) }, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.tell)
			w.run(6 * time.Hour)
			if c.far {
				if d := w.utc().Sub(w.floor); d > 2*time.Minute || d < -2*time.Minute {
					t.Errorf("the floor is %v behind the truth", d)
				}
				return
			}
			if !w.v.Sure {
				t.Errorf("nothing contradicts it: %+v", w.v)
			}
			if d := w.floor.Sub(build); d > 6*time.Hour+c.most+time.Minute || d < c.most {
				t.Errorf("the floor rose by %v", d)
			}
		})
	}
	// After a receiver has said the date, a server carries the floor on with the time.
	sky := true
	w := newWorld(t, func(w *world) {
		w.hear("ntp", NTP, 0)
		if sky {
			w.hear("sky", GNSS, 0)
		}
	})
	w.run(time.Hour)
	sky = false
	w.step = time.Minute
	w.run(10 * day)
	if d := w.utc().Sub(w.floor).Abs(); d > time.Minute {
		t.Errorf("the floor stays %v behind", d)
	}
}

func TestABetterSourceCorrectsWhatALesserOneSetAlone(t *testing.T) {
	sky := false
	w := newWorld(t, func(w *world) {
		w.hear("ntp", NTP, 3*24*time.Hour) // forged from the start, and not far enough to be absurd
		if sky {
			w.hear("sky", GNSS, 0)
		}
	})
	w.run(30 * time.Minute)
	if w.floor.After(build) {
		t.Error("the floor rose by one word in half an hour")
	}
	sky = true
	w.run(time.Minute).holds("sky", clock.Set, time.Second)
	w.fault("ntp", "time.disagrees")
}

func TestASpoofedReceiverIsOutvoted(t *testing.T) {
	off := time.Duration(0)
	w := newWorld(t, func(w *world) {
		w.hear("sky", GNSS, off)
		w.k.Pulse("pps0", w.quartz())
		w.hear("ntp", NTP, 0)
		w.hear("bd", BeiDou, 0)
	})
	w.run(10*time.Minute).holds("pps0", clock.Set, time.Millisecond)
	for _, off = range []time.Duration{5 * time.Second, -time.Hour, 30 * 24 * time.Hour} {
		w.run(20 * time.Minute)
		if w.off().Abs() > 100*time.Millisecond {
			t.Errorf("%v: it went along by %v", off, w.off())
		}
		if off > 0 { // one before the floor is refused for that
			w.fault("sky", "time.disagrees") // with its own pulses too, which others number
		}
	}
	off = 0
	w.run(5*time.Minute).holds("pps0", clock.Set, time.Millisecond)
	if len(w.v.Faults) > 0 {
		t.Errorf("%v", w.v.Faults)
	}
}

func TestAReceiverThatLeavesWhatTwoOthersAgreeOnIsOutvotedWhateverItsRank(t *testing.T) {
	off := time.Duration(0)
	w := newWorld(t, func(w *world) {
		w.hear("sky", GNSS, off)
		if w.mono > 5*time.Minute {
			w.hear("ntp", NTP, 0)
		}
	})
	w.run(10*time.Minute).holds("sky", clock.Set, time.Second)
	off = time.Hour
	w.run(time.Hour).holds("ntp", clock.Set, 50*time.Millisecond)
	w.fault("sky", "time.outvoted")
}

func TestALesserSourceThatDisagreesIsAFaultWithAName(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.hear("sky", GNSS, 0)
		w.hear("hub", Downlink, 10*time.Minute)
	})
	w.run(3*time.Minute).holds("sky", clock.Set, time.Second)
	w.fault("hub", "time.disagrees")
}

func TestATimeOfDayTakesTheDayOfTheClockAndNeverMakesOne(t *testing.T) {
	date := false
	w := newWorld(t, func(w *world) {
		w.k.Hear(Sample{Name: "bd", Kind: BeiDou, At: w.quartz(), UTC: time.Unix(0, 0).Add(w.utc().Sub(w.utc().Truncate(24 * time.Hour))), TimeOfDay: true})
		if date && w.trust < clock.Set {
			w.hear("rtc0", RTC, time.Minute)
		}
	})
	w.run(time.Minute)
	if w.trust != clock.Free || w.v.Holder != "" {
		t.Fatalf("a time of day made a date: %+v", w.v)
	}
	date = true
	w.run(24*time.Hour).holds("bd", clock.Set, 2*time.Second)
}

func TestPulsesAreNumberedAndStrayOnesAreNot(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	w := newWorld(t, func(w *world) {
		w.hear("sky", GNSS, 500*time.Millisecond-time.Duration(rnd.IntN(950)+20)*time.Millisecond)
		w.k.Pulse("pps0", w.quartz())
		w.k.Pulse("noise", w.quartz()-time.Duration(rnd.IntN(1e9)))
	})
	w.run(2*time.Minute).holds("pps0", clock.Set, time.Millisecond)
	for _, s := range w.v.Sources {
		if s.Name == "noise" && s.Live {
			t.Error("noise was taken for pulses")
		}
	}
}

// Whatever is said and in whatever order: the clock is never set below the floor, the floor never goes back nor beyond
// what any source said, and with two honest origins there the clock is right.
func TestLiarsOfEveryKindNeverMoveTheFloorNorAClockWithTwoHonestSources(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 8 // under the race detector
	}
	for seed := range seeds {
		rnd := rand.New(rand.NewPCG(seed, 7))
		liar := kinds[1+rnd.IntN(5)]
		honest := []Kind{GNSS, NTP, BeiDou, Downlink}
		lie := time.Duration(0)
		w := newWorld(t, func(w *world) {
			if rnd.IntN(300) == 0 {
				lie = time.Duration(rnd.NormFloat64() * float64(time.Hour) * []float64{0.01, 1, 100, 40000}[rnd.IntN(4)])
			}
			w.hear("liar", liar, lie)
			n := 0
			for _, h := range honest {
				if h != liar && n < 2 {
					n++
					w.hear(string(h), h, time.Duration((rnd.Float64()-0.5)*float64(w.k.o.Rules.Of(h).Bound.d())))
				}
			}
		})
		w.ppm = (rnd.Float64() - 0.5) * 80
		w.run(10 * time.Second)
		for range 20 {
			w.run(time.Minute)
			if w.off().Abs() > 65*time.Second {
				t.Fatalf("seed %d: a lying %s of %v moved the clock by %v (%+v)", seed, liar, lie, w.off(), w.v)
			}
			if w.floor.After(w.utc().Add(2 * time.Minute)) {
				t.Fatalf("seed %d: the floor is %v ahead", seed, w.floor.Sub(w.utc()))
			}
		}
	}
}

func TestRulesNameWhatIsWrong(t *testing.T) {
	good, err := os.ReadFile("../../../configs/" + RulesName)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, want string }{
		{"version: 1", "version: 2", "version"},
		{"drift: 50", "drift: 0", "drift"},
		{"most: 24h", "most: 24y", "time.yaml"},
		{"{kind: pps,", "{kind: sundial,", "sundial"},
		{"hold: 10s", "hold: 0s", "pps.hold"},
		{"first: 16s", "first: 16s\n  color: red", "color"},
	} {
		if !strings.Contains(string(good), c.from) {
			t.Fatalf("the file has no %q", c.from)
		}
		if _, err := ParseRules([]byte(strings.Replace(string(good), c.from, c.to, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.to, err)
		}
	}
	if r := shipped(t); r.Leap.d() != 400*24*time.Hour {
		t.Errorf("400d is %v", r.Leap.d())
	}
}
