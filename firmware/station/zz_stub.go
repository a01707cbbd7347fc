package station

import (
	"context"

	"tocsin/firmware/serve/api"
)

func (h *House) TakeCommand(ctx context.Context, raw []byte, way string) (api.CommandVerdict, error) {
	j := &job{way: way, command: true}
	err := h.county.bring(ctx, raw, wayHand, j)
	return j.commanded, err
}

func (c *county) command(raw []byte, j *job) bool { return false }
