//go:build image

package images

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"tocsin/images/bench"
)

// pole puts up a board with instruments, siren and loudspeaker, and starts it.
func pole(t *testing.T) *bench.Pole {
	t.Helper()
	if why := bench.Needs(); why != "" {
		t.Fatal(why)
	}
	p, err := bench.NewPole(t.TempDir(), os.Getenv("TOCSIN_IMAGE"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		if t.Failed() {
			t.Log(p.Console())
		}
	})
	boots(t, p.Board)
	return p
}

// until waits for something that the box's page shall say.
func until(t *testing.T, what string, p *bench.Pole, path string, most time.Duration, is func(text string) bool) {
	t.Helper()
	text := ""
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		b, err := p.Get(path, 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if text = string(b); is(text) {
			return
		}
	}
	t.Fatalf("%s: not in %s: %s", what, most, text)
}

// qualityIn finds a point's quality in what the page says of all readings.
func qualityIn(t *testing.T, readings, point string) string {
	t.Helper()
	var all []struct{ Point, Quality string }
	if err := json.Unmarshal([]byte(readings), &all); err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.Point == point {
			return r.Quality
		}
	}
	t.Fatalf("nothing is said of %s", point)
	return ""
}

func quality(t *testing.T, p *bench.Pole, point string) string {
	t.Helper()
	b, err := p.Get("/api/v1/readings", 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return qualityIn(t, string(b), point)
}

func TestAPoleWarnsByItsRealDriversAndTellsWhatIsBroken(t *testing.T) {
	p := pole(t)
	until(t, "nothing is broken", p, "/api/v1/faults", time.Minute, func(s string) bool {
		return !strings.Contains(s, "line") && !strings.Contains(s, "siren") && !strings.Contains(s, "horn")
	})

	t.Run("a line that is cut is a fault and not calm", func(t *testing.T) {
		if err := p.Line.Unplug(); err != nil {
			t.Fatal(err)
		}
		until(t, "told", p, "/api/v1/faults", 2*time.Minute, func(s string) bool { return strings.Contains(s, "gas") || strings.Contains(s, "field") })
		until(t, "no value is taken as good", p, "/api/v1/readings", time.Minute, func(s string) bool {
			return qualityIn(t, s, "gas.ch4") != "good"
		})
		if err := p.Line.Replug(); err != nil {
			t.Fatal(err)
		}
		until(t, "mended", p, "/api/v1/faults", 2*time.Minute, func(s string) bool { return !strings.Contains(s, "gas") && !strings.Contains(s, "field") })
	})
	t.Run("an adapter that is pulled out is told, and its line comes back by itself", func(t *testing.T) {
		if err := p.Pull(0); err != nil {
			t.Fatal(err)
		}
		until(t, "told", p, "/api/v1/faults", time.Minute, func(s string) bool {
			return strings.Contains(s, `"line.gone"`) && strings.Contains(s, bench.Port(0)) && strings.Contains(s, "hazard gas")
		})
		if q := quality(t, p, "gas.ch4"); q == "good" {
			t.Fatal("a value whose line is gone is good")
		}
		until(t, "the other line goes on", p, "/api/v1/readings", 20*time.Second, func(s string) bool { return qualityIn(t, s, "river.level") == "good" })
		if err := p.Plug(0); err != nil {
			t.Fatal(err)
		}
		until(t, "back", p, "/api/v1/faults", time.Minute, func(s string) bool {
			return !strings.Contains(s, "field") && !strings.Contains(s, "gas") && !strings.Contains(s, "siren")
		})
		if q := quality(t, p, "gas.ch4"); q != "good" {
			t.Fatal("its gauge is", q)
		}
	})
	t.Run("the board's button is heard", func(t *testing.T) {
		if err := p.Says("button: listening", 1, 20*time.Second); err != nil {
			t.Fatal(err)
		}
		if err := p.Button(); err != nil {
			t.Fatal(err)
		}
		if err := p.Says("button: a short press", 1, 20*time.Second); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a gauge that crosses sounds siren and loudspeaker", func(t *testing.T) {
		siren, tone, err := p.Cross(30 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("siren after %v, tone after %v", siren, tone)
		heard := time.Now().Add(-tone)
		time.Sleep(4 * time.Second)
		s := p.Ear.Between(heard.Add(500*time.Millisecond), heard.Add(3500*time.Millisecond))
		hz, level := s.Dominant(), s.RMS()
		pulses := s.Cadence(bench.Tone)
		t.Logf("%.1f Hz at %.1f dBFS, %d pulses in %v", hz, level, len(pulses), s.Duration())
		if math.Abs(hz-bench.Tone) > 0.02*bench.Tone || level < -12 || s.Clipped() > 0.001 || len(pulses) < 5 || len(pulses) > 10 {
			t.Fatal("this is not the tone of the plan")
		}
		if mib, err := p.Taken(); err != nil || mib < 20 {
			t.Fatal(mib, err)
		} else {
			t.Logf("%.1f MiB are taken while it sounds", mib)
		}
	})
	t.Run("a siren without power is told while the loudspeaker goes on", func(t *testing.T) {
		p.Siren.Mains(false)
		at := time.Now()
		until(t, "told", p, "/api/v1/faults", time.Minute, func(s string) bool { return strings.Contains(s, "siren") })
		if gap := p.Ear.LongestSilence(at, time.Now(), bench.Audible); gap > 10*time.Second {
			t.Fatal("the loudspeaker was silent for", gap)
		}
	})
}

func TestAHungAlarmPathIsStartedAnewThoughItsProcessLives(t *testing.T) {
	if why := bench.Needs(); why != "" {
		t.Fatal(why)
	}
	p, err := bench.NewPole(t.TempDir(), os.Getenv("TOCSIN_IMAGE"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		if t.Failed() {
			t.Log(p.Console())
		}
	})
	if err := p.MakeHanging(); err != nil {
		t.Fatal(err)
	}
	boots(t, p.Board)
	if err := p.Settled(most); err != nil {
		t.Fatal(err)
	}
	took, err := p.Hang(most)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("armed again after %.1f s", took.Seconds())
	if err := p.Settled(most); err != nil {
		t.Fatal(err)
	}
	if siren, tone, err := p.Cross(time.Minute); err != nil {
		t.Fatal("it stands watch and does not warn:", siren, tone, err)
	}
}
