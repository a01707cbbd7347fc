package station

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/i2c"
	"tocsin/drivers/nmea"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/sense/scan"
	"tocsin/firmware/serve/api"
)

// What is tried before it is saved, by how a device is reached. An I²C chip and a 1-Wire sensor are
// measured once beside what runs, since the kernel takes turns between askers; an SDI-12 instrument and
// what sends by itself need a port that nothing else has open. A contact is not tried: it says
// nothing until it closes, and to open its pin would take it from whoever counts there.

// tryOther tries what is no Modbus.
func (h *House) tryOther(ctx context.Context, p *profile.Profile, l LinePlan, q api.DeviceTest) (api.DeviceTested, error) {
	running := h.lineOf(q.Line) != nil
	wrong := phrase.E("trial.line", "line", q.Line, "via", string(p.Via))
	switch p.Via {
	case profile.I2C, profile.OneWire:
		pattern, has := i2cAddress, l.Config.I2C != ""
		if p.Via == profile.OneWire {
			pattern, has = wireAddress, l.Config.OneWire != ""
		}
		if !has {
			return api.DeviceTested{}, wrong
		}
		if !pattern.MatchString(q.Address) {
			return api.DeviceTested{}, phrase.E("trial.address", "via", string(p.Via))
		}
		if slices.ContainsFunc(l.Units, func(u UnitPlan) bool { return strings.EqualFold(u.Address, q.Address) }) {
			return api.DeviceTested{}, phrase.E("trial.taken", "address", q.Address, "line", q.Line)
		}
	case profile.SDI12, profile.Text, profile.NMEA:
		if l.Config.Port == "" {
			return api.DeviceTested{}, wrong
		}
		if running {
			return api.DeviceTested{}, phrase.E("trial.port", "line", q.Line, "via", string(p.Via))
		}
		if p.Via == profile.SDI12 && !sdiAddress.MatchString(q.Address) {
			return api.DeviceTested{}, phrase.E("trial.address", "via", string(p.Via))
		}
	default:
		return api.DeviceTested{}, phrase.E("trial.contact", "profile", p.Title)
	}
	l.Units = []UnitPlan{{Device: "trial", Address: q.Address, Profile: p}}
	if l.Config.Baud == 0 && p.Line.Baud > 0 {
		l.Baud, l.Format = p.Line.Baud, p.Line.Format
	}
	if q.Baud > 0 {
		l.Baud = q.Baud
	}
	if q.Format != "" {
		l.Format = q.Format
	}
	rooms := newStarter(ctx, h.log)
	defer rooms.end()
	port := func() (drivers.Port, error) { return openSerial(l, rooms.start) }
	began := time.Now()
	var out api.DeviceTested
	var err error
	if p.Via == profile.Text || p.Via == profile.NMEA {
		out, err = h.trySender(ctx, p, l, port)
	} else {
		out, err = h.tryInstrument(ctx, p, l, port)
	}
	if err != nil {
		return api.DeviceTested{}, gone(err)
	}
	out.Took = time.Since(began)
	if l.Config.Port != "" {
		out.Setting = scan.Setting{Baud: l.Baud, Format: l.Format}.String()
	}
	return out, nil
}

// tryInstrument has an instrument measure once.
func (h *House) tryInstrument(ctx context.Context, p *profile.Profile, l LinePlan, port func() (drivers.Port, error)) (api.DeviceTested, error) {
	bus, err := h.busOf(l, p.Via, port)
	if err != nil {
		return api.DeviceTested{}, err
	}
	defer bus.Close()
	var src drivers.Values
	if b, ok := bus.(*i2cBus); ok && p.Chip == "ds3231" {
		src = i2c.NewDS3231(b.Bus) // read alone: a trial sets no clock
	} else if src, err = bus.open(l.Units[0]); err != nil {
		return api.DeviceTested{}, err
	}
	defer src.Close()
	samples, err := src.Measure(ctx)
	if err != nil && len(samples) == 0 {
		return h.silent(p, phrase.M("trial.no_measurement", "address", l.Units[0].Address, "detail", err)), nil
	}
	var told []string
	for _, s := range samples {
		told = append(told, fmt.Sprintf("%s = %v", s.Channel, s.Value))
	}
	return testedOf(p, p.DecodeSamples(samples, nil), l.Units[0].Address, strings.Join(told, ", ")), nil
}

// trySender waits for what a device sends by itself.
func (h *House) trySender(ctx context.Context, p *profile.Profile, l LinePlan, port func() (drivers.Port, error)) (api.DeviceTested, error) {
	var src drivers.Fields
	var err error
	if p.Via == profile.NMEA {
		src = nmea.New(port, nmea.Opts{})
	} else if src, err = h.openText(l, port); err != nil {
		return api.DeviceTested{}, err
	}
	defer src.Close()
	var raw []string
	found := map[int]profile.Value{}
	for len(found) < len(p.Points) && len(raw) < 64 {
		rec, err := src.Next(ctx)
		if ctx.Err() != nil || drivers.KindOf(err) == drivers.FaultGone {
			if len(raw) == 0 {
				if err != nil && ctx.Err() == nil {
					return api.DeviceTested{}, err
				}
				return h.silent(p, phrase.M("trial.nothing_sent", "line", l.Name, "setting", fmt.Sprintf("%d %s", l.Baud, l.Format))), nil
			}
			break
		}
		if err != nil {
			continue // half a line at the beginning
		}
		raw = append(raw, rec.Raw)
		vs := p.DecodeFields
		if p.Via == profile.NMEA {
			vs = p.DecodeSentence
		}
		for _, v := range vs(rec.Fields) {
			if old, ok := found[v.Index]; !ok || old.Quality != point.Good {
				found[v.Index] = v
			}
		}
	}
	var vs []profile.Value
	for i := range p.Points {
		if v, ok := found[i]; ok {
			vs = append(vs, v)
		}
	}
	return testedOf(p, vs, "", strings.Join(raw[:min(len(raw), 8)], " ⏎ ")), nil
}

func testedOf(p *profile.Profile, vs []profile.Value, sent, heard string) api.DeviceTested {
	out := api.DeviceTested{Good: len(vs) > 0, Frames: []api.TestedFrame{{Sent: sent, Heard: api.Clean(heard, 2000)}}}
	seen := map[int]bool{}
	for _, v := range vs {
		seen[v.Index] = true
		out.Good = out.Good && v.Quality == point.Good
		out.Values = append(out.Values, valueOf(p, v, nil))
	}
	for i := range p.Points {
		if !seen[i] {
			out.Good = false
			t := api.TextOf(phrase.M("trial.not_told"))
			out.Values = append(out.Values, valueOf(p, profile.Value{Index: i, Value: math.NaN(), Quality: point.Unknown}, &t))
		}
	}
	return out
}

// silent is what came of a device that said nothing.
func (h *House) silent(p *profile.Profile, why phrase.Message) api.DeviceTested {
	t := api.TextOf(why)
	out := api.DeviceTested{Frames: []api.TestedFrame{{Why: &t}}}
	for i := range p.Points {
		out.Values = append(out.Values, valueOf(p, profile.Value{Index: i, Value: math.NaN(), Quality: point.CommFault}, &t))
	}
	return out
}
