package ladder

import (
	"math/rand/v2"
	"os"
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

func TestNobodyWaitsThreeSecondsWhile64KilobitsAreThere(t *testing.T) {
	for name, change := range map[string]func(*camera){
		"stills of key pictures": func(*camera) {},
		"stills of the camera":   func(c *camera) { c.live = true },
		"a lower rung":           func(c *camera) { c.hasLower = true },
		"droppable pictures":     func(c *camera) { c.droppable = true },
		"short groups":           func(c *camera) { c.group = time.Second },
		"big stills":             func(c *camera) { c.jpeg, c.thumb = 3*c.jpeg, 3*c.thumb },
		"1080p":                  func(c *camera) { c.rate = 4_068_000 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, squeeze)
			w.log = testing.Verbose()
			change(&w.camera)
			w.run(350 * time.Second)
			// A link that falls to a hundredth within a key picture of 70 KB still holds that
			// picture: in 1080p the first still after it comes late once.
			most := 3 * time.Second
			if name == "1080p" {
				most = 5 * time.Second
			}
			if w.worst > most {
				t.Errorf("somebody waited %v", w.worst)
			}
			if w.d.Rung != Main {
				t.Errorf("220 s after the link was back it is at rung %d", w.d.Rung)
			}
			back, steps := w.reversals()
			t.Logf("worst wait %v, over %v, reversals %d, steps %d, frames %d, stills %d", w.worst, w.overMax, back, steps, w.frames, w.stills)
			for _, s := range w.steps {
				t.Logf("%7.1f %d → %d %s", s.at.Seconds(), s.from, s.to, s.why)
			}
		})
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

func FuzzRules(f *testing.F) {
	if b, err := os.ReadFile("../../../configs/" + RulesName); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseRules(b); (r == nil) == (err == nil) {
			t.Fatal(r, err)
		}
	})
}
