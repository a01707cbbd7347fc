package api_test

import (
	"context"
	"testing"
	"time"

	"tocsin/firmware/serve/api"
)

type verifier string

func (v verifier) Verify(_ context.Context, _, given string) bool { return given == string(v) }

func newServer(t *testing.T, box api.Box, o api.Opts) *api.Server {
	t.Helper()
	s, err := api.New(box, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shortContext ends streams, which would otherwise go on.
func shortContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 50*time.Millisecond)
}
