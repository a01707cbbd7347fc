package modbus_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tocsin/drivers"
	"tocsin/drivers/drivertest"
	"tocsin/drivers/modbus"
)

const (
	timeout = 100 * time.Millisecond
	char    = 10 * time.Second / 9600
)

func onWire(w *drivertest.Wire) *modbus.Line {
	made := modbus.NewRTU
	if w.ASCII {
		made = modbus.NewASCII
	}
	return made(func() (drivers.Port, error) { return w, nil }, modbus.RTUOpts{Baud: 9600, Timeout: timeout})
}

// tally is what a run of reads came to.
type tally struct {
	good, doubt, owed, failed int
	wrong                     []string
}

// askAround reads registers of three units in a random order for n requests and
// compares what is given as good with what the registers hold.
func askAround(l *modbus.Line, s *drivertest.Slave, rng *rand.Rand, n int) (t tally) {
	ctx := context.Background()
	for range n {
		unit := uint8(1 + rng.IntN(3))
		addr := uint16(10 * (1 + rng.IntN(4)))
		count := uint16(2 + rng.IntN(2))
		a, err := l.Read(ctx, unit, drivers.Holding, addr, count)
		if err != nil {
			t.failed++
			if drivers.KindOf(err) == drivers.FaultOwed {
				t.owed++
				if until, ok := l.Owed(unit); ok && rng.IntN(2) == 0 {
					l.Listen(ctx, until)
				} else {
					time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
				}
			}
			continue
		}
		if a.Doubt {
			t.doubt++
			continue
		}
		t.good++
		for i := range int(count) {
			if v, want := binary.BigEndian.Uint16(a.Data[2*i:]), s.Register(unit, addr+uint16(i)); v != want {
				t.wrong = append(t.wrong, fmt.Sprintf("unit %d register %d: %d", unit, addr+uint16(i), v))
			}
		}
	}
	return t
}

// lateness answers each request by the next entry of a plan, in timeouts: 0 is
// in time, negative is never.
func lateness(plan []float64, copies []float64) func(drivertest.Request, drivertest.Reply) []drivertest.Reply {
	return func(r drivertest.Request, good drivertest.Reply) []drivertest.Reply {
		late := plan[r.N%len(plan)]
		if late < 0 {
			return nil
		}
		good.After = 5*time.Millisecond + time.Duration(late*float64(timeout))
		out := []drivertest.Reply{good}
		// A copy is a late answer too: none is later than five timeouts.
		if c := copies[r.N%len(copies)]; c > 0 && late >= 1 && late+c <= 5 {
			again := good
			again.After += time.Duration(c * float64(timeout))
			out = append(out, again)
		}
		return out
	}
}

// Fault G1: an RTU answer does not say which registers it holds. Whatever the
// lateness, of one unit or of all, in any mixture, answered side by side or one
// after the other, with answers lost or sent twice: no value of another
// register is ever given as good.
func TestG1NoLateAnswerIsTakenForAnother(t *testing.T) {
	var sum tally
	rapid.Check(t, func(rt *rapid.T) {
		// Mostly in time, else nothing would ever be good.
		one := rapid.OneOf(rapid.Just(0.0), rapid.Just(0.0), rapid.Just(0.0), rapid.Float64Range(0.5, 5), rapid.Just(-1.0))
		plan := rapid.SliceOfN(one, 5, 40).Draw(rt, "late, in timeouts")
		copies := rapid.SliceOfN(rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0.01, 1)), 1, 10).Draw(rt, "copies, in timeouts")
		s := &drivertest.Slave{Script: lateness(plan, copies), Serial: rapid.Bool().Draw(rt, "serial")}
		seed := rapid.Uint64().Draw(rt, "seed")
		chop := rapid.SampledFrom([]int{0, 1, 3, 16}).Draw(rt, "chop")
		echo := rapid.Bool().Draw(rt, "echo")
		ascii := rapid.Bool().Draw(rt, "ascii")
		latency := rapid.SampledFrom([]time.Duration{0, 16 * time.Millisecond}).Draw(rt, "adapter latency")
		var got tally
		synctest.Test(t, func(t *testing.T) {
			w := drivertest.NewWire(s, char)
			w.Chop, w.Echo, w.Latency, w.ASCII = chop, echo, latency, ascii
			l := onWire(w)
			defer l.Close()
			got = askAround(l, s, rand.New(rand.NewPCG(seed, 1)), 150)
		})
		if len(got.wrong) > 0 {
			rt.Fatalf("given as good: %v", got.wrong)
		}
		sum.good += got.good
		sum.doubt += got.doubt
		sum.owed += got.owed
		sum.failed += got.failed
	})
	t.Logf("good %d, in doubt %d, held back %d, failed %d", sum.good, sum.doubt, sum.owed, sum.failed)
	if sum.good < sum.failed/10 {
		t.Errorf("only %d good of %d failed: held back too much", sum.good, sum.failed)
	}
}

// The test above must be able to fail: the same wire, asked without any memory
// of what is owed, gives other registers' values.
func TestG1TheNaiveWayGivesOtherRegisters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &drivertest.Slave{Script: lateness([]float64{0, 1.3, 0, 0, 0, 0, 0}, []float64{0})}
		w := drivertest.NewWire(s, char)
		wrong := 0
		for i := range 40 {
			addr := byte(10 * (1 + i%4))
			w.Discard() // even so
			w.Write(drivertest.Frame(1, []byte{3, 0, addr, 0, 1}))
			select {
			case c := <-w.Received():
				if v := binary.BigEndian.Uint16(c.B[3:]); v != 1000+uint16(addr) {
					wrong++
				}
			case <-time.After(8*char + timeout):
			}
		}
		if wrong == 0 {
			t.Error("the naive way was right: this wire shows nothing")
		}
	})
}

func TestALateAnswerFreesItsUnitAtOnce(t *testing.T) {
	for _, late := range []float64{1.1, 2, 3.3, 4.9} {
		synctest.Test(t, func(t *testing.T) {
			s := &drivertest.Slave{Script: lateness([]float64{0, late, 0, 0, 0, 0, 0, 0, 0, 0, 0}, []float64{0})}
			l := onWire(drivertest.NewWire(s, char))
			defer l.Close()
			ctx := context.Background()
			start := time.Now()
			if _, err := l.Read(ctx, 1, drivers.Holding, 10, 2); drivers.KindOf(err) != drivers.FaultTimeout {
				t.Fatalf("late: %v", err)
			}
			_, err := l.Read(ctx, 1, drivers.Holding, 20, 2)
			if drivers.KindOf(err) != drivers.FaultOwed {
				t.Fatalf("the same shape: %v", err)
			}
			for _, ok := range []struct {
				unit  uint8
				t     drivers.Table
				count uint16
			}{{1, drivers.Holding, 3}, {1, drivers.Input, 2}, {2, drivers.Holding, 2}} {
				if time.Since(start) > time.Duration(late*float64(timeout)) {
					break // it came meanwhile
				}
				a, err := l.Read(ctx, ok.unit, ok.t, 20, ok.count)
				if err != nil || a.Doubt {
					t.Errorf("%+v: %v, doubt %v: what cannot be confused must go at once", ok, err, a.Doubt)
				}
			}
			if err := l.WriteSingle(ctx, 1, drivers.Holding, 100, 7); err != nil {
				t.Errorf("a write: %v", err)
			}
			if until, ok := l.Owed(1); ok && until.After(start.Add(6*timeout)) {
				if err := l.Listen(ctx, until); err != nil {
					t.Fatal(err)
				}
			}
			if d := time.Since(start) - time.Duration(late*float64(timeout)); d > 40*time.Millisecond && late > 2.9 {
				t.Errorf("free only %v after the late answer", d)
			}
			a, err := l.Read(ctx, 1, drivers.Holding, 20, 2)
			if err != nil || a.Doubt || binary.BigEndian.Uint16(a.Data) != 1020 {
				t.Errorf("after the late answer: %v %+v", err, a)
			}
			// What was answered late is itself asked again only when no copy
			// of it can follow.
			_, err = l.Read(ctx, 1, drivers.Holding, 10, 2)
			var f *drivers.Fault
			if !errors.As(err, &f) || f.Kind != drivers.FaultOwed || time.Until(f.Until) > timeout {
				t.Fatalf("the same registers: %v", err)
			}
			if err := l.Listen(ctx, f.Until); err != nil {
				t.Fatal(err)
			}
			a, err = l.Read(ctx, 1, drivers.Holding, 10, 2)
			if err != nil || a.Doubt || binary.BigEndian.Uint16(a.Data) != 1010 {
				t.Errorf("the same registers, later: %v %+v", err, a)
			}
		})
	}
}

func TestAnAnswerThatNeverCameCastsDoubtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &drivertest.Slave{Script: lateness([]float64{0, -1, 0, 0, 0, 0, 0, 0, 0, 0}, []float64{0})}
		l := onWire(drivertest.NewWire(s, char))
		defer l.Close()
		ctx := context.Background()
		l.Read(ctx, 1, drivers.Holding, 10, 2)
		_, err := l.Read(ctx, 1, drivers.Holding, 20, 2)
		f, _ := err.(*drivers.Fault)
		if f == nil || f.Kind != drivers.FaultOwed || time.Until(f.Until) > 6*timeout {
			t.Fatalf("%v", err)
		}
		time.Sleep(time.Until(f.Until))
		a, err := l.Read(ctx, 1, drivers.Holding, 20, 2)
		if err != nil || !a.Doubt {
			t.Errorf("first: %v, doubt %v", err, a.Doubt)
		}
		a, err = l.Read(ctx, 1, drivers.Holding, 20, 2)
		if err != nil || a.Doubt {
			t.Errorf("second: %v, doubt %v", err, a.Doubt)
		}
	})
}
