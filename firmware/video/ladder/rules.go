package ladder

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"tocsin/firmware/phrase"
)

// RulesName is the rules' file in configs/.
const RulesName = "video.yaml"

const (
	rulesVersion = 1
	rulesBytes   = 64 << 10
)

// Rules is video.yaml; the comments there say what each number means.
type Rules struct {
	Version int         `yaml:"version"`
	Budget  BudgetRules `yaml:"budget"`
	Signs   SignRules   `yaml:"signs"`
	Climb   ClimbRules  `yaml:"climb"`
	Fresh   FreshRules  `yaml:"fresh"`
	Stills  StillRules  `yaml:"stills"`
	Source  SourceRules `yaml:"source"`
	Pace    PaceRules   `yaml:"pace"`
	Uplink  UplinkRules `yaml:"uplink"`
	Clips   ClipRules   `yaml:"clips"`
}

// BudgetRules say what a link is trusted to bear.
type BudgetRules struct {
	Estimate float64 `yaml:"estimate"`
	Acked    float64 `yaml:"acked"`
	Start    Rate    `yaml:"start"`
	Most     Rate    `yaml:"most"`
	Floor    Rate    `yaml:"floor"`
}

// SignRules say what a link that bears less looks like.
type SignRules struct {
	Loss    float64 `yaml:"loss"`
	Short   float64 `yaml:"short"`
	Lag     Span    `yaml:"lag"`
	Queue   Span    `yaml:"queue"`
	RTTFor  Span    `yaml:"rtt_for"`
	Silence Span    `yaml:"silence"`
}

// ClimbRules say when a better rung is tried.
type ClimbRules struct {
	Need   float64 `yaml:"need"`
	Stay   float64 `yaml:"stay"`
	For    Span    `yaml:"for"`
	Held   float64 `yaml:"held"`
	Ramp   float64 `yaml:"ramp"`
	First  Span    `yaml:"first"`
	Most   Span    `yaml:"most"`
	Within Span    `yaml:"within"`
	Hold   Span    `yaml:"hold"`
	Calm   Span    `yaml:"calm"`
	Train  Span    `yaml:"train"`
}

// FreshRules say how long a viewer may wait for a new picture.
type FreshRules struct {
	From Rate    `yaml:"from"`
	Gap  Span    `yaml:"gap"`
	Make Span    `yaml:"make"`
	Fill float64 `yaml:"fill"`
}

// Size is one size of still pictures, and the bytes that one takes until one was made.
type Size struct {
	Width  int `yaml:"width"`
	Height int `yaml:"height"`
	Bytes  int `yaml:"bytes"`
}

// StillRules say what still pictures there are, and how often one comes on the thinnest links.
type StillRules struct {
	Still Size    `yaml:"still"`
	Thumb Size    `yaml:"thumb"`
	Small Size    `yaml:"small"`
	Quick Span    `yaml:"quick"`
	Every Span    `yaml:"every"`
	Most  Span    `yaml:"most"`
	Share float64 `yaml:"share"`
}

// SourceRules say what a source sends until it was measured.
type SourceRules struct {
	Main  Rate `yaml:"main"`
	Lower Rate `yaml:"lower"`
}

// PaceRules say how evenly pictures leave.
type PaceRules struct {
	Key  Span    `yaml:"key"`
	Over float64 `yaml:"over"`
	Wait Span    `yaml:"wait"`
}

// UplinkRules say what pictures leave to messages.
type UplinkRules struct {
	Urgent Rate `yaml:"urgent"`
	For    Span `yaml:"for"`
}

// ClipRules say what alarm clips may take of a link on their way to the county.
type ClipRules struct {
	Free  Rate `yaml:"free"`
	Other Rate `yaml:"other"`
}

// Span is a length of time in the rules' file.
type Span time.Duration

// UnmarshalText reads one.
func (s *Span) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	*s = Span(d)
	return err
}

// D is the length of time.
func (s Span) D() time.Duration { return time.Duration(s) }

// Rate is bit/s; in the rules' file with its unit: 64 kbit/s, 8 Mbit/s.
type Rate int

// UnmarshalText reads one.
func (r *Rate) UnmarshalText(b []byte) error {
	number, unit, _ := strings.Cut(string(b), " ")
	factor, known := map[string]float64{"bit/s": 1, "kbit/s": 1e3, "Mbit/s": 1e6}[unit]
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || !(v >= 0 && v*factor <= math.MaxInt32) {
		return fmt.Errorf("%q: bit/s, kbit/s, Mbit/s", b)
	}
	*r = Rate(v * factor)
	return nil
}

// LoadRules reads and proves video.yaml.
func LoadRules(fsys fs.FS) (*Rules, error) {
	b, err := fs.ReadFile(fsys, RulesName)
	if err != nil {
		return nil, phrase.Wrap(err, "ladder.no_rules", "file", RulesName)
	}
	return ParseRules(b)
}

// ParseRules reads and proves the text of video.yaml. Its error names every fault.
func ParseRules(b []byte) (_ *Rules, err error) {
	defer func() {
		if r := recover(); r != nil { // the YAML library has not foreseen a list that is an alias of nothing
			err = phrase.E("ladder.rules", "file", RulesName, "why", fmt.Sprint(r))
		}
	}()
	if len(b) > rulesBytes {
		return nil, phrase.E("ladder.rules", "file", RulesName, "why", fmt.Sprintf("> %d", rulesBytes))
	}
	tree, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, phrase.E("ladder.rules", "file", RulesName, "why", yaml.FormatError(err, false, false))
	}
	for _, d := range tree.Docs {
		for _, t := range []ast.NodeType{ast.AnchorType, ast.AliasType, ast.MergeKeyType} {
			if d.Body != nil && len(ast.Filter(t, d.Body)) > 0 { // one that holds itself would be read for ever
				return nil, phrase.E("ladder.rules", "file", RulesName, "why", "& * <<")
			}
		}
	}
	var r Rules
	if err := yaml.UnmarshalWithOptions(b, &r, yaml.Strict()); err != nil {
		return nil, phrase.E("ladder.rules", "file", RulesName, "why", yaml.FormatError(err, false, false))
	}
	if err := r.prove(); err != nil {
		return nil, err
	}
	return &r, nil
}

func (r *Rules) prove() error {
	var faults []error
	need := func(ok bool, key string, v any) {
		if !ok {
			faults = append(faults, phrase.E("ladder.value", "file", RulesName, "key", key, "value", fmt.Sprint(v)))
		}
	}
	span := func(key string, s Span, least, most time.Duration) { need(s.D() >= least && s.D() <= most, key, s.D()) }
	rate := func(key string, v, least, most Rate) { need(v >= least && v <= most, key, int(v)) }
	ratio := func(key string, v, least, most float64) { need(v >= least && v <= most, key, v) }
	size := func(key string, s, bigger Size) {
		need(s.Width >= 16 && s.Width <= bigger.Width && s.Height >= 16 && s.Height <= bigger.Height && s.Bytes > 0 && s.Bytes <= bigger.Bytes, key, s)
	}
	need(r.Version == rulesVersion, "version", r.Version)
	ratio("budget.estimate", r.Budget.Estimate, 0.1, 1)
	ratio("budget.acked", r.Budget.Acked, 1, 4)
	rate("budget.start", r.Budget.Start, 1000, r.Budget.Most)
	rate("budget.most", r.Budget.Most, 64_000, 1_000_000_000)
	rate("budget.floor", r.Budget.Floor, 100, r.Budget.Start)
	ratio("signs.loss", r.Signs.Loss, 0.01, 0.5)
	ratio("signs.short", r.Signs.Short, 0.1, 0.95)
	span("signs.lag", r.Signs.Lag, 50*time.Millisecond, 5*time.Second)
	span("signs.queue", r.Signs.Queue, 20*time.Millisecond, 10*time.Second)
	span("signs.rtt_for", r.Signs.RTTFor, time.Second, 10*time.Minute)
	span("signs.silence", r.Signs.Silence, time.Second, time.Minute)
	ratio("climb.need", r.Climb.Need, 1.05, 3)
	ratio("climb.stay", r.Climb.Stay, 0.5, 1)
	span("climb.for", r.Climb.For, time.Second, 10*time.Second)
	ratio("climb.held", r.Climb.Held, 0.5, 1)
	need(r.Climb.Need*r.Climb.Held >= 1, "climb.need × climb.held", r.Climb.Need*r.Climb.Held)
	ratio("climb.ramp", r.Climb.Ramp, 1.2, 4)
	span("climb.first", r.Climb.First, time.Second, r.Climb.Most.D())
	span("climb.most", r.Climb.Most, time.Second, time.Hour)
	span("climb.within", r.Climb.Within, time.Second, time.Hour)
	span("climb.hold", r.Climb.Hold, time.Second, time.Minute)
	span("climb.calm", r.Climb.Calm, time.Second, time.Minute)
	span("climb.train", r.Climb.Train, time.Second, time.Minute)
	rate("fresh.from", r.Fresh.From, 1000, r.Budget.Most)
	span("fresh.gap", r.Fresh.Gap, time.Second, time.Minute)
	span("fresh.make", r.Fresh.Make, 0, r.Fresh.Gap.D()/2)
	ratio("fresh.fill", r.Fresh.Fill, 0.1, 1)
	size("stills.still", r.Stills.Still, Size{1920, 1080, 1 << 20})
	size("stills.thumb", r.Stills.Thumb, r.Stills.Still)
	size("stills.small", r.Stills.Small, r.Stills.Thumb)
	span("stills.quick", r.Stills.Quick, 100*time.Millisecond, r.Fresh.Gap.D()/2)
	span("stills.every", r.Stills.Every, time.Second, r.Stills.Most.D())
	span("stills.most", r.Stills.Most, time.Second, time.Hour)
	ratio("stills.share", r.Stills.Share, 0.05, 1)
	rate("source.main", r.Source.Main, 1000, r.Budget.Most)
	rate("source.lower", r.Source.Lower, 1000, r.Source.Main)
	span("pace.key", r.Pace.Key, time.Millisecond, time.Second)
	ratio("pace.over", r.Pace.Over, 1, 20)
	span("pace.wait", r.Pace.Wait, 50*time.Millisecond, 10*time.Second)
	rate("uplink.urgent", r.Uplink.Urgent, 1000, r.Budget.Most)
	span("uplink.for", r.Uplink.For, time.Second, time.Hour)
	rate("clips.free", r.Clips.Free, 1000, 1_000_000_000)
	rate("clips.other", r.Clips.Other, 0, r.Clips.Free)
	return errors.Join(faults...)
}
