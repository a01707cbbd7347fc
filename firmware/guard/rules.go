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
	Version  int      `yaml:"version"`
	Restarts Restarts `yaml:"restarts"`
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
