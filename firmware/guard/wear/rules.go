package wear

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/phrase"
)

// RulesName is the rules' file in configs/.
const RulesName = "wear.yaml"

const (
	rulesVersion = 1
	rulesBytes   = 64 << 10
)

// Rules is wear.yaml; the comments there say what each number means.
type Rules struct {
	Version int           `yaml:"version"`
	Dwell   time.Duration `yaml:"dwell"`
	Chip    Heat          `yaml:"chip"`
	Cabinet Heat          `yaml:"cabinet"`
	Flash   Flash         `yaml:"flash"`
}

// Heat is what is too warm and too cold, in °C.
type Heat struct {
	Warm       float64 `yaml:"warm"`
	Hot        float64 `yaml:"hot"`
	Cold       float64 `yaml:"cold"`
	Hysteresis float64 `yaml:"hysteresis"`
}

// Flash is how much of a flash's life may be used.
type Flash struct {
	// Used and Worn are percent of what an eMMC says itself.
	Used int `yaml:"used"`
	Worn int `yaml:"worn"`
	// Cycles is what a cell of a card bears, Amplification how much more is written to it than was asked for.
	Cycles        float64 `yaml:"cycles"`
	Amplification float64 `yaml:"amplification"`
	// Years is how long a card should last at least; After how long it is watched before that is said.
	Years float64       `yaml:"years"`
	After time.Duration `yaml:"after"`
}

// LoadRules reads and proves wear.yaml.
func LoadRules(fsys fs.FS) (*Rules, error) {
	b, err := fs.ReadFile(fsys, RulesName)
	if err != nil {
		return nil, phrase.Wrap(err, "wear.no_rules", "file", RulesName)
	}
	return ParseRules(b)
}

// ParseRules reads and proves the text. Its error names every fault.
func ParseRules(b []byte) (*Rules, error) {
	if len(b) > rulesBytes {
		return nil, phrase.E("wear.long", "file", RulesName, "most", rulesBytes)
	}
	var r Rules
	if err := yaml.UnmarshalWithOptions(b, &r, yaml.Strict()); err != nil {
		return nil, phrase.E("wear.rules", "file", RulesName, "why", yaml.FormatError(err, false, false))
	}
	if r.Version != rulesVersion {
		return nil, phrase.E("wear.version", "file", RulesName, "version", r.Version, "reads", rulesVersion)
	}
	var faults []error
	need := func(ok bool, place string, least, most any) {
		if !ok { // as NaN is
			faults = append(faults, phrase.E("wear.value", "file", RulesName, "place", place, "least", fmt.Sprint(least), "most", fmt.Sprint(most)))
		}
	}
	need(r.Dwell >= time.Second && r.Dwell <= time.Hour, "dwell", time.Second, time.Hour)
	for place, h := range map[string]Heat{"chip": r.Chip, "cabinet": r.Cabinet} {
		need(h.Hysteresis >= 1 && h.Hysteresis <= 30, place+".hysteresis", 1, 30)
		need(h.Warm >= 20 && h.Warm <= 120, place+".warm", 20, 120)
		need(h.Hot > h.Warm && h.Hot <= 125, place+".hot", h.Warm, 125)
		need(h.Cold >= -60 && h.Cold <= h.Warm-2*h.Hysteresis, place+".cold", -60, h.Warm-2*h.Hysteresis)
	}
	f := r.Flash
	need(f.Used >= 10 && f.Used < f.Worn, "flash.used", 10, f.Worn)
	need(f.Worn <= 100, "flash.worn", f.Used, 100)
	need(f.Cycles >= 10 && f.Cycles <= 1e6, "flash.cycles", 10, 1e6)
	need(f.Amplification >= 1 && f.Amplification <= 100, "flash.amplification", 1, 100)
	need(f.Years > 0 && f.Years <= 50, "flash.years", 0, 50)
	need(f.After >= time.Hour && f.After <= 30*24*time.Hour, "flash.after", time.Hour, 30*24*time.Hour)
	return &r, errors.Join(faults...)
}
