package modbus_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/modbus"
	"tocsin/drivers/serial"
	"tocsin/hwtest/line"
)

// The bench's slaves are written from the standard and share no line with this
// package: what both get wrong in the same way cannot pass here.

// instrument is a unit of the bench with memory.
type instrument struct {
	mu   sync.Mutex
	regs map[uint16]uint16
	on   map[uint16]bool
	id   *line.Identity
}

func (u *instrument) Answer(pdu []byte, _ time.Time) ([]byte, line.Exception) {
	u.mu.Lock()
	defer u.mu.Unlock()
	reg := func(a uint16) (uint16, line.Exception) {
		if a >= 200 {
			return 0, line.IllegalAddress
		}
		return u.regs[a], 0
	}
	return line.Map{
		Holding: reg, Input: reg, ID: u.id,
		Coil:     func(a uint16) (bool, line.Exception) { return u.on[a], 0 },
		Discrete: func(a uint16) (bool, line.Exception) { return u.on[a], 0 },
		SetReg:   func(a, v uint16) line.Exception { u.regs[a] = v; return 0 },
		SetCoil:  func(a, v uint16) line.Exception { u.on[a] = v == 0xFF00; return 0 },
	}.Answer(pdu)
}

// way is one kind of line of the bench with this package at its other end.
type way struct {
	name   string
	attach func(byte, line.Unit)
	fault  func(byte, line.Fault)
	heal   func(byte)
	open   func(timeout time.Duration) *modbus.Line
}

func benches(t *testing.T) []way {
	t.Helper()
	var out []way
	for _, ascii := range []bool{false, true} {
		for _, echo := range []bool{false, true} {
			l, err := line.New(line.Config{Baud: 115200, Turnaround: 2 * time.Millisecond, ASCII: ascii, Echo: echo})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			name, make := "rtu", modbus.NewRTU
			if ascii {
				name, make = "ascii", modbus.NewASCII
			}
			if echo {
				name += " with echo"
			}
			out = append(out, way{name, l.Attach, l.SetFault, l.ClearFault, func(d time.Duration) *modbus.Line {
				var wg sync.WaitGroup
				m := make(func() (drivers.Port, error) {
					return serial.Open(l.Path(), serial.Opts{Baud: 115200, Start: func(_ string, run func()) { wg.Go(run) }})
				}, modbus.RTUOpts{Baud: 115200, Timeout: d})
				t.Cleanup(func() { m.Close(); wg.Wait() })
				return m
			}})
		}
	}
	tcp, err := line.NewTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	out = append(out, way{"tcp", tcp.Attach, tcp.SetFault, tcp.ClearFault, func(d time.Duration) *modbus.Line {
		m := modbus.NewTCP(tcp.Addr(), modbus.TCPOpts{Timeout: d})
		t.Cleanup(func() { m.Close() })
		return m
	}})
	raw, err := line.NewRTUOverTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return append(out, way{"rtu over tcp", raw.Attach, raw.SetFault, raw.ClearFault, func(d time.Duration) *modbus.Line {
		var wg sync.WaitGroup
		m := modbus.NewRTU(func() (drivers.Port, error) {
			return modbus.DialStream(context.Background(), raw.Addr(), modbus.StreamOpts{Start: func(_ string, run func()) { wg.Go(run) }})
		}, modbus.RTUOpts{Baud: 115200, Timeout: d})
		t.Cleanup(func() { m.Close(); wg.Wait() })
		return m
	}})
}

func TestTheBenchIsReadWrittenAndNamedInEveryMode(t *testing.T) {
	for _, w := range benches(t) {
		t.Run(w.name, func(t *testing.T) {
			u := &instrument{regs: map[uint16]uint16{}, on: map[uint16]bool{3: true}, id: &line.Identity{Server: []byte{0x42, 0xFF, 'v', '1'}, Objects: []string{"Maker", "Gauge-7", "1.02"}, Each: 2}}
			for a := range uint16(125) {
				u.regs[a] = 1000 + a
			}
			w.attach(7, u)
			m := w.open(time.Second)
			ctx := context.Background()
			a, err := m.Read(ctx, 7, drivers.Holding, 0, 125)
			if err != nil || len(a.Data) != 250 || a.Data[248] != 0x04 || a.Data[249] != 0x64 {
				t.Fatalf("125 registers: %v % x", err, a.Data)
			}
			if a, err = m.Read(ctx, 7, drivers.Input, 9, 2); err != nil || !slices.Equal(a.Data, []byte{0x03, 0xF1, 0x03, 0xF2}) {
				t.Errorf("input registers: %v % x", err, a.Data)
			}
			if a, err = m.Read(ctx, 7, drivers.Discrete, 0, 9); err != nil || !slices.Equal(a.Data, []byte{8, 0}) {
				t.Errorf("bits: %v % x", err, a.Data)
			}
			if _, err = m.Read(ctx, 7, drivers.Holding, 199, 2); drivers.KindOf(err) != drivers.FaultRefused {
				t.Errorf("beyond its table: %v", err)
			}
			if err = m.WriteCoil(ctx, 7, 5, true); err != nil || !u.on[5] {
				t.Errorf("coil: %v", err)
			}
			if err = m.WriteSingle(ctx, 7, drivers.Holding, 40, 125); err != nil || u.regs[40] != 125 {
				t.Errorf("register: %v", err)
			}
			if err = m.WriteRegisters(ctx, 7, 50, []uint16{1, 2, 3}); err != nil || u.regs[52] != 3 {
				t.Errorf("registers: %v", err)
			}
			if a, err = m.ServerID(ctx, 7); err != nil || string(a.Data) != "\x42\xFFv1" {
				t.Errorf("function 17: %v %q", err, a.Data)
			}
			if a, err = m.Identification(ctx, 7, 1, 0); err != nil || !strings.Contains(string(a.Data), "Gauge-7") || a.Data[1] != 0xFF || a.Data[2] != 2 {
				t.Errorf("function 43: %v %q", err, a.Data)
			}
			if a, err = m.Identification(ctx, 7, 1, 2); err != nil || !strings.HasSuffix(string(a.Data), "1.02") {
				t.Errorf("function 43 from 2: %v %q", err, a.Data)
			}
			u.mu.Lock()
			u.id = nil
			u.mu.Unlock()
			if _, err = m.ServerID(ctx, 7); drivers.KindOf(err) != drivers.FaultRefused {
				t.Errorf("a unit that does not know function 17: %v", err)
			}
			if _, err = m.Identification(ctx, 7, 1, 0); drivers.KindOf(err) != drivers.FaultRefused {
				t.Errorf("a unit that does not know function 43: %v", err)
			}
			if a, err = m.Read(ctx, 7, drivers.Holding, 60, 1); err != nil || a.Doubt || !slices.Equal(a.Data, []byte{0x04, 0x24}) {
				t.Errorf("after all that: %v % x", err, a.Data)
			}
		})
	}
}

// A late answer to the one question is never taken for the answer to another,
// and a broken one never for good. That holds of answers up to five timeouts late: a machine that stalls for
// so long makes later ones, and shows nothing; then all have more time.
func TestTheBenchCannotFoolAnyModeByLateOrBrokenAnswers(t *testing.T) {
	for _, w := range benches(t) {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			for timeout := 120 * time.Millisecond; ; timeout *= 2 {
				stalled := stalls(t)
				wrong := fool(w, timeout)
				if wrong == "" {
					return
				}
				if d := stalled(); d < 2*timeout || timeout > 2*time.Second {
					t.Fatalf("%s; the longest stall was %v of a timeout of %v", wrong, d, timeout)
				}
			}
		})
	}
}

// fool says what was wrong with what one way gave as good, while its unit did what it could.
func fool(w way, timeout time.Duration) string {
	u := &instrument{regs: map[uint16]uint16{}, on: map[uint16]bool{}, id: &line.Identity{Server: []byte{1, 2, 3}}}
	for a := range uint16(100) {
		u.regs[a] = 100 + a
	}
	w.attach(7, u)
	m := w.open(timeout)
	defer m.Close()
	defer w.heal(7)
	ctx := context.Background()
	for _, f := range []line.Fault{{Late: timeout + timeout/2, Every: 3}, {BadCRC: true, Every: 2}, {HalfFrame: true, Every: 2}, {WrongUnit: 9, Every: 3}, {Garbage: []byte{0, 7, 3}}} {
		w.fault(7, f)
		good := 0
		for i := range 12 {
			if until, owed := m.Owed(7); owed {
				m.Listen(ctx, until)
			}
			addr := uint16(i % 4 * 10)
			switch i % 6 {
			case 5:
				if a, err := m.ServerID(ctx, 7); err == nil && !a.Doubt && string(a.Data) != "\x01\x02\x03" {
					return fmt.Sprintf("%+v: function 17 gave % x", f, a.Data)
				}
				continue
			}
			a, err := m.Read(ctx, 7, drivers.Holding, addr, 1)
			if err != nil || a.Doubt {
				continue
			}
			good++
			if got := uint16(a.Data[0])<<8 | uint16(a.Data[1]); got != 100+addr {
				return fmt.Sprintf("%+v: register %d gave %d as good", f, addr, got)
			}
		}
		if good == 0 && f.Garbage == nil {
			return fmt.Sprintf("%+v: nothing was good", f)
		}
		w.heal(7)
		time.Sleep(2*timeout + timeout/2)
	}
	return ""
}

// stalls watches for how long at most the machine did not let a goroutine run that wished to.
func stalls(t *testing.T) (longest func() time.Duration) {
	var worst atomic.Int64
	stop := make(chan struct{})
	go func() {
		for last := time.Now(); ; {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			now := time.Now()
			worst.Store(max(worst.Load(), int64(now.Sub(last)))) // nobody else stores
			last = now
		}
	}()
	end := sync.OnceFunc(func() { close(stop) })
	t.Cleanup(end)
	return func() time.Duration { end(); return time.Duration(worst.Load()) }
}
