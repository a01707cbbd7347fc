package output

import (
	"testing"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
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
		pause(ms(50))
		w.want(s.sounds(), "silent after 50 ms")
		pause(9 * time.Second)
		w.want(s.sounds(), "silent before its time")
		wait(r)
		w.want(!s.sounds(), "sounds after its time")
		w.wantStates("siren", Ordered, Started, Heard, Finished)
		w.want(w.lastEvent("siren").Measured == Current, "measured by %q", w.lastEvent("siren").Measured)
		w.want(len(w.allFaults()) == 0, "faults %+v", w.allFaults())
	})
}

func TestNothingIsTouchedBeforeTheFirstOrder(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{coil: true}
		w := newWorld(t, sirenSpec("siren", s))
		pause(time.Minute)
		w.want(s.sounds() && s.get().sets == 0, "touched: %d commands", s.get().sets)
		w.silence()
		pause(ms(100))
		w.want(!s.sounds(), "not quiet when told")
	})
}

func TestWithoutAnOrderNothingSounds(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{}
		w := newWorld(t, sirenSpec("siren", s))
		r := w.h.Do(order.Order{}, nil)
		w.h.Silence(order.Order{})
		wait(r)
		pause(time.Second)
		w.want(!r.Refused().IsZero() && s.get().sets == 0, "refused %v, commands %d", r.Refused(), s.get().sets)
	})
}

func TestStopSilencesWithinTwoHundredMilliseconds(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(40)}
		w := newWorld(t, sirenSpec("siren", s))
		for i := range 40 {
			w.sound(3, time.Minute, pulses{{ms(300), ms(200)}}, "siren")
			pause(time.Second + ms(13*i))
			w.silence()
			pause(ms(200))
			w.want(!s.sounds(), "sounds 200 ms after the stop %d", i)
			pause(time.Second)
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
		pause(ms(50))
		w.want(s.sounds(), "silent after one lost command")
	})
}

func TestAWeldedContactIsCutAndTheBoxSaysSo(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(20)}
		w := newWorld(t, sirenSpec("siren", s))
		w.sound(3, time.Minute, nil, "siren")
		pause(5 * time.Second)
		s.with(func() { s.welded = true })
		stop := time.Now()
		w.silence()
		for range 5 { // pressing STOP again and again does not put the cut off
			pause(ms(500))
			w.silence()
		}
		pause(ms(500))
		w.want(!s.sounds(), "sounds %v after STOP", time.Since(stop))
		w.want(w.stands("siren", Stuck), "no fault")
		pause(time.Second)
		w.wantStates("siren", Ordered, Started, Heard, Failed, Stopped)
		// It warns again all the same, and falls silent at once: the contactor
		// does the switching now.
		w.sound(3, 10*time.Second, nil, "siren")
		pause(ms(100))
		w.want(s.sounds(), "a welded siren is never used again")
		w.silence()
		pause(ms(200))
		w.want(!s.sounds(), "not cut at once although it is known to be stuck")
		// Repaired: proved by the next off.
		s.with(func() { s.welded = false })
		w.h.Repaired("siren")
		pause(time.Second)
		w.want(!w.stands("siren", Stuck) && !s.get().open && !s.sounds(), "after the repair: open %v", s.get().open)
		// Said to be repaired and not: cut again.
		s.with(func() { s.welded = true })
		w.sound(3, time.Second, nil, "siren")
		pause(6 * time.Second)
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
		pause(10 * time.Second)
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
		pause(ms(1500))
		w.want(b.sounds(), "nobody took over")
		w.want(w.stands("a", NoCurrent), "no fault")
		wait(r)
		pause(ms(100))
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
			pause(ms(800 + i*20)) // before, at and after the takeover
			w.silence("a")
			pause(ms(200))
			w.want(!b.sounds(), "the deputy sounds 200 ms after STOP (%d)", i)
			pause(3 * time.Second)
			w.want(!b.sounds(), "the deputy sounds after STOP (%d)", i)
			wait(r)
			w.cancel()
			pause(time.Second)
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
		pause(ms(50))
		w.want(b.sounds(), "the dead bus delays another output")
		pause(4 * time.Second)
		w.want(c.sounds() && w.stands("a", NoAnswer), "nobody took over from a dead bus")
		a.with(func() { a.busDead = false })
		pause(3 * time.Second)
		w.want(a.sounds() && !w.stands("a", NoAnswer), "it came back and was not tried again")
		a.with(func() { a.busDead = true })
		w.silence("a")
		pause(4 * time.Second)
		w.want(!a.sounds() && a.get().open, "an off that cannot be confirmed is not cut")
		a.with(func() { a.busDead = false })
		pause(4 * time.Second)
		w.want(!a.get().coil && !a.get().open && !a.sounds(), "after the bus came back: coil %v, contactor open %v", a.get().coil, a.get().open)
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
			pause(ms(100))
			w.want(s.sounds(), "a gap at %v", time.Since(w.start))
		}
		w.want(s.get().sets >= 25 && s.get().sets <= 35, "%d commands in a minute of 6 s", s.get().sets)
		w.sound(3, time.Minute, nil, "siren")
		pause(time.Second)
		s.with(func() { s.busDead = true })
		pause(7 * time.Second)
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
		pause(7 * time.Second)
		w.want(s.sounds() && len(s.get().ons) == 1, "off before its minimum, or pulsed: %d starts", len(s.get().ons))
		pause(2 * time.Second)
		w.want(!s.sounds(), "does not stop after its minimum")
		w.sound(3, time.Minute, nil, "motor")
		pause(7 * time.Second)
		w.want(!s.sounds(), "starts before it has rested")
		pause(5 * time.Second)
		w.want(s.sounds(), "never starts after its rest")
		w.silence()
		pause(ms(200))
		w.want(!s.sounds(), "STOP does not override the minimum on time")
		for range 4 {
			w.silence() // pressing again does not lengthen the rest
			pause(time.Second)
		}
		w.sound(4, time.Minute, nil, "motor")
		pause(4 * time.Second)
		w.want(!s.sounds(), "a stop did away with the rest")
		pause(3 * time.Second)
		w.want(s.sounds(), "its rest was lengthened by pressing STOP again")
		on := len(s.get().ons)
		w.sound(5, time.Minute, nil, "motor")
		pause(time.Second)
		w.want(s.sounds() && len(s.get().ons) == on, "a higher order restarts the motor")
		for i := 1; i < len(s.get().ons); i++ {
			w.want(s.get().ons[i].Sub(s.get().offs[i-1]) >= 10*time.Second, "rested only %v", s.get().ons[i].Sub(s.get().offs[i-1]))
		}
	})
}

func TestOnlyElectronicSirensArePulsedAndPulsesAreMeasured(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(10)}
		w := newWorld(t, sirenSpec("siren", s))
		w.sound(3, 10*time.Second, pulses{{ms(300), ms(700)}}, "siren")
		pause(13 * time.Second)
		w.want(len(s.get().ons) == 10, "%d pulses in 10 s", len(s.get().ons))
		w.wantStates("siren", Ordered, Started, Heard, Finished)
		// Pulses without current are found too: what counts is the time on.
		s.with(func() { s.dead = true })
		w.sound(3, 20*time.Second, pulses{{ms(300), ms(700)}}, "siren")
		pause(10 * time.Second)
		w.want(w.stands("siren", NoCurrent), "nobody misses the current")
	})
}

// TestAWireThatBreaksBetweenPulsesIsFound: the pulses are as long as the looks
// at a siren that was heard are apart, so that every look could fall into a pause.
func TestAWireThatBreaksBetweenPulsesIsFound(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(50)}
		w := newWorld(t, sirenSpec("siren", s))
		w.sound(3, time.Minute, pulses{{time.Second, time.Second}}, "siren")
		pause(5 * time.Second)
		w.want(!w.stands("siren", NoCurrent), "a good siren is called")
		s.with(func() { s.dead = true })
		pause(4 * time.Second)
		w.want(w.stands("siren", NoCurrent), "nobody misses the current")
	})
}

// TestAMotorRunsAndRestsInTurns: one that ran on would give the steady tone of
// the civil-defence all-clear.
func TestAMotorRunsAndRestsInTurns(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(20)}
		spec := sirenSpec("motor", s)
		spec.Kind, spec.MinOn, spec.MinOff = Motor, 4*time.Second, 6*time.Second
		w := newWorld(t, spec)
		w.sound(3, 2*time.Minute, pulses{{18 * time.Second, 10 * time.Second}}, "motor")
		pause(100 * time.Second)
		w.want(len(s.get().ons) == 4, "%d turns in 100 s of 18 s and 10 s", len(s.get().ons))
		for i, off := range s.get().offs {
			ran := off.Sub(s.get().ons[i])
			w.want(ran > 17*time.Second && ran < 20*time.Second, "ran for %v", ran)
		}
	})
}

func TestWithoutAMeasurementTheReceiptSaysSo(t *testing.T) {
	run(t, func(t *testing.T) {
		s := &siren{lag: ms(10), dead: true}
		spec := sirenSpec("siren", s)
		spec.Sensed = nil
		w := newWorld(t, spec)
		w.sound(3, 5*time.Second, nil, "siren")
		pause(6 * time.Second)
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
		pause(9 * time.Second)
		w.wantStates("siren", Ordered, Started, Finished)
		w.want(w.stands("siren", SenseLost) && w.lastEvent("siren").Measured == Unmeasured, "lost: %+v", w.lastEvent("siren"))
		w.want(!s.get().open, "a lost measurement cut the siren")
		s.with(func() { s.senseDead, s.senseStuck = false, true })
		w.sound(3, 5*time.Second, nil, "siren")
		pause(20 * time.Second)
		w.want(w.stands("siren", CutFailed), "it says on with the contactor open, and nobody minds")
		w.mu.Lock()
		n := len(w.events)
		w.mu.Unlock()
		w.sound(3, 5*time.Second, nil, "siren")
		pause(4 * time.Second)
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
		pause(2 * time.Second)
		w.sound(4, 10*time.Second, nil, "siren")
		pause(ms(5))
		wait(low)
		r := low.Receipts()
		w.want(r[len(r)-1].State == Stopped && r[len(r)-1].Measured == Current, "%+v", r[len(r)-1])
		w.want(len(s.get().offs) == 0, "switched off in between")
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
		wait(r)
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
		pause(2 * time.Second)
		w.cancel()
		pause(time.Second)
		w.want(!s.sounds(), "sounds on with nobody to end it")
		wait(r)
		w.want(w.lastEvent("siren").State == Stopped, "%v", w.lastEvent("siren").State)
	})
}

// steady is a programme whose relay is just on.
type steady struct{ pulses }

func TestASirenNeverGivesADrillOrAnAllClearThatSoundsLikeSomethingElse(t *testing.T) {
	run(t, func(t *testing.T) {
		m, e, l := &siren{lag: ms(10)}, &siren{lag: ms(10)}, &siren{lag: ms(10)}
		motor, light := sirenSpec("motor", m), sirenSpec("strobe", l)
		motor.Kind, light.Kind = Motor, Strobe
		w := newWorld(t, motor, sirenSpec("siren", e), light)
		never := pulses{{0, time.Minute}}
		for _, c := range []struct {
			name          string
			kind          order.Kind
			act           order.Action
			p             Programme
			siren, strobe bool
		}{
			{"a chime that it has not got", order.Real, order.Sound, never, false, false},
			{"an all-clear without a programme", order.Real, order.AllClear, nil, false, true},
			{"a steady all-clear", order.Real, order.AllClear, steady{}, false, true},
			{"a drill without a programme", order.Drill, order.Sound, nil, false, true},
			{"a drill with its own cadence", order.Drill, order.Sound, pulses{{time.Minute, 0}}, true, true},
			{"the real thing without a programme", order.Real, order.Sound, nil, true, true},
		} {
			w.sound(4, time.Minute, nil, "motor", "siren", "strobe")
			pause(time.Second)
			o, err := w.desk.Make(order.Ask{Cause: c.name, Kind: c.kind, Source: order.Operator, Action: c.act, Level: 1, For: 10 * time.Second,
				Outputs: []string{"motor", "siren", "strobe"}, Who: order.Who{Name: "x"}, Content: order.Content{Tone: "chime", Words: phrase.Text{ZH: "x"}}})
			if err != nil {
				t.Fatal(err)
			}
			r := w.h.Do(o, c.p)
			pause(time.Second)
			w.want(m.sounds() == c.siren && e.sounds() == c.siren && l.sounds() == c.strobe, "%s: motor %v siren %v strobe %v", c.name, m.sounds(), e.sounds(), l.sounds())
			wait(r)
			for _, x := range r.Receipts() {
				w.want(x.Why.Code != "sound.unsuited" || x.State == Failed, "%+v", x)
			}
		}
	})
}

func TestWhatJustRunsIsPulsedAwayFromEveryReservedPattern(t *testing.T) {
	b := Bare{}.Cadence(Electronic)[0]
	for _, r := range [][2]time.Duration{{36 * time.Second, 24 * time.Second}, {6 * time.Second, 6 * time.Second}, {15 * time.Second, 15 * time.Second}} {
		on, off := float64(b.On)/float64(r[0]), float64(b.Off)/float64(r[1])
		if on > 0.8 && on < 1.2 && off > 0.8 && off < 1.2 || b.Off == 0 {
			t.Errorf("%v is too near to %v", b, r)
		}
	}
}

func TestATakeoverThatComesAfterTheStopIsDropped(t *testing.T) {
	run(t, func(t *testing.T) {
		b := &siren{lag: ms(10)}
		w := newWorld(t, sirenSpec("a", &siren{lag: ms(10)}), sirenSpec("b", b))
		r := w.sound(3, time.Minute, nil, "a")
		pause(ms(50))
		w.silence("a")
		u := w.h.units["b"]
		late := &job{o: r.Order(), p: pulses{{time.Hour, 0}}, run: r, primary: "a", until: w.h.now() + time.Minute}
		r.opened(1)
		u.post(func(now time.Duration) { u.m.deputise(now, late) })
		pause(time.Second)
		w.want(!b.sounds(), "it sounds after STOP")
		wait(r)
	})
}
