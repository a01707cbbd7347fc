package line

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

// fakeBus is a line with units in virtual time: an answer takes wire, a silent
// unit takes timeout.
type fakeBus struct {
	wire, timeout time.Duration

	mu     sync.Mutex
	dead   map[uint8]bool
	fault  map[uint8]func(n int) *drivers.Fault // by unit; n counts its reads
	asked  map[uint8]int
	doubt  map[uint8]bool
	gone   bool
	data   map[uint8][]byte
	coils  map[uint16]bool
	regs   map[uint16]uint16 // holding registers that can be written
	stuck  bool              // coils and registers do not take
	deaf   int               // so many writes of registers are not answered though they take
	log    []string
	listen func(ctx context.Context, until time.Time) error
	busy   int
}

func newFake() *fakeBus {
	return &fakeBus{wire: 20 * time.Millisecond, timeout: 300 * time.Millisecond, dead: map[uint8]bool{}, fault: map[uint8]func(int) *drivers.Fault{},
		asked: map[uint8]int{}, doubt: map[uint8]bool{}, data: map[uint8][]byte{}, coils: map[uint16]bool{}, regs: map[uint16]uint16{}}
}

func (b *fakeBus) set(f func()) { b.mu.Lock(); defer b.mu.Unlock(); f() }

func (b *fakeBus) count(u uint8) int { b.mu.Lock(); defer b.mu.Unlock(); return b.asked[u] }

func (b *fakeBus) enter(what string) func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.busy++; b.busy > 1 {
		panic("two askers on one line")
	}
	b.log = append(b.log, what)
	return func() { b.mu.Lock(); b.busy--; b.mu.Unlock() }
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return &drivers.Fault{Kind: drivers.FaultCancelled, Err: ctx.Err()}
	case <-t.C:
		return nil
	}
}

func (b *fakeBus) exchange(ctx context.Context, unit uint8) error {
	b.mu.Lock()
	b.asked[unit]++
	n, gone, dead, fault := b.asked[unit], b.gone, b.dead[unit], b.fault[unit]
	b.mu.Unlock()
	if gone {
		return &drivers.Fault{Kind: drivers.FaultGone, Detail: "/dev/ttyFAKE"}
	}
	if fault != nil {
		if f := fault(n); f != nil {
			if f.Kind == drivers.FaultOwed {
				return f
			}
			if err := sleep(ctx, b.wire); err != nil {
				return err
			}
			return f
		}
	}
	if dead {
		if err := sleep(ctx, b.timeout); err != nil {
			return err
		}
		return &drivers.Fault{Kind: drivers.FaultTimeout}
	}
	return sleep(ctx, b.wire)
}

func (b *fakeBus) Read(ctx context.Context, unit uint8, t drivers.Table, addr, count uint16) (drivers.Answer, error) {
	defer b.enter(fmt.Sprintf("read %d %s %d+%d", unit, t, addr, count))()
	if err := b.exchange(ctx, unit); err != nil {
		return drivers.Answer{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	a := drivers.Answer{At: time.Now(), Doubt: b.doubt[unit]}
	if t.Bits() {
		a.Data = make([]byte, (count+7)/8)
		for i := range count {
			if b.coils[addr+i] {
				a.Data[i/8] |= 1 << (i % 8)
			}
		}
		return a, nil
	}
	a.Data = make([]byte, 2*int(count))
	if _, ok := b.regs[addr]; ok {
		for i := range count {
			a.Data[2*i], a.Data[2*i+1] = byte(b.regs[addr+i]>>8), byte(b.regs[addr+i])
		}
		return a, nil
	}
	copy(a.Data, b.data[unit])
	return a, nil
}

func (b *fakeBus) WriteCoil(ctx context.Context, unit uint8, addr uint16, on bool) error {
	defer b.enter(fmt.Sprintf("coil %d %d %v", unit, addr, on))()
	if err := b.exchange(ctx, unit); err != nil {
		return err
	}
	b.set(func() {
		if !b.stuck {
			b.coils[addr] = on
		}
	})
	return nil
}

func (b *fakeBus) WriteSingle(ctx context.Context, unit uint8, t drivers.Table, addr, value uint16) error {
	defer b.enter(fmt.Sprintf("single %d %s %#x %d", unit, t, addr, value))()
	if err := b.exchange(ctx, unit); err != nil {
		return err
	}
	if t == drivers.Holding {
		if _, ok := b.regs[addr]; ok {
			return b.take(addr, value)
		}
	}
	b.set(func() { b.coils[addr&0xFF] = true })
	return nil
}

func (b *fakeBus) WriteRegisters(ctx context.Context, unit uint8, addr uint16, values []uint16) error {
	defer b.enter(fmt.Sprintf("registers %d %#x %v", unit, addr, values))()
	if err := b.exchange(ctx, unit); err != nil {
		return err
	}
	return b.take(addr, values...)
}

// take sets registers; the answer may be lost.
func (b *fakeBus) take(addr uint16, values ...uint16) (err error) {
	b.set(func() {
		for i, v := range values {
			if !b.stuck {
				b.regs[addr+uint16(i)] = v
			}
		}
		if b.deaf > 0 {
			b.deaf--
			err = &drivers.Fault{Kind: drivers.FaultTimeout}
		}
	})
	return err
}

func (b *fakeBus) Cost(drivers.Table, uint16) time.Duration { return b.wire }
func (b *fakeBus) Close() error                             { return nil }
func (b *fakeBus) String() string                           { return "fake" }

func (b *fakeBus) Listen(ctx context.Context, until time.Time) error {
	defer b.enter("listen")()
	if b.listen != nil {
		return b.listen(ctx, until)
	}
	sleep(ctx, time.Until(until))
	return nil
}

// testClock counts from its start.
type testClock struct{ began time.Time }

func (c testClock) Now() clock.Stamp { return c.StampAt(time.Now()) }
func (c testClock) StampAt(t time.Time) clock.Stamp {
	return clock.Stamp{Mono: t.Sub(c.began), Wall: t, Boot: "test", Trust: clock.Set}
}

// sink remembers every reading.
type sink struct {
	mu  sync.Mutex
	all []point.Reading
	// faults that stand, by thing
	standing map[string]phrase.Message
	raised   int
}

func (s *sink) take(rs []point.Reading) { s.mu.Lock(); s.all = append(s.all, rs...); s.mu.Unlock() }

func (s *sink) of(id point.ID) []point.Reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []point.Reading
	for _, r := range s.all {
		if r.Point == id {
			out = append(out, r)
		}
	}
	return out
}

func (s *sink) last(t *testing.T, id point.ID) point.Reading {
	t.Helper()
	all := s.of(id)
	if len(all) == 0 {
		t.Fatalf("no reading of %s", id)
	}
	return all[len(all)-1]
}

func (s *sink) fault(thing string) (phrase.Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.standing[thing]
	return m, ok
}

func opts(s *sink) Opts {
	s.standing = map[string]phrase.Message{}
	return Opts{Clock: testClock{time.Now()}, Sink: s.take,
		Fault:   func(thing string, m phrase.Message) { s.mu.Lock(); s.standing[thing] = m; s.raised++; s.mu.Unlock() },
		Cleared: func(thing string) { s.mu.Lock(); delete(s.standing, thing); s.mu.Unlock() }}
}

func parse(t testing.TB, name, yaml string) *profile.Profile {
	t.Helper()
	p, problems := profile.Parse(name+".yaml", []byte(yaml))
	for _, pr := range problems {
		t.Fatal(pr.In(phrase.EN))
	}
	return p
}

const gaugeYAML = `version: 1
profile: gauge
name: {zh: 表, en: gauge}
manual: none
via: modbus
points:
  - id: v
    name: {zh: 值, en: value}
    read: holding 0
    unit: m
    every: 1s
proof:
  - {sent: "01 03 00 00 00 01 84 0A", heard: "01 03 02 00 07 F9 86", gives: {v: 7}}
`

const boardYAML = `version: 1
profile: board
name: {zh: 板, en: board}
manual: none
via: modbus
points:
  - {id: in1, name: {zh: 入, en: in}, read: discrete 8, every: 1h}
writes:
  - id: 1
    name: {zh: 出, en: out}
    write: coil 0
    confirm: {read: coil 0, within: 100ms, retry: 1}
    timed: {write: coil 0x0200, unit: 100ms, longest: 300s}
  - {id: 2, name: {zh: 出, en: out}, write: coil 1}
proof:
  - {sent: "01 05 00 00 FF 00 8C 3A", heard: "01 05 00 00 FF 00 8C 3A", does: {write: 1, on: true}}
`

// run runs a line in the bubble of a synctest until the test's end.
func run(t *testing.T, l *Line) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}
