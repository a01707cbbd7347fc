package api

import (
	"context"
	"net/http"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
)

// Setpoint is one thing that people may set on a device.
type Setpoint struct {
	// ID is "<device>.<write>".
	ID   string      `json:"id"`
	Name phrase.Text `json:"name"`
	Unit string      `json:"unit"`
	Min  float64     `json:"min"`
	Max  float64     `json:"max"`
	// Step is the least difference that the device knows; 0 is any.
	Step float64 `json:"step"`
	// FailSafe comes back After the last asking; absent where the last value
	// stays.
	FailSafe *float64      `json:"fail_safe,omitempty"`
	After    time.Duration `json:"after_ns,omitempty"`
	// Refused says why nobody may set it here.
	Refused *Text `json:"refused,omitempty"`
	// Asked is what a person asked for last; Failing why that did not take.
	Asked   *Asked `json:"asked,omitempty"`
	Failing *Text  `json:"failing,omitempty"`
}

// Asked is a value with who asked for it.
type Asked struct {
	Value float64   `json:"value"`
	Who   Who       `json:"who"`
	At    time.Time `json:"at"`
}

// Asking asks for a value by a named person.
type Asking struct {
	Value float64 `json:"value" doc:"in the set-point's unit, or in the unit given; 0 and 1 of a switch"`
	Unit  string  `json:"unit,omitempty" maxLength:"16" doc:"converted where it is another than the set-point's"`
	Who   string  `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
}

// Set is a value that a device holds now, read back where it can be.
type Set struct {
	ID string `json:"id"`
	// Old is absent where what stood there was not known.
	Old  *float64  `json:"old"`
	New  float64   `json:"new"`
	Unit string    `json:"unit"`
	At   time.Time `json:"at"`
}

func (s *Server) registerSetpoints() {
	get(s, "/setpoints", "setpoints", "What people may set on devices, with what was last asked for", func() []Setpoint { return full(s.box.Setpoints()) })
	add(s, access.Operator, http.MethodPost, "/setpoints/{id}", "set", "A named person sets a value on a device; answers when it was read back. Outputs that sound are refused",
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"128"`
			Body Asking
		}) (*body[Set], error) {
			who, err := whoOf(ctx, in.Body.Who)
			if err != nil {
				return nil, err
			}
			in.Body.Unit = Clean(in.Body.Unit, 16)
			x, err := s.box.Set(ctx, in.ID, in.Body, who)
			if err != nil {
				return nil, s.refused(http.StatusConflict, err)
			}
			return &body[Set]{x}, nil
		})
}
