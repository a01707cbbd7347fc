package station

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/sense/scan"
	"tocsin/firmware/serve/api"
)

var _ api.Trier = (*House)(nil)

// Bounds of a test: how long all of it may take, and how many reads of a profile are asked.
const (
	testMost  = 12 * time.Second
	testReads = 16
	owedWait  = 200 * time.Millisecond
)

// TestDevice asks a device that is not in the file yet. On a line that runs it is a guest:
// each read comes after what is due, and the box's own polling goes on between them. A line
// that runs nothing is opened for it.
func (h *House) TestDevice(ctx context.Context, q api.DeviceTest, who api.Who) (api.DeviceTested, error) {
	s := h.seen()
	i := slices.IndexFunc(s.bp.Lines, func(l LinePlan) bool { return l.Name == q.Line })
	if i < 0 {
		return api.DeviceTested{}, &phrase.Error{Message: phrase.M("scan.no_line", "line", q.Line), Err: api.ErrUnknown}
	}
	l := s.bp.Lines[i]
	p, err := h.testable(s.bp.FS, q.Profile)
	if err != nil {
		return api.DeviceTested{}, err
	}
	if p.Via != profile.Modbus {
		if _, busy := h.scans.LoadOrStore(q.Line, true); busy {
			return api.DeviceTested{}, phrase.E("scan.busy", "line", q.Line)
		}
		defer h.scans.Delete(q.Line)
		ctx, cancel := context.WithTimeout(ctx, testMost)
		defer cancel()
		h.write(recordOf("device.tested", phrase.M("trial.began_other", "line", q.Line, "profile", q.Profile, "who", who.Name), who, h.clock.Now()), nil)
		return h.tryOther(ctx, p, l, q)
	}
	if l.Text() || l.many() || l.Config.Port+l.Config.TCP == "" {
		return api.DeviceTested{}, phrase.E("scan.no_modbus", "line", q.Line)
	}
	if q.Unit < 1 {
		return api.DeviceTested{}, phrase.E("trial.unit")
	}
	if _, busy := h.scans.LoadOrStore(q.Line, true); busy {
		return api.DeviceTested{}, phrase.E("scan.busy", "line", q.Line)
	}
	defer h.scans.Delete(q.Line)
	ctx, cancel := context.WithTimeout(ctx, testMost)
	defer cancel()
	h.write(recordOf("device.tested", phrase.M("trial.began", "line", q.Line, "unit", q.Unit, "profile", q.Profile, "who", who.Name), who, h.clock.Now()), nil)

	set := scan.Setting{Baud: l.Baud, Format: l.Format}
	if l.Config.TCP != "" {
		set = scan.Setting{}
	} else if q.Baud > 0 || q.Format != "" {
		set = scan.Setting{Baud: max(q.Baud, 0), Format: q.Format}
		if set.Baud == 0 {
			set.Baud = l.Baud
		}
		if set.Format == "" {
			set.Format = l.Format
		}
	}
	unit, began := uint8(q.Unit), time.Now()
	var out api.DeviceTested
	if r := h.lineOf(q.Line); r != nil && r.regs != nil {
		if own := (scan.Setting{Baud: l.Baud, Format: l.Format}); l.Config.TCP == "" && set != own {
			return out, phrase.E("trial.setting", "line", q.Line, "setting", own.String())
		}
		out = h.tried(ctx, p, l, func(ctx context.Context, do func(context.Context, drivers.Registers) error) error {
			return r.regs.Guest(ctx, unit, do)
		}, unit)
	} else {
		rooms := newStarter(ctx, h.log)
		defer rooms.end()
		wait := max(l.timeout(), p.Line.Timeout)
		bus, err := openAt(ctx, l, set, wait, rooms.start)
		if err != nil {
			return out, gone(err)
		}
		if c, ok := bus.(interface{ Close() error }); ok {
			defer c.Close()
		}
		out = h.tried(ctx, p, l, func(ctx context.Context, do func(context.Context, drivers.Registers) error) error {
			ctx, cancel := context.WithTimeout(ctx, wait+time.Second)
			defer cancel()
			return do(ctx, bus)
		}, unit)
	}
	out.Took, out.Setting = time.Since(began), set.String()
	return out, nil
}

// testable gives a profile by which a device can be asked.
func (h *House) testable(fsys fs.FS, name string) (*profile.Profile, error) {
	if !plainName.MatchString(name) {
		return nil, &phrase.Error{Message: phrase.M("site.no_profile", "profile", name), Err: api.ErrUnknown}
	}
	h.forms.mu.Lock()
	p, _ := profile.Load(fsys, name)
	h.forms.mu.Unlock()
	switch {
	case p == nil:
		return nil, &phrase.Error{Message: phrase.M("site.no_profile", "profile", name), Err: api.ErrUnknown}
	}
	return p, nil
}

// tried asks every read of a profile once, and once more where nothing of it could be read.
func (h *House) tried(ctx context.Context, p *profile.Profile, l LinePlan, ask func(context.Context, func(context.Context, drivers.Registers) error) error, unit uint8) api.DeviceTested {
	out := api.DeviceTested{Good: true}
	seen := map[int]bool{}
	for n, req := range p.Plan() {
		var ans drivers.Answer
		var err error
		for again := 0; ; again++ {
			err = ask(ctx, func(ctx context.Context, bus drivers.Registers) (err error) {
				ans, err = bus.Read(ctx, unit, req.Table, req.Addr, req.Count)
				return err
			})
			switch k := drivers.KindOf(err); {
			case err != nil && k == drivers.FaultOwed && ctx.Err() == nil:
				// Another unit's late answer may still come; nothing was asked yet.
				select {
				case <-ctx.Done():
				case <-time.After(owedWait):
				}
				again--
				continue
			case err != nil && again == 0 && (k == drivers.FaultGarbled || k == drivers.FaultForeign) && ctx.Err() == nil:
				continue
			}
			break
		}
		sent, heard := scan.Frames(unit, req.Table, req.Addr, req.Count, ans.Data)
		f := api.TestedFrame{Sent: fmt.Sprintf("% X", sent)}
		if err != nil {
			out.Good = false
			t := api.TextOf(whyNot(err, l, unit))
			f.Why = &t
			for _, i := range req.Points {
				seen[i] = true
				out.Values = append(out.Values, valueOf(p, profile.Value{Index: i, Value: math.NaN(), Quality: point.CommFault}, &t))
			}
			out.Frames = append(out.Frames, f)
			if k := drivers.KindOf(err); k == drivers.FaultTimeout || k == drivers.FaultGone || ctx.Err() != nil || n+1 >= testReads {
				break // who is silent to one read is silent to all
			}
			continue
		}
		f.Heard = fmt.Sprintf("% X", heard)
		out.Frames = append(out.Frames, f)
		for _, v := range p.Decode(req, ans.Data) {
			seen[v.Index] = true
			x := valueOf(p, v, nil)
			out.Good = out.Good && v.Quality == point.Good
			out.Values = append(out.Values, x)
		}
	}
	for i := range p.Points {
		if !seen[i] {
			out.Good = false
			t := api.TextOf(phrase.M("trial.not_asked"))
			out.Values = append(out.Values, valueOf(p, profile.Value{Index: i, Value: math.NaN(), Quality: point.Unknown}, &t))
		}
	}
	return out
}

func valueOf(p *profile.Profile, v profile.Value, why *api.Text) api.TestedValue {
	pt := &p.Points[v.Index]
	x := api.TestedValue{ID: pt.ID, Name: pt.Name, Value: number(v.Value), Text: v.Text, Unit: string(pt.Unit), Quality: v.Quality, Why: why}
	if why == nil && !v.Why.IsZero() {
		t := api.TextOf(v.Why)
		x.Why = &t
	}
	return x
}

// whyNot says why a read was not answered, and what to look at.
func whyNot(err error, l LinePlan, unit uint8) phrase.Message {
	switch drivers.KindOf(err) {
	case drivers.FaultTimeout:
		return phrase.M("trial.silent", "unit", int(unit), "line", l.Name, "setting", fmt.Sprintf("%d %s", l.Baud, l.Format))
	case drivers.FaultGarbled:
		return phrase.M("trial.garbled", "unit", int(unit))
	case drivers.FaultForeign:
		return phrase.M("trial.foreign", "unit", int(unit))
	case drivers.FaultRefused:
		return phrase.M("trial.refused", "unit", int(unit))
	case drivers.FaultGone:
		return phrase.M("trial.gone", "line", l.Name)
	}
	return phrase.M("trial.other", "detail", err)
}
