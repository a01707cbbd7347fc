package station

import (
	"context"
	"errors"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/audio"
	"tocsin/drivers/gpio"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/output"
	"tocsin/firmware/sound/speech"
)

// programme lets the output room play what the speech room composed: neither
// knows the other.
type programme struct {
	p *speech.Programme
	// volume is in percent of the amplitude; 0 leaves it.
	volume int
}

// Samples opens the programme from its beginning.
func (p programme) Samples(f drivers.Format) output.Reader {
	if p.volume <= 0 || p.volume >= 100 {
		return p.p.Samples(f)
	}
	return softer{p.p.Samples(f), int32(p.volume)}
}

// softer is a programme at less than its whole amplitude.
type softer struct {
	r      output.Reader
	volume int32
}

// Read fills buf.
func (s softer) Read(buf []int16) (n int, done bool) {
	n, done = s.r.Read(buf)
	for i, x := range buf[:n] {
		buf[i] = int16(int32(x) * s.volume / 100)
	}
	return n, done
}

// Cadence gives how a relay is pulsed.
func (p programme) Cadence(k output.Kind) output.Cadence {
	var c output.Cadence
	for _, x := range p.p.Cadence(string(k)) {
		c = append(c, output.Pulse{On: x.On, Off: x.Off})
	}
	return c
}

// soundFormat is what loudspeakers are opened with; a card that wants another
// converts.
var soundFormat = drivers.Format{Rate: 48000, Channels: 1}

func (h *House) outputSpecs() ([]output.Spec, error) {
	var specs []output.Spec
	for _, o := range h.bp.Outputs {
		s := output.Spec{
			Name: o.Name, Kind: o.Kind, FailSafe: o.Config.FailSafe.Duration(),
			MinOn: o.Config.MinOn.Duration(), MinOff: o.Config.MinOff.Duration(),
			Next: o.Config.Next, Zones: o.Config.Zones,
		}
		if s.FailSafe == 0 {
			s.FailSafe = failSafeDefault
		}
		var err error
		if o.Kind == output.Loudspeaker {
			s.Format = soundFormat
			s.Player, err = h.player(o)
		} else {
			s.Relay = h.switched(o.Relay)
		}
		if err != nil {
			return nil, phrase.Wrap(err, "station.output_failed", "output", o.Name)
		}
		if !o.Sensed.None() {
			s.Sensed, s.SensedBy = contact{h, o.Sensed}, output.Input
			if o.Config.Sense == "current" {
				s.SensedBy = output.Current
			}
		}
		if !o.Cut.None() {
			s.Cut = h.switched(o.Cut)
		}
		specs = append(specs, s)
	}
	return specs, nil
}

// switched gives the Output of a reference.
func (h *House) switched(r Ref) drivers.Output {
	if r.GPIO != "" {
		return &pinRelay{name: r.GPIO}
	}
	if r.Timed {
		return timedRelay{relay{h, r}}
	}
	return relay{h, r}
}

func (h *House) player(o OutputPlan) (drivers.Player, error) {
	if o.Config.File != "" {
		return audio.NewFile(audio.FileOpts{Dir: o.Config.File})
	}
	volume := 0
	if o.Config.Volume != nil {
		volume = *o.Config.Volume
	}
	c, err := audio.New(audio.Opts{Card: o.Config.Card, Volume: volume})
	if errors.Is(err, drivers.ErrAbsent) {
		// It may be plugged in later; each sounding looks again.
		h.setFault("output "+o.Name, phrase.M("station.no_card", "output", o.Name, "card", o.Config.Card))
		return c, nil
	}
	return c, err
}

// startInputs wires keys and buttons: those of a board's inputs come with its
// readings, those of GPIO lines get a goroutine that waits for edges and reads
// again on a timer.
func (h *House) startInputs(ctx context.Context) {
	var keys []keyWatch
	for _, in := range h.bp.Inputs {
		id := point.ID("gpio." + in.Input.GPIO)
		if in.Input.GPIO == "" {
			id = point.ID(in.Input.Device + "." + in.Input.Part)
		}
		keys = append(keys, keyWatch{plan: in, point: id})
	}
	// The decide goroutine owns them. Should it be late, it still gets them.
	if err := h.do(func() { h.keys = keys }); err != nil {
		h.log.Error("keys are late", "err", err)
	}
	for _, k := range keys {
		if k.plan.Input.GPIO == "" {
			continue
		}
		h.guard.GoIn(ctx, "sense", "input "+k.plan.Name, guard.Restart, func(ctx context.Context) error {
			return h.watchPin(ctx, k.plan, k.point)
		})
	}
}

// watchPin makes readings of a GPIO input: at each edge, and at least ten times a
// second, so that a lost edge is only late.
func (h *House) watchPin(ctx context.Context, in InputPlan, id point.ID) error {
	pin, err := gpio.OpenInput(in.Input.GPIO, gpio.InputOpts{ActiveLow: false})
	if err != nil {
		h.setFault("input "+in.Name, phrase.M("station.input_failed", "input", in.Name, "err", err))
		select { // it may be there after the next restart of this goroutine
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
		}
		return err
	}
	defer pin.Close()
	h.clearFault("input " + in.Name)
	for ctx.Err() == nil {
		on, err := pin.Read(ctx)
		r := point.Reading{Point: id, Unit: "on/off", Quality: point.Good, At: h.clock.Now()}
		if on {
			r.Value = 1
		}
		if err != nil {
			r.Quality, r.Why = point.CommFault, phrase.M("station.input_failed", "input", in.Name, "err", err)
		}
		h.sink([]point.Reading{r})
		if err := pin.WaitEdge(ctx, 100*time.Millisecond); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return ctx.Err()
}
