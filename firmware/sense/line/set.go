package line

import (
	"context"
	"errors"
	"math"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sense/profile"
)

// Set sets a write of a device that is no output of the box: registers to a
// value in the profile's unit, or a coil to 0 or 1. It is served before any due
// read, like every act. It gives what stood there before (NaN where that is not
// known), and nil only where the device holds the value: read back, or echoed
// where the profile reads nothing back. A device that holds it already is not
// written again, since many keep their settings in a memory that wears.
//
// Errors are phrase.Errors. The value may have been taken all the same where an
// answer was lost on the way.
func (l *Line) Set(ctx context.Context, device, write string, value float64) (old float64, err error) {
	u, ok := l.byID[device]
	if !ok {
		return math.NaN(), phrase.E("line.no_device", "device", device, "line", l.cfg.Name)
	}
	w, ok := u.Profile.Write(write)
	if !ok {
		return math.NaN(), phrase.E("line.no_write", "device", device, "write", write, "profile", u.Profile.Name)
	}
	if err := w.Takes(value); err != nil {
		return math.NaN(), err
	}
	s := &setting{l: l, u: u, w: w, value: value, old: math.NaN()}
	err = l.post(ctx, u, func(ctx context.Context) error {
		err := s.do(ctx)
		var said *phrase.Error
		if err == nil || drivers.KindOf(err) == drivers.FaultOwed || errors.As(err, &said) {
			return err
		}
		return &phrase.Error{Message: l.why(u, err), Err: err}
	})
	if err != nil {
		// The owner may still be at it where the caller gave up: old is its own.
		return math.NaN(), err
	}
	return s.old, nil
}

// setting is one value on its way.
type setting struct {
	l     *Line
	u     *unit
	w     *profile.Write
	value float64
	old   float64
	asked bool // old was asked for
}

// do writes and reads back, again where that may help. An answer that is owed
// holds all of it back: the owner calls it again when the line is clear.
func (s *setting) do(ctx context.Context) error {
	c := s.w.Confirm
	if c != nil && !s.asked {
		v, err := s.held(ctx)
		if err != nil {
			return err // nothing was written
		}
		s.old, s.asked = v, true
	}
	if s.w.Setting != nil && s.same(s.old) {
		return nil
	}
	retry := 0
	if c != nil && !s.u.mute() {
		retry = c.Retry
	}
	var err error
	for n := 0; n <= retry; n++ {
		err = s.once(ctx)
		if k := drivers.KindOf(err); err == nil || k == drivers.FaultOwed || k == drivers.FaultGone || k == drivers.FaultRefused || ctx.Err() != nil {
			break
		}
	}
	return err
}

// same tells whether v is the value that is wanted, as exactly as the type has
// it.
func (s *setting) same(v float64) bool {
	near := 1e-6 * math.Abs(s.value) // a float32, or a device that rounds one
	if s.w.Setting == nil {
		near = 0
	} else if step := s.w.Setting.Step(); step > 0 {
		near = step / 2.5
	}
	return math.Abs(v-s.value) <= near
}

func (s *setting) once(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, s.l.bound(drivers.Holding, 4))
	err := s.l.timedOut(ctx, bounded, s.write(bounded))
	cancel()
	if err != nil || s.w.Confirm == nil {
		return err
	}
	var got float64
	for end := time.Now().Add(s.w.Confirm.Within); ; {
		v, err := s.held(ctx)
		if err != nil {
			return err
		}
		if s.same(v) {
			return nil
		}
		if got = v; !time.Now().Before(end) {
			break
		}
		pause(ctx, min(20*time.Millisecond, s.w.Confirm.Within))
	}
	if math.IsNaN(got) {
		return phrase.E("line.set_unread", "output", s.String())
	}
	return phrase.E("line.set_not_taken", "output", s.String(), "value", s.value, "got", got)
}

func (s *setting) write(ctx context.Context) error {
	bus, unit := s.l.bus, s.u.Unit.Unit
	if s.w.Setting == nil {
		return bus.WriteCoil(ctx, unit, s.w.Addr, s.value != 0)
	}
	words, err := s.w.Setting.Encode(s.value)
	if err != nil {
		return err
	}
	if s.w.Setting.Multiple {
		return bus.WriteRegisters(ctx, unit, s.w.Addr, words)
	}
	return bus.WriteSingle(ctx, unit, drivers.Holding, s.w.Addr, words[0])
}

// held reads what the device holds now. NaN: an answer that may be an earlier
// request's, or one that makes no value.
func (s *setting) held(ctx context.Context) (float64, error) {
	c, count := s.w.Confirm, uint16(1)
	if s.w.Setting != nil {
		count = uint16(s.w.Setting.Words())
	}
	for range 2 {
		bounded, cancel := context.WithTimeout(ctx, s.l.bound(c.Table, count))
		a, err := s.l.bus.Read(bounded, s.u.Unit.Unit, c.Table, c.Addr, count)
		err = s.l.timedOut(ctx, bounded, err)
		cancel()
		if err != nil {
			return math.NaN(), err
		}
		if a.Doubt {
			continue
		}
		if s.w.Setting == nil {
			if len(a.Data) != 1 {
				return math.NaN(), nil
			}
			return float64(a.Data[0] & 1), nil
		}
		v, _ := s.w.Setting.Decode(a.Data)
		return v, nil
	}
	return math.NaN(), nil
}

// String names the write as the site does.
func (s *setting) String() string { return s.u.Device + "." + s.w.ID }
