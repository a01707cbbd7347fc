package config

import "tocsin/firmware/phrase"

// Person is somebody who is written to and called when a level stands. They are called
// in the order of the list.
type Person struct {
	// ID is how deputies and records name the person.
	ID   string      `yaml:"id"`
	Name phrase.Text `yaml:"name"`
	// Role is what the person is in the village, such as 村支书.
	Role phrase.Text `yaml:"role"`
	// Numbers are telephone numbers, at most three, tried in turn. They are personal:
	// shown masked but to operators.
	Numbers []string `yaml:"numbers"`
	// Language is what is spoken to the person, cmn, yue or en; without it the site's
	// first. Text messages are in English where it is en.
	Language string `yaml:"language"`
	// Hazards are the rules for whose levels the person is told, beside them county
	// (what the county warns of) and by-hand; without it all.
	Hazards []string `yaml:"hazards"`
	// SMS and Call are the levels from which on, off for never; without them what
	// rollcall.yaml says.
	SMS  string `yaml:"sms"`
	Call string `yaml:"call"`
	// Deputies are called one after the other where the person is not reached.
	Deputies []string `yaml:"deputies"`
}

// Rollcall is how people are told.
type Rollcall struct {
	// Modem is the link by which; without it the only modem.
	Modem string `yaml:"modem"`
	// Drills write and call too.
	Drills bool `yaml:"drills"`
}
