package apitest

import (
	"context"

	"tocsin/firmware/serve/api"
)

// SealConfig gives a file of three bytes.
func (b *Box) SealConfig(_ context.Context, _ api.SealQuery, who api.Who) (api.SealResult, error) {
	return api.SealResult{Sealed: []byte("abc"), Name: "tocsin.sealed", Files: []string{"box.key"}}, b.act(Act{What: "seal-config", Who: who})
}
