package modbus_test

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	goburrow "github.com/goburrow/modbus"

	"tocsin/drivers"
	"tocsin/drivers/drivertest"
	"tocsin/drivers/modbus"
	"tocsin/drivers/serial"
)

// The tests named G1 to G13 each show one fault of goburrow/modbus v0.1.0 that
// this package answers for; drivers/drivertest/doc.go has the table.

// naive opens goburrow's own handler on a pseudo terminal.
func naive(t *testing.T, y *drivertest.PTY, baud int, timeout time.Duration) (*goburrow.RTUClientHandler, goburrow.Client) {
	t.Helper()
	h := goburrow.NewRTUClientHandler(y.Path)
	h.BaudRate, h.DataBits, h.Parity, h.StopBits, h.Timeout, h.SlaveId, h.IdleTimeout = baud, 8, "N", 1, timeout, 1, 0
	if err := h.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h, goburrow.NewClient(h)
}

// ours opens this package over drivers/serial on a pseudo terminal.
func ours(t *testing.T, y *drivertest.PTY, baud int, timeout time.Duration) *modbus.Line {
	t.Helper()
	var wg sync.WaitGroup
	l := modbus.NewRTU(func() (drivers.Port, error) {
		return serial.Open(y.Path, serial.Opts{Baud: baud, Start: func(_ string, run func()) { wg.Go(run) }})
	}, modbus.RTUOpts{Baud: baud, Timeout: timeout})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l
}

const char115200 = 10 * time.Second / 115200

// Fault G1 on a pseudo terminal: one answer in five comes 1.5 timeouts late.
func TestG1OnAPortNoLateAnswerIsTakenForAnother(t *testing.T) {
	const patience = 100 * time.Millisecond
	script := func(r drivertest.Request, good drivertest.Reply) []drivertest.Reply {
		good.After = 5 * time.Millisecond
		if r.N%5 == 3 {
			good.After = patience * 3 / 2
		}
		return []drivertest.Reply{good}
	}
	addrs := []uint16{10, 20, 30, 40}

	y := drivertest.OpenPTY(t)
	drivertest.ServePTY(t, y, &drivertest.Slave{Script: script, Serial: true}, char115200)
	_, c := naive(t, y, 115200, patience)
	wrong := 0
	for i := range 20 {
		a := addrs[i%4]
		if b, err := c.ReadHoldingRegisters(a, 2); err == nil && binary.BigEndian.Uint16(b) != 1000+a {
			wrong++
		}
	}
	if wrong == 0 {
		t.Error("the naive client was right: this slave shows nothing")
	}

	y = drivertest.OpenPTY(t)
	drivertest.ServePTY(t, y, &drivertest.Slave{Script: script, Serial: true}, char115200)
	l := ours(t, y, 115200, patience)
	good := 0
	for i := 0; i < 60; i++ {
		a := addrs[i%4]
		ans, err := l.Read(context.Background(), 1, drivers.Holding, a, 2)
		var f *drivers.Fault
		switch {
		case errors.As(err, &f) && f.Kind == drivers.FaultOwed:
			l.Listen(context.Background(), f.Until)
		case err == nil && !ans.Doubt:
			good++
			if v := binary.BigEndian.Uint16(ans.Data); v != 1000+a {
				t.Errorf("register %d: %d given as good", a, v)
			}
		}
	}
	if good < 10 {
		t.Errorf("only %d good", good)
	}
}

// Fault G2: an exception that comes slowly is cut to four of its five bytes.
func TestG2ASlowExceptionIsWhole(t *testing.T) {
	script := func(r drivertest.Request, good drivertest.Reply) []drivertest.Reply {
		f := drivertest.Frame(1, good.PDU)
		return []drivertest.Reply{{After: 20 * time.Millisecond, Raw: f[:4]}, {After: 120 * time.Millisecond, Raw: f[4:]}}
	}
	y := drivertest.OpenPTY(t)
	drivertest.ServePTY(t, y, &drivertest.Slave{Script: script}, char115200)
	_, c := naive(t, y, 115200, time.Second)
	var e *goburrow.ModbusError
	if _, err := c.ReadHoldingRegisters(500, 1); err == nil || errors.As(err, &e) {
		t.Errorf("naive: %v: it was to cut the exception", err)
	}
	y = drivertest.OpenPTY(t)
	drivertest.ServePTY(t, y, &drivertest.Slave{Script: script}, char115200)
	l := ours(t, y, 115200, 2*time.Second)
	var f *drivers.Fault
	if _, err := l.Read(context.Background(), 1, drivers.Holding, 500, 1); !errors.As(err, &f) || f.Kind != drivers.FaultRefused || f.Code != 2 {
		t.Error(err)
	}
}

// Faults G3 and G11: no lock around a request, and the unit is a field of the
// shared handler. (The naive fault is a race that cannot be made to happen on
// demand.) Here eight goroutines ask eight units, against the contract even,
// while the line is closed at the end; run it with -race.
func TestG3G11UnitsAreNeverMixedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := onWire(drivertest.NewWire(&drivertest.Slave{}, char))
		var wg sync.WaitGroup
		for unit := uint8(1); unit <= 8; unit++ {
			wg.Go(func() {
				for {
					a, err := l.Read(context.Background(), unit, drivers.Holding, 10, 1)
					if drivers.KindOf(err) == drivers.FaultGone && err != nil {
						return
					}
					if err != nil || binary.BigEndian.Uint16(a.Data) != 1000*uint16(unit)+10 {
						t.Errorf("unit %d: %v %v", unit, a, err)
						return
					}
				}
			})
		}
		time.Sleep(10 * time.Second)
		l.Close()
		wg.Wait()
	})
}

// Fault G4: the naive client sleeps for as long as it believes that the answer
// takes, at 0.75 ms a character above 19200 Bd.
func TestG4NothingSleepsForBytes(t *testing.T) {
	y := drivertest.OpenPTY(t)
	drivertest.ServePTY(t, y, &drivertest.Slave{}, 0)
	_, c := naive(t, y, 115200, time.Second)
	start := time.Now()
	if _, err := c.ReadHoldingRegisters(0, 100); err != nil {
		t.Fatal(err)
	}
	slept := time.Since(start)
	if slept < 150*time.Millisecond {
		t.Errorf("naive: %v, was to sleep 160 ms", slept)
	}
	// Ours, on a wire that takes its true time: to the character.
	synctest.Test(t, func(t *testing.T) {
		l := onWire(drivertest.NewWire(&drivertest.Slave{}, char))
		defer l.Close()
		start := time.Now()
		if _, err := l.Read(context.Background(), 1, drivers.Holding, 0, 100); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != (8+205)*char {
			t.Errorf("%v for %v of bytes", d, (8+205)*char)
		}
	})
}

// Fault G5: the timeout begins only after that sleep.
func TestG5OneDeadlineARequest(t *testing.T) {
	y := drivertest.OpenPTY(t)
	drivertest.ServePTY(t, y, &drivertest.Slave{}, 0)
	h, c := naive(t, y, 9600, 200*time.Millisecond)
	h.SlaveId = 9
	start := time.Now()
	if _, err := c.ReadHoldingRegisters(0, 100); err == nil || time.Since(start) < 500*time.Millisecond {
		t.Errorf("naive: %v after %v", err, time.Since(start))
	}
	synctest.Test(t, func(t *testing.T) {
		l := onWire(drivertest.NewWire(&drivertest.Slave{}, char))
		defer l.Close()
		for range 2 {
			start := time.Now()
			_, err := l.Read(context.Background(), 9, drivers.Holding, 0, 1)
			if d := time.Since(start); drivers.KindOf(err) != drivers.FaultTimeout || d != timeout+(8+7)*char {
				t.Errorf("%v after %v", err, d)
			}
			time.Sleep(7 * timeout)
		}
	})
}

// Fault G6: an error neither closes nor reopens the port. The naive handler on
// a pulled port fails for ever; the conformance ("what was gone is opened
// again") shows ours coming back, here over a real port.
func TestG6APortThatComesBackIsUsedAgain(t *testing.T) {
	s := &drivertest.Slave{}
	var wg sync.WaitGroup
	plug := func() *drivertest.PTY {
		y := drivertest.OpenPTY(t)
		drivertest.ServePTY(t, y, s, char115200)
		return y
	}
	y := plug()
	_, c := naive(t, y, 115200, time.Second)
	l := modbus.NewRTU(func() (drivers.Port, error) {
		return serial.Open(y.Path, serial.Opts{Baud: 115200, Start: func(_ string, run func()) { wg.Go(run) }})
	}, modbus.RTUOpts{Baud: 115200, Timeout: 2 * time.Second})
	defer wg.Wait()
	defer l.Close()
	ask := func() error {
		_, err := l.Read(context.Background(), 1, drivers.Holding, 10, 1)
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	y.Pull()
	if err := ask(); drivers.KindOf(err) != drivers.FaultGone {
		t.Fatalf("pulled: %v", err)
	}
	if _, err := c.ReadHoldingRegisters(10, 1); err == nil {
		t.Error("naive: answered by nobody")
	}
	y = plug()
	if err := ask(); err != nil {
		t.Errorf("plugged in again: %v", err)
	}
	if _, err := c.ReadHoldingRegisters(10, 1); err == nil {
		t.Error("naive: came back")
	}
}

func naiveTCP(t *testing.T, addr string, timeout time.Duration) goburrow.Client {
	h := goburrow.NewTCPClientHandler(addr)
	h.Timeout, h.SlaveId = timeout, 1
	t.Cleanup(func() { h.Close() })
	return goburrow.NewClient(h)
}

// Fault G7: after one late answer every later one is the one before.
func TestG7ALateTCPAnswerIsPassedOver(t *testing.T) {
	script := func(r drivertest.Request, good drivertest.Reply) []drivertest.Reply {
		if r.N == 2 {
			good.After = 400 * time.Millisecond
		}
		return []drivertest.Reply{good}
	}
	// The naive way is out of step for good. A stalled machine may delay the
	// wrong answer of the script, so it gets several tries to show it.
	shown := false
	for try := 0; try < 5 && !shown; try++ {
		p := drivertest.ServeTCP(t, &drivertest.Slave{Script: script})
		c := naiveTCP(t, p.Addr, 200*time.Millisecond)
		c.ReadHoldingRegisters(10, 1)
		c.ReadHoldingRegisters(20, 1)
		time.Sleep(400 * time.Millisecond)
		shown = true
		for range 3 {
			if _, err := c.ReadHoldingRegisters(30, 1); err == nil {
				shown = false
			}
		}
	}
	if !shown {
		t.Error("naive: in step again")
	}
	synctest.Test(t, func(t *testing.T) {
		l := overCable(t, &drivertest.Slave{Script: script}, 200*time.Millisecond)
		l.Read(context.Background(), 1, drivers.Holding, 10, 1)
		if _, err := l.Read(context.Background(), 1, drivers.Holding, 20, 1); drivers.KindOf(err) != drivers.FaultTimeout {
			t.Errorf("late: %v", err)
		}
		for range 3 {
			if a, err := l.Read(context.Background(), 1, drivers.Holding, 30, 1); err != nil || binary.BigEndian.Uint16(a.Data) != 1030 {
				t.Errorf("%v %v", a, err)
			}
			time.Sleep(90 * time.Millisecond) // the late answer falls between two
		}
	})
}

// overCable is a Modbus TCP line over a connection in memory, for virtual time.
func overCable(t *testing.T, s *drivertest.Slave, timeout time.Duration) *modbus.Line {
	l := modbus.NewTCP("cable", modbus.TCPOpts{Timeout: timeout, Dial: drivertest.CableTCP(t, s).Dial})
	t.Cleanup(func() { l.Close() })
	return l
}

// An answer of an earlier transaction on the same connection is read over.
func TestG7AnAnswerOfAnotherTransactionIsReadOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := overCable(t, &drivertest.Slave{Script: func(r drivertest.Request, good drivertest.Reply) []drivertest.Reply {
			stray := drivertest.Reply{Raw: append([]byte{0xee, 0xee, 0, 0, 0, 5, 1}, 3, 2, 0, 42)}
			good.After = 50 * time.Millisecond
			return []drivertest.Reply{stray, good}
		}}, 2*time.Second)
		for range 3 {
			if a, err := l.Read(context.Background(), 1, drivers.Holding, 10, 1); err != nil || binary.BigEndian.Uint16(a.Data) != 1010 {
				t.Errorf("%v %v", a, err)
			}
		}
	})
}

// A connection outlives the time that its requests have: most units are asked
// more seldom than their timeout, and many gateways take one client and are slow
// to take the next.
func TestAnIdleConnectionIsKept(t *testing.T) {
	// The kernel's own connection, since the kernel is asked whether it is still there. A machine that stalls for
	// as long as an answer may take shows nothing: then it may take longer.
	for timeout := 100 * time.Millisecond; ; timeout *= 2 {
		p := drivertest.ServeTCP(t, &drivertest.Slave{})
		l := modbus.NewTCP(p.Addr, modbus.TCPOpts{Timeout: timeout, Connect: ample})
		defer l.Close()
		var err error
		for i := 0; i < 3 && err == nil; i++ {
			if _, err = l.Read(context.Background(), 1, drivers.Holding, 10, 1); err == nil {
				time.Sleep(timeout + timeout/2)
			}
		}
		if err != nil && drivers.KindOf(err) == drivers.FaultTimeout && timeout < ample {
			continue
		}
		if n := p.Taken(); n != 1 || err != nil {
			t.Errorf("connected %d times, %v", n, err)
		}
		return
	}
}

// Fault G8: the dead connection stays in place after an error.
func TestG8ADeadConnectionIsReplaced(t *testing.T) {
	p := drivertest.ServeTCP(t, &drivertest.Slave{})
	c := naiveTCP(t, p.Addr, time.Second)
	l := modbus.NewTCP(p.Addr, modbus.TCPOpts{Timeout: 2 * time.Second})
	defer l.Close()
	ask := func() error {
		_, err := l.Read(context.Background(), 1, drivers.Holding, 10, 1)
		return err
	}
	if _, err := c.ReadHoldingRegisters(10, 1); err != nil {
		t.Fatal(err)
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	p.Kick()
	time.Sleep(50 * time.Millisecond)
	for range 3 {
		if _, err := c.ReadHoldingRegisters(10, 1); err == nil {
			t.Error("naive: came back")
		}
	}
	if err := ask(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// Fault G9 (no context): see the conformance, "a context that ends wakes the
// caller at once"; the naive interface takes none.

// Fault G10: any other function code is read as an exception.
func TestG10AnotherFunctionIsNoException(t *testing.T) {
	script := func(r drivertest.Request, good drivertest.Reply) []drivertest.Reply {
		return []drivertest.Reply{{Unit: 1, PDU: []byte{4, 2, 0, 7}}}
	}
	p := drivertest.ServeTCP(t, &drivertest.Slave{Script: script})
	c := naiveTCP(t, p.Addr, time.Second)
	var e *goburrow.ModbusError
	if _, err := c.ReadHoldingRegisters(10, 1); !errors.As(err, &e) {
		t.Errorf("naive: %v: it was to see an exception", err)
	}
	synctest.Test(t, func(t *testing.T) {
		l := overCable(t, &drivertest.Slave{Script: script}, 300*time.Millisecond)
		if _, err := l.Read(context.Background(), 1, drivers.Holding, 10, 1); drivers.KindOf(err) != drivers.FaultForeign {
			t.Error(err)
		}
	})
}

// Fault T9: nothing says when the last bit has left. It is reckoned: what is
// heard before is no answer, though it looks like one.
func TestT9NoAnswerBeforeTheLastBitHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *drivertest.Wire
		w = drivertest.NewWire(&drivertest.Slave{Script: func(r drivertest.Request, good drivertest.Reply) []drivertest.Reply {
			w.Put(-6*char, 0, drivertest.Frame(1, []byte{3, 2, 0, 42})) // whole one character after the request's beginning
			return []drivertest.Reply{good}
		}}, char)
		l := onWire(w)
		defer l.Close()
		a, err := l.Read(context.Background(), 1, drivers.Holding, 10, 1)
		if err != nil || binary.BigEndian.Uint16(a.Data) != 1010 {
			t.Errorf("%v %v", a, err)
		}
	})
}

// A single write's answer is the request itself: on an adapter that echoes, a
// unit that is not there must not seem to confirm.
func TestAnEchoConfirmsNothing(t *testing.T) {
	for _, latency := range []time.Duration{0, 16 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			s := &drivertest.Slave{}
			w := drivertest.NewWire(s, char)
			w.Echo, w.Latency = true, latency
			l := onWire(w)
			defer l.Close()
			ctx := context.Background()
			if err := l.WriteCoil(ctx, 9, 1, true); drivers.KindOf(err) != drivers.FaultTimeout || err == nil {
				t.Errorf("nobody there: %v", err)
			}
			if err := l.WriteCoil(ctx, 1, 1, true); err != nil || s.Coil(1, 1) != 0xff00 {
				t.Errorf("somebody there: %v", err)
			}
			if err := l.WriteSingle(ctx, 9, drivers.Holding, 1, 5); drivers.KindOf(err) != drivers.FaultTimeout || err == nil {
				t.Errorf("nobody there: %v", err)
			}
		})
	}
}

// On, off, on: the late echo of the first on does not confirm the second.
func TestALateEchoDoesNotConfirmAnOvertakenWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &drivertest.Slave{}
		l := onWire(drivertest.NewWire(s, char))
		defer l.Close()
		ctx := context.Background()
		l.Read(ctx, 1, drivers.Coil, 0, 1) // no echo here
		n := 0
		s.Set(func(r drivertest.Request, good drivertest.Reply) []drivertest.Reply {
			n++
			switch n {
			case 1:
				good.After = 2*timeout + 50*time.Millisecond
			case 2:
				return nil
			case 3: // was never heard by the unit
				return nil
			}
			return []drivertest.Reply{good}
		})
		for _, on := range []bool{true, false} {
			if err := l.WriteCoil(ctx, 1, 1, on); drivers.KindOf(err) != drivers.FaultTimeout {
				t.Fatal(err)
			}
		}
		if err := l.WriteCoil(ctx, 1, 1, true); drivers.KindOf(err) != drivers.FaultTimeout || err == nil {
			t.Errorf("the first on's echo confirmed the second: %v", err)
		}
		if err := l.WriteCoil(ctx, 1, 1, true); err != nil {
			t.Errorf("asked once more: %v", err)
		}
	})
}
