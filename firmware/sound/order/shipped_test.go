package order

import (
	"os"
	"testing"

	"github.com/goccy/go-yaml"
)

// Two locks on one door: the tones' own and the desk's. They must mean the same
// tones.
func TestEveryLockedToneThatIsShippedIsReservedByTheShippedBounds(t *testing.T) {
	read := func(name string, into any) {
		t.Helper()
		b, err := os.ReadFile("../../../configs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(b, into); err != nil {
			t.Fatal(err)
		}
	}
	var tones struct {
		Tones map[string]struct {
			Locked bool `yaml:"locked"`
		} `yaml:"tones"`
	}
	var bounds struct {
		Bounds Bounds `yaml:"bounds"`
	}
	read("tones.yaml", &tones)
	read("order-bounds.yaml", &bounds)
	locked := 0
	for name, tone := range tones.Tones {
		if tone.Locked {
			locked++
		}
		if got := matches(bounds.Bounds.Reserved.Tones, name); got != tone.Locked {
			t.Errorf("%s: locked %v, reserved %v", name, tone.Locked, got)
		}
	}
	if locked == 0 {
		t.Error("no tone is locked")
	}
}
