package commission

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// File is the name of the table.
const File = "commissioning.yaml"

// Table is what a site is held to.
type Table struct {
	Photos Bounds
	// Fonts are files with Chinese and digits, for the report.
	Fonts []string
	Steps []Step
}

// Bounds are those of photos.
type Bounds struct {
	Each   int // of one step
	Bytes  int64
	Pixels int64
	Quota  int64 // bytes of all
}

// Step is one thing to prove.
type Step struct {
	ID   string        `yaml:"id"`
	Name phrase.Text   `yaml:"name"`
	Why  phrase.Text   `yaml:"why"`
	Do   []phrase.Text `yaml:"do"`
	// Measure is what the box measures by itself; "" for nothing.
	Measure Measure    `yaml:"measure"`
	Of      Of         `yaml:"of"`
	Limits  Limits     `yaml:"limits"`
	Ask     []Question `yaml:"ask"`
	Photos  int        `yaml:"photos"`
	// Maintenance is for how long maintenance is offered while it is done, since what is tried may cross a level;
	// 0: it is not.
	Maintenance point.Span `yaml:"maintenance"`
	// Skip: it may be left out for a stated reason.
	Skip   bool   `yaml:"skip"`
	Source Source `yaml:"source"`
}

// Source is where a limit comes from.
type Source struct {
	Text     Words `yaml:"text"`
	Recalled bool  `yaml:"recalled"`
}

// Words are in both languages, or one text for both: what names a standard alone.
type Words phrase.Text

// UnmarshalYAML takes {zh: …, en: …}, or one text.
func (w *Words) UnmarshalYAML(b []byte) error {
	var one string
	if err := yaml.Unmarshal(b, &one); err == nil {
		*w = Words{ZH: one, EN: one}
		return nil
	}
	var t phrase.Text
	if err := yaml.UnmarshalWithOptions(b, &t, yaml.Strict()); err != nil {
		return err
	}
	if t.ZH == "" || t.EN == "" {
		return fmt.Errorf("text: zh and en are needed, or one text for both")
	}
	*w = Words(t)
	return nil
}

// Measure is a way of measuring.
type Measure string

// The ways.
const (
	Place    Measure = "place"
	Network  Measure = "network"
	Lines    Measure = "lines"
	Sensors  Measure = "sensors"
	Rain     Measure = "rain"
	Moved    Measure = "moved"
	Gas      Measure = "gas"
	Sounding Measure = "sounding"
	Restart  Measure = "restart"
)

// Timed are the ways that have a beginning and an end; the others look once.
var Timed = []Measure{Rain, Moved, Gas, Sounding, Restart}

var measures = append([]Measure{"", Place, Network, Lines, Sensors}, Timed...)

// Of says which points are measured.
type Of struct {
	Units   []point.Unit `yaml:"units"`
	Counter bool         `yaml:"counter"`
	// Level: water levels, which have a datum, alone.
	Level bool `yaml:"level"`
}

// Limits are what is good; which of them count depends on the way of measuring.
type Limits struct {
	Answered float64 `yaml:"answered"` // percent of askings
	Asked    int     `yaml:"asked"`    // askings before it is judged
	Depth    float64 `yaml:"depth"`    // mm of rain to be poured
	Funnel   float64 `yaml:"funnel"`   // mm, where the profile tells none
	Within   float64 `yaml:"within"`   // percent; of moved: metres
	Least    float64 `yaml:"least"`    // metres that a target must be moved
	Back     float64 `yaml:"back"`     // percent of the gas that may be left
	// Restart is what must have begun anew: board or process.
	Restart string     `yaml:"restart"`
	Armed   point.Span `yaml:"armed"` // how soon after it
	Most    point.Span `yaml:"most"`  // how long a measurement may take
}

// Question is what a person enters.
type Question struct {
	ID   string      `yaml:"id"`
	Kind string      `yaml:"kind"` // number, text, tick, choice
	Name phrase.Text `yaml:"name"`
	Unit string      `yaml:"unit"`
	// Of are the words to choose from.
	Of []string `yaml:"of"`
	// Least and Most are the limits of a number.
	Least    *float64 `yaml:"least"`
	Most     *float64 `yaml:"most"`
	Optional bool     `yaml:"optional"`
}

// Load reads the table.
func Load(fsys fs.FS) (*Table, error) {
	b, err := fs.ReadFile(fsys, File)
	if err != nil {
		return nil, err
	}
	t, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", File, err)
	}
	return t, nil
}

// Bounds of a table.
const (
	mostTable = 256 << 10
	mostSteps = 64
	mostAsk   = 16
)

// Parse reads a table.
func Parse(b []byte) (*Table, error) {
	if len(b) > mostTable {
		return nil, fmt.Errorf("%d bytes are too many", len(b))
	}
	var f struct {
		Version int `yaml:"version"`
		Photos  struct {
			Each       int     `yaml:"each"`
			MiB        float64 `yaml:"mib"`
			Megapixels float64 `yaml:"megapixels"`
			QuotaMiB   float64 `yaml:"quota_mib"`
		} `yaml:"photos"`
		Fonts []string `yaml:"fonts"`
		Steps []Step   `yaml:"steps"`
	}
	if err := yaml.UnmarshalWithOptions(b, &f, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s", yaml.FormatError(err, false, false))
	}
	if f.Version != 1 {
		return nil, fmt.Errorf("version %d: this build reads version 1", f.Version)
	}
	p := f.Photos
	if p.Each < 1 || p.Each > 20 || !(p.MiB > 0 && p.MiB <= 16) || !(p.Megapixels >= 1 && p.Megapixels <= 100) || !(p.QuotaMiB >= p.MiB && p.QuotaMiB <= 1024) {
		return nil, fmt.Errorf("photos: each 1 to 20, mib up to 16, megapixels 1 to 100, quota_mib from mib to 1024")
	}
	t := &Table{Photos: Bounds{Each: p.Each, Bytes: int64(p.MiB * (1 << 20)), Pixels: int64(p.Megapixels * 1e6), Quota: int64(p.QuotaMiB * (1 << 20))}, Fonts: f.Fonts, Steps: f.Steps}
	if len(t.Steps) == 0 || len(t.Steps) > mostSteps {
		return nil, fmt.Errorf("steps: %d are not 1 to %d", len(t.Steps), mostSteps)
	}
	seen := map[string]bool{}
	for _, s := range t.Steps {
		if !isWord(s.ID) || seen[s.ID] {
			return nil, fmt.Errorf("step %q: an id is small letters, digits and -, and each once", s.ID)
		}
		seen[s.ID] = true
		if err := s.check(t.Photos); err != nil {
			return nil, fmt.Errorf("step %s: %w", s.ID, err)
		}
	}
	return t, nil
}

func (s Step) check(b Bounds) error {
	if d := s.Maintenance.Duration(); d < 0 || d > 0 && d < time.Minute || d > 2*time.Hour {
		return fmt.Errorf("maintenance is 1m to 2h")
	}
	if s.Name.ZH == "" || s.Name.EN == "" {
		return fmt.Errorf("a name in both languages is needed")
	}
	if !slices.Contains(measures, s.Measure) {
		return fmt.Errorf("measure: %q is none that the box knows", s.Measure)
	}
	if s.Photos < 0 || s.Photos > b.Each {
		return fmt.Errorf("photos: %d are not 0 to %d", s.Photos, b.Each)
	}
	l := s.Limits
	switch s.Measure {
	case Lines:
		if l.Answered <= 0 || l.Answered > 100 || l.Asked < 1 {
			return fmt.Errorf("limits: answered (percent) and asked are needed")
		}
	case Rain:
		if l.Depth <= 0 || l.Funnel <= 0 || l.Within <= 0 || l.Within > 50 {
			return fmt.Errorf("limits: depth, funnel (mm) and within (percent) are needed")
		}
	case Moved:
		if l.Within <= 0 || l.Least <= l.Within {
			return fmt.Errorf("limits: within and a larger least (m) are needed")
		}
	case Gas:
		if l.Within <= 0 || l.Within > 100 || l.Back <= 0 || l.Back >= 100 {
			return fmt.Errorf("limits: within and back (percent) are needed")
		}
	case Restart:
		if l.Restart != "board" && l.Restart != "process" || l.Armed <= 0 {
			return fmt.Errorf("limits: restart (board or process) and armed are needed")
		}
	}
	if slices.Contains(Timed, s.Measure) && l.Most <= 0 {
		return fmt.Errorf("limits: most is needed, how long it may take")
	}
	if (s.Measure == Rain || s.Measure == Moved || s.Measure == Gas) && len(s.Of.Units) == 0 {
		return fmt.Errorf("of: units are needed")
	}
	for _, u := range s.Of.Units {
		if !u.Known() {
			return fmt.Errorf("of: unit %q is not known", u)
		}
	}
	if s.Measure == "" && len(s.Ask) == 0 && s.Photos == 0 {
		return fmt.Errorf("it proves nothing: give measure, ask or photos")
	}
	if len(s.Ask) > mostAsk {
		return fmt.Errorf("ask: %d are more than %d", len(s.Ask), mostAsk)
	}
	seen := map[string]bool{}
	for _, q := range s.Ask {
		if !isWord(q.ID) || seen[q.ID] || q.Name.ZH == "" || q.Name.EN == "" {
			return fmt.Errorf("ask %q: a word of its own and a name in both languages are needed", q.ID)
		}
		seen[q.ID] = true
		switch q.Kind {
		case "text", "tick":
		case "number":
			if q.Least != nil && q.Most != nil && *q.Least > *q.Most {
				return fmt.Errorf("ask %s: least is above most", q.ID)
			}
		case "choice":
			if len(q.Of) < 2 {
				return fmt.Errorf("ask %s: of needs two words or more", q.ID)
			}
		default:
			return fmt.Errorf("ask %s: kind is number, text, tick or choice", q.ID)
		}
	}
	return nil
}

func isWord(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// Step gives one by its id.
func (t *Table) Step(id string) (Step, bool) {
	i := slices.IndexFunc(t.Steps, func(s Step) bool { return s.ID == id })
	if i < 0 {
		return Step{}, false
	}
	return t.Steps[i], true
}
