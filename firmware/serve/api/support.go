package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/firmware/serve/access"
)

// LogLine is one line of the program's log, without secrets.
type LogLine struct {
	Seq   int64     `json:"seq"`
	At    time.Time `json:"at"`
	Level string    `json:"level" enum:"debug,info,warn,error"`
	Text  string    `json:"text"`
}

// Supported is a box that tells people far away what they need to help.
type Supported interface {
	// Logs gives the last lines of the log that are held in RAM, oldest first.
	Logs(after int64, least string, limit int) []LogLine
	// Bundle packs all that helps, and no secret.
	Bundle(ctx context.Context) (Paper, error)
}

func (s *Server) registerSupport() {
	add(s, access.Technician, http.MethodGet, "/logs", "logs", "The last lines of the program's log, oldest first", func(_ context.Context, in *struct {
		After int64  `query:"after" minimum:"0"`
		Level string `query:"level" enum:"debug,info,warn,error" default:"info"`
		Limit int    `query:"limit" minimum:"1" maximum:"2000" default:"500"`
	}) (*body[[]LogLine], error) {
		return &body[[]LogLine]{full(s.box.Logs(in.After, in.Level, in.Limit))}, nil
	})
	add(s, access.Technician, http.MethodGet, "/support-bundle", "support-bundle", "Logs, configuration, journal and counters in one file, without secrets", func(ctx context.Context, _ *none) (*huma.StreamResponse, error) {
		p, err := s.box.Bundle(ctx)
		return s.paper(p, err)
	}, func(op *huma.Operation) { answers(op, "application/gzip") })
}
