package rule

import (
	"fmt"
	"io/fs"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/point"
)

// Doubts says when readings that are each plausible are not believed together:
// configs/plausibility.yaml. The zero value doubts nothing.
type Doubts struct {
	Surge   Surge
	Clogged Clogged
	// Rain are the largest amounts of rain, in mm, within a time.
	Rain []point.Bound
}

// Surge is when jumps of several inputs are one interference.
type Surge struct {
	// Within is the instant: jumps that far apart are together. A reading that
	// jumps waits as long for others before it counts.
	Within time.Duration
	// Inputs is how many jump at least; 0: never.
	Inputs int
	// Share of the largest possible change is a jump.
	Share float64
	// Settle is how long a level that stays where it jumped to remains suspect.
	Settle time.Duration
}

// Clogged is when a rain gauge is dry while its neighbours pour.
type Clogged struct {
	Over time.Duration
	// Most is the neighbours' median sum, in mm, from which on it is looked at;
	// 0: never. Share of it is what a gauge must have counted.
	Most, Share float64
	// Neighbours is how many good ones there must be.
	Neighbours int
}

// mostHeld bounds how long a reading may wait for others: an alarm waits too.
const mostHeld = 2 * time.Second

// LoadDoubts reads plausibility.yaml of a file system.
func LoadDoubts(fsys fs.FS, name string) (Doubts, error) {
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return Doubts{}, err
	}
	return ParseDoubts(b)
}

// ParseDoubts reads and checks the document.
func ParseDoubts(b []byte) (Doubts, error) {
	var f struct {
		Version int `yaml:"version"`
		Surge   struct {
			Within point.Span `yaml:"within"`
			Inputs int        `yaml:"inputs"`
			Share  float64    `yaml:"share"`
			Settle point.Span `yaml:"settle"`
		} `yaml:"surge"`
		Clogged struct {
			Over       point.Span   `yaml:"over"`
			Neighbours int          `yaml:"neighbours"`
			Pour       point.Amount `yaml:"pour"`
			Share      float64      `yaml:"share"`
		} `yaml:"clogged"`
		Rain []struct {
			In   point.Span   `yaml:"in"`
			Most point.Amount `yaml:"most"`
		} `yaml:"rain"`
	}
	if len(b) > 16<<10 {
		return Doubts{}, fmt.Errorf("longer than 16 KiB")
	}
	if err := yaml.UnmarshalWithOptions(b, &f, yaml.Strict()); err != nil {
		return Doubts{}, err
	}
	if f.Version != 1 {
		return Doubts{}, fmt.Errorf("version is %d, not 1", f.Version)
	}
	d := Doubts{Surge: Surge{f.Surge.Within.Duration(), f.Surge.Inputs, f.Surge.Share, f.Surge.Settle.Duration()},
		Clogged: Clogged{Over: f.Clogged.Over.Duration(), Neighbours: f.Clogged.Neighbours, Share: f.Clogged.Share}}
	if s := d.Surge; s.Inputs != 0 && (s.Inputs < 2 || s.Within <= 0 || s.Within > mostHeld || !(s.Share > 0) || s.Share > 1 || s.Settle > time.Hour) {
		return Doubts{}, fmt.Errorf("surge: inputs at least 2, within above 0 and at most %v, share above 0 and at most 1, settle at most 1h", mostHeld)
	}
	if f.Clogged.Pour.Value != 0 {
		mm, err := f.Clogged.Pour.In("mm")
		if c := d.Clogged; err != nil || mm <= 0 || c.Over < time.Minute || c.Over > 24*time.Hour || c.Share < 0 || c.Share >= 1 || c.Neighbours < 1 {
			return Doubts{}, fmt.Errorf("clogged: pour in mm, over 1m to 24h, share below 1, neighbours at least 1")
		}
		d.Clogged.Most = mm
	}
	for i, r := range f.Rain {
		mm, err := r.Most.In("mm")
		if err != nil || mm <= 0 || r.In.Duration() < time.Minute || i > 0 && (r.In.Duration() <= d.Rain[i-1].In || mm < d.Rain[i-1].Most) {
			return Doubts{}, fmt.Errorf("rain: amounts in mm over times of at least 1m, both rising")
		}
		d.Rain = append(d.Rain, point.Bound{In: r.In.Duration(), Most: mm})
	}
	return d, nil
}
