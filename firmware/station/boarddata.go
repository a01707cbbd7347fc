package station

import (
	"context"
	"time"

	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/update"
	"tocsin/firmware/update/board"
)

// How the board keeps what is kept is its init's to know. Where a broken data partition takes
// long to mend the box warns from memory meanwhile; once it is whole the board is started
// anew to use it, when that holds up nobody.

const (
	dataLook = 30 * time.Second // for how the mending goes
	dataCalm = 10 * time.Minute // without a level and without a sound, before the board is started anew
)

// lookAtBoard says how the board keeps what is kept, where its init knows that it is not as it
// should be, and follows a mending that goes on.
func (h *House) lookAtBoard(ctx context.Context) error {
	s := initSocket()
	if s == "" {
		return nil
	}
	init := board.Init{Socket: s}
	st, err := init.Status()
	if err != nil {
		return nil // who installs says so
	}
	m := dataText(st.Data)
	if m.IsZero() {
		return nil
	}
	h.setFault("data", m)
	h.tellCounty("system.data", m, nil)
	if st.Data.How != "memory" {
		return nil
	}
	calm := dataCalm
	if st.Data.Spare.IsZero() {
		calm = 0 // it has no site and warns of nothing: nobody is held up
	}
	return h.untilMended(ctx, init, dataLook, calm)
}

// untilMended starts the board anew once its data partition is whole and it has been calm; not
// within a release's trial, of which that would be one try.
func (h *House) untilMended(ctx context.Context, init board.Init, look, calmFor time.Duration) error {
	var calm time.Duration // when it began, by the monotonic clock; 0 for not
	t := time.NewTicker(look)
	defer t.Stop()
	for told := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		st, err := init.Status()
		if err != nil || !st.Data.Mended {
			continue
		}
		if !told && calmFor > 0 {
			told = true
			m := phrase.M("station.data_mended_late")
			h.setFault("data", m)
			h.tellCounty("system.data", m, nil)
		}
		now := h.clock.Now()
		if h.barred() != nil || h.tries() {
			calm = 0
			continue
		}
		if calm == 0 {
			calm = now.Mono
		}
		if now.Mono-calm < calmFor {
			continue
		}
		h.write(journal.Record{Kind: "system.restart", Who: "init", Via: "board", At: now, Message: phrase.M("station.data_restart")}, nil)
		if err := init.Restart("its data partition is mended"); err != nil {
			h.log.Warn("the board was not started anew to use its mended data partition", "err", err)
		}
		calm = 0 // where nothing comes of it, it is asked for again
	}
}

// tries tells whether a release is on trial.
func (h *House) tries() bool {
	i, err := h.installer()
	return err == nil && i.State().Phase == update.Trial
}

// dataText says what is wrong with where the board keeps things; the zero Message for nothing.
func dataText(d board.Data) phrase.Message {
	why, spare := api.Clean(d.Why, 200), ""
	if !d.Spare.IsZero() {
		spare = d.Spare.In(siteZone()).Format("2006-01-02 15:04")
	}
	switch {
	case d.How == "memory" && spare != "":
		return phrase.M("station.data_memory_spare", "why", why, "spare", spare)
	case d.How == "memory":
		return phrase.M("station.data_memory", "why", why)
	case d.How == "anew" && d.Aside != "":
		return phrase.M("station.data_anew_aside", "why", why, "aside", api.Clean(d.Aside, 100))
	case d.How == "anew" && spare != "":
		return phrase.M("station.data_anew_spare", "why", why, "spare", spare)
	case d.How == "anew":
		return phrase.M("station.data_anew", "why", why)
	case d.How == "mended" && spare != "":
		return phrase.M("station.data_mended_spare", "why", why, "spare", spare)
	case d.How == "mended":
		return phrase.M("station.data_mended", "why", why)
	case spare != "":
		return phrase.M("station.data_spare", "spare", spare)
	}
	return phrase.Message{}
}
