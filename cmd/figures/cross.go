package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"tocsin/hwtest/storm"
)

// audible is above what a file's fade-in begins with and below every tone.
const audible = -45.0 // dBFS

// crossingsALife is after how many crossings the box is started anew with an
// empty data directory: the first crossing of a life is the one that matters.
const crossingsALife = 5

// crossings measures from the last bit of the answer that carries a crossing
// to the coil at the slave, its relay on a line of its own, and to the first
// sample of the loudspeaker.
func crossings(b *bench) error {
	v, err := b.village(wired{siren: true, speaker: true})
	if err != nil {
		return err
	}
	defer v.Close()
	frames := watch(v.Out)
	late := startPulse()
	defer late.end()
	site, err := v.site()
	if err != nil {
		return err
	}
	var x *box
	defer func() { x.end() }()
	var relay, tone []float64
	r := b.rng()
	for i := range b.n(30, 200) {
		if i%crossingsALife == 0 {
			x.end()
			if x, err = b.startArmed(site, filepath.Join(b.dir, fmt.Sprintf("data-%d", i))); err != nil {
				return err
			}
		}
		late.take()
		if err := b.pause(time.Duration(r.IntN(500)) * time.Millisecond); err != nil {
			return err
		}
		at, err := v.crossed()
		if err != nil {
			return err
		}
		on, heard, err := v.sounds(at, mostWait)
		if err != nil {
			if b.ctx.Err() != nil {
				return err
			}
			on, heard = b.silent(x, frames, at, err)
		}
		if d := ms(on.Sub(at)); !(d <= rank(relay, 1)) {
			b.log("slowest so far, %.1f ms, machine late by %.1f ms: %s", d, ms(late.take()), frames.between(at, on))
		}
		relay, tone = append(relay, ms(on.Sub(at))), append(tone, ms(heard.Sub(at)))
		if i%10 == 9 {
			b.log("%d crossings: relay %s; tone %s", i+1, spread(relay), spread(tone))
		}
		if err := v.calm(x); err != nil {
			return err
		}
	}
	b.tell("alarm.cross_to_relay_ms_p99", p99(relay), len(relay))
	b.tell("alarm.cross_to_tone_ms_p99", p99(tone), len(tone))
	return nil
}

// mostWait is how long a crossing is waited for; one that did not sound by then
// counts as having taken so long.
const mostWait = 5 * time.Second

// silent tells all that is known of a crossing that did not sound.
func (b *bench) silent(x *box, frames *trace, at time.Time, err error) (on, heard time.Time) {
	var faults []fault
	x.get("/faults", &faults)
	alarms, _ := x.open()
	b.log("A CROSSING DID NOT SOUND: %v; alarms %+v; faults %+v", err, alarms, faults)
	b.log("the wire: %s", frames.between(at, at.Add(mostWait)))
	b.log("the box: %s", x.tail(40))
	return at.Add(mostWait), at.Add(mostWait)
}

// begin starts a box on the village and waits until it is armed.
func (v *village) begin() (*box, error) {
	site, err := v.site()
	if err != nil {
		return nil, err
	}
	return v.b.startArmed(site, filepath.Join(v.b.dir, "data"))
}

// sounds waits for the coil of the first relay output, and for the loudspeaker
// where there is one.
func (v *village) sounds(at time.Time, most time.Duration) (on, heard time.Time, err error) {
	_, relay := v.load()
	err = v.b.until("coil on", most, func() bool { var ok bool; on, ok = v.Board.Coil(relay).FirstOn(at); return ok })
	if err != nil || v.ear == nil {
		return on, heard, err
	}
	ctx, cancel := context.WithTimeout(v.b.ctx, most)
	defer cancel()
	heard, err = v.ear.WaitAbove(ctx, at, audible)
	return on, heard, err
}

// crossingsShared measures the same with the relay board among the gauges on
// one line, beyond the longest request of that line.
func crossingsShared(b *bench) error {
	v, err := b.village(wired{siren: true, shared: true})
	if err != nil {
		return err
	}
	defer v.Close()
	frames := watch(v.Field)
	// The longest request is the one with the longest answer: its own bits, the
	// silence, the gauge's turnaround, the answer's bits, the silence (hwtest/line
	// and MODBUS over Serial Line V1.02, 2.5.1.1).
	longest := 0
	v.Field.OnAnswer(func(unit byte, pdu []byte, _ time.Time) {
		if unit != storm.UnitBoard {
			longest = max(longest, len(pdu)+3)
		}
	})
	late := startPulse()
	defer late.end()
	site, err := v.site()
	if err != nil {
		return err
	}
	var x *box
	defer func() { x.end() }()
	var all []float64
	var beyond time.Duration
	r := b.rng()
	for i := range b.n(30, 200) {
		if i%crossingsALife == 0 {
			x.end()
			if x, err = b.startArmed(site, filepath.Join(b.dir, fmt.Sprintf("data-%d", i))); err != nil {
				return err
			}
		}
		late.take()
		if err := b.pause(time.Duration(r.IntN(500)) * time.Millisecond); err != nil {
			return err
		}
		at, err := v.crossed()
		if err != nil {
			return err
		}
		on, _, err := v.sounds(at, mostWait)
		if err != nil {
			if b.ctx.Err() != nil {
				return err
			}
			on, _ = b.silent(x, frames, at, err)
		}
		beyond = time.Duration(8+longest)*v.Field.Char() + 2*v.Field.Silence() + 20*time.Millisecond
		d := ms(on.Sub(at) - beyond)
		if !(d <= rank(all, 1)) {
			b.log("slowest so far, %.1f ms, machine late by %.1f ms: %s", d, ms(late.take()), frames.between(at, on))
		}
		all = append(all, d)
		if i%10 == 9 {
			b.log("%d crossings beyond %v: %s", i+1, beyond, spread(all))
		}
		if err := v.calm(x); err != nil {
			return err
		}
	}
	b.tell("alarm.cross_to_relay_shared_ms_p99", p99(all), len(all))
	return nil
}
