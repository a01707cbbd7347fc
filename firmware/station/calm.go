package station

import (
	"context"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config/revision"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// What waits while a level stands: changes in the name of nobody here (a hand at the file, the
// county's documents) until it is calm, and a release that is to go back until what
// sounds has ended, but not for ever.

const (
	calmLook = time.Second
	// spareMost is how long a release on trial that failed may stay for a level's sake: it
	// may be the very reason why the level is not seen to end.
	spareMost = 2 * time.Hour
)

// calm tells that no level stands.
func (h *House) calm() bool { return h.seen().worst == point.Calm }

// nameless tells whether the file that lies there is in nobody's name: a hand wrote it, and the
// box runs with another.
func (h *House) nameless() bool {
	if h.o.Revisions == nil {
		return false // nobody keeps whose what is
	}
	s, err := h.adopted()
	if err != nil || s.Newest().By != revision.Hand {
		return false
	}
	b, err := s.Text(s.Newest().Number)
	return err == nil && string(b) != string(h.seen().bp.Doc.Source)
}

// keepForCalm does what waited once no level stands any more, until ctx ends.
func (h *House) keepForCalm(ctx context.Context) error {
	t := time.NewTicker(calmLook)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		h.sayLate()
		if !h.calm() {
			continue
		}
		if h.waiting.CompareAndSwap(true, false) {
			select {
			case h.again <- struct{}{}:
			default: // a reload is due already
			}
		}
		h.applyWaiting(ctx)
	}
}

// applyWaiting applies a document that the county ordered while a level stood.
func (h *House) applyWaiting(ctx context.Context) {
	var b []byte
	var w *wanted
	err := h.county.do(ctx, func() {
		now, floor := h.county.now()
		d := &h.county.documents
		if d.wanted != nil && d.wanted.waits {
			b, w = d.find(d.wanted.digest, now, floor)
		}
	})
	if err != nil || w == nil || b == nil {
		return
	}
	what, err := h.apply(ctx, b, w)
	switch {
	case phrase.Of(err).Code == "station.document_level" || phrase.Of(err).Code == "station.busy":
		return
	case err != nil:
		_ = h.county.do(ctx, func() { h.county.documents.drop(w) })
		what = phrase.M("station.document_late_refused", "why", phrase.Of(err))
	}
	h.tellCounty("order.configured_late", what, nil)
}

// spares tells whether a release that is to go back waits, for the sake of what stands or sounds.
// since is when it was first to go; zero for not yet.
func (h *House) spares(since *clock.Stamp) bool {
	if h.barred() == nil {
		*since = clock.Stamp{}
		return false
	}
	now := h.clock.Now()
	if *since == (clock.Stamp{}) {
		*since = now
	}
	return now.Mono-since.Mono < spareMost
}

func (h *House) startCalm() {
	h.guard.Go("station", "calm", guard.Restart, h.keepForCalm)
}
