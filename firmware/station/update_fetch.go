package station

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/courier"
	"tocsin/firmware/reach/fetch"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/update"
)

// Software from the county: asked for over a link that is free, fetched into the slot that does
// not run, and staged. It is the courier's bulk: never by a narrow or a metered link, never while
// a level stands, something sounds or anything of classes 0 to 3 waits. Nothing here activates it.

const (
	fetchAsk      = 10 * time.Minute // between two questions
	fetchFirst    = 30 * time.Second // after a start
	fetchAgain    = time.Minute      // after a fetch that broke off
	fetchPatience = time.Hour        // with a link that fails
	partWait      = 30 * time.Second // for one part: a satellite's round trip, several times
	fetchYield    = 10 * time.Second // for a fetch to end for somebody's sake
)

// fetcher is an installer that takes a package part by part, and goes on where it broke off.
type fetcher interface {
	Fetch(ctx context.Context, r io.ReaderAt) (update.Release, error)
}

// shop is where software is asked for: a link to the county.
type shop interface {
	Up() bool
	Software(ctx context.Context, a letter.ReleaseAsk) (letter.ReleaseOffer, error)
	Part(ctx context.Context, p letter.ReleasePart) ([]byte, error)
}

// fetching is the fetch that goes on, for who must end it.
type fetching struct {
	stop context.CancelFunc
	done chan struct{}
}

// mayFetch tells whether bulk may go now.
func (h *House) mayFetch() bool {
	if h.barred() != nil {
		return false
	}
	st, ok := h.courierStatus()
	return ok && !urgentWaits(st)
}

// urgentWaits tells whether anything of classes 0 to 3 waits for a link.
func urgentWaits(st courier.Status) bool {
	return slices.ContainsFunc(st.Classes, func(c courier.ClassStatus) bool {
		class, known := courier.ParseClass(c.Class)
		return known && class < courier.Telemetry && c.Waiting > 0
	})
}

// openShop gives the best link that may carry bulk; nil where there is none.
func (h *House) openShop() (best shop) {
	bp := h.seen().bp
	if bp.Rows == nil {
		return nil
	}
	h.updates.shops.Range(func(name, v any) bool {
		s := v.(shop)
		if r := bp.Rows.Links[name.(string)]; r.Wide && r.Free && s.Up() {
			best = s
		}
		return best == nil
	})
	return best
}

// keepFetching asks the county for software and fetches it, until ctx ends.
func (h *House) keepFetching(ctx context.Context, i update.Installer, f fetcher) error {
	for wait := fetchFirst; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = fetchAsk
		s := h.openShop()
		if s == nil || !h.mayFetch() {
			wait = fetchAgain
			continue
		}
		if err := h.fetchFrom(ctx, s, i, f, h.mayFetch); err != nil {
			h.log.Info("software from the county", "err", err)
			wait = fetchAgain
		}
	}
}

// fetchFrom asks one link, and stages what is offered by it.
func (h *House) fetchFrom(ctx context.Context, s shop, i update.Installer, f fetcher, may func() bool) error {
	st := i.State()
	if st.Phase == update.Trial || st.Running == nil {
		return nil
	}
	ask := letter.ReleaseAsk{Hardware: st.Hardware, Running: st.Running.Version, Number: st.Running.Number, Base: st.Base}
	if st.Next != nil {
		ask.Next = st.Next.Number
	}
	if st.Failed != nil {
		ask.Bad = st.Failed.Number
	}
	if n := h.updates.refused.Load(); n > ask.Bad {
		ask.Bad = n
	}
	in, cancel := context.WithTimeout(ctx, partWait)
	o, err := s.Software(in, ask)
	cancel()
	if err != nil || o.Name == "" {
		return err
	}
	in, cancel = context.WithCancel(ctx)
	defer cancel()
	g := &fetching{stop: cancel, done: make(chan struct{})}
	defer close(g.done)
	h.updates.fetching.Store(g)
	r := fetch.New(in, fetch.Opts{Size: o.Size, Most: letter.PartMost, Patience: fetchPatience, May: may, Now: clock.Mono,
		Sleep: func(ctx context.Context, d time.Duration) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(d):
				return nil
			}
		},
		Part: func(ctx context.Context, at int64, n int) ([]byte, error) {
			s := h.openShop() // another link may have come instead
			if s == nil {
				return nil, phrase.E("update.no_link")
			}
			ctx, cancel := context.WithTimeout(ctx, partWait)
			defer cancel()
			return s.Part(ctx, letter.ReleasePart{Name: o.Name, At: at, Long: n})
		}})
	h.log.Info("software from the county", "version", o.Release, "number", o.Number, "bytes", o.Size, "delta", o.Delta)
	rel, err := h.takeParts(in, f, r, o.Size)
	switch {
	case err == nil:
		h.outcome(wire.UpdateStaged, &rel, phrase.M("update.told_fetched", "version", rel.Version, "bytes", r.Got()))
	case ctx.Err() != nil || errors.Is(err, context.Canceled) || errors.Is(err, fetch.ErrGone):
		return err // it goes on where it is
	case phrase.Of(err).Code == "update.busy" || phrase.Of(err).Code == "update.disk" || phrase.Of(err).Code == "update.cut_short":
		return err
	default:
		// It is no release for this box, and is not asked for again before the next start.
		h.updates.refused.Store(o.Number)
		h.outcome(wire.UpdateRefused, &update.Release{Version: o.Release, Number: o.Number}, phrase.M("update.told_offered", "version", o.Release, "why", phrase.Of(err)))
	}
	return nil
}

// takeParts stages what comes part by part, unless another release is being taken.
func (h *House) takeParts(ctx context.Context, f fetcher, r *fetch.Reader, size int64) (update.Release, error) {
	if !h.updates.taking.TryLock() {
		return update.Release{}, phrase.E("update.busy")
	}
	defer h.updates.taking.Unlock()
	defer h.comes("县里 (county)", size, r.Got)()
	return f.Fetch(ctx, r)
}

// yieldFetch ends the fetch that goes on, for somebody who brings a release by hand: what it has
// stays where it is.
func (h *House) yieldFetch() {
	g := h.updates.fetching.Load()
	if g == nil {
		return
	}
	g.stop()
	select {
	case <-g.done:
	case <-time.After(fetchYield):
	}
}
