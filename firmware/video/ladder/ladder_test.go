package ladder

import (
	"math/rand/v2"
	"testing"
	"time"
)

func squeeze(now time.Duration) int {
	switch s := now.Seconds(); {
	case s < 20:
		return 8_000_000
	case s < 80:
		return 64_000
	case s < 100:
		return 0
	case s < 130:
		return 64_000
	}
	return 8_000_000
}

// cameras are what the promise is held with.
var cameras = map[string]func(*camera){
	"stills of key pictures": func(*camera) {},
	"stills of the camera":   func(c *camera) { c.live = true },
	"a lower rung":           func(c *camera) { c.hasLower = true },
	"droppable pictures":     func(c *camera) { c.droppable = true },
	"short groups":           func(c *camera) { c.group = time.Second },
	"big stills":             func(c *camera) { c.jpeg, c.thumb = 3*c.jpeg, 3*c.thumb },
	"1080p":                  func(c *camera) { c.rate = 4_068_000 },
	"1080p with own stills":  func(c *camera) { c.rate, c.live = 4_068_000, true },
}

// phases are how far a link's change is from a key picture: the group is of two seconds, and they
// fall all over it.
const phases = 6

func phase(i uint64) time.Duration { return time.Duration(i) * 370 * time.Millisecond }

// told says what a ladder did, where it did not hold.
func (w *world) told(t *testing.T, i uint64) {
	t.Helper()
	t.Logf("phase %v: %v at %v", phase(i), w.worst, w.worstAt)
	for _, s := range w.steps {
		t.Logf("%7.1f %d → %d %s", s.at.Seconds(), s.from, s.to, s.why)
	}
}

func TestNobodyWaitsThreeSecondsWhile64KilobitsAreThere(t *testing.T) {
	for name, change := range cameras {
		t.Run(name, func(t *testing.T) {
			for i := range uint64(phases) {
				w := newWorld(t, i, func(now time.Duration) int { return squeeze(now - phase(i)) })
				change(&w.camera)
				w.run(130*time.Second + phase(i))
				for w.d.Rung != Main && w.now < 150*time.Second+phase(i) {
					w.turn()
				}
				if w.d.Rung != Main {
					t.Errorf("20 s after the link was back it is at rung %d", w.d.Rung)
				}
				w.run(w.now + 10*time.Second)
				if w.worst > 3*time.Second {
					t.Errorf("somebody waited %v", w.worst)
				}
				if t.Failed() {
					w.told(t, i)
					break
				}
			}
		})
	}
}

// A link that holds much before it drops shows what a second of padding costs: the next still waits behind
// it. A train of padding finds out what it bears now, and so it is also known soon when it bears more again.
func TestALinkIsNotFilledToFindOutWhatItBears(t *testing.T) {
	for name, change := range cameras {
		t.Run(name, func(t *testing.T) {
			for i := range uint64(phases) {
				w := newWorld(t, i, func(now time.Duration) int { return squeeze(now - phase(i)) })
				w.depth = 750 * time.Millisecond
				change(&w.camera)
				deepest := time.Duration(0)
				for w.now < 130*time.Second+phase(i) {
					w.turn()
					if s := (w.now - phase(i)).Seconds(); s > 25 && s < 80 || s > 103 && s < 130 {
						deepest = max(deepest, lasts(w.held()/8, w.rate(w.now)))
					}
				}
				for w.d.Rung != Main && w.now < 150*time.Second+phase(i) {
					w.turn()
				}
				if back := w.now - 130*time.Second - phase(i); w.worst > 2600*time.Millisecond || deepest > 450*time.Millisecond || back > 8*time.Second {
					t.Errorf("somebody waited %v, the link held %v of padding and stills, and it was all back after %v", w.worst, deepest, back)
					w.told(t, i)
				}
			}
		})
	}
}

// A link that lets bursts through faster than it bears tells a train too much: then what failed is tried as seldom as ever.
func TestALinkMayMisleadATrain(t *testing.T) {
	for name, change := range cameras {
		t.Run(name, func(t *testing.T) {
			for i := range uint64(phases) {
				w := newWorld(t, i, func(now time.Duration) int { return squeeze(now - phase(i)) })
				w.depth, w.bursts = 750*time.Millisecond, true
				change(&w.camera)
				w.run(130*time.Second + phase(i))
				if w.worst > 3*time.Second {
					t.Errorf("somebody waited %v", w.worst)
					w.told(t, i)
				}
			}
		})
	}
}

func TestASessionMayBeginOnAThinLink(t *testing.T) {
	for name, change := range cameras {
		for _, rate := range []int{64_000, 200_000, 500_000, 1_500_000} {
			for i := range uint64(phases) {
				w := newWorld(t, i, func(time.Duration) int { return rate })
				change(&w.camera)
				w.now = phase(i)
				w.fresh, w.since64 = w.now, w.now
				w.still, w.stillAt = parcel{jpeg: true, taken: max(w.now, 1)}, w.now+300*time.Millisecond // the stream keeps its last key picture
				w.run(40 * time.Second)
				if w.worst > 3*time.Second {
					t.Errorf("%s, %d bit/s: somebody waited %v", name, rate, w.worst)
					w.told(t, i)
				}
			}
		}
	}
}

// What failed for ten minutes is tried again within climb.most.
func TestALinkThatWasThinForLongIsFoundAgain(t *testing.T) {
	for name, change := range cameras {
		for i := range uint64(3) {
			back := 600*time.Second + time.Duration(i)*13*time.Second
			w := newWorld(t, i, func(now time.Duration) int {
				if now > 5*time.Second && now < back {
					return 64_000
				}
				return 8_000_000
			})
			change(&w.camera)
			w.run(back)
			for w.d.Rung != Main && w.now < back+200*time.Second {
				w.turn()
			}
			if most := w.rules.Climb.Most.D() + 20*time.Second; w.now-back > most || w.worst > 3*time.Second {
				t.Errorf("%s: %v after the link was back, somebody waited %v", name, w.now-back, w.worst)
				w.told(t, i)
			}
		}
	}
}

func TestTheLinkMayWanderWithoutFlapping(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 1))
		at := make([]int, 600)
		for i, v := 0, 4e6; i < len(at); i++ {
			v = min(max(v*(0.8+0.45*r.Float64()), 40_000), 10e6)
			at[i] = int(v)
		}
		w := newWorld(t, seed, func(now time.Duration) int { return at[min(int(now/time.Second), len(at)-1)] })
		w.run(600 * time.Second)
		if n := len(w.steps); n > 10*20 {
			t.Errorf("seed %d: %d steps in ten minutes", seed, n)
		}
		if w.overMax > 2*time.Second {
			t.Errorf("seed %d: more than the link bears for %v", seed, w.overMax)
		}
	}
}

func TestAGateShowsNoTornPicture(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	var g Gate
	broken := true
	for range 100_000 {
		if r.IntN(40) == 0 {
			g.Set(Decision{Rung: Rung(r.IntN(int(None) + 1)), KeyEveryNth: 1 + r.IntN(3)})
		}
		key, droppable, gap := r.IntN(20) == 0, r.IntN(3) == 0, r.IntN(200) == 0
		droppable = droppable && !key
		if gap {
			broken = true
		}
		switch pass := g.Pass(key, droppable, gap); {
		case pass && key:
			broken = false
		case pass && broken:
			t.Fatal("a picture went out that refers to one that did not")
		case !pass && !droppable:
			broken = true
		}
	}
}
