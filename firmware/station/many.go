package station

import (
	"errors"
	"time"

	"tocsin/drivers"
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
	}
	return nil, phrase.E("station.no_way", "line", p.Name, "via", string(via))
}

// sdiBus is SDI-12 behind a serial adapter.
type sdiBus struct{ *sdi12.Bus }

func (b sdiBus) open(u UnitPlan) (drivers.Values, error) {
	return b.Probe(u.Address[0], u.Profile.Commands()...)
}
