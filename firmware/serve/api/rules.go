package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/access"
)

// RuleView is one hazard's rule as people say it.
type RuleView struct {
	Hazard string      `json:"hazard"`
	Name   phrase.Text `json:"name"`
	// Plan is what is done then, PlanName for people.
	Plan     string      `json:"plan"`
	PlanName phrase.Text `json:"plan_name"`
	// Armed: somebody answers for the thresholds, and the rule counts.
	Armed      bool            `json:"armed"`
	SetBy      string          `json:"set_by,omitempty"`
	SetOn      string          `json:"set_on,omitempty"`
	Conditions []RuleCondition `json:"conditions"`
	OnLoss     Text            `json:"on_loss"`
	// Managed says whose it is, where it is the county's.
	Managed *Text `json:"managed,omitempty"`
}

// RuleCondition is one way in which a hazard shows.
type RuleCondition struct {
	// Index is its place in the file's any_of; -1 where the file's order is not known.
	Index int      `json:"index"`
	Point point.ID `json:"point"`
	// Kind: value, sum, rise.
	Kind       string          `json:"kind" enum:"value,sum,rise"`
	Unit       string          `json:"unit"`
	Window     time.Duration   `json:"window_ns,omitempty"`
	Below      bool            `json:"below,omitempty"`
	Dwell      time.Duration   `json:"dwell_ns"`
	ClearDwell time.Duration   `json:"clear_dwell_ns"`
	Levels     []RuleThreshold `json:"levels"`
}

// RuleThreshold is where one level comes on, with the sentence that says it.
type RuleThreshold struct {
	Level     string  `json:"level"`
	LevelText Text    `json:"level_text"`
	On        float64 `json:"on"`
	Off       float64 `json:"off"`
	Sentence  Text    `json:"sentence"`
}

// PlanView is what is done at each level.
type PlanView struct {
	Plan    string      `json:"plan"`
	Name    phrase.Text `json:"name"`
	Hazards []Text      `json:"hazards"`
	Steps   []PlanStep  `json:"steps"`
	// Own: it stands in the site's document; else it is a file and becomes one by the first edit.
	Own     bool  `json:"own,omitempty"`
	Managed *Text `json:"managed,omitempty"`
	// Choices are what its steps can be made of; of the first plan alone.
	Choices *PlanChoices `json:"choices,omitempty"`
}

// PlanChoices are what the steps of plans can be made of.
type PlanChoices struct {
	Tones   []string     `json:"tones"`
	Clips   []PlanChoice `json:"clips"`
	Outputs []PlanChoice `json:"outputs"`
	Zones   []string     `json:"zones"`
	// ResoundMost is the longest that a silenced level may stay so.
	ResoundMost time.Duration `json:"resound_most_ns"`
}

// PlanChoice is one of them, with what people call it or what it says.
type PlanChoice struct {
	ID   string `json:"id"`
	Text Text   `json:"text"`
}

// PlanStep is one level's, or all_clear, drill, test, notice.
type PlanStep struct {
	Step string `json:"step"`
	Name Text   `json:"name"`
	// Sentence says what is done.
	Sentence Text     `json:"sentence"`
	Tone     string   `json:"tone,omitempty"`
	Clips    []string `json:"clips,omitempty"`
	ByHand   []string `json:"by_hand,omitempty" doc:"said instead of clips where a person raised the level"`
	// ClipsBy is all of what is said instead of clips, by who raised the level.
	ClipsBy map[string][]string `json:"clips_by,omitempty"`
	Outputs []string            `json:"outputs"`
	// Zones are what it names instead of outputs; Outputs are then those of the zones.
	Zones []string `json:"zones,omitempty"`
	// Everywhere: it names no outputs, and so means them all.
	Everywhere bool          `json:"everywhere,omitempty"`
	On         time.Duration `json:"on_ns,omitempty"`
	Off        time.Duration `json:"off_ns,omitempty"`
	Resound    time.Duration `json:"resound_ns,omitempty"`
	For        time.Duration `json:"for_ns,omitempty"`
}

// DryRun asks what rules would have done.
type DryRun struct {
	Document string `json:"document,omitempty" maxLength:"1048576" doc:"a draft; without it the site's own rules"`
	// Days is how far back the history goes that is played; 0 with a curve.
	Days  int          `json:"days,omitempty" minimum:"0" maximum:"30"`
	Curve []DrawnCurve `json:"curve,omitempty" maxItems:"8"`
}

// DrawnCurve is what a point is taken to measure.
type DrawnCurve struct {
	Point point.ID     `json:"point" minLength:"1" maxLength:"128"`
	Steps []DrawnPlace `json:"steps" minItems:"2" maxItems:"500"`
}

// DrawnPlace is a value at a time from the beginning; between two it goes straight.
type DrawnPlace struct {
	After time.Duration `json:"after_ns" minimum:"0" maximum:"2592000000000000"`
	Value float64       `json:"value"`
}

// DryRan is what would have been.
type DryRan struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Readings int       `json:"readings"`
	// Cut says that not all of the history was played, and why.
	Cut    *Text      `json:"cut,omitempty"`
	Events []DryEvent `json:"events"`
}

// DryEvent is one turn of a hazard's level.
type DryEvent struct {
	At         time.Time `json:"at"`
	Hazard     string    `json:"hazard"`
	HazardText Text      `json:"hazard_text"`
	// Kind: rises (it would sound), falls (the measurements subside), blind (no gauge is
	// good), sees (one is again).
	Kind      string `json:"kind" enum:"rises,falls,blind,sees"`
	Level     string `json:"level"`
	LevelText Text   `json:"level_text"`
	Because   []Text `json:"because"`
	// Does is what the plan would have done.
	Does *Text `json:"does,omitempty"`
}

// Ruled is a box whose rules and plans can be read and tried.
type Ruled interface {
	Rules() []RuleView
	Plans() []PlanView
	// DryRun plays history or drawn curves through rules, beside the alarm path.
	DryRun(ctx context.Context, q DryRun) (DryRan, error)
}

func (s *Server) registerRules() {
	get(s, "/rules", "rules", "The rules as people say them", func() []RuleView { return full(s.box.Rules()) })
	get(s, "/plans", "plans", "What is done at each level, step by step", func() []PlanView { return full(s.box.Plans()) })
	add(s, access.Operator, http.MethodPost, "/rules/dry-run", "dry-run", "What rules would have done with the last days or with a drawn curve; nothing sounds", func(ctx context.Context, in *struct{ Body DryRun }) (*body[DryRan], error) {
		v, err := s.box.DryRun(ctx, in.Body)
		if err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		v.Events = full(v.Events)
		return &body[DryRan]{v}, nil
	}, func(op *huma.Operation) { op.MaxBodyBytes = bodyConfig })
}
