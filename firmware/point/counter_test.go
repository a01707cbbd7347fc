package point

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func tipping() *Counter {
	return &Counter{Wrap: 6553.6, Resets: true, Tip: 0.2, Most: 8.0 / 60, Burst: 0.4,
		Within: []Bound{{time.Hour, 450}, {24 * time.Hour, 1900}}}
}

func TestAGainIsToldFromEverythingThatIsNone(t *testing.T) {
	never := tipping()
	never.Resets = false
	for name, c := range map[string]struct {
		c             *Counter
		before, after float64
		over          time.Duration
		gain          float64
		kind          Kind
	}{
		"nothing":                             {tipping(), 100, 100, time.Second, 0, Plain},
		"two tips at once":                    {tipping(), 100, 100.4, time.Millisecond, 0.4, Plain},
		"three tips at once":                  {tipping(), 100, 100.6, time.Millisecond, 0, Surge},
		"a cloudburst":                        {tipping(), 100, 108, time.Minute, 8, Plain},
		"an impossible minute":                {tipping(), 100, 109, time.Minute, 0, Surge},
		"a lower total of a float":            {tipping(), 100.05, 100, time.Second, 0, Plain},
		"roll-over":                           {tipping(), 6553.4, 0.2, 2 * time.Second, 0.4, Wrapped},
		"roll-over over a short gap":          {tipping(), 6540, 20, 5 * time.Minute, 33.6, Wrapped},
		"a fall over hours is no roll-over":   {tipping(), 6000, 0.2, 5 * time.Hour, 0, Reset},
		"a fall from the middle":              {never, 3000, 12, 12 * time.Hour, 0, Exchanged},
		"restart":                             {tipping(), 500, 0, 2 * time.Second, 0, Reset},
		"a restart that is none":              {tipping(), 500, 300, 2 * time.Second, 0, Exchanged},
		"one that never restarts":             {never, 500, 0, 2 * time.Second, 0, Exchanged},
		"an hour of more than ever fell":      {tipping(), 0, 470, time.Hour, 0, Surge},
		"two days of heavy rain, all at once": {tipping(), 0, 3000, 30 * time.Hour, 3000, Plain},
		"a swap to a higher total in a gap":   {tipping(), 0, 5000, 30 * time.Hour, 0, Surge},
		"time that runs backwards":            {tipping(), 0, 0.6, -time.Hour, 0, Surge},
		"no limits":                           {&Counter{}, 0, 1e6, 0, 1e6, Plain},
	} {
		g, k := c.c.Gain(c.before, c.after, c.over)
		if math.Abs(g-c.gain) > 1e-9 || k != c.kind {
			t.Errorf("%s: %v %v, want %v %v", name, g, k, c.gain, c.kind)
		}
	}
}

// TestWhatIsNoRainGainsNothing: whatever the totals and times are, a gain is
// never negative, never more than can be true, and a fall gains at most a
// roll-over.
func TestWhatIsNoRainGainsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := tipping()
		c.Resets = rapid.Bool().Draw(t, "resets")
		total := rapid.Float64Range(0, 6553.6)
		before, after := total.Draw(t, "before"), total.Draw(t, "after")
		over := time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "over"))
		g, k := c.Gain(before, after, over)
		switch {
		case g < 0 || math.IsNaN(g) || !c.Possible(g, over):
			t.Fatalf("gain %v (%v)", g, k)
		case (k == Reset || k == Exchanged || k == Surge) && g != 0:
			t.Fatalf("%v gains %v", k, g)
		case after < before-c.Tip && g > 0 && (k != Wrapped || g > c.Burst+c.Most*600+1e-9):
			t.Fatalf("a fall of %v gains %v (%v)", before-after, g, k)
		}
	})
}

func TestACorrectionIsStraightBetweenItsEntriesAndEndsWithThem(t *testing.T) {
	c := &Counter{Intensity: []Correction{{4, 1}, {6, 1.04}, {8, 1.06}}}
	for in, want := range map[float64]float64{0: 1, 4: 1, 5: 1.02, 6: 1.04, 7: 1.05, 8: 1.06, 100: 1.06, math.NaN(): 1} {
		if got := c.Factor(in); math.Abs(got-want) > 1e-12 {
			t.Errorf("at %v: %v, want %v", in, got, want)
		}
	}
	if got := (&Counter{}).Factor(7); got != 1 {
		t.Errorf("without a table: %v", got)
	}
}
