package guard

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAStateCountsWhenItStandsAndIsGoneWhenItIsGoneForLong(t *testing.T) {
	d := Debounce{After: 3 * time.Second, Clears: 10 * time.Second}
	rapid.Check(t, func(t *rapid.T) {
		var w Watch
		var now, same time.Duration // how long the same has been known, in a row
		was, known := false, false
		for range rapid.IntRange(1, 200).Draw(t, "looks") {
			step := time.Duration(rapid.IntRange(100, 4000).Draw(t, "step")) * time.Millisecond
			now += step
			is, k := rapid.Bool().Draw(t, "is"), rapid.IntRange(0, 9).Draw(t, "known") > 0
			if k && known && is == was {
				same += step
			} else {
				same = 0
			}
			was, known = is, k
			before := w.On()
			changed := w.See(now, d, is, k)
			need := d.After
			if before {
				need = d.Clears
			}
			switch want := k && is != before && same >= need; {
			case changed != want:
				t.Fatalf("at %v, %v (known %v) for %v: changed %v", now, is, k, same, changed)
			case w.On() != (before != changed):
				t.Fatal("it says one thing and stands at another")
			}
		}
	})
}
