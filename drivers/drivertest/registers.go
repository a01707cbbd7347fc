package drivertest

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"tocsin/drivers"
)

// Rig is one way to reach units that hold registers.
type Rig struct {
	// Open gives a line to the slave's units.
	Open func(t *testing.T, s *Slave) drivers.Registers
	// Timeout is what the line was opened with.
	Timeout time.Duration
	// Pull breaks the connection of the line that was opened last; the next
	// request finds a fresh one. Nil where this way cannot show it.
	Pull func()
	// Busy leaves out what waits for a whole Timeout: where time is real, Timeout is far longer than any machine
	// stalls, and virtual time shows the rest.
	Busy bool
	// RTU says that bytes share a wire: noise can precede an answer.
	RTU bool
	// Run, where set, runs each test, e.g. in virtual time.
	Run func(t *testing.T, f func(*testing.T))
}

// read asks as the owner of a line does: what is held back is asked again when
// it may be.
func read(l drivers.Registers, unit uint8, t drivers.Table, addr, count uint16) (drivers.Answer, error) {
	for {
		a, err := l.Read(context.Background(), unit, t, addr, count)
		var f *drivers.Fault
		if !errors.As(err, &f) || f.Kind != drivers.FaultOwed {
			return a, err
		}
		time.Sleep(time.Until(f.Until))
	}
}

func mustHold(t *testing.T, l drivers.Registers, unit uint8, addr uint16, want ...uint16) {
	t.Helper()
	a, err := read(l, unit, drivers.Holding, addr, uint16(len(want)))
	if err != nil {
		t.Fatalf("unit %d from %d: %v", unit, addr, err)
	}
	var got []uint16
	for b := a.Data; len(b) > 1; b = b[2:] {
		got = append(got, binary.BigEndian.Uint16(b))
	}
	if !slices.Equal(got, want) {
		t.Errorf("unit %d from %d: %d, want %d", unit, addr, got, want)
	}
	if a.At.IsZero() {
		t.Error("no time of arrival")
	}
}

func mustFail(t *testing.T, err error, kind drivers.FaultKind) *drivers.Fault {
	t.Helper()
	var f *drivers.Fault
	if !errors.As(err, &f) || f.Kind != kind {
		t.Fatalf("%v, want a fault %q", err, kind)
	}
	return f
}

// Registers holds a drivers.Registers to what every one must do.
func Registers(t *testing.T, rig Rig) {
	bg := context.Background()
	run := func(name string, f func(*testing.T)) {
		t.Run(name, func(t *testing.T) {
			if rig.Run != nil {
				rig.Run(t, f)
				return
			}
			f(t)
		})
	}
	// owes is what leaves an answer owed, where an answer does not say what it answers.
	owes := func(name string, f func(*testing.T)) {
		if !rig.Busy || !rig.RTU {
			run(name, f)
		}
	}
	waits := func(name string, f func(*testing.T)) {
		if !rig.Busy {
			run(name, f)
		}
	}
	open := func(t *testing.T, script func(Request, Reply) []Reply) (drivers.Registers, *Slave) {
		s := &Slave{Script: script}
		l := rig.Open(t, s)
		t.Cleanup(func() { l.Close() })
		return l, s
	}

	run("reads and writes each table", func(t *testing.T) {
		l, s := open(t, nil)
		mustHold(t, l, 1, 10, 1010, 1011, 1012)
		mustHold(t, l, 2, 10, 2010)
		if a, err := l.Read(bg, 1, drivers.Input, 5, 125); err != nil || len(a.Data) != 250 {
			t.Errorf("%d bytes, %v", len(a.Data), err)
		}
		if err := l.WriteCoil(bg, 1, 3, true); err != nil || s.Coil(1, 3) != 0xff00 {
			t.Errorf("coil: %v", err)
		}
		if a, err := l.Read(bg, 1, drivers.Coil, 0, 9); err != nil || !slices.Equal(a.Data, []byte{8, 0}) {
			t.Errorf("coils: % x, %v", a.Data, err)
		}
		if a, err := l.Read(bg, 1, drivers.Discrete, 3, 1); err != nil || !slices.Equal(a.Data, []byte{1}) {
			t.Errorf("discretes: % x, %v", a.Data, err)
		}
		if err := l.WriteSingle(bg, 1, drivers.Coil, 4, 0x0258); err != nil || s.Coil(1, 4) != 0x0258 {
			t.Errorf("a timed command: %v", err)
		}
		if err := l.WriteSingle(bg, 1, drivers.Holding, 7, 777); err != nil {
			t.Error(err)
		}
		if err := l.WriteRegisters(bg, 1, 8, []uint16{888, 999}); err != nil {
			t.Error(err)
		}
		mustHold(t, l, 1, 7, 777, 888, 999)
	})

	run("refuses what no unit can answer", func(t *testing.T) {
		l, s := open(t, nil)
		for _, err := range []error{
			second(l.Read(bg, 1, drivers.Holding, 0, 0)),
			second(l.Read(bg, 1, drivers.Holding, 0, 126)),
			second(l.Read(bg, 1, drivers.Coil, 0, 2001)),
			second(l.Read(bg, 1, drivers.Holding, 65535, 2)),
			second(l.Read(bg, 1, 0, 0, 1)),
			l.WriteSingle(bg, 1, drivers.Input, 0, 1),
			l.WriteRegisters(bg, 1, 0, nil),
			l.WriteRegisters(bg, 1, 0, make([]uint16, 124)),
		} {
			mustFail(t, err, drivers.FaultOther)
		}
		if n := len(s.Asked()); n > 0 {
			t.Errorf("%d were sent", n)
		}
	})

	run("an exception says its code and the unit lives", func(t *testing.T) {
		l, _ := open(t, func(r Request, good Reply) []Reply {
			good.Hole = 30 * time.Millisecond // byte by byte, as slow units send
			return []Reply{good}
		})
		for range 3 {
			if f := mustFail(t, second(l.Read(bg, 1, drivers.Holding, 500, 1)), drivers.FaultRefused); f.Code != 2 {
				t.Errorf("code %d", f.Code)
			}
			mustHold(t, l, 1, 20, 1020)
		}
		mustFail(t, l.WriteSingle(bg, 1, drivers.Holding, 500, 1), drivers.FaultRefused)
		mustFail(t, l.WriteCoil(bg, 1, 500, true), drivers.FaultRefused)
	})

	waits("a unit that is not there costs one timeout", func(t *testing.T) {
		l, _ := open(t, nil)
		mustHold(t, l, 1, 0, 1000)
		start := time.Now()
		_, err := l.Read(bg, 9, drivers.Holding, 0, 1)
		mustFail(t, err, drivers.FaultTimeout)
		if d := time.Since(start); d < rig.Timeout {
			t.Errorf("given up after %v of %v", d, rig.Timeout)
		}
		mustHold(t, l, 1, 10, 1010)
	})

	waits("another unit's answer is not taken", func(t *testing.T) {
		l, s := open(t, func(r Request, good Reply) []Reply {
			good.Unit = 5
			return []Reply{good}
		})
		mustFail(t, second(l.Read(bg, 1, drivers.Holding, 10, 1)), drivers.FaultForeign)
		s.Set(nil)
		mustHold(t, l, 1, 20, 1020)
	})

	waits("another function's answer is not taken", func(t *testing.T) {
		l, s := open(t, func(r Request, good Reply) []Reply {
			return []Reply{{Unit: good.Unit, PDU: append([]byte{4}, good.PDU[1:]...)}}
		})
		mustFail(t, second(l.Read(bg, 1, drivers.Holding, 10, 1)), drivers.FaultForeign)
		s.Set(nil)
		mustHold(t, l, 1, 20, 1020)
	})

	waits("an answer of another length is not taken", func(t *testing.T) {
		l, s := open(t, func(r Request, good Reply) []Reply {
			return []Reply{{Unit: good.Unit, PDU: []byte{3, 4, 0, 1, 0, 2}}}
		})
		mustFail(t, second(l.Read(bg, 1, drivers.Holding, 10, 1)), drivers.FaultForeign)
		s.Set(nil)
		mustHold(t, l, 1, 20, 1020)
	})

	run("the true answer after a foreign one is taken", func(t *testing.T) {
		l, _ := open(t, func(r Request, good Reply) []Reply {
			other := good
			other.Unit = 5
			good.After = 60 * time.Millisecond
			return []Reply{other, good}
		})
		mustHold(t, l, 1, 10, 1010)
	})

	waits("half an answer is none", func(t *testing.T) {
		l, s := open(t, nil)
		mustHold(t, l, 1, 0, 1000)
		s.Set(func(r Request, good Reply) []Reply {
			if rig.RTU {
				return []Reply{{Raw: Frame(good.Unit, good.PDU)[:6]}}
			}
			return []Reply{{Raw: []byte{0, byte(r.N), 0, 0, 0}}}
		})
		_, err := l.Read(bg, 1, drivers.Holding, 10, 2)
		if k := drivers.KindOf(err); err == nil || k != drivers.FaultGarbled && k != drivers.FaultTimeout {
			t.Fatalf("%v", err)
		}
		s.Set(nil)
		mustHold(t, l, 1, 20, 1020, 1021)
	})

	run("an answer that comes in pieces is whole", func(t *testing.T) {
		l, _ := open(t, func(r Request, good Reply) []Reply {
			good.Hole = 40 * time.Millisecond
			return []Reply{good}
		})
		mustHold(t, l, 1, 10, 1010, 1011, 1012, 1013)
	})

	waits("a write that another address echoes is not confirmed", func(t *testing.T) {
		l, _ := open(t, func(r Request, good Reply) []Reply {
			if r.PDU[0] >= 5 {
				good.PDU[2]++
			}
			return []Reply{good}
		})
		mustHold(t, l, 1, 0, 1000)
		if err := l.WriteCoil(bg, 1, 3, true); err == nil {
			t.Error("confirmed")
		}
	})

	if rig.RTU {
		waits("an answer is found in noise", func(t *testing.T) {
			l, _ := open(t, func(r Request, good Reply) []Reply {
				noise := []byte{1, 1, 3, 0xff, 1, 3, 2, 0, 3}
				return []Reply{{Raw: append(noise, Frame(good.Unit, good.PDU)...)}}
			})
			mustHold(t, l, 1, 10, 1010)
		})
		waits("noise alone is garbled", func(t *testing.T) {
			l, s := open(t, func(r Request, good Reply) []Reply {
				return []Reply{{Raw: slices.Repeat([]byte{0x55, 1, 3}, 10)}}
			})
			mustFail(t, second(l.Read(bg, 1, drivers.Holding, 10, 1)), drivers.FaultGarbled)
			s.Set(nil)
			mustHold(t, l, 1, 20, 1020)
		})
		waits("a wrong CRC is garbled", func(t *testing.T) {
			l, s := open(t, func(r Request, good Reply) []Reply {
				f := Frame(good.Unit, good.PDU)
				f[4] ^= 1
				return []Reply{{Raw: f}}
			})
			mustFail(t, second(l.Read(bg, 1, drivers.Holding, 10, 1)), drivers.FaultGarbled)
			s.Set(nil)
			// The answer came, if broken: nothing is owed.
			if _, err := l.Read(bg, 1, drivers.Holding, 20, 1); err != nil {
				t.Error(err)
			}
		})
	}

	owes("a context that ends wakes the caller at once", func(t *testing.T) {
		l, s := open(t, nil)
		mustHold(t, l, 1, 0, 1000)
		s.Set(func(Request, Reply) []Reply { return nil })
		ctx, cancel := context.WithCancel(bg)
		time.AfterFunc(rig.Timeout/10, cancel)
		start := time.Now()
		mustFail(t, second(l.Read(ctx, 1, drivers.Holding, 10, 1)), drivers.FaultCancelled)
		if d := time.Since(start); d >= rig.Timeout {
			t.Errorf("woke after %v", d)
		}
		mustFail(t, second(l.Read(ctx, 1, drivers.Holding, 10, 1)), drivers.FaultCancelled)
		s.Set(nil)
		mustHold(t, l, 1, 20, 1020)
	})

	run("close wakes a caller that waits", func(t *testing.T) {
		l, s := open(t, nil)
		mustHold(t, l, 1, 0, 1000)
		s.Set(func(Request, Reply) []Reply { return nil })
		time.AfterFunc(rig.Timeout/10, func() { l.Close() })
		start := time.Now()
		mustFail(t, second(l.Read(bg, 1, drivers.Holding, 10, 1)), drivers.FaultGone)
		if d := time.Since(start); d >= rig.Timeout {
			t.Errorf("woke after %v", d)
		}
		mustFail(t, second(l.Read(bg, 1, drivers.Holding, 10, 1)), drivers.FaultGone)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})

	if rig.Pull != nil {
		run("what was gone while nobody asked is opened again", func(t *testing.T) {
			l, _ := open(t, nil)
			mustHold(t, l, 1, 10, 1010)
			rig.Pull()
			time.Sleep(50 * time.Millisecond)
			mustHold(t, l, 1, 20, 1020) // the next request finds it and opens anew
		})
		owes("what was gone while somebody waited is opened again", func(t *testing.T) {
			l, s := open(t, nil)
			mustHold(t, l, 1, 10, 1010)
			s.Set(func(Request, Reply) []Reply { return nil })
			time.AfterFunc(rig.Timeout/4, rig.Pull)
			start := time.Now()
			mustFail(t, second(l.Read(bg, 1, drivers.Holding, 10, 1)), drivers.FaultGone)
			if d := time.Since(start); d >= rig.Timeout {
				t.Errorf("known after %v", d)
			}
			s.Set(nil)
			mustHold(t, l, 1, 30, 1030)
		})
	}

	run("a cost is given", func(t *testing.T) {
		l, _ := open(t, nil)
		if rig.RTU && l.Cost(drivers.Holding, 100) <= l.Cost(drivers.Holding, 1) {
			t.Error("a longer answer costs no more")
		}
	})
}

func second[T any](_ T, err error) error { return err }
