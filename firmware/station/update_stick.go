package station

import (
	"context"
	"io"
	"os"
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/update"
	"tocsin/firmware/update/pack"
	"tocsin/firmware/update/stick"
)

// How a stick is looked after.
const (
	stickLook  = 3 * time.Second
	stickFault = "update-stick"
)

// sticks takes releases off USB sticks, signed ones alone, by the same way as those that
// come over the page.
type sticks struct {
	find func() []stick.Device
	open func(stick.Device) (pulled, error)
	seen map[string]bool
}

// pulled is a stick's device.
type pulled interface {
	ReadAt([]byte, int64) (int, error)
	Close() error
}

func newSticks() *sticks {
	return &sticks{
		find: func() []stick.Device { return stick.Find("/sys/block", "/dev") },
		open: func(d stick.Device) (pulled, error) { return os.Open(d.Path) },
		seen: map[string]bool{},
	}
}

// startSticks looks for sticks while the board's installer is open.
func (h *House) startSticks() {
	s := newSticks()
	h.guard.Go("update", "stick", guard.Restart, func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-h.updates.ready:
		}
		if h.updates.by == nil || !h.updates.stick {
			<-ctx.Done() // what ends is started again
			return nil
		}
		t := time.NewTicker(stickLook)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
				s.look(ctx, h, h.updates.by)
			}
		}
	})
}

// look takes what is new. A stick stays as it is until it is put in again; during a trial
// none is looked at.
func (s *sticks) look(ctx context.Context, h stickHouse, i update.Installer) {
	all := s.find()
	there := map[string]bool{}
	for _, d := range all {
		there[d.ID] = true
	}
	gone := false
	for id := range s.seen {
		if !there[id] {
			delete(s.seen, id)
			gone = true
		}
	}
	if gone && len(s.seen) == 0 {
		h.clearFault(stickFault)
	}
	if i.State().Phase == update.Trial {
		return
	}
	for _, d := range all {
		if s.seen[d.ID] {
			continue
		}
		s.seen[d.ID] = true
		if s.take(ctx, h, i, d) {
			return // what was found is being tried
		}
	}
}

// stickHouse is what a stick's release meets in the house.
type stickHouse interface {
	StageRelease(ctx context.Context, r io.Reader, who api.Who) (api.Release, error)
	ActivateRelease(within time.Duration, who api.Who) error
	record(kind string, m phrase.Message, body map[string]any)
	setFault(thing string, why phrase.Message)
	clearFault(thing string)
}

var stickWho = api.Who{Name: "U 盘 (USB stick)", Via: "stick"}

// take goes through a stick's release files until one is being tried.
func (s *sticks) take(ctx context.Context, h stickHouse, i update.Installer, d stick.Device) bool {
	f, err := s.open(d)
	if err != nil {
		h.setFault(stickFault, phrase.M("update.stick_unread", "err", err))
		return false
	}
	defer f.Close()
	v, err := stick.Open(f, d.Size)
	if err != nil {
		// Many sticks are not here for a release: it is noted, and no fault.
		h.record("update.stick", phrase.M("update.stick_unread", "err", err), nil)
		return false
	}
	files, more, err := v.Files()
	if err != nil {
		h.setFault(stickFault, phrase.M("update.stick_unread", "err", err))
		return false
	}
	if more {
		h.record("update.stick", phrase.M("update.stick_many", "looked", len(files)), nil)
	}
	for _, file := range files {
		refuse := func(err error) {
			h.setFault(stickFault, phrase.M("update.stick_refused", "file", file.Name, "why", phrase.Of(err)))
		}
		head, err := pack.ReadHeader(v.Reader(file))
		if err != nil {
			h.record("update.refused", phrase.M("update.told_refused", "who", stickWho.Name, "why", phrase.Of(err)), map[string]any{"file": file.Name})
			refuse(err)
			continue
		}
		if now := i.State().Running; now != nil && now.Number == head.Number {
			continue // it runs already: the stick was left in
		}
		if t, ok := i.(interface{ WentBack() uint64 }); ok && t.WentBack() == head.Number {
			refuse(phrase.E("update.stick_again", "version", head.Version))
			continue
		}
		rel, err := h.StageRelease(ctx, sized{v.Reader(file), file.Size}, stickWho)
		if err != nil {
			refuse(err)
			continue
		}
		if err := h.ActivateRelease(0, stickWho); err != nil {
			h.setFault(stickFault, phrase.M("update.stick_waits", "version", rel.Version, "why", phrase.Of(err)))
			return true
		}
		h.clearFault(stickFault)
		return true
	}
	return false
}
