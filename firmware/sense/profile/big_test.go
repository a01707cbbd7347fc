package profile

import (
	"strings"
	"testing"
	"time"
)

// TestHostileNestingEndsSoon: a profile may be uploaded, so the deepest nesting
// that its size allows must neither take the stack nor the processor.
func TestHostileNestingEndsSoon(t *testing.T) {
	for _, unit := range []string{"[", "{", "{a: ", "- ", "? ", "a: [", "\"", "'", "- - [", "&a ", "!t ", "a:\n", "|\n", "# "} {
		began := time.Now()
		b := []byte(strings.Repeat(unit, mostBytes/len(unit)))
		if p, problems := Parse("x.yaml", b); p != nil || len(problems) == 0 {
			t.Errorf("%q: taken", unit)
		}
		// Alone it takes 0.3 s at most; without the bounds the worst took 18 s.
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%q took %v", unit, took)
		}
	}
}
