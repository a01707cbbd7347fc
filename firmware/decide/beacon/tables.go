package beacon

import (
	"fmt"
	"io/fs"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/phrase"
)

// Row is a hazard of which stations warn each other.
type Row struct {
	Number int         `yaml:"number"`
	Code   string      `yaml:"code"`
	Name   phrase.Text `yaml:"name"`
}

// Tables are configs/alerts/beacon.yaml. Immutable after LoadTables.
type Tables struct {
	Version int   `yaml:"version"`
	Hazards []Row `yaml:"hazards"`
}

// TablesName is the file's name among the configs.
const TablesName = "alerts/beacon.yaml"

const tablesMost = 64 << 10

// LoadTables reads and proves them.
func LoadTables(fsys fs.FS) (t *Tables, err error) {
	b, err := fs.ReadFile(fsys, TablesName)
	if err != nil {
		return nil, err
	}
	if len(b) > tablesMost {
		return nil, fmt.Errorf("%s: %d bytes are too many", TablesName, len(b))
	}
	defer func() { // the reader of YAML panics on some documents
		if r := recover(); r != nil {
			t, err = nil, fmt.Errorf("%s: %v", TablesName, r)
		}
	}()
	t = &Tables{}
	if err := yaml.UnmarshalWithOptions(b, t, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", TablesName, err)
	}
	if t.Version != 1 {
		return nil, fmt.Errorf("%s: version %d is not known", TablesName, t.Version)
	}
	numbers, codes := map[int]bool{}, map[string]bool{}
	for _, r := range t.Hazards {
		if r.Number < 1 || r.Number > 255 || numbers[r.Number] || r.Code == "" || codes[r.Code] || r.Name.ZH == "" || r.Name.EN == "" {
			return nil, fmt.Errorf("%s: row %d %q is double, or lacks something", TablesName, r.Number, r.Code)
		}
		numbers[r.Number], codes[r.Code] = true, true
	}
	return t, nil
}

// ByCode gives a row.
func (t *Tables) ByCode(code string) (Row, bool) {
	for _, r := range t.Hazards {
		if r.Code == code {
			return r, true
		}
	}
	return Row{}, false
}

// ByNumber gives a row.
func (t *Tables) ByNumber(n uint8) (Row, bool) {
	for _, r := range t.Hazards {
		if r.Number == int(n) {
			return r, true
		}
	}
	return Row{}, false
}

// Codes lists the codes.
func (t *Tables) Codes() []string {
	var all []string
	for _, r := range t.Hazards {
		all = append(all, r.Code)
	}
	return all
}
