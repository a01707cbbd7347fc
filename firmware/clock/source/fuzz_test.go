package source

import (
	"os"
	"testing"
)

// A county's own time.yaml never panics the box, and what is accepted ranks every kind.
func FuzzParseRules(f *testing.F) {
	good, err := os.ReadFile("../../../configs/" + RulesName)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRules(b)
		if err != nil {
			return
		}
		for _, k := range kinds {
			if r.rank(k) < 0 || r.Of(k).Hold <= 0 {
				t.Errorf("%s has no row", k)
			}
		}
	})
}
