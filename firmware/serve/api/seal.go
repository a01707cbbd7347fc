package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/firmware/serve/access"
)

// largestSealed bounds a request with a sealed export in it, in bytes.
const (
	largestSealed = 6 << 20
	sealedPath    = prefix + "/config/sealed"
)

// SealQuery asks for the sealed export, or, with one, that it be put in place.
type SealQuery struct {
	Passphrase string `json:"passphrase" minLength:"1" maxLength:"512"`
	Sealed     []byte `json:"sealed,omitempty" maxLength:"5700000" doc:"a sealed export; its files are written, its document becomes a draft"`
	Who        string `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
}

// SealResult is the sealed export, or what came of one.
type SealResult struct {
	Sealed []byte `json:"sealed,omitempty"`
	// Name is what to call the file.
	Name string `json:"name,omitempty"`
	// Files are what is in it, or what was written.
	Files []string `json:"files"`
	// Edited is what its document would change here. Nothing of that is used yet.
	Edited *Edited `json:"edited,omitempty"`
}

// Sealing is a box that gives all that another board needs in its place, secrets too.
type Sealing interface {
	SealConfig(ctx context.Context, q SealQuery, who Who) (SealResult, error)
}

func (s *Server) registerSealing() {
	add(s, access.Owner, http.MethodPost, "/config/sealed", "seal-config", "All that another board needs in this one's place, secrets too, under a passphrase; or put such a file in place", func(ctx context.Context, in *struct{ Body SealQuery }) (*body[SealResult], error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		v, err := s.box.SealConfig(ctx, in.Body, who)
		if err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		v.Files = full(v.Files)
		if v.Edited != nil {
			v.Edited.Judgement.Problems = full(v.Edited.Judgement.Problems)
		}
		return &body[SealResult]{v}, nil
	}, func(op *huma.Operation) { op.MaxBodyBytes = largestSealed })
}
