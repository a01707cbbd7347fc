package output

import (
	"testing"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/sound/order"
)

type pulses Cadence

func (p pulses) Samples(drivers.Format) Reader { return nil }
func (p pulses) Cadence(Kind) Cadence          { return Cadence(p) }

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func TestASirenSoundsForItsTimeAndItsReceiptSaysByWhatItWasMeasured(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(20)}
		w := newWorld(t, sirenSpec("siren", s))
		r := w.sound(3, 10*time.Second, nil, "siren")
		time.Sleep(ms(50))
		w.want(s.sounds(), "silent after 50 ms")
		time.Sleep(9 * time.Second)
		w.want(s.sounds(), "silent before its time")
		<-r.Done()
		w.want(!s.sounds(), "sounds after its time")
		w.wantStates("siren", Ordered, Started, Heard, Finished)
		w.want(w.lastEvent("siren").Measured == Current, "measured by %q", w.lastEvent("siren").Measured)
		w.want(len(w.faults) == 0, "faults %+v", w.faults)
	})
}

func TestNothingIsTouchedBeforeTheFirstOrder(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{coil: true}
		w := newWorld(t, sirenSpec("siren", s))
		time.Sleep(time.Minute)
		w.want(s.sounds() && s.sets == 0, "touched: %d commands", s.sets)
		w.silence()
		time.Sleep(ms(100))
		w.want(!s.sounds(), "not quiet when told")
	})
}

func TestWithoutAnOrderNothingSounds(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{}
		w := newWorld(t, sirenSpec("siren", s))
		r := w.h.Do(order.Order{}, nil)
		w.h.Silence(order.Order{})
		<-r.Done()
		time.Sleep(time.Second)
		w.want(!r.Refused().IsZero() && s.sets == 0, "refused %v, commands %d", r.Refused(), s.sets)
	})
}

func TestStopSilencesWithinTwoHundredMilliseconds(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(40)}
		w := newWorld(t, sirenSpec("siren", s))
		for i := range 40 {
			w.sound(3, time.Minute, pulses{{ms(300), ms(200)}}, "siren")
			time.Sleep(time.Second + ms(13*i))
			w.silence()
			time.Sleep(ms(200))
			w.want(!s.sounds(), "sounds 200 ms after the stop %d", i)
			time.Sleep(time.Second)
			w.want(!s.sounds(), "sounds again after the stop %d", i)
		}
		w.want(w.lastEvent("siren").State == Stopped, "receipt ends with %v", w.lastEvent("siren").State)
	})
}

func TestALostCommandIsRetriedAtOnce(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(10), lost: 1}
		w := newWorld(t, sirenSpec("siren", s))
		w.sound(3, 10*time.Second, nil, "siren")
		time.Sleep(ms(50))
		w.want(s.sounds(), "silent after one lost command")
	})
}

func TestAWeldedContactIsCutAndTheBoxSaysSo(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(20)}
		w := newWorld(t, sirenSpec("siren", s))
		w.sound(3, time.Minute, nil, "siren")
		time.Sleep(5 * time.Second)
		s.with(func() { s.welded = true })
		stop := time.Now()
		w.silence()
		for range 5 { // pressing STOP again and again does not put the cut off
			time.Sleep(ms(500))
			w.silence()
		}
		time.Sleep(ms(500))
		w.want(!s.sounds(), "sounds %v after STOP", time.Since(stop))
		w.want(w.stands("siren", Stuck), "no fault")
		time.Sleep(time.Second)
		w.wantStates("siren", Ordered, Started, Heard, Failed, Stopped)
		// It warns again all the same, and falls silent at once: the contactor
		// does the switching now.
		w.sound(3, 10*time.Second, nil, "siren")
		time.Sleep(ms(100))
		w.want(s.sounds(), "a welded siren is never used again")
		w.silence()
		time.Sleep(ms(200))
		w.want(!s.sounds(), "not cut at once although it is known to be stuck")
		// Repaired: proved by the next off.
		s.with(func() { s.welded = false })
		w.h.Repaired("siren")
		time.Sleep(time.Second)
		w.want(!w.stands("siren", Stuck) && !s.open && !s.sounds(), "after the repair: open %v", s.open)
		// Said to be repaired and not: cut again.
		s.with(func() { s.welded = true })
		w.sound(3, time.Second, nil, "siren")
		time.Sleep(6 * time.Second)
		w.want(!s.sounds() && w.stands("siren", Stuck), "sounds on after a repair that was none")
	})
}

func TestAWeldedContactWithoutAContactorIsCalledAndNotClaimedSilent(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(20), welded: true}
		spec := sirenSpec("siren", s)
		spec.Cut = nil
		w := newWorld(t, spec)
		w.sound(3, time.Second, nil, "siren")
		time.Sleep(10 * time.Second)
		w.wantStates("siren", Ordered, Started, Heard, Failed)
		w.want(w.stands("siren", Stuck), "no fault")
	})
}

func TestOnWithoutCurrentTheNextTakesOver(t *testing.T) {
	run(t, func(t *testing.T) {
		a, b := &siren{lag: ms(20), dead: true}, &siren{lag: ms(20)}
		sa := sirenSpec("a", a)
		sa.Next = "b"
		w := newWorld(t, sa, sirenSpec("b", b))
		r := w.sound(3, 20*time.Second, nil, "a")
		time.Sleep(ms(1500))
		w.want(b.sounds(), "nobody took over")
		w.want(w.stands("a", NoCurrent), "no fault")
		<-r.Done()
		time.Sleep(ms(100))
		w.want(!a.sounds() && !b.sounds(), "sounds after its time")
		w.wantStates("a", Ordered, Started, Failed)
		w.wantStates("b", Ordered, Started, Heard, Finished)
		w.want(w.lastEvent("b").For == "a", "for %q", w.lastEvent("b").For)
	})
}

func TestStopAlsoSilencesWhoTookOverAndNobodyTakesOverAfterIt(t *testing.T) {
	run(t, func(t *testing.T) {
		for i := range 30 {
			a, b := &siren{lag: ms(20), dead: true}, &siren{lag: ms(20)}
			sa := sirenSpec("a", a)
			sa.Next = "b"
			w := newWorld(t, sa, sirenSpec("b", b))
			r := w.sound(3, 20*time.Second, nil, "a")
			time.Sleep(ms(800 + i*20)) // before, at and after the takeover
			w.silence("a")
			time.Sleep(ms(200))
			w.want(!b.sounds(), "the deputy sounds 200 ms after STOP (%d)", i)
			time.Sleep(3 * time.Second)
			w.want(!b.sounds(), "the deputy sounds after STOP (%d)", i)
			<-r.Done()
			w.cancel()
			time.Sleep(time.Second)
		}
	})
}

func TestADeadBusIsTriedAsLongAsTheOrderStandsAndHoldsUpNobody(t *testing.T) {
	run(t, func(t *testing.T) {
		a, b, c := &siren{busDead: true}, &siren{lag: ms(20)}, &siren{lag: ms(20)}
		sa := sirenSpec("a", a)
		sa.Next = "c"
		w := newWorld(t, sa, sirenSpec("b", b), sirenSpec("c", c))
		w.sound(3, time.Minute, nil, "a", "b")
		time.Sleep(ms(50))
		w.want(b.sounds(), "the dead bus delays another output")
		time.Sleep(4 * time.Second)
		w.want(c.sounds() && w.stands("a", NoAnswer), "nobody took over from a dead bus")
		a.with(func() { a.busDead = false })
		time.Sleep(3 * time.Second)
		w.want(a.sounds() && !w.stands("a", NoAnswer), "it came back and was not tried again")
		a.with(func() { a.busDead = true })
		w.silence("a")
		time.Sleep(4 * time.Second)
		w.want(!a.sounds() && a.open, "an off that cannot be confirmed is not cut")
		a.with(func() { a.busDead = false })
		time.Sleep(4 * time.Second)
		w.want(!a.coil && !a.open && !a.sounds(), "after the bus came back: coil %v, contactor open %v", a.coil, a.open)
		w.want(!w.stands("a", NoAnswer) && !w.stands("a", Stuck), "faults stay")
	})
}

func TestATimedRelayIsRefreshedAndGoesOffWithoutUs(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(20), expire: 6 * time.Second}
		spec := sirenSpec("siren", s)
		spec.Relay, spec.Cut = timedCoil{coil{s}}, nil
		w := newWorld(t, spec)
		w.sound(3, time.Minute, nil, "siren")
		for range 590 {
			time.Sleep(ms(100))
			w.want(s.sounds(), "a gap at %v", time.Since(w.start))
		}
		w.want(s.sets >= 25 && s.sets <= 35, "%d commands in a minute of 6 s", s.sets)
		w.sound(3, time.Minute, nil, "siren")
		time.Sleep(time.Second)
		s.with(func() { s.busDead = true })
		time.Sleep(7 * time.Second)
		w.want(!s.sounds(), "sounds although nobody can refresh it")
	})
}

func TestAMotorKeepsItsMinimaHasNoPulsesAndObeysStop(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(20)}
		spec := sirenSpec("motor", s)
		spec.Kind, spec.MinOn, spec.MinOff = Motor, 8*time.Second, 10*time.Second
		w := newWorld(t, spec)
		w.sound(3, 3*time.Second, pulses{{ms(500), ms(500)}}, "motor")
		time.Sleep(7 * time.Second)
		w.want(s.sounds() && len(s.ons) == 1, "off before its minimum, or pulsed: %d starts", len(s.ons))
		time.Sleep(2 * time.Second)
		w.want(!s.sounds(), "does not stop after its minimum")
		w.sound(3, time.Minute, nil, "motor")
		time.Sleep(7 * time.Second)
		w.want(!s.sounds(), "starts before it has rested")
		time.Sleep(5 * time.Second)
		w.want(s.sounds(), "never starts after its rest")
		w.silence()
		time.Sleep(ms(200))
		w.want(!s.sounds(), "STOP does not override the minimum on time")
		for range 4 {
			w.silence() // pressing again does not lengthen the rest
			time.Sleep(time.Second)
		}
		w.sound(4, time.Minute, nil, "motor")
		time.Sleep(4 * time.Second)
		w.want(!s.sounds(), "a stop did away with the rest")
		time.Sleep(3 * time.Second)
		w.want(s.sounds(), "its rest was lengthened by pressing STOP again")
		on := len(s.ons)
		w.sound(5, time.Minute, nil, "motor")
		time.Sleep(time.Second)
		w.want(s.sounds() && len(s.ons) == on, "a higher order restarts the motor")
		for i := 1; i < len(s.ons); i++ {
			w.want(s.ons[i].Sub(s.offs[i-1]) >= 10*time.Second, "rested only %v", s.ons[i].Sub(s.offs[i-1]))
		}
	})
}

func TestOnlyElectronicSirensArePulsedAndPulsesAreMeasured(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(10)}
		w := newWorld(t, sirenSpec("siren", s))
		w.sound(3, 10*time.Second, pulses{{ms(300), ms(700)}}, "siren")
		time.Sleep(13 * time.Second)
		w.want(len(s.ons) == 10, "%d pulses in 10 s", len(s.ons))
		w.wantStates("siren", Ordered, Started, Heard, Finished)
		// Pulses without current are found too: what counts is the time on.
		s.with(func() { s.dead = true })
		w.sound(3, 20*time.Second, pulses{{ms(300), ms(700)}}, "siren")
		time.Sleep(10 * time.Second)
		w.want(w.stands("siren", NoCurrent), "nobody misses the current")
	})
}

func TestWithoutAMeasurementTheReceiptSaysSo(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(10), dead: true}
		spec := sirenSpec("siren", s)
		spec.Sensed = nil
		w := newWorld(t, spec)
		w.sound(3, 5*time.Second, nil, "siren")
		time.Sleep(6 * time.Second)
		w.wantStates("siren", Ordered, Started, Finished)
		e := w.lastEvent("siren")
		w.want(e.Measured == Unmeasured && e.Why.Code == "sound.unmeasured", "%+v", e)
	})
}

func TestAMeasurementThatDiesOrLiesIsNotBelieved(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(10), senseDead: true}
		w := newWorld(t, sirenSpec("siren", s))
		w.sound(3, 5*time.Second, nil, "siren")
		time.Sleep(9 * time.Second)
		w.wantStates("siren", Ordered, Started, Finished)
		w.want(w.stands("siren", SenseLost) && w.lastEvent("siren").Measured == Unmeasured, "lost: %+v", w.lastEvent("siren"))
		w.want(!s.open, "a lost measurement cut the siren")
		s.with(func() { s.senseDead, s.senseStuck = false, true })
		w.sound(3, 5*time.Second, nil, "siren")
		time.Sleep(20 * time.Second)
		w.want(w.stands("siren", CutFailed), "it says on with the contactor open, and nobody minds")
		w.mu.Lock()
		n := len(w.events)
		w.mu.Unlock()
		w.sound(3, 5*time.Second, nil, "siren")
		time.Sleep(4 * time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, e := range w.events[n:] {
			w.want(e.State != Heard, "a liar is believed: %+v", e)
		}
	})
}

func TestAHigherOrderReplacesALowerOnTheSpot(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(10)}
		w := newWorld(t, sirenSpec("siren", s))
		low := w.sound(2, time.Minute, nil, "siren")
		time.Sleep(2 * time.Second)
		w.sound(4, 10*time.Second, nil, "siren")
		time.Sleep(ms(5))
		<-low.Done()
		r := low.Receipts()
		w.want(r[len(r)-1].State == Stopped && r[len(r)-1].Measured == Current, "%+v", r[len(r)-1])
		w.want(len(s.offs) == 0, "switched off in between")
	})
}

func TestADeputyWhoIsBusyWithSomethingHigherSaysSo(t *testing.T) {
	run(t, func(t *testing.T) {
		a, b := &siren{lag: ms(20), dead: true}, &siren{lag: ms(20)}
		sa := sirenSpec("a", a)
		sa.Next = "b"
		w := newWorld(t, sa, sirenSpec("b", b))
		w.sound(4, 20*time.Second, nil, "b")
		r := w.sound(2, 5*time.Second, nil, "a")
		<-r.Done()
		found := false
		for _, e := range r.Receipts() {
			found = found || e.Output == "b" && e.State == Failed && e.Why.Code == "sound.busy"
		}
		w.want(found, "%+v", r.Receipts())
		w.want(b.sounds(), "the higher was disturbed")
	})
}

func TestEndingTheProcessSwitchesOffWhatSounds(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(20)}
		w := newWorld(t, sirenSpec("siren", s))
		r := w.sound(3, time.Minute, nil, "siren")
		time.Sleep(2 * time.Second)
		w.cancel()
		time.Sleep(time.Second)
		w.want(!s.sounds(), "sounds on with nobody to end it")
		<-r.Done()
		w.want(w.lastEvent("siren").State == Stopped, "%v", w.lastEvent("siren").State)
	})
}
