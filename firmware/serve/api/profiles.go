package api

import (
	"context"
	"net/http"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
)

// ProfileInfo names a kind of device that the box knows.
type ProfileInfo struct {
	Profile string      `json:"profile"`
	Name    phrase.Text `json:"name"`
	// Via is how it is reached: modbus, text, nmea, sdi12, i2c, onewire, pulse,
	// gpio.
	Via string `json:"via"`
	// Generic: there is no maker's table behind it; it must be compared with the
	// manual.
	Generic bool `json:"generic"`
	// Own: it lies beside the site's file and is not shipped.
	Own bool `json:"own"`
}

// ProfileForm is all that a page needs to ask for one device, and what it will
// measure then. It is made of the profile, as its documentation and its test are.
type ProfileForm struct {
	ProfileInfo
	Manual string `json:"manual"`
	// KnownBy are the registers by which a scan names it.
	KnownBy []string    `json:"known_by,omitempty"`
	Fields  []FormField `json:"fields"`
	Points  []FormPoint `json:"points"`
	Writes  []FormWrite `json:"writes,omitempty"`
}

// FormField is one key of the site's file that a person fills in.
type FormField struct {
	// Key is where it goes: "devices.unit" or "lines.baud".
	Key   string `json:"key"`
	Label Text   `json:"label"`
	// Type: whole, text, choice, span (10s, 5m), amount (96.2 m).
	Type     string   `json:"type" enum:"whole,text,choice,span,amount"`
	Required bool     `json:"required,omitempty"`
	Default  string   `json:"default,omitempty"`
	Unit     string   `json:"unit,omitempty"`
	Min      *float64 `json:"min,omitempty"`
	Max      *float64 `json:"max,omitempty"`
	// Pattern is what a text must match, Example one that does.
	Pattern string   `json:"pattern,omitempty"`
	Example string   `json:"example,omitempty"`
	Choices []string `json:"choices,omitempty"`
}

// FormPoint is what the device will measure.
type FormPoint struct {
	ID   string      `json:"id"`
	Name phrase.Text `json:"name"`
	Type string      `json:"type"`
	Unit string      `json:"unit"`
	Min  *float64    `json:"min,omitempty"`
	Max  *float64    `json:"max,omitempty"`
	// Every is the profile's period; 0 is as fast as the line allows.
	Every time.Duration `json:"every_ns"`
	// First: it is read before the rest.
	First   bool          `json:"first,omitempty"`
	Counter bool          `json:"counter,omitempty"`
	States  []phrase.Text `json:"states,omitempty"`
	Place   string        `json:"place"`
}

// FormWrite is what can be switched or set on it.
type FormWrite struct {
	ID       string        `json:"id"`
	Name     phrase.Text   `json:"name"`
	Unit     string        `json:"unit"`
	Min      float64       `json:"min"`
	Max      float64       `json:"max"`
	Step     float64       `json:"step"`
	FailSafe *float64      `json:"fail_safe,omitempty"`
	After    time.Duration `json:"after_ns,omitempty"`
}

func (s *Server) registerProfiles() {
	get(s, "/profiles", "profiles", "The kinds of device that the box knows", func() []ProfileInfo { return full(s.box.Profiles()) })
	add(s, access.Viewer, http.MethodGet, "/profiles/{id}", "profile", "What to ask for one kind of device, and what it measures",
		func(_ context.Context, in *struct {
			ID string `path:"id" maxLength:"64"`
		}) (*body[ProfileForm], error) {
			f, err := s.box.Profile(in.ID)
			if err != nil {
				return nil, s.refused(http.StatusConflict, err)
			}
			f.Fields, f.Points = full(f.Fields), full(f.Points)
			return &body[ProfileForm]{f}, nil
		})
}
