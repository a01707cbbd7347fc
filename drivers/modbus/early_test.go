package modbus_test

import (
	"context"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/drivertest"
	"tocsin/drivers/modbus"
)

// An instrument with a USB socket of its own answers sooner than its request
// could have travelled at any rate.
func TestAPortWithoutAWireIsFoundOut(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
		ascii bool
		chop  int
		echo  bool
	}{
		{name: "at once"},
		{name: "after half of what the request would take", after: 4 * char},
		{name: "in pieces", chop: 5},
		{name: "ascii", ascii: true},
		{name: "with echo", echo: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &drivertest.Slave{Script: func(_ drivertest.Request, good drivertest.Reply) []drivertest.Reply {
					good.After = c.after
					return []drivertest.Reply{good}
				}}
				w := drivertest.NewWire(s, char/100)
				w.ASCII, w.Chop, w.Echo = c.ascii, c.chop, c.echo
				l := onWire(w)
				defer l.Close()
				failed := 0
				for n := range uint16(30) {
					addr := 6 * n
					a, err := l.Read(context.Background(), uint8(1+n%3), drivers.Holding, addr, 1+n%2)
					switch {
					case err != nil:
						failed++
					case a.Doubt || binary.BigEndian.Uint16(a.Data) != s.Register(uint8(1+n%3), addr):
						t.Errorf("read %d: % x, doubt %v", n, a.Data, a.Doubt)
					}
				}
				if failed != 3 {
					t.Errorf("%d of 30 reads failed: three are what it takes to find out", failed)
				}
				if err := l.WriteCoil(context.Background(), 1, 7, true); err != nil || s.Coil(1, 7) != 0xff00 {
					t.Errorf("a write: %v", err)
				}
			})
		})
	}
}

// Nothing that a wire may bring makes it pass for none: early comes what looks
// like the answer, and each time something speaks against it.
func TestAWireIsNeverTakenForNone(t *testing.T) {
	forged := []byte{3, 2, 0, 42}
	for _, c := range []struct {
		name string
		// then is what the unit does after the early frame of read n.
		then func(n int, good drivertest.Reply) []drivertest.Reply
		// early tells whether a forged answer comes before read n's last bit has left.
		early func(n int) bool
		reads int
	}{
		{"the answer follows", func(_ int, good drivertest.Reply) []drivertest.Reply { return []drivertest.Reply{good} }, func(int) bool { return true }, 20},
		{"twice nothing follows", func(n int, good drivertest.Reply) []drivertest.Reply {
			if n < 2 {
				return nil
			}
			return []drivertest.Reply{good}
		}, func(int) bool { return true }, 20},
		{"another answer is owed", func(n int, good drivertest.Reply) []drivertest.Reply { return nil }, func(n int) bool { return n%2 == 1 }, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w *drivertest.Wire
				n, dead := 0, true
				s := &drivertest.Slave{}
				w = drivertest.NewWire(s, char)
				l := onWire(w)
				defer l.Close()
				s.Set(func(r drivertest.Request, good drivertest.Reply) []drivertest.Reply {
					if !dead {
						w.Put(-6*char, 0, drivertest.Frame(r.Unit, forged))
						return []drivertest.Reply{good}
					}
					if c.early(n) {
						w.Put(-6*char, 0, drivertest.Frame(r.Unit, forged))
					}
					return c.then(n, good)
				})
				for n < c.reads {
					a, err := l.Read(context.Background(), 1, drivers.Holding, 10, 1)
					if err == nil && !a.Doubt && binary.BigEndian.Uint16(a.Data) != s.Register(1, 10) {
						t.Fatalf("read %d gave % x", n, a.Data)
					}
					if drivers.KindOf(err) == drivers.FaultOwed {
						time.Sleep(timeout)
						continue
					}
					n++
				}
				// And it is still none: of an early frame and an answer it takes the answer.
				dead = false
				for range 10 {
					time.Sleep(10 * timeout)
					if a, err := l.Read(context.Background(), 1, drivers.Holding, 10, 1); err != nil || binary.BigEndian.Uint16(a.Data) != s.Register(1, 10) {
						t.Fatalf("% x, %v", a.Data, err)
					}
				}
			})
		})
	}
}

// The usual one: a gauge of which one value is read, or a relay that is only switched.
func TestAPortWithoutAWireIsFoundOutByOneRequest(t *testing.T) {
	ask := func(l *modbus.Line) error {
		_, err := l.Read(context.Background(), 1, drivers.Holding, 10, 1)
		return err
	}
	turn := func(l *modbus.Line) error { return l.WriteCoil(context.Background(), 1, 7, true) }
	for _, c := range []struct {
		name   string
		period time.Duration
		do     func(*modbus.Line) error
		most   int
	}{
		{"one value, each second", time.Second, ask, 3},
		{"one value, as fast as it goes", timeout, ask, 20},
		{"one value, each minute", time.Minute, ask, 3},
		{"one relay", 10 * time.Second, turn, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := drivertest.NewWire(&drivertest.Slave{}, char/100)
				l := onWire(w)
				defer l.Close()
				failed := 0
				for range 60 {
					if c.do(l) != nil {
						failed++
					}
					time.Sleep(c.period)
				}
				if failed > c.most {
					t.Errorf("%d of 60 failed", failed)
				}
			})
		})
	}
}

// An adapter that gives each answer away only when the next request is sent.
func TestAnAdapterThatIsOneBehindIsNotTakenForNoWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *drivertest.Wire
		var held []byte
		n := uint16(0)
		s := &drivertest.Slave{}
		w = drivertest.NewWire(s, char)
		l := onWire(w)
		defer l.Close()
		s.Set(func(r drivertest.Request, _ drivertest.Reply) []drivertest.Reply {
			if held != nil {
				w.Put(-6*char, 0, held)
			}
			n++
			held = drivertest.Frame(r.Unit, []byte{3, 2, byte(n >> 8), byte(n)})
			return nil
		})
		for range 60 {
			if a, err := l.Read(context.Background(), 1, drivers.Holding, 10, 1); err == nil && !a.Doubt {
				t.Fatalf("a stale value is good: % x", a.Data)
			}
			time.Sleep(10 * timeout)
		}
	})
}
