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

// 上级发布 and 红色预警 are said on the strength of a verified warning only (domain/warning.md 3.1a).
func TestTheShippedBoundsKeepAWarningsWordsForWarnings(t *testing.T) {
	b, err := os.ReadFile("../../../configs/order-bounds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Bounds Bounds `yaml:"bounds"`
	}
	if err := yaml.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	for src, scope := range f.Bounds.Sources {
		scope.Most = 3
		f.Bounds.Sources[src] = scope
		ask := Ask{Cause: "x", Kind: Real, Source: src, Action: Sound, Level: 2, Outputs: []string{"horn"}, Who: Who{Name: "x"},
			Content: Content{Tone: "evacuate", Clips: []string{"say-attention", ",", "say-red.yue"}}, Standing: true}
		if err := NewDesk(f.Bounds, &hand{}, nil).Check(ask); (err == nil) != (src == Alert) {
			t.Errorf("%v: %v", src, err)
		}
	}
	drill := Ask{Cause: "x", Kind: Drill, Source: Alert, Action: Sound, Outputs: []string{"horn"}, Content: Content{Tone: "attention", Clips: []string{"drill", "say-attention", ",", "say-red.yue"}}}
	if err := NewDesk(f.Bounds, &hand{}, nil).Check(drill); err != nil {
		t.Error(err)
	}
}
