package compact

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/phrase"
)

// Tables are configs/alerts/compact.yaml: what the numbers of a compact warning mean. Rows are only ever added: a
// number that was used keeps its meaning. Immutable after LoadTables.
type Tables struct {
	Version     int                         `yaml:"version"`
	Severities  []severityRow               `yaml:"severities"`
	Urgencies   []string                    `yaml:"urgencies"`
	Certainties []string                    `yaml:"certainties"`
	Durations   []string                    `yaml:"durations"`
	Radii       []float64                   `yaml:"radii_km"`
	Cell        float64                     `yaml:"cell_degrees"`
	AreaCode    string                      `yaml:"area_code"`
	EventCode   string                      `yaml:"event_code"`
	Grids       map[string]grid             `yaml:"grids"`
	Events      map[int]eventRow            `yaml:"events"`
	Templates   map[int]templateRow         `yaml:"templates"`
	Areas       map[int]areaRow             `yaml:"areas"`
	Divisions   map[string]namedRow         `yaml:"divisions"`
	Places      map[string]map[int]namedRow `yaml:"places"`
	// What a loudspeaker needs: see speech.go.
	Numbers      numbers         `yaml:"numbers"`
	Units        map[string]unit `yaml:"units"`
	Clock        clockRow        `yaml:"clock"`
	GenericPlace string          `yaml:"generic_place"`
	durations    []time.Duration
}

type severityRow struct {
	Severity string      `yaml:"severity"`
	Colour   string      `yaml:"colour"`
	Word     phrase.Text `yaml:"word"`
	Clip     string      `yaml:"clip"`
}

// grid is the south-western corner of a region's cells.
type grid struct {
	Lat float64 `yaml:"lat"`
	Lon float64 `yaml:"lon"`
}

type eventRow struct {
	Code     string      `yaml:"code"`
	Name     phrase.Text `yaml:"name"`
	Clip     string      `yaml:"clip"`
	Category string      `yaml:"category"`
	// Coloured events have a colour by law; the severity's two bits are it.
	Coloured bool `yaml:"coloured"`
}

type templateRow struct {
	Headline    phrase.Text `yaml:"headline"`
	Description phrase.Text `yaml:"description"`
	Instruction phrase.Text `yaml:"instruction"`
	Response    string      `yaml:"response"`
	P           *parameter  `yaml:"p"`
	Q           *parameter  `yaml:"q"`
	// Speech is what a loudspeaker says of it; none: the plan's words.
	Speech string `yaml:"speech"`
	// SpeechFor holds it to drills.
	SpeechFor string `yaml:"speech_for"`
}

// parameter is how a number is said: as an amount, or as a place of the region's list.
type parameter struct {
	Place  bool    `yaml:"place"`
	Scale  float64 `yaml:"scale"`
	Offset float64 `yaml:"offset"`
	Digits int     `yaml:"digits"`
	Unit   string  `yaml:"unit"`
}

// namedRow is a division or a place, and the clip that says its name.
type namedRow struct {
	phrase.Text `yaml:",inline"`
	Clip        string `yaml:"clip"`
}

type areaRow struct {
	Name  phrase.Text `yaml:"name"`
	Codes []string    `yaml:"codes"`
	Clip  string      `yaml:"clip"`
}

var (
	hole     = regexp.MustCompile(`\{[a-z]+\}`)
	holes    = []string{"{issuer}", "{event}", "{level}", "{area}", "{from}", "{until}", "{p}", "{q}"}
	division = regexp.MustCompile(`^[0-9]{2,12}$`)
)

const fileMost = 1 << 20

// LoadTables reads and proves alerts/compact.yaml.
func LoadTables(fsys fs.FS) (*Tables, error) {
	const name = "alerts/compact.yaml"
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(b) > fileMost {
		return nil, fmt.Errorf("%s: %d bytes, at most %d are read", name, len(b), fileMost)
	}
	t := &Tables{}
	if err := yaml.UnmarshalWithOptions(b, t, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := t.prove(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

func (t *Tables) prove() error {
	switch {
	case t.Version != 1:
		return fmt.Errorf("version %d is not one that this build reads; it should be version: 1", t.Version)
	case len(t.Severities) != 4 || len(t.Urgencies) != 4 || len(t.Certainties) != 4:
		return fmt.Errorf("severities, urgencies and certainties have four rows each")
	case len(t.Durations) != 32 || len(t.Radii) != 16:
		return fmt.Errorf("there are 32 durations and 16 radii_km, not %d and %d", len(t.Durations), len(t.Radii))
	case t.Cell <= 0 || t.Cell > 0.1 || t.AreaCode == "" || t.EventCode == "":
		return fmt.Errorf("cell_degrees (above 0, at most 0.1), area_code and event_code are needed")
	}
	for i, s := range t.Durations {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 || d > 7*24*time.Hour || i > 0 && d <= t.durations[i-1] {
			return fmt.Errorf("durations: row %d, %q: they rise, up to 168h", i+1, s)
		}
		t.durations = append(t.durations, d)
	}
	for i, r := range t.Radii {
		if r <= 0 || i > 0 && r <= t.Radii[i-1] {
			return fmt.Errorf("radii_km: row %d: they rise from above 0", i+1)
		}
	}
	for n, e := range t.Events {
		if n < 1 || n > 255 || e.Name.ZH == "" || e.Name.EN == "" || e.Category == "" {
			return fmt.Errorf("events: %d: numbers are 1 to 255, with a name in zh and en and a category", n)
		}
	}
	if _, ok := t.Templates[0]; !ok {
		return fmt.Errorf("templates: 0 is needed: it is said where a number is not known")
	}
	for n, row := range t.Templates {
		if n < 0 || n > 1023 {
			return fmt.Errorf("templates: %d: numbers are 0 to 1023", n)
		}
		if err := row.prove(); err != nil {
			return fmt.Errorf("templates: %d: %w", n, err)
		}
	}
	for n, a := range t.Areas {
		if n < 0 || n >= 1<<26 || a.Name.ZH == "" || a.Name.EN == "" || len(a.Codes) == 0 || slices.ContainsFunc(a.Codes, func(c string) bool { return !division.MatchString(c) }) {
			return fmt.Errorf("areas: %d: a name in zh and en, and division codes", n)
		}
	}
	for r, list := range t.Places {
		for n, p := range list {
			if n < 1 || n > 255 || p.ZH == "" || p.EN == "" {
				return fmt.Errorf("places: %s: %d: numbers are 1 to 255, with a name in zh and en", r, n)
			}
		}
	}
	return t.proveSpeech()
}

func (row templateRow) prove() error {
	if row.Headline.ZH == "" || row.Headline.EN == "" || row.Description.ZH == "" || row.Description.EN == "" {
		return fmt.Errorf("headline and description are needed in zh and en")
	}
	for _, text := range []phrase.Text{row.Headline, row.Description, row.Instruction} {
		zh, en := hole.FindAllString(text.ZH, -1), hole.FindAllString(text.EN, -1)
		slices.Sort(zh)
		slices.Sort(en)
		if !slices.Equal(slices.Compact(zh), slices.Compact(en)) {
			return fmt.Errorf("what is filled in differs between zh and en: %s", strings.Join(append(zh, en...), " "))
		}
		for _, h := range zh {
			if !slices.Contains(holes, h) || h == "{p}" && row.P == nil || h == "{q}" && row.Q == nil {
				return fmt.Errorf("nothing is known to fill in for %s", h)
			}
		}
		if len(text.ZH) > 1000 || len(text.EN) > 1000 {
			return fmt.Errorf("a text is longer than 1000 bytes")
		}
	}
	for _, p := range []*parameter{row.P, row.Q} {
		if p != nil && (p.Place == (p.Scale != 0) || p.Digits < 0 || p.Digits > 3) {
			return fmt.Errorf("a parameter is a place, or has a scale and up to 3 digits")
		}
	}
	return nil
}
