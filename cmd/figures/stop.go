package main

import (
	"fmt"
	"strings"
	"time"

	"tocsin/hwtest/storm"
)

// stops measures from the POST of a STOP on the socket to the later of: the
// load's current is off, the last sample of the loudspeaker was played. Half of
// the rounds are with a siren, half with a motor whose minimum on time has not
// passed; each alone with its relay board on a line.
func stops(b *bench) error {
	n := b.n(24, 100)
	var all []float64
	for _, w := range []wired{{siren: true, speaker: true}, {motor: true, speaker: true}} {
		part, err := b.stopsOf(w, n/2)
		all = append(all, part...)
		if err != nil {
			return err
		}
	}
	b.tell("alarm.stop_to_silence_ms_p99", p99(all), len(all))
	return nil
}

func (b *bench) stopsOf(w wired, n int) (all []float64, err error) {
	v, err := b.village(w)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	frames := watch(v.Out)
	x, err := v.begin()
	if err != nil {
		return nil, err
	}
	defer x.end()
	late := startPulse()
	defer late.end()
	load, _ := v.load()
	r := b.rng()
	for range n {
		at, err := v.crossed()
		if err != nil {
			return all, err
		}
		if _, _, err := v.sounds(at, 5*time.Second); err != nil {
			return all, err
		}
		// Somewhere within the first second: the siren's pulse is on or off, the
		// motor spins up. Where the pulse rests, the loudspeaker is what sounds.
		if err := b.pause(time.Duration(100+r.IntN(1400)) * time.Millisecond); err != nil {
			return all, err
		}
		late.take()
		t0 := time.Now()
		if err := x.stop(); err != nil {
			return all, err
		}
		if err := b.pause(1500 * time.Millisecond); err != nil {
			return all, err
		}
		if load.Current().On() {
			return all, fmt.Errorf("the load still has current 1.5 s after STOP")
		}
		quiet := t0
		for _, s := range load.Current().Ons(t0, time.Now()) {
			quiet = s.To
		}
		current := quiet.Sub(t0)
		if last, ok := v.ear.LastAbove(time.Now(), audible); ok && last.After(quiet) {
			quiet = last
		}
		d := ms(quiet.Sub(t0))
		if !(d <= rank(all, 1)) {
			b.log("slowest so far: %.1f ms, current %.1f ms, machine late by %.1f ms: %s", d, ms(current), ms(late.take()), frames.between(t0, quiet))
		}
		all = append(all, d)
		if err := v.calm(x); err != nil {
			return all, err
		}
		if w.motor { // its minimum off time
			if err := b.pause(time.Second); err != nil {
				return all, err
			}
		}
	}
	b.log("%s: %s", choose(w.motor, "motor", "siren"), spread(all))
	return all, nil
}

// stuck measures from the POST of a STOP to a siren whose relay contact has
// welded, until it is silent by its contactor and the fault stands in /faults.
func stuck(b *bench) error {
	var all []float64
	r := b.rng()
	for range b.n(2, 10) {
		err := func() error {
			v, err := b.village(wired{siren: true, speaker: true})
			if err != nil {
				return err
			}
			defer v.Close()
			x, err := v.begin()
			if err != nil {
				return err
			}
			defer x.end()
			at, err := v.crossed()
			if err != nil {
				return err
			}
			if _, _, err := v.sounds(at, 5*time.Second); err != nil {
				return err
			}
			v.Board.Weld(storm.RelayHorn)
			if err := b.pause(time.Duration(r.IntN(3000)) * time.Millisecond); err != nil {
				return err
			}
			t0 := time.Now()
			if err := x.stop(); err != nil {
				return err
			}
			var faults []fault
			err = b.until("silent by the contactor and called", 20*time.Second, func() bool {
				if v.Horn.Current().On() || x.get("/faults", &faults) != nil {
					return false
				}
				for _, f := range faults {
					if strings.HasPrefix(f.Thing, "output siren") {
						return true
					}
				}
				return false
			})
			if err != nil {
				return err
			}
			d := time.Since(t0)
			if !v.Board.Contact(storm.RelayHorn).Closed() {
				return fmt.Errorf("the contact did not weld: nothing was measured")
			}
			off, _ := v.Horn.Current().FirstOff(t0)
			b.log("silent after %v, called %q after %v", off.Sub(t0).Round(time.Millisecond), faults, d.Round(time.Millisecond))
			all = append(all, d.Seconds())
			return nil
		}()
		if err != nil {
			return err
		}
	}
	b.tell("alarm.stuck_silenced_s", rank(all, 1), len(all))
	return nil
}
