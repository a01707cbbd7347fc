package output

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tocsin/firmware/point"
)

// Whatever is ordered, whatever fails: STOP is obeyed in time, a motor rests,
// and every order gets its last line.
func TestAnyCourseOfOrdersAndFailures(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type step struct {
			what, n int
			level   point.Level
			gap     time.Duration
		}
		var steps []step
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			steps = append(steps, step{rapid.IntRange(0, 8).Draw(rt, "what"), rapid.IntRange(0, 2).Draw(rt, "output"),
				point.Level(rapid.IntRange(1, 4).Draw(rt, "level")), ms(rapid.IntRange(0, 6000).Draw(rt, "gap"))})
		}
		bad := ""
		synctest.Test(t, func(t *testing.T) {
			names := []string{"motor", "siren", "horn"}
			motor, el, h := &siren{lag: ms(20)}, &siren{lag: ms(15)}, &horn{}
			sm := sirenSpec("motor", motor)
			sm.Kind, sm.MinOn, sm.MinOff, sm.Next = Motor, 3*time.Second, 4*time.Second, "siren"
			se := sirenSpec("siren", el)
			se.Next = "horn"
			w := newWorld(t, sm, se, hornSpec("horn", h))
			var all []*Running
			for _, s := range steps {
				dev := []*siren{motor, el}[s.n%2]
				switch s.what {
				case 0, 1, 2:
					all = append(all, w.sound(s.level, s.gap+time.Second, talk(0), names[s.n:]...))
				case 3, 4:
					w.silence()
					broken := motor.faulty() || el.faulty()
					pause(ms(200))
					if !broken && (motor.sounds() || el.sounds()) || h.sounds() {
						bad = "sounds 200 ms after STOP"
					}
					if broken {
						pause(ms(4800))
						if motor.sounds() || el.sounds() {
							bad = "sounds 5 s after STOP, though the contactors work"
						}
					}
				case 5:
					dev.with(func() { dev.welded = !dev.welded && dev.coil && !dev.dead }) // a contact welds where it carries the load
					if !dev.faulty() {
						w.h.Repaired(names[s.n%2])
					}
				case 6:
					dev.with(func() { dev.busDead = !dev.busDead })
					if !dev.faulty() {
						pause(ms(1100)) // a call that began before still waits for its answer
					}
				case 7:
					dev.with(func() { dev.dead = !dev.dead && !dev.welded }) // a weld that carries nothing is found only when it does again
				case 8:
					dev.with(func() { dev.lost = 2 })
				}
				pause(s.gap)
			}
			for _, d := range []*siren{motor, el} {
				d.with(func() { d.busDead = false })
			}
			pause(20 * time.Second)
			if motor.sounds() || el.sounds() || h.sounds() {
				bad = "sounds after every order has ended"
			}
			for i, r := range all {
				select {
				case <-r.Done():
				default:
					bad = "an order without a last line"
					t.Logf("%d: %+v", i, r.Receipts())
				}
			}
			for i := 1; i < len(motor.get().ons) && i <= len(motor.get().offs); i++ {
				if rest := motor.get().ons[i].Sub(motor.get().offs[i-1]); rest < 4*time.Second {
					bad = "the motor rested only " + rest.String()
				}
			}
		})
		if bad != "" {
			rt.Fatalf("%s: %+v", bad, steps)
		}
	})
}
