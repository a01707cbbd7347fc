package api

import (
	"context"
	"net/http"
	"time"

	"tocsin/firmware/serve/access"
)

// Session is who calls, as the box sees it. The page hides what the role may not do; the
// box refuses it anyway.
type Session struct {
	// Account is who is signed in, "" where nobody is; Name what people call them.
	Account string      `json:"account"`
	Name    string      `json:"name"`
	Role    access.Role `json:"role"`
	// Via is the way: page or socket.
	Via string `json:"via"`
	// IdleLeft is how long the session lasts if nothing is done in it; 0 where nobody is
	// signed in.
	IdleLeft time.Duration `json:"idle_left_ns"`
}

func (s *Server) registerSession() {
	add(s, access.Viewer, http.MethodGet, "/session", "session", "Who calls, and what they may do", func(ctx context.Context, _ *none) (*body[Session], error) {
		g := GrantOf(ctx)
		return &body[Session]{Session{Account: g.Account, Name: g.Name, Role: g.Role, Via: g.Via, IdleLeft: g.IdleLeft}}, nil
	})
}
