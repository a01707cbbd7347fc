package config

import (
	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

// Beacons are warnings between stations, without the county.
type Beacons struct {
	// Number is this station's in the county's table, 1 to 65535; needed to send.
	Number int `yaml:"number"`
	// By are the links over which own ones go and others' are passed on; none: all that
	// may transmit.
	By []string `yaml:"by"`
	// Send are the hazards of this site of which others are told, by their rules.
	Send map[string]BeaconOut `yaml:"send"`
	// From are the stations upstream that are believed, by names of the site's own.
	From map[string]BeaconIn `yaml:"from"`
	// Relay passes on what comes of them, unchanged.
	Relay bool `yaml:"relay"`
}

// BeaconOut says what is told of a hazard.
type BeaconOut struct {
	// As is a code of configs/alerts/beacon.yaml.
	As string `yaml:"as"`
	// Least is the level from which it is told (the lowest).
	Least string `yaml:"least"`
	// Lasts is for how long a measurement of here counts (1h).
	Lasts Span `yaml:"lasts"`
}

// BeaconIn is a station upstream.
type BeaconIn struct {
	Name   phrase.Text       `yaml:"name"`
	Number int               `yaml:"number"`
	Key    trust.PEMDocument `yaml:"key"`
	// Hazards say what its hazards do here, by codes of configs/alerts/beacon.yaml.
	Hazards map[string]BeaconEffect `yaml:"hazards"`
}

// BeaconEffect is what a hazard upstream does here.
type BeaconEffect struct {
	// Hazard is the rule of this site whose plan answers.
	Hazard string `yaml:"hazard"`
	// Levels say which level of here each of theirs raises; without it the same.
	Levels map[string]string `yaml:"levels"`
	// Travel is how long what they measured takes to get here, Lasts how much longer
	// than that and than their own word the level stands here.
	Travel Span `yaml:"travel"`
	Lasts  Span `yaml:"lasts"`
}
