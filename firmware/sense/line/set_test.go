package line

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
)

const gateYAML = `version: 1
profile: gate
name: {zh: 闸, en: gate}
manual: none
via: modbus
points:
  - {id: opening, name: {zh: 开度, en: opening}, read: holding 0x0040, scale: 0.1, unit: "%", every: 1h}
writes:
  - id: opening
    name: {zh: 开度, en: opening}
    write: holding 0x0040
    scale: 0.1
    unit: "%"
    range: [0, 100]
    confirm: {within: 200ms, retry: 1}
    fail_safe: {value: 0, after: 10m}
  - {id: level, name: {zh: 水位, en: level}, write: holding 0x0050, type: float32, order: CDAB, unit: m, range: [0, 20]}
  - {id: lamp, name: {zh: 灯, en: lamp}, write: coil 3, confirm: {read: coil 3, within: 100ms, retry: 1}}
proof:
  - {sent: "01 03 00 40 00 01 85 DE", heard: "01 03 02 00 7D 78 65", gives: {opening: 12.5}}
  - {sent: "01 06 00 40 00 7D 48 3F", heard: "01 06 00 40 00 7D 48 3F", does: {write: opening, value: 12.5}}
`

func gateLine(t *testing.T) (*fakeBus, *Line) {
	b := newFake()
	b.regs[0x40], b.regs[0x50], b.regs[0x51] = 0, 0, 0
	l := New(Config{Name: "west", Units: []Unit{{Device: "gate", Unit: 3, Profile: parse(t, "gate", gateYAML)}}}, b, opts(&sink{}))
	run(t, l)
	synctest.Wait()
	return b, l
}

func (b *fakeBus) wrote() (n int) {
	b.set(func() {
		for _, s := range b.log {
			if strings.HasPrefix(s, "single") || strings.HasPrefix(s, "registers") || strings.HasPrefix(s, "coil") {
				n++
			}
		}
	})
	return n
}

func TestASetPointIsWrittenReadBackAndTellsWhatStoodThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := gateLine(t)
		old, err := l.Set(t.Context(), "gate", "opening", 12.5)
		if err != nil || old != 0 {
			t.Fatalf("%v, %v", old, err)
		}
		old, err = l.Set(t.Context(), "gate", "level", 3.25)
		if err != nil || old != 0 {
			t.Fatalf("%v, %v", old, err)
		}
		b.set(func() {
			if b.regs[0x40] != 125 || b.regs[0x50] != 0x0000 || b.regs[0x51] != 0x4050 {
				t.Errorf("registers %v", b.regs)
			}
			if !slices.Contains(b.log, "single 3 holding 0x40 125") || !slices.Contains(b.log, "registers 3 0x50 [0 16464]") {
				t.Errorf("log %v", b.log)
			}
		})
		if old, err = l.Set(t.Context(), "gate", "opening", 30); err != nil || old != 12.5 {
			t.Errorf("%v, %v", old, err)
		}
		if _, err = l.Set(t.Context(), "gate", "lamp", 1); err != nil || !b.coils[3] {
			t.Errorf("the lamp: %v", err)
		}
	})
}

func TestAValueThatTheDeviceHoldsIsNotWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := gateLine(t)
		b.set(func() { b.regs[0x40] = 125 })
		if old, err := l.Set(t.Context(), "gate", "opening", 12.5); err != nil || old != 12.5 {
			t.Errorf("%v, %v", old, err)
		}
		if n := b.wrote(); n != 0 {
			t.Errorf("%d writes", n)
		}
	})
}

func TestAValueThatDoesNotTakeIsRetriedAndRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := gateLine(t)
		b.set(func() { b.stuck = true })
		_, err := l.Set(t.Context(), "gate", "opening", 12.5)
		if err == nil || !strings.Contains(err.Error(), "did not take 12.5") || !strings.Contains(phrase.In(err, phrase.ZH), "没有接受") {
			t.Errorf("stuck: %v", err)
		}
		if n := b.wrote(); n != 2 {
			t.Errorf("%d writes, not one and one again", n)
		}
	})
}

func TestALostAnswerToAWriteIsMendedByTheRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := gateLine(t)
		b.set(func() { b.deaf = 1 })
		if old, err := l.Set(t.Context(), "gate", "opening", 12.5); err != nil || old != 0 {
			t.Errorf("%v, %v", old, err)
		}
	})
}

func TestADeadDeviceIsNotSaidToHoldTheValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := gateLine(t)
		b.set(func() { b.dead[3] = true })
		old, err := l.Set(t.Context(), "gate", "opening", 12.5)
		if drivers.KindOf(err) != drivers.FaultTimeout || !math.IsNaN(old) {
			t.Errorf("%v, %v", old, err)
		}
		if n := b.wrote(); n != 0 {
			t.Errorf("%d writes to a device that does not answer a read", n)
		}
	})
}

func TestADoubtfulReadBackIsNoProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := gateLine(t)
		b.set(func() { b.doubt[3] = true })
		_, err := l.Set(t.Context(), "gate", "opening", 12.5)
		var said *phrase.Error
		if !errors.As(err, &said) || said.Code != "line.set_unread" {
			t.Errorf("%v", err)
		}
	})
}

func TestAnOwedAnswerHoldsASetPointBackAndItsOldValueIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := gateLine(t)
		began := b.count(3)
		b.set(func() {
			b.fault[3] = func(n int) *drivers.Fault {
				if n == began+3 { // the read-back after the write
					return &drivers.Fault{Kind: drivers.FaultOwed, Until: time.Now().Add(100 * time.Millisecond)}
				}
				return nil
			}
		})
		if old, err := l.Set(t.Context(), "gate", "opening", 12.5); err != nil || old != 0 {
			t.Errorf("%v, %v", old, err)
		}
	})
}

func TestWhatTheProfileDoesNotAllowNeverReachesTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := gateLine(t)
		for _, c := range []struct {
			write string
			value float64
		}{{"opening", 100.1}, {"opening", -0.1}, {"opening", 12.54}, {"opening", math.NaN()}, {"level", math.Inf(1)}, {"lamp", 2}, {"lamp", 0.5}, {"none", 1}} {
			if _, err := l.Set(t.Context(), "gate", c.write, c.value); err == nil {
				t.Errorf("%s takes %v", c.write, c.value)
			}
		}
		if _, err := l.Set(t.Context(), "none", "opening", 1); err == nil {
			t.Error("a device that is not there")
		}
		if n := b.wrote(); n != 0 {
			t.Errorf("%d writes", n)
		}
	})
}

func TestASetPointIsNoOutput(t *testing.T) {
	l := New(Config{Name: "west", Units: []Unit{{Device: "gate", Unit: 3, Profile: parse(t, "gate", gateYAML)}}}, newFake(), opts(&sink{}))
	if _, err := l.Output("gate", "opening"); err == nil {
		t.Error("a set-point was given as an output")
	}
	if _, err := l.Output("gate", "lamp"); err != nil {
		t.Error(err)
	}
}

func TestASetPointHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := gateLine(t)
		b.set(func() { b.dead[3] = true })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := l.Set(ctx, "gate", "opening", 5); drivers.KindOf(err) != drivers.FaultCancelled {
			t.Error(err)
		}
	})
}
