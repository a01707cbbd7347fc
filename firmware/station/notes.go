package station

import (
	"context"
	"encoding/json"

	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sound/announce"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
)

// noteSoon hands work that the alarm path must not do itself (fault tables,
// journal records of receipts) to the notes goroutine. It never blocks: when that
// goroutine cannot follow, the note is lost and counted.
func (h *House) noteSoon(f func()) {
	select {
	case h.noted <- f:
	default:
		h.notesLost.Add(1)
	}
}

// notes does what was noted, in order.
func (h *House) notes(ctx context.Context) error {
	lost := int64(0)
	for {
		select {
		case <-ctx.Done():
			// What was noted before the end is still kept.
			for {
				select {
				case f := <-h.noted:
					f()
				default:
					return ctx.Err()
				}
			}
		case f := <-h.noted:
			f()
			if n := h.notesLost.Load(); n != lost {
				h.log.Error("notes lost", "n", n-lost)
				lost = n
			}
		}
	}
}

func (h *House) journalState(ok bool, why phrase.Message) {
	if ok {
		h.clearFault("journal")
		return
	}
	if why.Code != "journal.opening" && why.Code != "journal.closed" {
		h.setFault("journal", why)
	}
}

func (h *House) noteOrder(e order.Event) {
	if e.Refused.IsZero() {
		return // the receipts tell what became of it
	}
	body, _ := json.Marshal(e.Ask)
	h.log.Warn("order refused", "cause", e.Ask.Cause, "why", e.Refused.In(phrase.EN))
	h.write(journal.Record{Kind: "order.refused", Cause: e.Ask.Cause, Message: e.Refused, Who: e.Ask.Who.Name, Via: e.Ask.Who.Via, Body: body, At: e.At}, nil)
}

// receiptBody is what a receipt says in the journal.
type receiptBody struct {
	Order    string `json:"order"`
	Output   string `json:"output"`
	Kind     string `json:"kind"`
	State    string `json:"state"`
	Measured string `json:"measured"`
	For      string `json:"for,omitempty"`
	// Said is which clips were asked for, where a sounding begins.
	Said []string `json:"said,omitempty"`
}

// receiptsKept bounds what the page shows.
const receiptsKept = 64

func (h *House) noteReceipt(e output.Event) {
	body := receiptBody{Order: e.OrderID, Output: e.Output, Kind: e.Order.Kind().String(), State: string(e.State), Measured: string(e.Measured), For: e.For}
	if e.State == output.Started {
		body.Said = e.Order.Content().Clips
	}
	b, _ := json.Marshal(body)
	h.log.Info("receipt", "cause", e.Cause, "order", e.OrderID, "output", e.Output, "state", string(e.State), "measured", string(e.Measured), "why", e.Why.In(phrase.EN))
	h.write(journal.Record{Kind: "receipt." + string(e.State), Cause: e.Cause, Message: e.Why, Body: b, At: e.At}, nil)
	h.mu.Lock()
	h.receipts = append(h.receipts, e)
	if n := len(h.receipts); n > receiptsKept {
		h.receipts = append(h.receipts[:0], h.receipts[n-receiptsKept:]...)
	}
	h.mu.Unlock()
	h.herald.heard(e)
	h.talks.sounded(e)
	h.trials.sounded(e)
}

func (h *House) noteOutputFault(f output.Fault) {
	thing := "output " + f.Output + " " + string(f.Code)
	if f.Standing {
		h.setFault(thing, f.Why)
	} else {
		h.clearFault(thing)
	}
}

func (h *House) noteAnnounce(e announce.Event) {
	h.talks.happened(e)
	h.trials.happened(e)
	if e.What == announce.Turn {
		return // receipts follow
	}
	b, _ := json.Marshal(map[string]any{"order": e.OrderID, "level": e.Level, "kind": e.Kind.String(), "hazard": e.Hazard})
	h.write(journal.Record{Kind: "sounding." + string(e.What), Cause: e.Cause, Message: e.Why, Who: e.Who.Name, Via: e.Who.Via, Body: b, At: e.At}, nil)
}

func (h *House) stateOfHalts() map[string][]byte {
	b, err := json.Marshal(h.halted)
	if err != nil || !h.recalls {
		return nil
	}
	return map[string][]byte{keyHalted: b}
}
