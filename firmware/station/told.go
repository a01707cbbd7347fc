package station

import (
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
)

// unsaid is what waits until the county can be told it: its secret may not be read yet.
type unsaid struct {
	what  phrase.Message
	short func(wire.Name) []byte
}

// toSayMost bounds what waits.
const toSayMost = 32

// tellCounty keeps what happened in the journal, and gives it to the county's outbox in one: it
// stays there until the county has it. Of a box without a county it is kept here alone.
func (h *House) tellCounty(kind string, what phrase.Message, short func(wire.Name) []byte) {
	now := h.clock.Now()
	batch := journal.Batch{Records: []journal.Record{{Kind: kind, Message: what, At: now}}}
	if h.seen().bp.Doc.Site.County != nil {
		if h.postSaid(what, short, now, batch) {
			return
		}
		h.toSay.mu.Lock()
		if len(h.toSay.all) < toSayMost {
			h.toSay.all = append(h.toSay.all, unsaid{what, short})
		}
		h.toSay.mu.Unlock()
	}
	h.journal.Commit(batch)
}

// sayLate tells the county what it could not be told at once.
func (h *House) sayLate() {
	for {
		h.toSay.mu.Lock()
		if len(h.toSay.all) == 0 {
			h.toSay.mu.Unlock()
			return
		}
		x := h.toSay.all[0]
		h.toSay.mu.Unlock()
		if !h.postSaid(x.what, x.short, h.clock.Now(), journal.Batch{}) {
			return
		}
		h.toSay.mu.Lock()
		h.toSay.all = h.toSay.all[1:]
		h.toSay.mu.Unlock()
	}
}
