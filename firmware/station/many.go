package station

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/gpio"
	"tocsin/drivers/i2c"
	"tocsin/drivers/onewire"
	"tocsin/drivers/pulse"
	"tocsin/drivers/sdi12"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sense/line"
	"tocsin/firmware/sense/profile"
)

// manyTimeout bounds one measurement of an instrument, unless the site or the
// profile says otherwise.
var manyTimeout = map[profile.Via]time.Duration{
	profile.SDI12: 30 * time.Second, profile.I2C: 2 * time.Second, profile.OneWire: 5 * time.Second, profile.Pulse: 2 * time.Second,
}

// manyBus makes the instruments of a bus.
type manyBus interface {
	open(u UnitPlan) (drivers.Values, error)
	Close() error
}

// startMany opens the driver of a bus of instruments and gives its owner.
func (h *House) startMany(p LinePlan, port func() (drivers.Port, error), o line.Opts) (manyBus, *line.Polled, error) {
	via := p.Units[0].Profile.Via
	bus, err := h.busOf(p, via, port)
	if err != nil {
		return nil, nil, err
	}
	c := line.PolledConfig{Name: p.Name}
	var errs []error
	for _, u := range p.Units {
		src, err := bus.open(u)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		pu := line.PolledUnit{Device: u.Device, Address: u.Address, Source: src, Profile: u.Profile, Zero: u.Offset, Timeout: manyTimeout[via]}
		if t := u.Profile.Line.Timeout; t > 0 {
			pu.Timeout = t
		}
		if t := p.Config.Timeout.Duration(); t > 0 {
			pu.Timeout = t
		}
		if u.Every != nil {
			pu.Every = map[string]time.Duration{"": *u.Every}
		}
		c.Units = append(c.Units, pu)
	}
	if err := errors.Join(errs...); err != nil {
		bus.Close()
		return nil, nil, err
	}
	return bus, line.NewPolled(c, o), nil
}

func (h *House) busOf(p LinePlan, via profile.Via, port func() (drivers.Port, error)) (manyBus, error) {
	switch via {
	case profile.SDI12:
		return sdiBus{sdi12.New(port, sdi12.Opts{})}, nil
	case profile.I2C:
		return &i2cBus{h: h, line: p.Name, Bus: i2c.Open(p.Config.I2C)}, nil
	case profile.OneWire:
		return wireBus(p.Config.OneWire), nil
	case profile.Pulse:
		return h.contacts(p)
	}
	return nil, phrase.E("station.no_way", "line", p.Name, "via", string(via))
}

// sdiBus is SDI-12 behind a serial adapter.
type sdiBus struct{ *sdi12.Bus }

func (b sdiBus) open(u UnitPlan) (drivers.Values, error) {
	return b.Probe(u.Address[0], u.Profile.Commands()...)
}

// i2cBus is the board's I²C.
type i2cBus struct {
	*i2c.Bus
	h    *House
	line string
}

func (b *i2cBus) open(u UnitPlan) (drivers.Values, error) {
	addr, err := strconv.ParseUint(u.Address, 0, 8)
	if err != nil {
		return nil, err
	}
	if u.Profile.Chip == "ds3231" {
		return newTimepiece(b.h.times, b.line, i2c.NewDS3231(b.Bus)), nil
	}
	o := u.Profile.Options
	return i2c.New(b.Bus, u.Profile.Chip, uint16(addr), i2c.Opts{Channels: u.Profile.Channels(),
		ShuntMilliohm: o["shunt_milliohm"], MostAmpere: o["most_ampere"], FullScale: o["full_scale"], PullUp: o["pull_up"] != 0})
}

// timepiece is a clock chip on a bare bus. It gives a box that knows no time the time that it
// kept, and is set by a box that does. It measures like any chip.
type timepiece struct {
	*i2c.Clock
	kept kept
}

func newTimepiece(x *times, line string, c *i2c.Clock) *timepiece {
	return &timepiece{c, kept{x: x, name: line, piece: c}}
}

// Measure keeps both clocks in step on the way.
func (t *timepiece) Measure(ctx context.Context) ([]drivers.Sample, error) {
	if err := t.kept.step(ctx); err != nil {
		return nil, err
	}
	return t.Clock.Measure(ctx)
}

// wireBus is the kernel's folder of 1-Wire devices.
type wireBus string

func (b wireBus) open(u UnitPlan) (drivers.Values, error) { return onewire.New(string(b), u.Address) }

// Close is manyBus; the kernel owns the bus.
func (b wireBus) Close() error { return nil }

// pulseBus is the contacts of the board's pins.
type pulseBus struct{ *pulse.Board }

// contacts begins counting with what the data directory keeps.
func (h *House) contacts(p LinePlan) (manyBus, error) {
	thing := "counts " + p.Name
	failed := func(err error) {
		if err == nil {
			h.clearFault(thing)
			return
		}
		h.setFault(thing, phrase.M("station.counts_unkept", "line", p.Name, "err", err))
	}
	b, err := pulse.New(pulse.Opts{Start: h.guard.Starter("drivers"), Keep: pulse.File(filepath.Join(h.o.Data, "pulses.json")), Failed: failed})
	if err != nil {
		failed(err) // it counts from zero
	}
	return pulseBus{b}, nil
}

func (b pulseBus) open(u UnitPlan) (drivers.Values, error) {
	o := u.Profile.Options
	ms := func(key string, absent float64) time.Duration {
		v, ok := o[key]
		if !ok {
			v = absent
		}
		return time.Duration(v * float64(time.Millisecond))
	}
	in := gpio.InputOpts{ActiveLow: o["active_low"] != 0, Debounce: ms("debounce_ms", 5)}
	if o["pull_up"] != 0 {
		in.Pull = gpio.PullUp
	}
	// A device that is renamed goes on with its pin's count.
	return b.Contact(u.Address, ms("closest_ms", 100), func() (drivers.Edges, error) { return gpio.OpenInput(u.Address, in) }), nil
}
