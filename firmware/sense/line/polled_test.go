package line

import (
	"context"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// fakeValues is an instrument that takes a time to answer.
type fakeValues struct {
	mu    sync.Mutex
	takes time.Duration
	value float64
	err   error // of every measurement
	part  bool  // only the first channel comes
	hang  bool  // takes no notice of its context
	asked int
}

func (f *fakeValues) set(g func()) { f.mu.Lock(); defer f.mu.Unlock(); g() }
func (f *fakeValues) n() int       { f.mu.Lock(); defer f.mu.Unlock(); return f.asked }

func (f *fakeValues) Measure(ctx context.Context) ([]drivers.Sample, error) {
	f.mu.Lock()
	f.asked++
	takes, v, err, part, hang := f.takes, f.value, f.err, f.part, f.hang
	f.mu.Unlock()
	if hang {
		time.Sleep(takes)
	} else if e := sleep(ctx, takes); e != nil {
		return nil, e
	}
	if part {
		return []drivers.Sample{{Channel: "temperature", Value: v, At: time.Now()}}, &drivers.Fault{Kind: drivers.FaultTimeout}
	}
	if err != nil {
		return nil, err
	}
	return []drivers.Sample{{Channel: "temperature", Value: v, At: time.Now()}, {Channel: "humidity", Value: 50, At: time.Now()}}, nil
}

func (f *fakeValues) Close() error   { return nil }
func (f *fakeValues) String() string { return "fake" }

const airYAML = `version: 1
profile: air
name: {zh: 气, en: air}
manual: none
via: i2c
chip: bme280
points:
  - {id: temp, name: {zh: 温, en: temp}, read: channel temperature, unit: "°C", every: 2s, range: [-40, 85]}
  - {id: hum, name: {zh: 湿, en: hum}, read: channel humidity, unit: "%", every: 2s}
proof:
  - {samples: {temperature: 20, humidity: 50}, gives: {temp: 20, hum: 50}}
`

type bench struct {
	p      *Polled
	s      *sink
	dog    *guard.Watchdog
	mu     sync.Mutex
	faults map[string]int
}

func (b *bench) fault(thing string) int { b.mu.Lock(); defer b.mu.Unlock(); return b.faults[thing] }

func startPolled(t *testing.T, sources ...*fakeValues) *bench {
	b := &bench{s: &sink{}, dog: &guard.Watchdog{}, faults: map[string]int{}}
	o := opts(b.s)
	o.Proof = b.dog.Proof("line air", 3*time.Second)
	o.Fault = func(thing string, _ phrase.Message) { b.mu.Lock(); b.faults[thing]++; b.mu.Unlock() }
	o.Cleared = func(thing string) { b.mu.Lock(); delete(b.faults, thing); b.mu.Unlock() }
	c := PolledConfig{Name: "air"}
	for i, s := range sources {
		c.Units = append(c.Units, PolledUnit{Device: string(rune('a' + i)), Address: "0x76", Source: s, Profile: parse(t, "air", airYAML), Timeout: 5 * time.Second})
	}
	b.p = NewPolled(c, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) latest(id point.ID) point.Reading { return b.p.Snapshot().Readings[id] }

func TestAnInstrumentIsAskedAtItsPeriodAndGivesItsValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &fakeValues{value: 20, takes: 50 * time.Millisecond}
		b := startPolled(t, v)
		<-b.p.FirstRound()
		time.Sleep(20 * time.Second)
		if n := v.n(); n < 10 || n > 11 {
			t.Errorf("asked %d times in 20 s at a period of 2 s", n)
		}
		if r := b.latest("a.temp"); !r.IsGood() || r.Value != 20 || r.Unit != "°C" {
			t.Errorf("%+v", r)
		}
		v.set(func() { v.value = 120 })
		time.Sleep(3 * time.Second)
		if r := b.latest("a.temp"); r.Quality != point.OutOfRange {
			t.Errorf("%+v", r)
		}
		if r := b.latest("a.hum"); !r.IsGood() {
			t.Errorf("%+v", r)
		}
	})
}

func TestADeadInstrumentIsAFaultAtOnceDoesNotSlowTheOthersAndIsBackWithin10s(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := &fakeValues{err: &drivers.Fault{Kind: drivers.FaultTimeout}, takes: 900 * time.Millisecond}
		live := &fakeValues{value: 20, takes: 50 * time.Millisecond}
		b := startPolled(t, dead, live)
		<-b.p.FirstRound()
		if r := b.latest("a.temp"); r.Quality != point.CommFault || !math.IsNaN(r.Value) {
			t.Errorf("%+v", r)
		}
		time.Sleep(time.Minute)
		if n := live.n(); n < 27 {
			t.Errorf("the living instrument was asked %d times in a minute at 2 s", n)
		}
		if n := dead.n(); n > 15 {
			t.Errorf("the dead one was asked %d times in a minute", n)
		}
		if b.fault("device a") == 0 || b.fault("device b") != 0 || !b.p.Snapshot().Units[0].Quarantined {
			t.Errorf("faults %v", b.faults)
		}
		for range 5 {
			dead.set(func() { dead.err = nil; dead.value = 21 })
			time.Sleep(10 * time.Second)
			if r := b.latest("a.temp"); !r.IsGood() || b.fault("device a") != 0 {
				t.Fatalf("not back within 10 s: %+v", r)
			}
			dead.set(func() { dead.err = &drivers.Fault{Kind: drivers.FaultTimeout} })
			time.Sleep(71 * time.Second)
		}
	})
}

func TestAPartOfAMeasurementIsGoodAndTheRestIsAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startPolled(t, &fakeValues{value: 20, part: true})
		<-b.p.FirstRound()
		if r := b.latest("a.temp"); !r.IsGood() {
			t.Errorf("%+v", r)
		}
		if r := b.latest("a.hum"); r.Quality != point.CommFault || !math.IsNaN(r.Value) {
			t.Errorf("%+v", r)
		}
	})
}

func TestABusThatIsGoneIsOneFaultAndIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := &fakeValues{value: 1}, &fakeValues{value: 2}
		b := startPolled(t, a, c)
		<-b.p.FirstRound()
		gone := &drivers.Fault{Kind: drivers.FaultGone, Detail: "/dev/i2c-1"}
		a.set(func() { a.err = gone })
		c.set(func() { c.err = gone })
		time.Sleep(5 * time.Second)
		if b.fault("line air") != 1 || b.p.Snapshot().Up || b.latest("b.temp").Quality != point.CommFault {
			t.Errorf("%v %+v", b.faults, b.latest("b.temp"))
		}
		if n := a.n() + c.n(); n > 20 {
			t.Errorf("a bus that is gone was tried %d times in 5 s", n)
		}
		a.set(func() { a.err = nil })
		c.set(func() { c.err = nil })
		time.Sleep(11 * time.Second)
		if b.fault("line air") != 0 || !b.p.Snapshot().Up || !b.latest("b.temp").IsGood() || !b.latest("a.temp").IsGood() {
			t.Errorf("%v %+v", b.faults, b.latest("b.temp"))
		}
	})
}

func TestALongMeasurementProvesLifeAndAHangingDriverDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &fakeValues{value: 20, takes: 4900 * time.Millisecond}
		b := startPolled(t, v)
		for range 40 {
			time.Sleep(500 * time.Millisecond)
			if dead := b.dog.Hung(); len(dead) > 0 {
				t.Fatalf("a measurement of 4.9 s counts as death: %v", dead)
			}
		}
		v.set(func() { v.takes, v.hang = 30*time.Second, true })
		died := false
		for range 60 {
			time.Sleep(500 * time.Millisecond)
			died = died || len(b.dog.Hung()) > 0
		}
		if !died {
			t.Error("a driver that hangs is not seen")
		}
		v.set(func() { v.takes = 0 })
		time.Sleep(40 * time.Second)
	})
}

func TestAValueThatIsNotRenewedGrowsStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &fakeValues{value: 20}
		b := startPolled(t, v)
		<-b.p.FirstRound()
		v.set(func() { v.takes, v.hang = 9*time.Second, true })
		time.Sleep(13 * time.Second)
		for _, r := range b.s.of("a.temp") {
			if r.Quality == point.Stale {
				return
			}
		}
		t.Errorf("%+v", b.latest("a.temp"))
	})
}

const skyYAML = `version: 1
profile: wind
name: {zh: 风, en: wind}
manual: none
via: nmea
points:
  - {id: speed, name: {zh: 风速, en: speed}, read: channel mwv.r.speed, unit: m/s, every: 2s}
  - {id: water, name: {zh: 水温, en: water}, read: channel mtw.temperature, unit: "°C", every: 2s}
proof:
  - {heard: "$WIMWV,214.8,R,36.0,K,A*1B", gives: {speed: 10}}
`

func TestASentenceGivesItsOwnPointsAndOneThatStopsIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := &fakeFields{lines: make(chan any, 8)}, &sink{}
		x := NewText(TextConfig{Name: "sky", Device: "sky", Profile: parse(t, "wind", skyYAML)}, f, opts(s))
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- x.Run(ctx) }()
		defer func() { cancel(); <-done }()
		mwv := drivers.Record{Fields: []string{"WIMWV", "214.8", "R", "36.0", "K", "A"}}
		for range 4 {
			f.lines <- mwv
			f.lines <- drivers.Record{Fields: []string{"GPGSV", "1"}}
			time.Sleep(time.Second)
		}
		select {
		case <-x.FirstRound():
			t.Error("the first round is over before the water was spoken of")
		default:
		}
		if r := x.Snapshot().Readings["sky.speed"]; !r.IsGood() || r.Value != 10 {
			t.Errorf("%+v", r)
		}
		for range 6 {
			f.lines <- mwv
			time.Sleep(time.Second)
		}
		<-x.FirstRound()
		if r := x.Snapshot().Readings["sky.water"]; r.Quality != point.CommFault || r.Why.Code != "line.unsaid" {
			t.Errorf("%+v", r)
		}
		if r := x.Snapshot().Readings["sky.speed"]; !r.IsGood() {
			t.Errorf("%+v", r)
		}
	})
}
