package profile

import (
	"testing"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/point"
)

// TestASurgeThatAFastPollSeesSeveralTimesIsNotBelieved: a wave of 1.5 m under a
// radar that is asked twice a second.
func TestASurgeThatAFastPollSeesSeveralTimesIsNotBelieved(t *testing.T) {
	pt := &Point{ID: "level", Type: Float32, Scale: 1, Unit: "m", Rate: &Rate{Most: 1, Per: time.Minute}}
	j := pt.NewJudge()
	look := func(v float64, at time.Duration) point.Quality {
		return j.Look(Value{Value: v, Quality: point.Good}, clock.Stamp{Mono: at, Boot: "a"}).Quality
	}
	const half = 500 * time.Millisecond
	if q := look(4.9, 0); q != point.Good {
		t.Fatalf("first: %v", q)
	}
	for i := 1; i <= 4; i++ {
		if q := look(6.4, time.Duration(i)*half); q != point.Suspect {
			t.Errorf("look %d at the surge: %v", i, q)
		}
	}
	if q := look(4.9, 5*half); q != point.Good {
		t.Errorf("after the surge: %v", q)
	}
	// A rise that stays is believed after ten seconds: a flood wave is no spike.
	last := point.Suspect
	for i := 6; i <= 30; i++ {
		last = look(6.4, time.Duration(i)*half)
	}
	if last != point.Good {
		t.Errorf("a level that stays for 12 s: %v", last)
	}
}
