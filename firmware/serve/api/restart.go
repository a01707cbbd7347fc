package api

import (
	"context"
	"net/http"

	"tocsin/firmware/serve/access"
)

// Restartable is a box whose program can be begun anew by a person.
type Restartable interface {
	// Restart has the box begin anew in its place once it has answered. It is refused while a
	// level stands.
	Restart(who Who) error
}

func (s *Server) registerRestart() {
	add(s, access.Technician, http.MethodPost, "/restart", "restart", "Begin the box's program anew; refused while a level stands", func(ctx context.Context, in *struct{ Body Named }) (*struct{}, error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		if err := s.box.Restart(who); err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return nil, nil
	})
}
