package api

import (
	"context"
	"net/http"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/access"
)

// DeviceTest asks a device once as the site's file would have it asked, before it stands
// there.
type DeviceTest struct {
	Line    string `json:"line" minLength:"1" maxLength:"64" doc:"a line of the site's file"`
	Profile string `json:"profile" minLength:"1" maxLength:"64"`
	Unit    int    `json:"unit,omitempty" minimum:"1" maximum:"247"`
	Address string `json:"address,omitempty" maxLength:"64" doc:"of an instrument without a unit number: 0 (SDI-12), 0x76 (I²C), 28-0316a2795ee4 (1-Wire)"`
	// Baud and Format differ from the line's own where it carries nothing yet.
	Baud   int    `json:"baud,omitempty" minimum:"300" maximum:"4000000"`
	Format string `json:"format,omitempty" pattern:"^[78][NEO][12]$"`
	Who    string `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
}

// DeviceTested is what came of it.
type DeviceTested struct {
	// Good: every read was answered and every value is good.
	Good bool          `json:"good"`
	Took time.Duration `json:"took_ns"`
	// Setting is what the line was spoken to with: 9600 8N1.
	Setting string        `json:"setting,omitempty"`
	Values  []TestedValue `json:"values"`
	Frames  []TestedFrame `json:"frames"`
}

// TestedValue is one point of the profile, as it was measured now.
type TestedValue struct {
	ID      string        `json:"id"`
	Name    phrase.Text   `json:"name"`
	Value   *float64      `json:"value"`
	Text    string        `json:"text,omitempty"`
	Unit    string        `json:"unit,omitempty"`
	Quality point.Quality `json:"quality"`
	Why     *Text         `json:"why,omitempty"`
}

// TestedFrame is one asking with its answer, as RTU frames in hex.
type TestedFrame struct {
	Sent  string `json:"sent"`
	Heard string `json:"heard,omitempty"`
	Why   *Text  `json:"why,omitempty"`
}

// Trier is a box that can ask a device which its file does not have yet.
type Trier interface {
	// TestDevice asks between the line's own reads, never instead of one for an alarm.
	TestDevice(ctx context.Context, q DeviceTest, who Who) (DeviceTested, error)
}

func (s *Server) registerDevices() {
	add(s, access.Technician, http.MethodPost, "/devices/test", "test-device", "Ask a device once as its profile says, before it is saved", func(ctx context.Context, in *struct{ Body DeviceTest }) (*body[DeviceTested], error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		v, err := s.box.TestDevice(ctx, in.Body, who)
		if err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		v.Values, v.Frames = full(v.Values), full(v.Frames)
		return &body[DeviceTested]{v}, nil
	})
}
