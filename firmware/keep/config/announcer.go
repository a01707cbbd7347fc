package config

import "tocsin/firmware/phrase"

// Announcer is how people announce by hand and try outputs. What a site does not write,
// announcer.yaml says.
type Announcer struct {
	// Evacuate is the code of the level that the two steps of an evacuation raise; without it
	// the highest.
	Evacuate string `yaml:"evacuate"`
	// Confirm is how long the second step is waited for.
	Confirm Span `yaml:"confirm"`
	// Test bounds a test of outputs, which sounds while somebody holds the button.
	Test Testing `yaml:"test"`
	// Quiet is when neighbours sleep: a test then needs the word that they know.
	Quiet Quiet `yaml:"quiet"`
	// Recordings bounds what the village records itself.
	Recordings Recordings `yaml:"recordings"`
	// Maintenance is the longest that maintenance lasts before it ends by itself.
	Maintenance Span `yaml:"maintenance"`
}

// Testing bounds tests.
type Testing struct {
	// Tone and Clips are what is heard.
	Tone  string   `yaml:"tone"`
	Clips []string `yaml:"clips"`
	// Most is the longest that one lasts, however long it is held.
	Most Span `yaml:"most"`
	// Volume is in percent, of loudspeakers; a siren has none.
	Volume int `yaml:"volume"`
}

// Recordings bounds the messages that people record on the page.
type Recordings struct {
	// Tone goes before each, and For is how long it is repeated.
	Tone string `yaml:"tone"`
	For  Span   `yaml:"for"`
	// Longest is of one, Most how many are kept.
	Longest Span `yaml:"longest"`
	Most    int  `yaml:"most"`
}

// Message is what can be said with one button. It raises no level.
type Message struct {
	Name phrase.Text `yaml:"name"`
	// Tone and Clips, in their order, are what is heard.
	Tone  string   `yaml:"tone"`
	Clips []string `yaml:"clips"`
	// Outputs and Zones are where; without both every loudspeaker.
	Outputs []string `yaml:"outputs"`
	Zones   []string `yaml:"zones"`
	// For is how long it is repeated.
	For Span `yaml:"for"`
	// Volume is in percent; without it the output's own.
	Volume int `yaml:"volume"`
}
