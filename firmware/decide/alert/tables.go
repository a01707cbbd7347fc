package alert

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/phrase"
)

// Tables are configs/alerts: what codes, colours, profiles and places mean, and
// what is done. A county replaces the files; nothing of them is in the code.
// Immutable after LoadTables, so any number of readers may share one.
type Tables struct {
	Profiles []*Profile
	colours  []colourRow
	hazards  map[string]phrase.Text
	tables   []codeTable
	words    map[string]string
	actions  actionTable
	areas    areaTable
	limits   Limits
}

type colourRow struct {
	Colour   string   `yaml:"colour"`
	Severity string   `yaml:"severity"`
	Words    []string `yaml:"words"`
}

type codeTable struct {
	ID       string            `yaml:"id"`
	Names    []string          `yaml:"names"`
	Recalled bool              `yaml:"recalled"`
	Codes    map[string]string `yaml:"codes"`
	Prefixes map[string]string `yaml:"prefixes"`
}

// LoadTables reads alerts/{profiles,events,actions,areas}.yaml and proves them
// against each other. An error names the file and the row.
func LoadTables(fsys fs.FS) (*Tables, error) {
	t := &Tables{}
	var profiles struct {
		Version  int        `yaml:"version"`
		Profiles []*Profile `yaml:"profiles"`
	}
	var events struct {
		Version int                    `yaml:"version"`
		Colours []colourRow            `yaml:"colours"`
		Hazards map[string]phrase.Text `yaml:"hazards"`
		Tables  []codeTable            `yaml:"tables"`
		Words   map[string]string      `yaml:"words"`
	}
	for _, f := range []struct {
		name    string
		into    any
		version *int
	}{
		{"profiles", &profiles, &profiles.Version},
		{"events", &events, &events.Version},
		{"actions", &t.actions, &t.actions.Version},
		{"areas", &t.areas, &t.areas.Version},
	} {
		name := "alerts/" + f.name + ".yaml"
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := yaml.UnmarshalWithOptions(b, f.into, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if *f.version != 1 {
			return nil, fmt.Errorf("%s: version %d is not one that this build reads; it should be version: 1", name, *f.version)
		}
	}
	t.Profiles = profiles.Profiles
	t.colours, t.hazards, t.tables, t.words = events.Colours, events.Hazards, events.Tables, events.Words
	for _, prove := range []func() error{t.proveProfiles, t.proveEvents, t.proveActions, t.proveAreas} {
		if err := prove(); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// WithLimits gives tables that read within other bounds.
func (t *Tables) WithLimits(l Limits) *Tables {
	n := *t
	n.limits = l
	return &n
}

// Levels lists the codes of levels that actions may have, lowest first.
func (t *Tables) Levels() []string { return slices.Clone(t.actions.Levels) }

// HazardName gives the name of a hazard code.
func (t *Tables) HazardName(code string) phrase.Text {
	if n, ok := t.hazards[code]; ok {
		return n
	}
	return phrase.Text{ZH: code, EN: code}
}

func compile(file, row, what, expr string) (*regexp.Regexp, error) {
	if expr == "" {
		return nil, nil
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("alerts/%s.yaml: %s: %s: %w", file, row, what, err)
	}
	return re, nil
}

func (t *Tables) proveProfiles() error {
	seen := map[string]bool{generic.ID: true}
	for _, p := range t.Profiles {
		if p == nil || p.ID == "" || seen[p.ID] || p.Name.ZH == "" || p.Name.EN == "" {
			return fmt.Errorf("alerts/profiles.yaml: a profile needs an id of its own (not %q) and a name in zh and en", generic.ID)
		}
		seen[p.ID] = true
		for _, c := range []struct {
			to         **regexp.Regexp
			what, expr string
		}{
			{&p.identifier, "detect.identifier", p.Detect.Identifier}, {&p.publisher, "publisher", p.Publisher},
			{&p.eventCode, "event_code.pattern", p.EventCode.Pattern}, {&p.geocode, "geocode.pattern", p.Geocode.Pattern},
		} {
			re, err := compile("profiles", p.ID, c.what, c.expr)
			if err != nil {
				return err
			}
			*c.to = re
		}
		if p.identifier == nil && len(p.Detect.Codes) == 0 {
			return fmt.Errorf("alerts/profiles.yaml: %s: detect needs codes or an identifier, else nothing shows this profile", p.ID)
		}
		if p.Times.Offset != "" {
			if _, form := parseTime("2020-01-01T00:00:00"+p.Times.Offset, nil); form != strictTime {
				return fmt.Errorf("alerts/profiles.yaml: %s: times.offset %q should read like +08:00", p.ID, p.Times.Offset)
			}
		}
		for _, name := range append(slices.Clone(p.Must), p.Should...) {
			if checks[name] == nil {
				return fmt.Errorf("alerts/profiles.yaml: %s: there is no check %q", p.ID, name)
			}
			if strings.HasPrefix(name, "event_code") && (p.EventCode.Name == "" || p.eventCode == nil) || strings.HasPrefix(name, "geocode") && (p.Geocode.Name == "" || p.geocode == nil) {
				return fmt.Errorf("alerts/profiles.yaml: %s: the check %s needs a name and a pattern", p.ID, name)
			}
		}
		p.soft, p.hard = set(p.Warn), set(p.Refuse)
		for code := range p.soft {
			// What is not XML, too large or nameless cannot be read by any leave.
			if !strings.HasPrefix(code, "alert.rule.") && !strings.HasPrefix(code, "alert.profile.") && !slices.Contains(maySoften, code) {
				return fmt.Errorf("alerts/profiles.yaml: %s: %s cannot be made a warning", p.ID, code)
			}
		}
	}
	return nil
}

// maySoften are the findings of the schema that a profile may let pass: the alert can
// still be read one way.
var maySoften = []string{"alert.form.order", "alert.form.order_foreign", "alert.form.unknown_element", "alert.form.stray_text", "alert.form.missing"}

func (t *Tables) proveEvents() error {
	seen := map[string]string{}
	for _, c := range t.colours {
		if !has([]string{"red", "orange", "yellow", "blue", "white"}, c.Colour) || !has(infoFields[fieldOf(infoFields, "severity")].values, c.Severity) {
			return fmt.Errorf("alerts/events.yaml: colours: %q, %q: a colour is red, orange, yellow, blue or white, with a severity of CAP", c.Colour, c.Severity)
		}
		for _, w := range c.Words {
			w = plainColour(w)
			if o, ok := seen[w]; ok && o != c.Colour {
				return fmt.Errorf("alerts/events.yaml: colours: %q is both %s and %s", w, o, c.Colour)
			}
			seen[w] = c.Colour
		}
	}
	for code, n := range t.hazards {
		if n.ZH == "" || n.EN == "" {
			return fmt.Errorf("alerts/events.yaml: hazards: %s needs a name in zh and en", code)
		}
	}
	known := func(where string, m map[string]string) error {
		for k, h := range m {
			if _, ok := t.hazards[h]; !ok || k == "" {
				return fmt.Errorf("alerts/events.yaml: %s: %s: no hazard is called %q", where, k, h)
			}
		}
		return nil
	}
	for _, ct := range t.tables {
		if ct.ID == "" || len(ct.Names) == 0 {
			return fmt.Errorf("alerts/events.yaml: a table needs an id and the names of its values")
		}
		if err := known(ct.ID, ct.Codes); err != nil {
			return err
		}
		if err := known(ct.ID, ct.Prefixes); err != nil {
			return err
		}
	}
	return known("words", t.words)
}

func set(list []string) map[string]bool {
	m := map[string]bool{}
	for _, s := range list {
		m[s] = true
	}
	return m
}

// speaks tells whether a profile takes a namespace besides CAP's.
func (t *Tables) speaks(space string) bool {
	return space != "" && slices.ContainsFunc(t.Profiles, func(p *Profile) bool { return has(p.Namespaces, space) })
}

// profileOf gives the first profile that the alert shows.
func (t *Tables) profileOf(a *Alert) *Profile {
	for _, p := range t.Profiles {
		if p.identifier != nil && p.identifier.MatchString(a.Identifier) {
			return p
		}
		for _, c := range p.Detect.Codes {
			begin, any := strings.CutSuffix(c, "*")
			if slices.ContainsFunc(a.Codes, func(have string) bool { return have == c || any && strings.HasPrefix(have, begin) }) {
				return p
			}
		}
	}
	return generic
}

// Profile gives a profile by its id; the plain one where there is none.
func (t *Tables) Profile(id string) *Profile {
	for _, p := range t.Profiles {
		if p.ID == id {
			return p
		}
	}
	return generic
}

func plainColour(s string) string {
	s = strings.ToLower(strings.Join(strings.Fields(s), ""))
	for _, w := range []string{"预警", "信号", "色"} {
		s = strings.ReplaceAll(s, w, "")
	}
	return s
}

// colour reads a colour's word; "" where it is none.
func (t *Tables) colour(word string) string {
	if len(word) > 64 {
		return ""
	}
	word = plainColour(word)
	for _, c := range t.colours {
		for _, w := range c.Words {
			if plainColour(w) == word {
				return c.Colour
			}
		}
	}
	return ""
}

// SeverityOf gives the severity that a block acts on: what its colour stands for
// where it has one, else its own.
func (t *Tables) SeverityOf(in *Info) string {
	for _, c := range t.colours {
		if c.Colour == in.Colour {
			return c.Severity
		}
	}
	return in.Severity
}

// HazardOf gives the hazard that a block is about, and "" where neither a code nor
// its words are known.
func (t *Tables) HazardOf(in *Info) string {
	for _, c := range in.EventCodes {
		for _, ct := range t.tables {
			if !slices.ContainsFunc(ct.Names, func(n string) bool { return strings.EqualFold(n, c.Name) }) {
				continue
			}
			if h := ct.Codes[c.Value]; h != "" {
				return h
			}
			for n := len(c.Value) - 1; n > 0 && len(c.Value) < 64; n-- { // the longest class first
				if h := ct.Prefixes[c.Value[:n]]; h != "" {
					return h
				}
			}
		}
	}
	// The Chinese tables put the code into event itself (recalled).
	event, best := in.Event, ""
	for _, ct := range t.tables {
		if h := ct.Codes[event]; h != "" {
			return h
		}
	}
	if len(event) > 400 {
		event = event[:400]
	}
	event = strings.ToLower(event)
	for w := range t.words {
		if strings.Contains(event, strings.ToLower(w)) && (len(w) > len(best) || len(w) == len(best) && w < best) {
			best = w
		}
	}
	return t.words[best]
}
