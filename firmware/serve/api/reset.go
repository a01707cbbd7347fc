package api

import (
	"context"
	"net/http"
	"time"

	"tocsin/firmware/serve/access"
)

// Resettable is a box that can be made as it came, by who stands at it.
type Resettable interface {
	// ResetLeft is for how long the held button allows it; 0 for not.
	ResetLeft() time.Duration
	// FactoryReset does it, for who has the box's own secret.
	FactoryReset(secret string, who Who) error
}

// ResetPath is where the rescue page asks for one, by a plain form: without an account, since
// who lost theirs is who needs it.
const ResetPath = "/rescue/reset"

func (s *Server) registerReset() {
	add(s, access.Technician, http.MethodPost, "/factory-reset", "factory-reset", "Set aside all that the box keeps: only while its button, held for ten seconds, allows it, and with the secret that is printed inside", func(ctx context.Context, in *struct {
		Body struct {
			Named
			Secret string `json:"secret" minLength:"1" maxLength:"80"`
		}
	}) (*struct{}, error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		if err := s.box.FactoryReset(in.Body.Secret, who); err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return nil, nil
	})
}
