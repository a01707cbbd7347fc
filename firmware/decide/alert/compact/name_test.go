package compact

import (
	"testing"

	"pgregory.net/rapid"
)

// TestWhoTookAWarningNamesItAsItsSignerDoes: a receipt names it by what both know.
func TestWhoTookAWarningNamesItAsItsSignerDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		began := Day(rapid.IntRange(19000, 40000).Draw(t, "began"))
		w := Warning{Type: Type(rapid.IntRange(0, int(types)-1).Draw(t, "type")), Issuer: uint8(rapid.IntRange(1, 255).Draw(t, "issuer")),
			Chain: Chain{uint8(began & 7), uint8(rapid.IntRange(0, 255).Draw(t, "serial"))}}
		issued := began
		if w.Type.about() {
			issued += Day(rapid.IntRange(0, 7).Draw(t, "later"))
		}
		if w.Type == Update {
			w.Sequence = uint8(rapid.IntRange(1, 7).Draw(t, "sequence"))
		}
		id := w.ref("office", w.chainDay(issued), w.Sequence).Identifier
		if w.Type.cancels() {
			id += "-end"
		}
		got, ok := Named(id)
		if want := w.Name(issued); !ok || got != want || got.Day != began {
			t.Fatalf("%s: %+v %v, want %+v", id, got, ok, want)
		}
	})
	for _, id := range []string{"", "compact-300-20260101-1", "compact-1-20261301-1", "compact-1-20260101-999", "compact-1-20260101-1-u9", "compact-1-20260101-1x", "44018541600000_1"} {
		if n, ok := Named(id); ok {
			t.Errorf("%q is read as %+v", id, n)
		}
	}
}
