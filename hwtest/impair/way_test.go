package impair

import (
	"math"
	"slices"
	"testing"
	"time"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s: %.4f, want %.4f ± %.4f", what, got, want, within)
	}
}

func TestAWayDoesWhatItIsSetTo(t *testing.T) {
	const n = 200_000
	run := func(s Setting) (Count, []time.Duration) {
		w := NewWay(s, 1)
		var delays []time.Duration
		for i := range n {
			now := time.Duration(i) * 100 * time.Millisecond
			for _, at := range w.Send(now, 100) {
				delays = append(delays, at-now)
			}
		}
		return w.Count(), delays
	}
	c, _ := run(Setting{Loss: 0.05})
	near(t, "loss", float64(c.Lost)/n, 0.05, 0.003)
	c, _ = run(Setting{Loss: 0.05, Burst: 4})
	near(t, "loss in runs", float64(c.Lost)/n, 0.05, 0.006)
	c, d := run(Setting{Duplicate: 0.1})
	near(t, "duplicates", float64(c.Duplicated)/n, 0.1, 0.005)
	if len(d) != n+int(c.Duplicated) {
		t.Errorf("%d came out", len(d))
	}
	c, _ = run(Setting{Reorder: 0.02, Held: 250 * time.Millisecond})
	near(t, "reordered", float64(c.Reordered)/n, 0.02, 0.002)
	_, d = run(Setting{Delay: 80 * time.Millisecond, Jitter: 40 * time.Millisecond})
	slices.Sort(d)
	near(t, "least delay", d[0].Seconds(), 0.040, 0.001)
	near(t, "most delay", d[n-1].Seconds(), 0.120, 0.001)
	near(t, "middle delay", d[n/2].Seconds(), 0.080, 0.002)
	_, d = run(Setting{Rate: 64e3, Delay: 600 * time.Millisecond})
	near(t, "100 bytes at 64 kbit/s", d[n/2].Seconds(), 0.6125, 1e-6)
}

func TestLossesComeInRunsOfTheMeanLength(t *testing.T) {
	w := NewWay(Setting{Loss: 0.05, Burst: 4}, 3)
	runs, lost, before := 0, 0, false
	for i := range 400_000 {
		gone := len(w.Send(time.Duration(i)*time.Second, 1)) == 0
		if gone {
			lost++
			if !before {
				runs++
			}
		}
		before = gone
	}
	near(t, "mean run", float64(lost)/float64(runs), 4, 0.2)
}

func TestMoreThanTheRateIsDroppedBeforeAFullQueue(t *testing.T) {
	w := NewWay(Setting{Rate: 64e3}, 1)
	var last time.Duration
	const bytes, every = 1000, 100 * time.Millisecond // 80 kbit/s
	for i := range 6000 {
		for _, at := range w.Send(time.Duration(i)*every, bytes) {
			if at < last {
				t.Fatal("out of order")
			}
			if wait := at - time.Duration(i)*every; wait > 2200*time.Millisecond {
				t.Fatalf("a packet waited %v behind a queue of two seconds", wait)
			}
			last = at
		}
	}
	c := w.Count()
	near(t, "share let through", float64(c.Delivered)/float64(c.Packets), 0.8, 0.01)
	if c.Dropped+c.Delivered != c.Packets {
		t.Errorf("%+v", c)
	}
}

func TestABlackoutTakesWhatIsUnderWay(t *testing.T) {
	w := NewWay(Setting{Delay: 600 * time.Millisecond}, 1)
	w.Dark(Span{10 * time.Second, 16 * time.Second})
	var gone []time.Duration
	for i := range 300 {
		now := time.Duration(i) * 100 * time.Millisecond
		if len(w.Send(now, 10)) == 0 {
			gone = append(gone, now)
		}
	}
	if len(gone) != 66 || gone[0] != 9400*time.Millisecond || gone[65] != 15900*time.Millisecond {
		t.Errorf("%d lost, from %v to %v", len(gone), gone[0], gone[len(gone)-1])
	}
}

func TestTheSameSeedLosesTheSame(t *testing.T) {
	a, b, c := NewWay(Worst, 9), NewWay(Worst, 9), NewWay(Worst, 10)
	differs := false
	for i := range 2000 {
		now := time.Duration(i) * time.Second
		x, y, z := a.Send(now, 50), b.Send(now, 50), c.Send(now, 50)
		if !slices.Equal(x, y) {
			t.Fatal("the same seed, and not the same")
		}
		differs = differs || !slices.Equal(x, z)
	}
	if !differs {
		t.Error("another seed does the same")
	}
}
