package rule

import (
	"time"

	"tocsin/firmware/point"
)

// Spec is the rule of one hazard, in the units of the points that it names.
type Spec struct {
	Hazard string
	AnyOf  []Condition
	// LossAfter is how long a hazard may be blind before LossTo is raised; 0
	// and Calm: the loss is called, and raises nothing.
	LossAfter time.Duration
	LossTo    point.Level
}

// Condition is one way in which a hazard shows.
type Condition struct {
	Point point.ID
	Unit  point.Unit
	// Kind says what of the point is compared.
	Kind Kind
	// Window is the length of the sum or of the rise.
	Window time.Duration
	// Below compares downwards: too little is the danger (oxygen, battery).
	Below bool
	// Dwell is how long a threshold must be reached before its level comes on.
	Dwell time.Duration
	// ClearDwell is how long the value must be back before its level goes off.
	ClearDwell time.Duration
	// Levels are the thresholds, by rising level.
	Levels []Threshold
}

// Kind is what of a point a condition compares.
type Kind uint8

// The kinds.
const (
	// Value compares the reading itself.
	Value Kind = iota
	// Sum compares what a counter gained over the window.
	Sum
	// Rise compares how much the value rose above its lowest over the window.
	Rise
)

// Threshold is where a level comes on and where it goes off again.
type Threshold struct {
	Level point.Level
	On    float64
	Off   float64
}

// Source is what the engine must know of a point.
type Source struct {
	// Limit is the age at which the engine takes the point for stale by itself,
	// should whoever reads it have gone silent.
	Limit   time.Duration
	Counter *point.Counter
	// Step is the largest change of a level; nil where nothing is known of it.
	Step *Step
	// Neighbours are the gauges that a rain gauge is held against.
	Neighbours []point.ID
}

// Step is a change of Most in Per, in the point's unit; less time allows as
// much, more proportionally more.
type Step struct {
	Most float64
	Per  time.Duration
}
