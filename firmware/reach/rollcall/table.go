package rollcall

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

// Table says from which level on, how often and for how long: rollcall.yaml.
type Table struct {
	// SMS and Call are the codes of the levels from which on people are written to
	// and called; Off for never. A person may have others.
	SMS, Call string
	// Keys are those that confirm.
	Keys string
	// Tries is how often a person is called, and written to where that fails; Again
	// how long lies between two tries, Soon after a busy one.
	Tries       int
	Again, Soon time.Duration
	// Repeat is how often the words are said in a call; Ring, Linger and Longest bound
	// it.
	Repeat                int
	Ring, Linger, Longest time.Duration
	// First is how long messages go before calls.
	First time.Duration
	// Within ends a round; Afresh is after how long of quiet a level that comes back
	// begins anew.
	Within, Afresh time.Duration
	// Drill says what a drill does where the site lets it.
	Drill struct{ SMS, Call bool }
}

// Off is a level that is never reached.
const Off = "off"

// Load reads rollcall.yaml.
func Load(fsys fs.FS) (*Table, error) {
	const name = "rollcall.yaml"
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	t, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// Parse reads a table.
func Parse(b []byte) (*Table, error) {
	if len(b) > 64<<10 {
		return nil, fmt.Errorf("%d bytes are too many", len(b))
	}
	var f struct {
		Version int `yaml:"version"`
		From    struct {
			SMS  string `yaml:"sms"`
			Call string `yaml:"call"`
		} `yaml:"from"`
		Keys    string     `yaml:"keys"`
		Tries   int        `yaml:"tries"`
		Again   point.Span `yaml:"again"`
		Soon    point.Span `yaml:"soon"`
		Repeat  int        `yaml:"repeat"`
		Ring    point.Span `yaml:"ring"`
		Linger  point.Span `yaml:"linger"`
		Longest point.Span `yaml:"longest"`
		First   point.Span `yaml:"first"`
		Within  point.Span `yaml:"within"`
		Afresh  point.Span `yaml:"afresh"`
		Drill   struct {
			SMS  bool `yaml:"sms"`
			Call bool `yaml:"call"`
		} `yaml:"drill"`
	}
	if err := yaml.UnmarshalWithOptions(b, &f, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s", yaml.FormatError(err, false, false))
	}
	if f.Version != 1 {
		return nil, fmt.Errorf("version %d: this build reads version 1", f.Version)
	}
	if f.From.SMS == "" || f.From.Call == "" {
		return nil, fmt.Errorf("from: sms and call are needed, a level's code or off")
	}
	if f.Keys == "" || len(f.Keys) > 12 || strings.Trim(f.Keys, "0123456789*#") != "" {
		return nil, fmt.Errorf("keys: %q are not telephone keys", f.Keys)
	}
	for _, n := range []struct {
		what     string
		n        int
		least, m int
	}{{"tries", f.Tries, 1, 9}, {"repeat", f.Repeat, 1, 9}} {
		if n.n < n.least || n.n > n.m {
			return nil, fmt.Errorf("%s: %d is not %d to %d", n.what, n.n, n.least, n.m)
		}
	}
	for _, s := range []struct {
		what        string
		v           point.Span
		least, most time.Duration
	}{
		{"again", f.Again, time.Second, time.Hour}, {"soon", f.Soon, time.Second, time.Hour},
		{"ring", f.Ring, 2 * time.Second, 2 * time.Minute}, {"linger", f.Linger, time.Second, time.Minute},
		{"longest", f.Longest, 10 * time.Second, 10 * time.Minute}, {"first", f.First, 0, 10 * time.Minute},
		{"within", f.Within, time.Minute, 6 * time.Hour}, {"afresh", f.Afresh, time.Minute, 7 * 24 * time.Hour},
	} {
		if d := s.v.Duration(); d < s.least || d > s.most {
			return nil, fmt.Errorf("%s: %s is not %s to %s", s.what, s.v, point.Span(s.least), point.Span(s.most))
		}
	}
	t := &Table{
		SMS: f.From.SMS, Call: f.From.Call, Keys: f.Keys, Tries: f.Tries, Again: f.Again.Duration(), Soon: f.Soon.Duration(),
		Repeat: f.Repeat, Ring: f.Ring.Duration(), Linger: f.Linger.Duration(), Longest: f.Longest.Duration(),
		First: f.First.Duration(), Within: f.Within.Duration(), Afresh: f.Afresh.Duration(),
	}
	t.Drill.SMS, t.Drill.Call = f.Drill.SMS, f.Drill.Call
	return t, nil
}

// Person is somebody who is written to and called.
type Person struct {
	ID   string
	Name phrase.Text
	Role phrase.Text
	// Numbers are tried in turn.
	Numbers []string
	// Lang is what is spoken and, where it is en, written.
	Lang string
	// Hazards are those for which; none: all.
	Hazards []string
	// SMS and Call are the lowest levels; Calm for never.
	SMS, Call point.Level
	// Deputies are called one after the other where this person is not reached.
	Deputies []string
}

// Most people a site may list, and the most numbers of one.
const (
	PeopleMost  = 64
	NumbersMost = 3
)

// of tells whether a round is for a person: a drill is for everybody.
func (p *Person) of(r *round) bool {
	return r.Drill || len(p.Hazards) == 0 || slices.Contains(p.Hazards, r.Hazard)
}

// Mask hides a number but for what tells it apart: 138****8000.
func Mask(number string) string {
	n := len(number)
	if n < 6 {
		return strings.Repeat("*", n)
	}
	head := 3
	if strings.HasPrefix(number, "+86") && n > 10 {
		number, n = number[3:], n-3
	} else if n < 9 {
		head = 1
	}
	return number[:head] + "****" + number[n-min(4, n-head-1):]
}
