package station

import (
	"context"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

var _ api.Restartable = (*House)(nil)

// Restart has the box begin anew in its own process' place, once the answer has gone out. While a
// level stands it is refused: what sounds would pause.
func (h *House) Restart(who api.Who) error {
	if h.seen().worst > point.Calm {
		return phrase.E("station.restart_level")
	}
	h.write(journal.Record{Kind: "system.restart", Who: who.Name, Via: who.Via, At: h.clock.Now(), Message: phrase.M("station.restart", "who", who.Name)}, nil)
	h.guard.Go("station", "restart", guard.Once, func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(answerFirst):
		}
		select {
		case h.anew <- struct{}{}:
		default: // it is about to
		}
		return nil
	})
	return nil
}
