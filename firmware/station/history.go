package station

import (
	"context"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// History gives what was measured at one point.
func (h *House) History(_ context.Context, q api.HistoryQuery) (api.History, error) {
	return api.History{}, phrase.E("history.off")
}
