package source

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/phrase"
)

// RulesName is the rules' file in configs/.
const RulesName = "time.yaml"

const (
	rulesVersion = 1
	rulesBytes   = 64 << 10
)

// Kind is what a source is.
type Kind string

// The kinds that there are; their order of trust is that of the rules' list.
const (
	PPS      Kind = "pps"
	GNSS     Kind = "gnss"
	NTP      Kind = "ntp"
	BeiDou   Kind = "beidou"
	Downlink Kind = "downlink"
	RTC      Kind = "rtc"
)

var kinds = []Kind{PPS, GNSS, NTP, BeiDou, Downlink, RTC}

// Rules is time.yaml; the comments there say what each number means.
type Rules struct {
	Version int      `yaml:"version"`
	Drift   float64  `yaml:"drift"`
	Slack   Span     `yaml:"slack"`
	Settle  Span     `yaml:"settle"`
	Leap    Span     `yaml:"leap"`
	Most    Span     `yaml:"most"`
	Years   int      `yaml:"years"`
	Lost    Span     `yaml:"lost"`
	Sure    Span     `yaml:"sure"`
	Grant   Span     `yaml:"grant"`
	Sources []Source `yaml:"sources"`
	NTP     Asking   `yaml:"ntp"`
}

// Source is one kind's row.
type Source struct {
	Kind  Kind `yaml:"kind"`
	Bound Span `yaml:"bound"`
	Hold  Span `yaml:"hold"`
}

// Asking says how time servers are asked.
type Asking struct {
	Every  Span `yaml:"every"`
	First  Span `yaml:"first"`
	Within Span `yaml:"within"`
	Most   int  `yaml:"most"`
}

// Span is a length of time in the rules' file; days may be written too (400d).
type Span time.Duration

// UnmarshalText reads one.
func (s *Span) UnmarshalText(b []byte) error {
	var days float64
	if n, err := fmt.Sscanf(string(b), "%gd", &days); n == 1 && err == nil && b[len(b)-1] == 'd' && days >= 0 && days <= 36500 {
		*s = Span(days * float64(24*time.Hour))
		return nil
	}
	d, err := time.ParseDuration(string(b))
	*s = Span(d)
	return err
}

func (s Span) d() time.Duration { return time.Duration(s) }

// LoadRules reads and proves time.yaml.
func LoadRules(fsys fs.FS) (*Rules, error) {
	b, err := fs.ReadFile(fsys, RulesName)
	if err != nil {
		return nil, phrase.Wrap(err, "time.no_rules", "file", RulesName)
	}
	return ParseRules(b)
}

// ParseRules reads and proves the text of time.yaml. Its error names every fault.
func ParseRules(b []byte) (_ *Rules, err error) {
	defer func() {
		if r := recover(); r != nil { // the YAML library has not foreseen a list that is an alias of nothing
			err = phrase.E("time.rules", "file", RulesName, "why", fmt.Sprint(r))
		}
	}()
	var r Rules
	if len(b) > rulesBytes {
		return nil, phrase.E("time.rules", "file", RulesName, "why", fmt.Sprintf("> %d", rulesBytes))
	}
	if err := yaml.UnmarshalWithOptions(b, &r, yaml.Strict()); err != nil {
		return nil, phrase.E("time.rules", "file", RulesName, "why", yaml.FormatError(err, false, false))
	}
	return &r, r.prove()
}

func (r *Rules) prove() error {
	var faults []error
	need := func(ok bool, key string, v any) {
		if !ok {
			faults = append(faults, phrase.E("time.value", "file", RulesName, "key", key, "value", fmt.Sprint(v)))
		}
	}
	within := func(key string, s Span, least, most time.Duration) { need(s.d() >= least && s.d() <= most, key, s.d()) }
	const day = 24 * time.Hour
	need(r.Version == rulesVersion, "version", r.Version)
	need(r.Drift >= 1 && r.Drift <= 1000, "drift", r.Drift)
	within("slack", r.Slack, 0, time.Minute)
	within("settle", r.Settle, 0, day)
	within("leap", r.Leap, day, 3650*day)
	within("most", r.Most, time.Minute, 30*day)
	need(r.Years >= 1 && r.Years <= 50, "years", r.Years)
	within("lost", r.Lost, time.Second, day)
	within("sure", r.Sure, 0, day)
	within("grant", r.Grant, 0, 30*day)
	var seen []Kind
	for _, s := range r.Sources {
		need(slices.Contains(kinds, s.Kind) && !slices.Contains(seen, s.Kind), "sources.kind", s.Kind)
		seen = append(seen, s.Kind)
		within("sources."+string(s.Kind)+".bound", s.Bound, 0, time.Hour)
		within("sources."+string(s.Kind)+".hold", s.Hold, time.Second, 3650*day)
	}
	need(len(seen) == len(kinds), "sources", seen)
	within("ntp.every", r.NTP.Every, 16*time.Second, day)
	within("ntp.first", r.NTP.First, time.Second, time.Hour)
	within("ntp.within", r.NTP.Within, 100*time.Millisecond, time.Minute)
	need(r.NTP.Most >= 1 && r.NTP.Most <= 16, "ntp.most", r.NTP.Most)
	return errors.Join(faults...)
}

// Of gives a kind's row.
func (r *Rules) Of(k Kind) Source {
	for _, s := range r.Sources {
		if s.Kind == k {
			return s
		}
	}
	return Source{Kind: k}
}

// rank is a kind's place in the order of trust, best first.
func (r *Rules) rank(k Kind) int {
	return slices.IndexFunc(r.Sources, func(s Source) bool { return s.Kind == k })
}
