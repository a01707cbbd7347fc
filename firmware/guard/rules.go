package guard

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/phrase"
)

// RulesName is the table's name.
const RulesName = "guard.yaml"

const (
	rulesVersion = 1
	rulesBytes   = 64 << 10
)

// Rules are how the box looks after itself.
type Rules struct {
	Version  int        `yaml:"version"`
	Restarts Restarts   `yaml:"restarts"`
	BlackBox BlackBox   `yaml:"black_box"`
	Senses   Senses     `yaml:"senses"`
	Surge    SurgeRules `yaml:"surge"`
	Clock    ClockRules `yaml:"clock"`
}

// ClockRules are when people are told how far the clock may be believed.
type ClockRules struct {
	Trust Debounce      `yaml:"trust"` // no source holds it
	Jump  time.Duration `yaml:"jump"`  // it was moved by more than this
	Told  time.Duration `yaml:"told"`  // a jump stands for so long
}

func (c ClockRules) prove(p *proof) {
	p.need(c.Trust.After >= time.Minute && c.Trust.After <= 24*time.Hour, "clock.trust.after", time.Minute, 24*time.Hour)
	p.need(c.Trust.Clears >= time.Second && c.Trust.Clears <= time.Hour, "clock.trust.clears", time.Second, time.Hour)
	p.need(c.Jump >= time.Second && c.Jump <= 24*time.Hour, "clock.jump", time.Second, 24*time.Hour)
	p.need(c.Told >= time.Minute && c.Told <= 7*24*time.Hour, "clock.told", time.Minute, 7*24*time.Hour)
}

// Senses are when what the box feels of itself counts.
type Senses struct {
	Door  Debounce `yaml:"door"`
	Water Debounce `yaml:"water"`
	Tilt  Debounce `yaml:"tilt"`
	Loop  Debounce `yaml:"loop"`
	// Lean is how far a pole may lean, in degrees, where the site's file does not say.
	Lean float64 `yaml:"lean"`
}

// LeanMost is the most that may be allowed, in degrees: a pole that leans so far falls.
const LeanMost = 45

func (s Senses) prove(p *proof) {
	for place, d := range map[string]Debounce{"door": s.Door, "water": s.Water, "tilt": s.Tilt, "loop": s.Loop} {
		p.need(d.After >= 500*time.Millisecond && d.After <= 10*time.Minute, "senses."+place+".after", 500*time.Millisecond, 10*time.Minute)
		p.need(d.Clears >= time.Second && d.Clears <= time.Hour, "senses."+place+".clears", time.Second, time.Hour)
	}
	p.need(s.Lean > 0 && s.Lean <= LeanMost, "senses.lean", 0, LeanMost)
}

// BlackBox is how the last minutes are kept.
type BlackBox struct {
	Memory int           `yaml:"memory"` // KiB
	File   int           `yaml:"file"`   // KiB
	Values time.Duration `yaml:"values"` // what was measured is looked at so often
	Every  time.Duration `yaml:"every"`  // the log and the values are written so often
	Soon   time.Duration `yaml:"soon"`   // between two events
	After  time.Duration `yaml:"after"`  // all is written once more so long after one
	Hourly int           `yaml:"hourly"` // events' writings in an hour
}

func (b BlackBox) prove(p *proof) {
	p.need(b.Memory >= 64 && b.Memory <= 8192, "black_box.memory", 64, 8192)
	p.need(b.File >= 128 && b.File <= 65536, "black_box.file", 128, 65536)
	p.need(b.File >= b.Memory, "black_box.file", b.Memory, 65536)
	p.need(b.Values >= time.Second && b.Values <= 10*time.Minute, "black_box.values", time.Second, 10*time.Minute)
	p.need(b.Every >= 30*time.Second && b.Every <= time.Hour, "black_box.every", 30*time.Second, time.Hour)
	p.need(b.Soon >= time.Second && b.Soon <= b.Every, "black_box.soon", time.Second, b.Every)
	p.need(b.After >= time.Second && b.After <= b.Every, "black_box.after", time.Second, b.Every)
	p.need(b.Hourly >= 1 && b.Hourly <= 720, "black_box.hourly", 1, 720)
}

// LoadRules reads and proves the table.
func LoadRules(fsys fs.FS) (*Rules, error) {
	b, err := fs.ReadFile(fsys, RulesName)
	if err != nil {
		return nil, phrase.Wrap(err, "guard.no_rules", "file", RulesName)
	}
	return ParseRules(b)
}

// ParseRules reads and proves the text. Its error names every fault.
func ParseRules(b []byte) (*Rules, error) {
	if len(b) > rulesBytes {
		return nil, phrase.E("guard.rules", "file", RulesName, "why", phrase.M("guard.long", "most", rulesBytes))
	}
	var r Rules
	if err := yaml.UnmarshalWithOptions(b, &r, yaml.Strict()); err != nil {
		return nil, phrase.E("guard.rules", "file", RulesName, "why", yaml.FormatError(err, false, false))
	}
	if r.Version != rulesVersion {
		return nil, phrase.E("guard.version", "file", RulesName, "version", r.Version, "reads", rulesVersion)
	}
	p := proof{}
	r.Restarts.prove(&p)
	r.BlackBox.prove(&p)
	r.Senses.prove(&p)
	r.Surge.prove(&p)
	r.Clock.prove(&p)
	return &r, errors.Join(p...)
}

// proof gathers what is wrong.
type proof []error

func (p *proof) need(ok bool, place string, least, most any) {
	if !ok {
		*p = append(*p, phrase.E("guard.value", "file", RulesName, "place", place, "least", least, "most", most))
	}
}

// never are parts that may not rest: without them nothing warns, nothing is kept, or nobody
// would know.
var never = []string{"decide", "sound", "output", "sense", "guard", "journal"}

func (r Restarts) prove(p *proof) {
	if _, ok := r["*"]; !ok {
		*p = append(*p, phrase.E("guard.no_default", "file", RulesName))
	}
	for _, key := range slices.Sorted(maps.Keys(r)) {
		b, at := r[key], "restarts."+key
		p.need(b.Restarts >= 1 && b.Restarts <= 100, at+".restarts", 1, 100)
		// Else the slowest pace alone would win the budget back.
		p.need(b.Per >= time.Duration(b.Restarts+2)*b.slowest() && b.Per <= 24*time.Hour, at+".per", time.Duration(b.Restarts+2)*b.slowest(), 24*time.Hour)
		p.need(b.slowest() >= firstPause && b.slowest() <= time.Minute, at+".slowest", firstPause, time.Minute)
		switch b.Then {
		case Slow:
		case Rest:
			p.need(b.For >= 10*time.Second && b.For <= 24*time.Hour, at+".for", 10*time.Second, 24*time.Hour)
		case Reset:
			p.need(b.For >= time.Minute && b.For <= 24*time.Hour, at+".for", time.Minute, 24*time.Hour)
		default:
			*p = append(*p, phrase.E("guard.then", "file", RulesName, "place", at+".then", "then", string(b.Then), "known", "slow rest reset"))
		}
	}
	for _, owner := range never {
		for key, b := range r {
			if o, _, _ := strings.Cut(key, "/"); (o == owner || key == "*" && !r.has(owner)) && b.Then == Rest {
				*p = append(*p, phrase.E("guard.no_rest", "file", RulesName, "part", owner))
			}
		}
	}
}

func (r Restarts) has(owner string) bool { _, ok := r[owner]; return ok }
