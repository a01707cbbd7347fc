package guard

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var surgeRules = SurgeRules{Window: 30 * time.Second, Lived: time.Minute, Within: 10 * time.Second, Again: time.Hour}

// seen runs a world where each part dies and lives at times, in seconds, and gives when what
// was taken for a surge.
func seen(until int, flips map[string][]int) (at []int, what [][]string) {
	var s Surge
	for t := range until {
		dead := map[string]bool{}
		for name, f := range flips {
			is := false
			for _, x := range f {
				if t >= x {
					is = !is
				}
			}
			dead[name] = is
		}
		if got := s.See(time.Duration(t)*time.Second, surgeRules, dead); got != nil {
			at, what = append(at, t), append(what, got)
		}
	}
	return at, what
}

func TestWhatDiesTogetherIsTakenForASurge(t *testing.T) {
	for name, c := range map[string]struct {
		flips map[string][]int
		at    []int
		first []string
	}{
		"nothing dies":             {map[string][]int{"line a": nil, "line b": nil}, nil, nil},
		"one alone":                {map[string][]int{"line a": {100}, "line b": nil}, nil, nil},
		"two at once":              {map[string][]int{"line a": {100}, "line b": {100}, "line c": nil}, []int{100}, []string{"line a", "line b"}},
		"two shortly apart":        {map[string][]int{"line a": {100}, "output horn": {125}}, []int{125}, []string{"line a", "output horn"}},
		"two far apart":            {map[string][]int{"line a": {100}, "line b": {200}}, nil, nil},
		"never lived":              {map[string][]int{"line a": {0}, "line b": {0}}, nil, nil},
		"one is back before":       {map[string][]int{"line a": {100, 105}, "line b": {110}}, nil, nil},
		"flutter is no second one": {map[string][]int{"line a": {100, 200, 300, 400, 500}, "line b": {100, 200, 300, 400, 500}}, []int{100}, []string{"line a", "line b"}},
		"another hour, another":    {map[string][]int{"line a": {100, 200, 3800}, "line b": {100, 200, 3800}}, []int{100, 3800}, []string{"line a", "line b"}},
	} {
		at, what := seen(4000, c.flips)
		if !slices.Equal(at, c.at) || len(at) > 0 && !slices.Equal(what[0], c.first) {
			t.Errorf("%s: at %v %v", name, at, what)
		}
	}
}

func TestASurgeIsNeverOnePartAndNeverMoreThanOnceInItsTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flips := map[string][]int{}
		for _, name := range []string{"line a", "line b", "output c"} {
			f := rapid.SliceOfN(rapid.IntRange(0, 9999), 0, 30).Draw(t, name)
			slices.Sort(f)
			flips[name] = f
		}
		at, what := seen(10_000, flips)
		for i := range at {
			if len(what[i]) < 2 || i > 0 && at[i]-at[i-1] < int(surgeRules.Again.Seconds()) {
				t.Fatalf("%v %v", at, what)
			}
		}
	})
}
