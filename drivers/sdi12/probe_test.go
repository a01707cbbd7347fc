package sdi12

import (
	"context"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	sim "tocsin/hwtest/sdi12"
)

// wire is a port whose other end is the simulated adapter, in virtual time.
type wire struct {
	a  *sim.Adapter
	mu sync.Mutex
	rx chan drivers.Chunk
	ok bool
}

func newWire(a *sim.Adapter) *wire { return &wire{a: a, rx: make(chan drivers.Chunk, 256), ok: true} }

func (w *wire) Write(p []byte) (int, error) {
	for _, s := range w.a.Command(string(p)) {
		time.AfterFunc(s.After, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			for len(s.Text) > 0 && w.ok { // in pieces, as an adapter gives them
				n := min(3, len(s.Text))
				w.rx <- drivers.Chunk{At: time.Now(), B: []byte(s.Text[:n])}
				s.Text = s.Text[n:]
			}
		})
	}
	return len(p), nil
}
func (w *wire) Received() <-chan drivers.Chunk { return w.rx }
func (w *wire) Expect(int)                     {}
func (w *wire) Discard() {
	for {
		select {
		case _, ok := <-w.rx:
			if !ok {
				return
			}
		default:
			return
		}
	}
}
func (w *wire) Err() error { return os.ErrClosed }
func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ok {
		w.ok = false
		close(w.rx)
	}
	return nil
}
func (w *wire) String() string { return "wire" }

func probe(t *testing.T, a *sim.Adapter, commands ...string) *Probe {
	t.Helper()
	w := newWire(a)
	b := New(func() (drivers.Port, error) { return w, nil }, Opts{})
	t.Cleanup(func() { b.Close() })
	p, err := b.Probe('0', commands...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func got(s []drivers.Sample) map[string]float64 {
	m := map[string]float64{}
	for _, x := range s {
		m[x.Channel] = x.Value
	}
	return m
}

func level() *sim.Probe {
	return &sim.Probe{Identity: "14TOCSIN  LEVEL 100SN42", Values: map[string][]string{
		"M": {"+3.14", "-2.5"}, "M1": {"+12.4"}, "C": {"+1", "+2", "+3", "+4", "+5", "+6", "+7", "+8", "+9", "+10", "+11", "+12"}, "R0": {"+3.15", "+21.5"},
		"M2": {"+1234.567", "-1234.567", "+1234.567", "-1234.567", "+1234.567", "-1234.567", "+1"},
	}}
}

func TestAProbeGivesWhatItMeasured(t *testing.T) {
	for _, c := range []struct {
		name     string
		commands []string
		mend     func(*sim.Probe)
		want     map[string]float64
	}{
		{"at once", []string{"M"}, nil, map[string]float64{"M.1": 3.14, "M.2": -2.5}},
		{"with CRC", []string{"MC"}, nil, map[string]float64{"MC.1": 3.14, "MC.2": -2.5}},
		{"after a service request", []string{"M"}, func(p *sim.Probe) { p.Takes = 2700 * time.Millisecond }, map[string]float64{"M.1": 3.14, "M.2": -2.5}},
		{"the service request is lost", []string{"MC"}, func(p *sim.Probe) { p.Takes, p.NoService = 2*time.Second, true }, map[string]float64{"MC.1": 3.14, "MC.2": -2.5}},
		{"two commands", []string{"M", "M1"}, nil, map[string]float64{"M.1": 3.14, "M.2": -2.5, "M1.1": 12.4}},
		{"concurrent, twelve values", []string{"CC"}, func(p *sim.Probe) { p.Takes = time.Second }, map[string]float64{"CC.1": 1, "CC.2": 2, "CC.3": 3, "CC.4": 4, "CC.5": 5, "CC.6": 6, "CC.7": 7, "CC.8": 8, "CC.9": 9, "CC.10": 10, "CC.11": 11, "CC.12": 12}},
		{"continuous", []string{"RC0"}, nil, map[string]float64{"RC0.1": 3.15, "RC0.2": 21.5}},
		{"over two data commands", []string{"M2"}, nil, map[string]float64{"M2.1": 1234.567, "M2.2": -1234.567, "M2.3": 1234.567, "M2.4": -1234.567, "M2.5": 1234.567, "M2.6": -1234.567, "M2.7": 1}},
		{"two commands lost", []string{"M"}, func(p *sim.Probe) { p.Lost = 2 }, map[string]float64{"M.1": 3.14, "M.2": -2.5}},
	} {
		for _, echo := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, s := &sim.Adapter{Echo: echo}, level()
					if c.mend != nil {
						c.mend(s)
					}
					a.Set('0', s)
					ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
					defer cancel()
					p := probe(t, a, c.commands...)
					for range 3 {
						vs, err := p.Measure(ctx)
						if err != nil || !reflect.DeepEqual(got(vs), c.want) {
							t.Fatalf("%v, %v; heard %v", got(vs), err, a.Heard())
						}
					}
				})
			})
		}
	}
}

func TestWhatIsWrongIsAFaultAndNeverAValue(t *testing.T) {
	for _, c := range []struct {
		name    string
		command string
		mend    func(*sim.Probe)
		want    drivers.FaultKind
	}{
		{"silent", "M", func(p *sim.Probe) { p.Silent = true }, drivers.FaultTimeout},
		{"another's address", "M", func(p *sim.Probe) { p.As = '1' }, drivers.FaultForeign},
		{"a wrong CRC", "MC", func(p *sim.Probe) { p.BadCRC = true }, drivers.FaultGarbled},
		{"a wrong CRC at once", "RC0", func(p *sim.Probe) { p.BadCRC = true }, drivers.FaultGarbled},
		{"noise", "M", func(p *sim.Probe) { p.Noise = true }, drivers.FaultGarbled},
		{"aborted", "M", func(p *sim.Probe) { p.Aborts, p.Takes = true, time.Second }, drivers.FaultGarbled},
		{"a value too few", "M", func(p *sim.Probe) { p.Short = true }, drivers.FaultGarbled},
		{"no values announced", "M5", nil, drivers.FaultOther},
		{"longer than allowed", "M", func(p *sim.Probe) { p.Takes = 10 * time.Minute }, drivers.FaultOther},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, s := &sim.Adapter{}, level()
				if c.mend != nil {
					c.mend(s)
				}
				a.Set('0', s)
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				defer cancel()
				vs, err := probe(t, a, c.command).Measure(ctx)
				if err == nil || drivers.KindOf(err) != c.want || len(vs) != 0 {
					t.Errorf("%v, %v, want %v", vs, err, c.want)
				}
			})
		})
	}
}

func TestOneCommandThatFailsLeavesTheOthersTheirValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &sim.Adapter{}
		a.Set('0', level())
		vs, err := probe(t, a, "M", "M5", "M1").Measure(context.Background())
		if err == nil || !reflect.DeepEqual(got(vs), map[string]float64{"M.1": 3.14, "M.2": -2.5, "M1.1": 12.4}) {
			t.Errorf("%v, %v", vs, err)
		}
	})
}

func TestAnAnswerThatComesTooLateIsNotTakenForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &sim.Adapter{}
		s := level()
		a.Set('0', s)
		p := probe(t, a, "R0")
		w, _ := p.bus.held.Open()
		// What an earlier recorder's command still brings.
		w.(*wire).rx <- drivers.Chunk{At: time.Now(), B: []byte("0+999\r\n")}
		vs, err := p.Measure(context.Background())
		if err != nil || got(vs)["R0.1"] != 3.15 {
			t.Errorf("%v, %v", vs, err)
		}
	})
}

func TestAProbeSaysWhoItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &sim.Adapter{}
		a.Set('0', level())
		id, err := probe(t, a, "M").bus.Identify(context.Background(), '0')
		if err != nil || id != (Identity{"14", "TOCSIN", "LEVEL", "100", "SN42"}) {
			t.Errorf("%+v, %v", id, err)
		}
	})
}

func TestABusThatWentIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &sim.Adapter{}
		a.Set('0', level())
		opened := 0
		var last *wire
		b := New(func() (drivers.Port, error) { opened++; last = newWire(a); return last, nil }, Opts{})
		p, _ := b.Probe('0', "M")
		for range 2 {
			if _, err := p.Measure(context.Background()); err != nil {
				t.Fatal(err)
			}
			last.Close()
			if _, err := p.Measure(context.Background()); drivers.KindOf(err) != drivers.FaultGone {
				t.Fatal(err)
			}
		}
		b.Close()
		if _, err := p.Measure(context.Background()); drivers.KindOf(err) != drivers.FaultGone || opened != 2 {
			t.Errorf("%v, opened %d times", err, opened)
		}
	})
}

// The examples of section 4.4.12.3.
func TestTheCRCIsTheStandardsOwn(t *testing.T) {
	if got := CRC("0+3.14"); got != "OqZ" {
		t.Errorf("0+3.14 gives %s", got)
	}
}

func TestOnlyCommandsThatMeasureAreCommands(t *testing.T) {
	for s, ok := range map[string]bool{"M": true, "M1": true, "MC": true, "MC9": true, "C": true, "CC3": true, "R0": true, "RC9": true,
		"": false, "A1": false, "M0": false, "R": false, "RC": false, "M10": false, "D0": false, "V": false, "MX": false, "CCC": false} {
		if _, err := parseCommand(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
	if _, err := New(nil, Opts{}).Probe('!', "M"); err == nil {
		t.Error("! is no address")
	}
}

func FuzzAnswers(f *testing.F) {
	for _, s := range []string{"00013", "000112", "0+3.14OqZ", "0+3.14-2.5", "013ACME    LEVEL 100xx", "0", "+.", "0-1.2.3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range []bool{false, true} {
			if a, err := parseStart(s, c); err == nil && (a.ready < 0 || a.ready > 999*time.Second || a.values < 0 || a.values > 99) {
				t.Fatalf("%q: %+v", s, a)
			}
		}
		if vs, err := Values(s); err == nil {
			for _, v := range vs {
				if v != v || v > 9999999 || v < -9999999 {
					t.Fatalf("%q: %v", s, vs)
				}
			}
			if n := strings.Count(s, "+") + strings.Count(s, "-"); n != len(vs) {
				t.Fatalf("%q: %d values", s, len(vs))
			}
		}
		checked(s)
		parseIdentity(s)
		parseCommand(s)
	})
}
