package line

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// holedBus refuses reads that touch a register of a hole.
type holedBus struct {
	*fakeBus
	hole map[uint16]bool
	code int
}

func (b *holedBus) Read(ctx context.Context, unit uint8, t drivers.Table, addr, count uint16) (drivers.Answer, error) {
	a, err := b.fakeBus.Read(ctx, unit, t, addr, count)
	for i := addr; err == nil && i < addr+count; i++ {
		if b.hole[i] {
			return drivers.Answer{}, &drivers.Fault{Kind: drivers.FaultRefused, Code: b.code}
		}
	}
	return a, err
}

const holedYAML = `version: 1
profile: holed
name: {zh: 缺址, en: holed}
manual: none
via: modbus
points:
  - {id: a, name: {zh: 甲, en: a}, read: holding 0, type: uint16, unit: m, every: 1s}
  - {id: b, name: {zh: 乙, en: b}, read: holding 1, type: uint32, unit: m, every: 1s}
  - {id: c, name: {zh: 丙, en: c}, read: holding 5, type: uint16, unit: m, every: 1s}
proof:
  - {sent: "01 03 00 00 00 06 C5 C8", heard: "01 03 0C 00 01 00 00 00 02 00 00 00 00 00 03 F4 4D", gives: {a: 1, b: 2, c: 3}}
`

func TestAnUnknownHoleNeverBlindsADevice(t *testing.T) {
	for _, c := range []struct {
		name  string
		hole  uint16
		code  int
		blind []point.ID
		names string
	}{
		{"between points", 4, 2, nil, ""},
		{"more registers than it answers", 3, 3, nil, ""},
		{"a point that the unit does not have", 5, 2, []point.ID{"tank.c"}, "0x0005"},
		{"half of a point", 2, 2, []point.ID{"tank.b"}, "0x0001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := &holedBus{fakeBus: newFake(), hole: map[uint16]bool{c.hole: true}, code: c.code}, &sink{}
				l := New(Config{Name: "west", Units: []Unit{{Device: "tank", Unit: 3, Profile: parse(t, "holed", holedYAML)}}, Timeout: b.timeout}, b, opts(s))
				round := l.Round()
				run(t, l)
				time.Sleep(5 * time.Second)
				select {
				case <-l.FirstRound():
				default:
					t.Error("the first round does not end")
				}
				for _, id := range []point.ID{"tank.a", "tank.b", "tank.c"} {
					want := point.Good
					for _, x := range c.blind {
						if x == id {
							want = point.CommFault
						}
					}
					if r := s.last(t, id); r.Quality != want {
						t.Errorf("%s is %s, want %s", id, r.Quality, want)
					}
					if n := len(s.of(id)); n < 4 {
						t.Errorf("%s: %d readings", id, n)
					}
				}
				whole := 0
				b.set(func() {
					for _, what := range b.log {
						if what == "read 3 holding 0+6" {
							whole++
						}
					}
				})
				if whole != 1 {
					t.Errorf("the shared read was asked %d times", whole)
				}
				m, called := s.fault("device tank")
				if called != (c.names != "") || called && (m.Code != "line.hole" || !strings.Contains(m.In(phrase.EN), c.names) || !strings.Contains(m.In(phrase.ZH), c.names)) {
					t.Errorf("called %v: %s", called, m.In(phrase.EN))
				}
				if l.Round() <= round {
					t.Errorf("a round of apart reads takes %v, before %v", l.Round(), round)
				}
			})
		})
	}
}

// otherFraming is what a driver says of a serial server.
type otherFraming struct{}

func (otherFraming) Error() string   { return "RTU was heard" }
func (otherFraming) Framing() string { return "rtu" }

func TestAServerThatSpeaksRTUIsNamedWithItsMend(t *testing.T) {
	for _, kind := range []drivers.FaultKind{drivers.FaultTimeout, drivers.FaultGarbled, drivers.FaultGone} {
		synctest.Test(t, func(t *testing.T) {
			b, s := newFake(), &sink{}
			b.fault[1] = func(int) *drivers.Fault { return &drivers.Fault{Kind: kind, Err: errors.Join(otherFraming{})} }
			l := New(Config{Name: "west", Units: gauges(t, 1, time.Second), Timeout: b.timeout}, b, opts(s))
			run(t, l)
			time.Sleep(2 * time.Second)
			s.mu.Lock()
			r := s.all[len(s.all)-1]
			s.mu.Unlock()
			if r.Quality != point.CommFault || !strings.Contains(r.Why.In(phrase.EN), "framing: rtu") || !strings.Contains(r.Why.In(phrase.ZH), "framing: rtu") {
				t.Errorf("%s: %s: %s", kind, r.Quality, r.Why.In(phrase.EN))
			}
		})
	}
}
