// Package plan says what is done at each level of a hazard: which tone, which
// words, on which outputs, for how long, and when again. Plans and levels are
// data (configs/plans, configs/levels.yaml); a county replaces them.
//
// A plan orders nothing: it is read by whoever asks for an Order. Who must move
// where and who is to answer come with later work; their place is here.
package plan

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// ResoundMost is the longest that a level which nobody acknowledged may stay
// silent after STOP, whatever a plan says.
const ResoundMost = 10 * time.Minute

// Levels is the table of levels, calm first.
type Levels struct {
	list []Rank
	calm Rank
}

// Rank is one level's name and looks.
type Rank struct {
	Code   string      `yaml:"code"`
	Name   phrase.Text `yaml:"name"`
	Colour string      `yaml:"colour"`
}

// LoadLevels reads levels.yaml.
func LoadLevels(fsys fs.FS, name string) (*Levels, error) {
	var f struct {
		Version int    `yaml:"version"`
		Levels  []Rank `yaml:"levels"`
		Calm    Rank   `yaml:"calm"`
	}
	if err := read(fsys, name, &f); err != nil {
		return nil, err
	}
	if len(f.Levels) == 0 || len(f.Levels) > 16 {
		return nil, fmt.Errorf("%s: 1 to 16 levels are needed, not %d", name, len(f.Levels))
	}
	for i, l := range f.Levels {
		if l.Code == "" || l.Name.ZH == "" || l.Name.EN == "" {
			return nil, fmt.Errorf("%s: level %d needs a code and a name in zh and en", name, i+1)
		}
		if slices.ContainsFunc(f.Levels[:i], func(o Rank) bool { return o.Code == l.Code }) {
			return nil, fmt.Errorf("%s: level %q is there twice", name, l.Code)
		}
	}
	return &Levels{f.Levels, f.Calm}, nil
}

// Level gives the rank of a code, and false where the table lacks it.
func (t *Levels) Level(code string) (point.Level, bool) {
	for i, l := range t.list {
		if l.Code == code {
			return point.Level(i + 1), true
		}
	}
	return point.Calm, false
}

// Rank gives a level's row; Calm has its own.
func (t *Levels) Rank(l point.Level) Rank {
	if l == point.Calm || int(l) > len(t.list) {
		return t.calm
	}
	return t.list[l-1]
}

// Codes lists the codes from the lowest level up.
func (t *Levels) Codes() []string {
	var c []string
	for _, l := range t.list {
		c = append(c, l.Code)
	}
	return c
}

// Plan is one plan.
type Plan struct {
	Version  int             `yaml:"version"`
	Plan     string          `yaml:"plan"`
	Name     phrase.Text     `yaml:"name"`
	Levels   map[string]Step `yaml:"levels"`
	AllClear Step            `yaml:"all_clear"`
	Drill    Step            `yaml:"drill"`
	Test     Step            `yaml:"test"`
	// Notice is what a warning sounds like that asks nobody to move: once, on what
	// can speak. Without it such a warning is shown and not spoken.
	Notice Step `yaml:"notice"`
}

// Step is what is done at one level.
type Step struct {
	Tone  string   `yaml:"tone"`
	Clips []string `yaml:"clips"`
	// ClipsBy is what is said instead of Clips where the level is no measurement of this box.
	ClipsBy map[By][]string `yaml:"clips_by"`
	// Outputs names the outputs; none means all of the site's.
	Outputs []string `yaml:"outputs"`
	// Zones are what a site's own plan said instead; whoever reads one makes outputs of them.
	Zones []string `yaml:"-"`
	// Duty is how long it sounds and pauses while the level stands.
	Duty Duty `yaml:"duty"`
	// Resound is when a level that was silenced and that nobody acknowledged
	// sounds again.
	Resound point.Span `yaml:"resound"`
	// For bounds a sounding that does not stand (all-clear, test).
	For point.Span `yaml:"for"`
}

// By is whose word raised a level that this box did not measure. A plan's clips may say what was
// measured: of such a level that would be a lie.
type By string

const (
	// Hand: a person here, by a key, the page or a command line.
	Hand By = "hand"
	// Command: an officer of the county, by a signed command.
	Command By = "command"
	// Beacon: a station upstream, of what it measured there.
	Beacon By = "beacon"
)

// Says gives the step as it sounds where somebody's word raised the level. Where the plan has no words
// for that its own are kept: check warns of it.
func (s Step) Says(by By) Step {
	if c := s.ClipsBy[by]; len(c) > 0 {
		s.Clips = c
	}
	return s
}

// Duty is a duty cycle.
type Duty struct {
	On  point.Span `yaml:"on"`
	Off point.Span `yaml:"off"`
}

// Load reads a plan and proves it against the levels.
func Load(fsys fs.FS, name string, levels *Levels) (*Plan, error) {
	var p Plan
	if err := read(fsys, name, &p); err != nil {
		return nil, err
	}
	if err := p.Prove(name, levels); err != nil {
		return nil, err
	}
	return &p, nil
}

// Prove holds a plan against the levels; name is what its problems are called by.
func (p *Plan) Prove(name string, levels *Levels) error {
	if p.Plan == "" || p.Name.ZH == "" || p.Name.EN == "" {
		return fmt.Errorf("%s: a plan needs plan: and name: in zh and en", name)
	}
	for code, s := range p.Levels {
		if _, ok := levels.Level(code); !ok {
			return fmt.Errorf("%s: no level is called %q (there are %v)", name, code, levels.Codes())
		}
		if s.Duty.On <= 0 || s.Duty.Off < 0 {
			return fmt.Errorf("%s: level %s: duty needs both on and off", name, code)
		}
		if s.Resound <= 0 || s.Resound.Duration() > ResoundMost {
			return fmt.Errorf("%s: level %s: resound must be above 0 and at most %s", name, code, point.Span(ResoundMost))
		}
		if s.Tone == "" && len(s.Clips) == 0 {
			return fmt.Errorf("%s: level %s says nothing: give it a tone or clips", name, code)
		}
		for by := range s.ClipsBy {
			if by != Hand && by != Command && by != Beacon {
				return fmt.Errorf("%s: level %s: clips_by knows %s, %s and %s, not %q", name, code, Hand, Command, Beacon, by)
			}
		}
	}
	for _, code := range levels.Codes() {
		if _, ok := p.Levels[code]; !ok {
			return fmt.Errorf("%s: level %s is missing: a level without a step would be silent", name, code)
		}
	}
	if n := p.Notice; (n.Tone != "" || len(n.Clips) > 0) && n.For <= 0 {
		return fmt.Errorf("%s: notice needs for: it is said once and must end", name)
	}
	if p.AllClear.Tone == "" || p.AllClear.For <= 0 {
		return fmt.Errorf("%s: all_clear needs both tone and for", name)
	}
	return nil
}

// At gives the step of a level; the worst step that the plan has, should the
// level have none, so that nothing is ever silent.
func (p *Plan) At(l point.Level, levels *Levels) Step {
	if s, ok := p.Levels[levels.Rank(l).Code]; ok {
		return s
	}
	codes := levels.Codes()
	slices.Reverse(codes)
	for _, c := range codes {
		if s, ok := p.Levels[c]; ok {
			return s
		}
	}
	return Step{}
}

// AllClips lists what the step may say, whoever raised its level.
func (s Step) AllClips() []string {
	all := slices.Clone(s.Clips)
	for _, by := range slices.Sorted(maps.Keys(s.ClipsBy)) {
		for _, id := range s.ClipsBy[by] {
			if !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
	}
	return all
}

// Clips lists every clip that the plan may need.
func (p *Plan) Clips() []string {
	var c []string
	add := func(s Step) {
		for _, id := range s.AllClips() {
			if !slices.Contains(c, id) {
				c = append(c, id)
			}
		}
	}
	for _, s := range p.Levels {
		add(s)
	}
	add(p.AllClear)
	add(p.Drill)
	add(p.Test)
	add(p.Notice)
	slices.Sort(c)
	return c
}

func read(fsys fs.FS, name string, into any) error {
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	if err := yaml.UnmarshalWithOptions(b, into, yaml.Strict()); err != nil {
		return fmt.Errorf("%s: %s", name, yaml.FormatError(err, false, false))
	}
	return version(b, name)
}

func version(b []byte, name string) error {
	var v struct {
		Version int `yaml:"version"`
	}
	if err := yaml.Unmarshal(b, &v); err != nil {
		return err
	}
	if v.Version != 1 {
		return fmt.Errorf("%s: version %d: this build reads version 1", name, v.Version)
	}
	return nil
}
