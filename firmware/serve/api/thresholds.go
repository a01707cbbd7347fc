package api

import (
	"context"
	"net/http"
	"time"

	"tocsin/firmware/point"
	"tocsin/firmware/serve/access"
)

// Compared is a box whose rules compare points.
type Compared interface {
	// Thresholds gives what rules compare of a point, empty where none does.
	Thresholds(id point.ID) []Threshold
}

// Threshold is where one level of one rule comes on and goes off again.
type Threshold struct {
	Hazard     string `json:"hazard"`
	HazardText Text   `json:"hazard_text"`
	Level      string `json:"level"`
	LevelText  Text   `json:"level_text"`
	Colour     string `json:"colour"`
	// Compares: value (the reading itself), sum (what a counter gained over the window),
	// rise (how much it rose over the window).
	Compares string        `json:"compares" enum:"value,sum,rise"`
	Window   time.Duration `json:"window_ns,omitempty"`
	// Below: too little is the danger.
	Below bool    `json:"below"`
	On    float64 `json:"on"`
	Off   float64 `json:"off"`
	Unit  string  `json:"unit"`
}

func (s *Server) registerThresholds() {
	add(s, access.Viewer, http.MethodGet, "/thresholds/{id}", "thresholds", "What rules compare of one point", func(_ context.Context, in *struct {
		ID string `path:"id" maxLength:"128" doc:"the point, such as river.level"`
	}) (*body[[]Threshold], error) {
		return &body[[]Threshold]{full(s.box.Thresholds(point.ID(in.ID)))}, nil
	})
}
