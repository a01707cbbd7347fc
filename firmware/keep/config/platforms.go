package config

import (
	"github.com/goccy/go-yaml/ast"

	"tocsin/firmware/phrase"
)

// Platform is one of GB/T 28181 at which this box signs in as a device.
type Platform struct {
	Name phrase.Text `yaml:"name"`
	// ID is the platform's code, Domain its SIP domain (the first ten digits of its code),
	// Address where it is ("10.8.0.5:5060").
	ID      Code   `yaml:"id"`
	Domain  Code   `yaml:"domain"`
	Address string `yaml:"address"`
	// Transport of SIP: udp (also where empty) or tcp.
	Transport string `yaml:"transport"`
	// Device is this box's code there, User what it signs in as (its code), Password a file
	// with the password.
	Device   Code   `yaml:"device"`
	User     string `yaml:"user"`
	Password string `yaml:"password"`
	// Channels are the streams that it sees, each with its code there.
	Channels map[string]Code `yaml:"channels"`
	// Records lets it play back and download what is recorded of them.
	Records bool `yaml:"records"`
	// Expires is how long a signing-in holds (1h), Keepalive how often the box says that it
	// lives (1m), Misses how many of these may go unanswered (3).
	Expires   Span `yaml:"expires"`
	Keepalive Span `yaml:"keepalive"`
	Misses    int  `yaml:"misses"`
	// Local is this box's UDP port for SIP; any where it is 0.
	Local int `yaml:"local"`
	// Media are the only networks that pictures go to; any where it is empty.
	Media []string `yaml:"media"`
	// Charset is what bodies are written in: GB2312, GB18030 or UTF-8.
	Charset string `yaml:"charset"`
}

// Upper is this box as the platform at which cameras and drones of GB/T 28181 sign in.
type Upper struct {
	ID     Code   `yaml:"id"`
	Domain Code   `yaml:"domain"`
	Listen string `yaml:"listen"`
	// From are the only networks that are heard; any where it is empty.
	From []string `yaml:"from"`
}

// Code is a code of digits; without quotes in the file it would be a number too long for
// one.
type Code string

// UnmarshalYAML takes the digits as they stand.
func (c *Code) UnmarshalYAML(n ast.Node) error {
	s, err := scalar(n)
	*c = Code(s)
	return place(n, err)
}
