package config

import "tocsin/firmware/phrase"

// Plan is what is done at each level, as decide/plan has it.
type Plan struct {
	Name phrase.Text `yaml:"name"`
	// Levels are the steps of the levels, by their codes: every level needs one.
	Levels map[string]PlanStep `yaml:"levels"`
	// AllClear ends an alarm; Drill, Test and Notice may be left out.
	AllClear PlanStep `yaml:"all_clear"`
	Drill    PlanStep `yaml:"drill"`
	Test     PlanStep `yaml:"test"`
	Notice   PlanStep `yaml:"notice"`
}

// PlanStep is what is heard at one level.
type PlanStep struct {
	// Tone first, then Clips in their order.
	Tone  string   `yaml:"tone"`
	Clips []string `yaml:"clips"`
	// ClipsBy is what is said instead of Clips where the level is no measurement of this box: hand,
	// command, beacon.
	ClipsBy map[string][]string `yaml:"clips_by"`
	// Outputs and Zones are where; without both everywhere.
	Outputs []string `yaml:"outputs"`
	Zones   []string `yaml:"zones"`
	// Duty is how long it sounds and pauses while the level stands.
	Duty PlanDuty `yaml:"duty"`
	// Resound is when a level that was silenced and that nobody acknowledged sounds again.
	Resound Span `yaml:"resound"`
	// For bounds a sounding that does not stand.
	For Span `yaml:"for"`
}

// PlanDuty is a duty cycle.
type PlanDuty struct {
	On  Span `yaml:"on"`
	Off Span `yaml:"off"`
}
