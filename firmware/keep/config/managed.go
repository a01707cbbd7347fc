package config

import (
	"time"

	"github.com/goccy/go-yaml/ast"

	"tocsin/firmware/phrase"
)

// Managed says which settings of a document are the county's. The county's signed document
// brings it, or whoever prepares the file; at the box it cannot be changed.
type Managed struct {
	// By is who manages them, Since the day.
	By    phrase.Text `yaml:"by"`
	Since string      `yaml:"since"`
	// Paths are the settings, as JSON Pointers: /rules/flash-flood is all of that rule.
	Paths []string `yaml:"paths"`
	// Overrides stand for a while in place of the county's values. The box writes them.
	Overrides []Override `yaml:"overrides"`
}

// Override is one county-managed setting that somebody at the box has changed for a while.
type Override struct {
	Path string `yaml:"path"`
	// County is what comes back at its end; without it the setting is taken out again.
	County any `yaml:"county"`
	// Who and Why, From and Until.
	Who   string `yaml:"who"`
	Why   string `yaml:"why"`
	From  Moment `yaml:"from"`
	Until Moment `yaml:"until"`
}

// Moment is a time of day with its date and zone, RFC 3339.
type Moment struct{ time.Time }

// UnmarshalYAML reads "2026-11-27T18:30:00+08:00".
func (m *Moment) UnmarshalYAML(n ast.Node) error {
	t, err := scalar(n)
	if err == nil {
		m.Time, err = time.Parse(time.RFC3339, t)
	}
	return place(n, err)
}
