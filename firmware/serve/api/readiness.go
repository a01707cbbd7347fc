package api

import (
	"time"
)

// Readier is a box that knows whether it could sound.
type Readier interface {
	// Readiness tells whether the box could sound its worst level now.
	Readiness() Readiness
	// Recent gives the newest records, oldest first, at most limit; those that are
	// not durable yet have number 0.
	Recent(limit int) []Record
}

// Readiness says in one line whether this box could sound its worst level now, and
// what it stands on. What is not known is said as not known.
type Readiness struct {
	// Sounds: yes (every output is able), partly (one is), no.
	Sounds string `json:"sounds" enum:"yes,partly,no"`
	Line   Text   `json:"line"`
	// Why says what stands in the way, worst first.
	Why     []Text        `json:"why"`
	Outputs []OutputReady `json:"outputs"`
	Power   Power         `json:"power"`
	// Levels are those of this box, lowest first.
	Levels []LevelInfo `json:"levels"`
}

// OutputReady is one output's part in it.
type OutputReady struct {
	Output string `json:"output"`
	Name   Text   `json:"name"`
	Kind   string `json:"kind"`
	Able   bool   `json:"able"`
	Why    *Text  `json:"why,omitempty"`
	// Sensed: the box measures whether it sounds.
	Sensed bool `json:"sensed"`
}

// Power is what the box knows of its supply.
type Power struct {
	Line Text `json:"line"`
	// Mains tells whether it is there; absent where nothing says so.
	Mains *bool `json:"mains,omitempty"`
	// Volts is the battery's voltage; absent where no point has it, or none that is good.
	Volts *float64 `json:"volts,omitempty"`
	// Charge is what is left of the battery, in percent; absent where that is not known.
	Charge *float64 `json:"charge,omitempty"`
	// Left is how long the battery bears what is drawn (with mains: would, from now); 0 with How where
	// that is not known. How says by what it is known, or what would make it known.
	Left time.Duration `json:"left_ns,omitempty"`
	How  *Text         `json:"how,omitempty"`
	// Until is how long the battery lasts; absent where that is not known.
	Until *time.Time `json:"until,omitempty"`
}

// LevelInfo is one level: its code, its name and the colour that the page gives it.
type LevelInfo struct {
	Code   string `json:"code"`
	Text   Text   `json:"text"`
	Colour string `json:"colour"`
}

func (s *Server) readiness() Readiness {
	r := s.box.Readiness()
	r.Why, r.Outputs, r.Levels = full(r.Why), full(r.Outputs), full(r.Levels)
	return r
}

type recentQuery struct {
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"200"`
}
