package ladder

import (
	"os"
	"strings"
	"testing"
)

func TestRulesNameWhatIsWrong(t *testing.T) {
	good, err := os.ReadFile("../../../configs/" + RulesName)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, want string }{
		{"version: 1", "version: 2", "version"},
		{"floor: 48 kbit/s", "floor: 48", "48"},
		{"gap: 3s", "gap: 0s", "fresh.gap"},
		{"need: 1.2", "need: 1.05", "climb.need"},
		{"width: 320", "width: 3200", "stills.thumb"},
		{"train: 3s", "train: 3ms", "climb.train"},
		{"quick: 1s", "quick: 1s\n  color: red", "color"},
	} {
		if !strings.Contains(string(good), c.from) {
			t.Fatalf("the file has no %q", c.from)
		}
		if _, err := ParseRules([]byte(strings.Replace(string(good), c.from, c.to, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.to, err)
		}
	}
}

// A county's own video.yaml never panics the box.
func FuzzParseRules(f *testing.F) {
	good, err := os.ReadFile("../../../configs/" + RulesName)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRules(b)
		if (r == nil) == (err == nil) {
			t.Fatal(r, err)
		}
		if err == nil && (r.Fresh.Gap <= 0 || r.Budget.Floor <= 0) {
			t.Error("accepted without bounds")
		}
	})
}
