package power

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tocsin/firmware/clock"
)

// world is a battery with a panel, a charger and loads, in virtual time.
type world struct {
	t     testing.TB
	k     *Keeper
	rules *Rules
	site  Site

	now   clock.Stamp
	held  float64 // Wh
	base  float64 // of the alarm path, W
	siren float64
	loud  bool
	sun   func(time.Time) float64
	mains *bool
	// What the meters say.
	measures map[Measure]bool
	blind    map[Measure]bool
	noise    func() float64
	failing  bool
	step     time.Duration

	events []Event
	view   View
}

var start = time.Date(2026, 6, 21, 4, 0, 0, 0, time.UTC) // noon in China

func newWorld(t testing.TB, measures ...Measure) *world {
	r := shipped(t)
	lead := r.Chemistries["lead"]
	w := &world{t: t, rules: r, base: 6, siren: 100, step: 2 * time.Second, held: 1200, measures: map[Measure]bool{}, blind: map[Measure]bool{}, noise: func() float64 { return 0 },
		now: clock.Stamp{Mono: time.Minute, Wall: start, Boot: "boot-one", Trust: clock.Set}, sun: func(time.Time) float64 { return 0 }}
	for _, m := range measures {
		w.measures[m] = true
	}
	w.site = Site{Chemistry: &lead, Blocks: 1, Capacity: 1200, Usable: 80, Draw: 10, Sounding: 100, For: r.Reserve.For, At: &[2]float64{24.6, 112.4}, Sun: w.measures[Harvest], Has: w.measures}
	w.k = New(r, w.site)
	return w
}

// sheddable is what is drawn by what can be shed and is on.
func (w *world) sheddable() (x float64) {
	for _, s := range w.rules.Order {
		if !slices.Contains(w.view.Shed, s.What) {
			x += s.Saves
		}
	}
	return x
}

// volts is what the battery shows: it sags under a load and is lifted by a charger.
func (w *world) volts(net float64) float64 {
	c := w.site.Chemistry
	q := 100 * max(0, w.held) / w.site.Capacity
	v := c.Rest[0][0] - (c.Rest[0][1]-q)*0.08
	for i := 1; i < len(c.Rest) && q > c.Rest[0][1]; i++ {
		a, b := c.Rest[i-1], c.Rest[i]
		if q <= b[1] || i == len(c.Rest)-1 {
			v = a[0] + (b[0]-a[0])*(min(q, b[1])-a[1])/(b[1]-a[1])
			break
		}
	}
	if net < 0 {
		return min(14.2, v+0.6) // charged
	}
	return v - 0.008*max(0, net-10) // 100 W more: 0.8 V less
}

// look lets one step pass.
func (w *world) look() []Event {
	w.t.Helper()
	d := w.step
	w.now = w.now.Add(d)
	load := w.base + w.sheddable()
	sounding := 0.0
	if w.loud {
		sounding = w.siren
	}
	here := w.mains != nil && *w.mains
	harvest := w.sun(w.now.Wall)
	net := load + sounding - harvest
	if here {
		net = -60
	}
	w.held = min(w.site.Capacity, w.held-net*d.Hours())
	s := Sample{Now: w.now, Sounding: sounding}
	give := func(m Measure, v float64) *float64 {
		if !w.measures[m] || w.blind[m] {
			return nil
		}
		return &v
	}
	s.Volts = give(Voltage, w.volts(net))
	s.Charge = give(Charge, math.Round(max(0, 100*w.held/w.site.Capacity+w.noise())))
	s.Drawn = give(Drawn, load+sounding)
	s.Harvest = give(Harvest, harvest)
	if w.measures[MainsHere] && !w.blind[MainsHere] {
		s.Mains = &here
	}
	if w.measures[Failing] && !w.blind[Failing] {
		s.Failing = &w.failing
	}
	var es []Event
	w.view, es = w.k.Look(s)
	w.events = append(w.events, es...)
	return es
}

func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for end := w.now.Mono + d; w.now.Mono < end; {
		w.look()
	}
}

func (w *world) count(k EventKind) (n int) {
	for _, e := range w.events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

func (w *world) states() (all []State) {
	for _, e := range w.events {
		if e.Kind == Turned {
			all = append(all, e.To)
		}
	}
	return all
}

// clear is a day's sun, by the hour angle at the site: a panel of so many watts.
func clear(peak float64) func(time.Time) float64 {
	return func(t time.Time) float64 {
		h := float64(t.UTC().Hour()) + float64(t.UTC().Minute())/60 + 7.5 // local solar time
		h = math.Mod(h, 24)
		return peak * max(0, math.Sin((h-6)/12*math.Pi))
	}
}

func TestAWeekOfRainShedsInOrderAndKeepsTheReserve(t *testing.T) {
	w := newWorld(t, Voltage, Charge, Drawn, Harvest)
	w.step = 10 * time.Second
	rain := true
	w.sun = func(t time.Time) float64 {
		if rain {
			return clear(0.5)(t)
		}
		return clear(120)(t)
	}
	w.site.Capacity, w.held = 700, 650
	w.k.Set(w.rules, w.site)
	w.pass(7 * 24 * time.Hour)
	if w.view.State < Critical || len(w.view.Shed) != len(w.rules.Order) {
		t.Fatalf("after a week of rain: %v, shed %v, %.0f Wh", w.view.State, w.view.Shed, w.held)
	}
	var order []Load
	for _, e := range w.events {
		if e.Kind == Shed {
			order = append(order, e.Load)
		}
	}
	for i, l := range order {
		if w.rules.Order[i].What != l {
			t.Fatalf("shed in the order %v", order)
		}
	}
	got := w.states()
	for _, pair := range [][2]State{{Battery, Low}, {Low, Critical}} {
		if a, b := slices.Index(got, pair[0]), slices.Index(got, pair[1]); a < 0 || b < a {
			t.Errorf("the states were %v", got)
		}
	}
	if w.count(Restored) > 0 || len(got) > 5 {
		t.Errorf("it flapped: %v, %d restored", got, w.count(Restored))
	}
	// The sun comes: all is back, by itself, once.
	rain = false
	w.pass(4 * 24 * time.Hour)
	if len(w.view.Shed) > 0 || w.view.State != Battery || w.count(Mended) != 1 || w.count(Restored) != len(order) {
		t.Errorf("after the rain: %v, shed %v, %d mended, %d restored, %.0f Wh", w.view.State, w.view.Shed, w.count(Mended), w.count(Restored), w.held)
	}
}

func TestWhatWillNotLastTillTheSunChargesIsShedEarlier(t *testing.T) {
	w := newWorld(t, Charge, Drawn, Harvest)
	w.site.Capacity, w.held, w.base = 700, 380, 8 // 54 % is not low; 190 Wh beside floor and reserve are
	w.k.Set(w.rules, w.site)
	w.now.Wall = start.Add(7 * time.Hour) // seven in the evening, local solar time
	w.pass(5 * time.Minute)
	if v := w.view; v.State != Battery || v.Short() {
		t.Fatalf("it lasts %v and needs %v: %v", v.Lasts, v.Need, v.State)
	}
	w.base = 14 // something draws more
	w.pass(time.Hour)
	v := w.view
	if v.State != Prepare || !slices.Equal(v.Shed, []Load{Bulk, Recording}) || !v.Short() {
		t.Fatalf("it lasts %v and needs %v: %v, shed %v", v.Lasts, v.Need, v.State, v.Shed)
	}
	// What was shed does not come back because it was shed.
	n := w.count(Restored)
	w.base = 11.5
	w.pass(time.Hour)
	if w.count(Restored) != n || len(w.view.Shed) < 2 {
		t.Errorf("restored at %v of %v", w.view.Lasts, w.view.Need)
	}
	// The sun that charges ends it.
	w.sun = func(time.Time) float64 { return 60 }
	w.pass(30 * time.Minute)
	if w.view.State != Battery || len(w.view.Shed) > 0 {
		t.Errorf("in the sun: %v, shed %v", w.view.State, w.view.Shed)
	}
}

func TestASirensSagIsNoEmptyBattery(t *testing.T) {
	w := newWorld(t, Voltage)
	w.site.Sun = false
	w.k.Set(w.rules, w.site)
	w.held = 900
	w.pass(10 * time.Minute)
	before := w.view.Level
	w.loud, w.siren = true, 250 // two volts of sag: 10.4 V, under what is dead at rest
	w.pass(20 * time.Minute)
	if w.view.State != Battery || len(w.view.Shed) > 0 || w.count(Gasp) > 0 {
		t.Errorf("a siren's sag: %v, shed %v at %.2f V", w.view.State, w.view.Shed, w.volts(260))
	}
	spent := (before - w.view.Level) * w.site.Capacity
	if spent < 70 || spent > 110 {
		t.Errorf("20 min of 250 W: %.0f Wh were counted", spent)
	}
	w.loud = false
	w.pass(2 * time.Second)
	if w.view.State != Battery {
		t.Error("the voltage has not recovered yet, and it was taken")
	}
	w.pass(10 * time.Minute)
	if d := math.Abs(w.view.Level - w.held/w.site.Capacity); d > 0.06 {
		t.Errorf("at rest it is off by %.2f", d)
	}
	// One that collapses while it sounds is about to go.
	w.loud, w.held, w.siren = true, 100, 250
	w.pass(time.Minute)
	if w.view.State != BrownOut || w.count(Gasp) != 1 {
		t.Errorf("at %.2f V with a siren: %v, %d last words", w.volts(260), w.view.State, w.count(Gasp))
	}
}

func TestAStormyNightWithSounding(t *testing.T) {
	w := newWorld(t, Voltage, Charge, Drawn, MainsHere)
	on, off := true, false
	w.mains = &on
	w.held = 300
	w.site.Capacity = 300
	w.k.Set(w.rules, w.site)
	w.pass(time.Hour)
	w.mains = &off
	for i := range 40 { // eight hours: two minutes of siren every twelve
		w.loud = true
		w.pass(2 * time.Minute)
		w.loud = false
		w.pass(10 * time.Minute)
		if w.held < w.k.site.Reserve()+60 && w.sheddable() > 0 {
			t.Fatalf("round %d: %.0f Wh are left of which %.0f are the reserve, and %.1f W go to other things", i, w.held, w.k.site.Reserve(), w.sheddable())
		}
	}
	if w.view.State < Critical {
		t.Errorf("%v at %.0f Wh", w.view.State, w.held)
	}
	w.mains = &on
	w.pass(5 * time.Hour)
	if w.view.State != Mains || len(w.view.Shed) > 0 || w.count(Mended) != 1 || w.count(Want) != 1 {
		t.Errorf("mains is back: %v %v", w.view.State, w.view.Shed)
	}
}

func TestMainsThatFlapsIsNotBack(t *testing.T) {
	w := newWorld(t, Charge, MainsHere)
	on, off := true, false
	w.mains = &on
	w.held = 500 // 42 %: low, were it not for mains
	w.pass(time.Minute)
	if w.view.State != Mains || len(w.view.Shed) > 0 {
		t.Fatalf("%v", w.view.State)
	}
	turns := len(w.events)
	for range 30 {
		w.mains = &off
		w.pass(4 * time.Second) // a blink
		w.mains = &on
		w.pass(20 * time.Second)
	}
	if len(w.events) != turns {
		t.Errorf("blinks were told: %+v", w.events[turns:])
	}
	w.mains = &off
	w.pass(2 * time.Minute)
	shed := len(w.view.Shed)
	if w.view.State != Low || shed == 0 {
		t.Fatalf("%v, shed %v", w.view.State, w.view.Shed)
	}
	turns = len(w.events)
	for range 40 { // mains comes for five minutes and goes for three
		w.held = 500
		w.mains = &on
		w.pass(5 * time.Minute)
		w.mains = &off
		w.pass(3 * time.Minute)
	}
	if n := len(w.events) - turns; n > 0 {
		t.Errorf("%d times something was turned, shed or restored while mains flapped", n)
	}
	w.mains = &on
	w.pass(30 * time.Minute)
	if w.view.State != Mains || len(w.view.Shed) > 0 {
		t.Errorf("mains stays: %v, shed %v", w.view.State, w.view.Shed)
	}
}

func TestABatteryThatNothingMeasuresIsNotFullBecauseMainsCameBack(t *testing.T) {
	w := newWorld(t, MainsHere, Drawn)
	on, off := true, false
	w.mains = &on
	w.pass(time.Minute)
	if w.view.Level != 1 || w.view.Basis != ByFull {
		t.Fatalf("%+v", w.view)
	}
	w.step = 10 * time.Second
	for range 12 { // mains comes for a quarter of an hour each five hours
		w.mains = &off
		w.pass(5 * time.Hour)
		w.mains = &on
		w.pass(15 * time.Minute)
	}
	if real := w.held / w.site.Capacity; w.view.Level > real+0.2 {
		t.Errorf("%.2f are believed, %.2f are there", w.view.Level, real)
	}
	w.pass(24 * time.Hour)
	if w.view.Level != 1 {
		t.Errorf("after a day of mains: %.2f", w.view.Level)
	}
}

func TestAVoltageThatNoSuchBatteryCanHaveIsBlind(t *testing.T) {
	for volts, want := range map[float64]bool{25.4: false, 6.2: false, 0: false, 12.4: true, 14.4: true, 11: true} {
		w := newWorld(t, Voltage)
		v := volts
		view, es := w.k.Look(Sample{Now: w.now, Volts: &v})
		view, more := w.k.Look(Sample{Now: w.now.Add(time.Minute), Volts: &v})
		if good := len(view.Blind) == 0 && view.Basis == ByVoltage; good != want {
			t.Errorf("%.1f V: %+v", volts, view)
		}
		for _, e := range append(es, more...) {
			if e.Kind == Gasp {
				t.Errorf("%.1f V: a last word", volts)
			}
		}
	}
}

func TestBlindIsAFaultAndNoReasonToDieOrToBeCalm(t *testing.T) {
	w := newWorld(t, Voltage, Charge, Drawn)
	w.site.Sun = false
	w.k.Set(w.rules, w.site)
	w.held = 1000
	w.pass(5 * time.Minute)
	for _, m := range []Measure{Voltage, Charge, Drawn} {
		w.blind[m] = true
	}
	w.pass(time.Minute)
	if !slices.Equal(w.view.Blind, []Measure{Voltage, Charge, Drawn}) || w.view.State != Battery || w.view.Basis != Reckoned || len(w.view.Shed) > 0 {
		t.Errorf("just blind: %+v", w.view)
	}
	level := w.view.Level
	w.pass(24 * time.Hour)
	if w.view.Level >= level || w.view.Level > w.held/w.site.Capacity {
		t.Errorf("a day blind: %.2f are believed, %.2f are there", w.view.Level, w.held/w.site.Capacity)
	}
	w.step = 10 * time.Second
	w.pass(7 * 24 * time.Hour)
	if w.count(Gasp) != 0 || w.view.State == BrownOut {
		t.Error("it said its last word without having measured anything")
	}
	if w.view.State != Critical {
		t.Errorf("a week blind: %v", w.view.State)
	}
	// Never anything: nothing is shed, nothing is calm.
	w = newWorld(t, Voltage, Charge)
	w.blind[Voltage], w.blind[Charge] = true, true
	w.pass(time.Hour)
	if w.view.State != Unknown || len(w.view.Shed) > 0 || len(w.view.Blind) != 2 || w.view.Known() {
		t.Errorf("blind from the start: %+v", w.view)
	}
}

func TestTheLastWordIsSaidOnceAnEpisodeOverRestarts(t *testing.T) {
	w := newWorld(t, Voltage, Charge, Failing)
	w.held = 700
	w.pass(time.Minute)
	w.failing = true
	w.pass(4 * time.Second)
	if w.count(Gasp) != 0 {
		t.Error("a blink was a last word")
	}
	w.pass(time.Minute)
	if w.view.State != BrownOut || w.count(Gasp) != 1 || w.count(Want) != 1 || len(w.view.Shed) != len(w.rules.Order) {
		t.Fatalf("%v, %d last words", w.view.State, w.count(Gasp))
	}
	// The program alone starts anew: nothing is said again.
	kept := w.k.Kept(w.now)
	w.k = New(w.rules, w.site)
	if err := w.k.Restore(kept, w.now); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Minute)
	if w.count(Gasp) != 1 || w.count(Back) != 0 || w.count(Want) != 1 {
		t.Errorf("%d last words, %d times back", w.count(Gasp), w.count(Back))
	}
	// The power goes, and comes seven hours later.
	kept = w.k.Kept(w.now)
	w.now = w.now.Add(7 * time.Hour)
	w.now.Boot, w.now.Mono = "boot-two", 20*time.Second
	w.k, w.failing = New(w.rules, w.site), false
	if err := w.k.Restore(kept, w.now); err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Second)
	i := slices.IndexFunc(w.events, func(e Event) bool { return e.Kind == Back })
	if i < 0 || !w.events[i].Sure || (w.events[i].Out-7*time.Hour).Abs() > time.Minute {
		t.Fatalf("%+v", w.events)
	}
	w.pass(time.Hour)
	if w.count(Back) != 1 || w.count(Mended) != 1 || w.count(Gasp) != 1 {
		t.Errorf("%d back, %d mended, %d last words", w.count(Back), w.count(Mended), w.count(Gasp))
	}
	// What is no such thing is refused and harms nothing.
	for _, bad := range []string{"", "7", `{"level": "x"}`, `{"shed": -4, "level": 1e300}`} {
		k := New(w.rules, w.site)
		_ = k.Restore([]byte(bad), w.now)
		if v, _ := k.Look(Sample{Now: w.now}); v.Level < 0 || v.Level > 1 {
			t.Errorf("%q: %+v", bad, v)
		}
	}
}

func TestWithoutAClockTheLongestNightIsTaken(t *testing.T) {
	w := newWorld(t, Charge, Drawn, Harvest)
	w.look()
	if v := w.view; !v.Dated || v.Need < 19*time.Hour || v.Need > 20*time.Hour { // noon: sunrise at 5:43, two hours on
		t.Errorf("by the clock: %v", v.Need)
	}
	w.now.Trust = clock.Free
	w.look()
	if v := w.view; v.Dated || v.Need < 15*time.Hour || v.Need > 16*time.Hour {
		t.Errorf("the longest night there: %v", v.Need)
	}
	w.site.At = nil
	w.k.Set(w.rules, w.site)
	w.look()
	if v := w.view; v.Need != 19*time.Hour {
		t.Errorf("anywhere: %v", v.Need)
	}
}

// TestTheReserveIsSpentOnSoundingAlone lets anything happen: loads, suns, sirens, mains, meters that are off, coarse or
// blind for hours. Whenever no more is left than the reserve, nothing that can be shed draws anything.
func TestTheReserveIsSpentOnSoundingAlone(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 8))
		ms := []Measure{Charge, Drawn}
		solar, mains := r.IntN(2) == 0, r.IntN(2) == 0
		if solar {
			ms = append(ms, Harvest)
		}
		if mains {
			ms = append(ms, MainsHere)
		}
		w := newWorld(t, ms...)
		w.step = 15 * time.Second
		w.site.Capacity = 300 + 1500*r.Float64()
		w.site.Sounding = 20 + 150*r.Float64()
		w.siren = w.site.Sounding
		w.base = 3 + 10*r.Float64()
		w.site.Draw = w.base + 5 // what the site's file says is on the high side
		w.held = w.site.Capacity * (0.3 + 0.7*r.Float64())
		off := 2*r.Float64() - 1 // percent, of a gauge that also shows whole ones
		w.noise = func() float64 { return off + r.Float64()/2 - 0.25 }
		sun := 0.0
		w.sun = func(t time.Time) float64 { return sun * clear(1)(t) }
		on, not := true, false
		w.mains = &on
		w.k = New(w.rules, w.site)
		wasBelow := time.Duration(0)
		for hour := 0; hour < 24*10; {
			n := 1 + r.IntN(8)
			hour += n
			sun = []float64{0, 0, 3, 40}[r.IntN(4)]
			if mains {
				w.mains = []*bool{&on, &not, &not}[r.IntN(3)]
			}
			w.loud = r.IntN(8) == 0
			for m := range w.measures {
				w.blind[m] = w.view.State != Unknown && r.IntN(5) == 0
			}
			for end := w.now.Mono + time.Duration(n)*time.Hour; w.now.Mono < end && w.held > 0; {
				w.look()
				above := w.held - (1-w.site.Usable/100)*w.site.Capacity
				here := w.mains == &on && mains
				if above < w.k.site.Reserve() && w.sheddable() > 0 && !here {
					if wasBelow += w.step; wasBelow > w.rules.Dwell.Worse+2*w.step {
						t.Fatalf("seed %d, %v: %.1f Wh are left, the reserve is %.1f, and %.1f W go to %v (%+v)", seed, w.now.Mono, above, w.k.site.Reserve(), w.sheddable(), w.view.State, w.view)
					}
				} else {
					wasBelow = 0
				}
			}
			if w.held <= 0 {
				w.held = w.site.Capacity / 3
			}
		}
	}
}
