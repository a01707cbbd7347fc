package account

import (
	"errors"
	"io/fs"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
)

// RulesName is the file of the rules.
const RulesName = "telemetry.yaml"

const (
	rulesVersion = 1
	rulesBytes   = 64 << 10
)

// Rules say how often and in which steps.
type Rules struct {
	Version    int                `yaml:"version"`
	Every      time.Duration      `yaml:"every"`
	State      StateRule          `yaml:"state"`
	Dictionary time.Duration      `yaml:"dictionary"`
	Narrow     Narrow             `yaml:"narrow"`
	Resolution map[string]float64 `yaml:"resolution"`
}

// StateRule says how often a station tells how it stands.
type StateRule struct {
	Every time.Duration `yaml:"every"`
	Least time.Duration `yaml:"least"`
}

// Narrow bounds the short form; see the file.
type Narrow struct {
	Bytes    int           `yaml:"bytes"`
	Channels int           `yaml:"channels"`
	Within   time.Duration `yaml:"within"`
	Chain    int           `yaml:"chain"`
	Key      int           `yaml:"key"`
}

// The bounds of a period.
const (
	EveryLeast = time.Minute
	EveryMost  = 4 * time.Hour
)

// Every tells whether rows can lie so far apart: whole minutes.
func Every(d time.Duration) bool {
	return d >= EveryLeast && d <= EveryMost && d%time.Minute == 0
}

// LoadRules reads and proves telemetry.yaml.
func LoadRules(fsys fs.FS) (*Rules, error) {
	b, err := fs.ReadFile(fsys, RulesName)
	if err != nil {
		return nil, phrase.Wrap(err, "account.no_rules", "file", RulesName)
	}
	return ParseRules(b)
}

// ParseRules reads and proves the text. Its error names every fault.
func ParseRules(b []byte) (*Rules, error) {
	if len(b) > rulesBytes {
		return nil, phrase.E("account.rules", "file", RulesName, "why", phrase.M("account.long", "most", rulesBytes))
	}
	var r Rules
	if err := yaml.UnmarshalWithOptions(b, &r, yaml.Strict()); err != nil {
		return nil, phrase.E("account.rules", "file", RulesName, "why", yaml.FormatError(err, false, false))
	}
	if r.Version != rulesVersion {
		return nil, phrase.E("account.version", "file", RulesName, "version", r.Version, "reads", rulesVersion)
	}
	var faults []error
	need := func(ok bool, place string, least, most any) {
		if !ok {
			faults = append(faults, phrase.E("account.value", "file", RulesName, "place", place, "least", least, "most", most))
		}
	}
	n := r.Narrow
	need(Every(r.Every), "every", EveryLeast, EveryMost)
	need(r.State.Every >= time.Minute && r.State.Every <= 24*time.Hour, "state.every", time.Minute, 24*time.Hour)
	need(r.State.Least >= time.Second && r.State.Least <= r.State.Every, "state.least", time.Second, r.State.Every)
	need(r.Dictionary >= time.Hour && r.Dictionary <= 30*24*time.Hour, "dictionary", time.Hour, 30*24*time.Hour)
	need(n.Bytes >= 16 && n.Bytes <= 1000, "narrow.bytes", 16, 1000)
	need(n.Channels >= 1 && n.Channels <= wire.ChannelsMost, "narrow.channels", 1, wire.ChannelsMost)
	need(n.Within >= EveryLeast && n.Within <= 24*time.Hour, "narrow.within", EveryLeast, 24*time.Hour)
	need(n.Chain >= 0 && n.Chain <= 15, "narrow.chain", 0, 15)
	need(n.Key >= 1 && n.Key <= 1000, "narrow.key", 1, 1000)
	need(len(r.Resolution) > 0 && len(r.Resolution) <= 200, "resolution", 1, 200)
	for unit, step := range r.Resolution {
		need(step >= 1e-6 && step <= 1e6, "resolution."+unit, 1e-6, 1e6)
	}
	return &r, errors.Join(faults...)
}
