package order

import (
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// Content is what is heard.
type Content struct {
	// Tone names a tone of configs/tones.yaml; "" for none.
	Tone string `yaml:"tone" json:"tone,omitempty"`
	// Clips names clips of the bank, in the order in which they are spoken.
	Clips []string `yaml:"clips" json:"clips,omitempty"`
	// Words is what the clips say, or what is to be rendered where there are
	// none; shown wherever the sounding is shown.
	Words phrase.Text `yaml:"words" json:"words,omitzero"`
	// Langs are the languages to speak, in order: zh, yue, en, …
	Langs []string `yaml:"langs" json:"langs,omitempty"`
	// Volume is in percent; 0 leaves the output's own.
	Volume int `yaml:"volume" json:"volume,omitempty"`
	// Live names the session of a person who speaks now (sound/live); the clips, if any, are
	// said before. It comes from no document.
	Live string `yaml:"-" json:"live,omitempty"`
}

// IsZero tells whether nothing would be heard but the output's own sound.
func (c Content) IsZero() bool {
	return c.Tone == "" && len(c.Clips) == 0 && c.Words == (phrase.Text{}) && len(c.Langs) == 0 && c.Volume == 0 && c.Live == ""
}

func (c Content) clone() Content {
	c.Clips = slices.Clone(c.Clips)
	c.Langs = slices.Clone(c.Langs)
	return c
}

// Who is a person or a thing that acts: the name it gave and the way it came
// (key, page, socket, rule, link).
type Who struct {
	Name string `json:"name"`
	Via  string `json:"via,omitempty"`
}

// Ask is what somebody wants of a Desk.
type Ask struct {
	// Cause ties everything from the crossing to the receipt together.
	Cause  string      `json:"cause"`
	Kind   Kind        `json:"kind"`
	Source Source      `json:"source"`
	Action Action      `json:"action"`
	Hazard string      `json:"hazard,omitempty"`
	Level  point.Level `json:"level"`
	// Outputs names them one by one. For Silence, none means all.
	Outputs []string `json:"outputs,omitempty"`
	Content Content  `json:"content,omitzero"`
	// For is how long at the longest; 0 asks for the source's longest. More
	// than that is cut to it, since a short warning is better than none.
	For time.Duration `json:"for,omitempty"`
	// Standing says that a level stands and this is one turn of its duty cycle
	// On, Off. Turns after the first do not count as new soundings, as long as
	// they come no more often than the duty cycle says.
	Standing bool          `json:"standing,omitempty"`
	Off      time.Duration `json:"off,omitempty"`
	Who      Who           `json:"who,omitzero"`
}

// Order is leave to act on outputs. Only a Desk makes one; the zero Order is
// not valid and every taker refuses it.
type Order struct {
	id  string
	ask Ask
	at  clock.Stamp
}

// Valid tells whether a Desk made the order.
func (o Order) Valid() bool { return o.id != "" }

// ID names the order; no other order of this box has it.
func (o Order) ID() string { return o.id }

// Cause ties the order to what led to it.
func (o Order) Cause() string { return o.ask.Cause }

// Kind is real, drill or test.
func (o Order) Kind() Kind { return o.ask.Kind }

// Source is who or what asked.
func (o Order) Source() Source { return o.ask.Source }

// Action is what is ordered.
func (o Order) Action() Action { return o.ask.Action }

// Hazard is what the level is of.
func (o Order) Hazard() string { return o.ask.Hazard }

// Level is the level that is sounded.
func (o Order) Level() point.Level { return o.ask.Level }

// Outputs names the outputs; none, with Silence, means all.
func (o Order) Outputs() []string { return slices.Clone(o.ask.Outputs) }

// Covers tells whether the order is for an output.
func (o Order) Covers(output string) bool {
	return o.Valid() && (slices.Contains(o.ask.Outputs, output) || o.ask.Action == Silence && len(o.ask.Outputs) == 0)
}

// Content is what is to be heard.
func (o Order) Content() Content { return o.ask.Content.clone() }

// For is how long it may sound at the longest, more than zero unless the
// action is Silence.
func (o Order) For() time.Duration { return o.ask.For }

// Standing says that this is one turn of a standing level's duty cycle.
func (o Order) Standing() bool { return o.ask.Standing }

// Off is the pause that a standing level keeps after this turn.
func (o Order) Off() time.Duration { return o.ask.Off }

// Who asked.
func (o Order) Who() Who { return o.ask.Who }

// At is when the order was made.
func (o Order) At() clock.Stamp { return o.at }

// Ask gives a copy of what was granted.
func (o Order) Ask() Ask {
	a := o.ask
	a.Outputs = slices.Clone(a.Outputs)
	a.Content = a.Content.clone()
	return a
}

// Equal tells whether the same would be heard.
func (c Content) Equal(d Content) bool {
	return c.Tone == d.Tone && c.Words == d.Words && c.Volume == d.Volume && c.Live == d.Live && slices.Equal(c.Clips, d.Clips) && slices.Equal(c.Langs, d.Langs)
}
