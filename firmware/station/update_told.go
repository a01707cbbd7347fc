package station

import (
	"encoding/json"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/account"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/update"
)

// What becomes of a release is told to the county: by a letter that stays in the outbox until it
// is there, in few bytes where every byte counts, and in how the box stands from then on.

// keyUpdate is where the journal keeps what was told last.
const keyUpdate = "update/told"

// updateTold is the outcome that was told last.
type updateTold struct {
	Outcome string         `json:"outcome"`
	Version string         `json:"version,omitempty"`
	Number  uint64         `json:"number,omitempty"`
	Why     phrase.Message `json:"why"`
	At      clock.Stamp    `json:"at"`
}

// outcomeKinds are the journal's kinds of outcomes.
var outcomeKinds = map[wire.UpdateOutcome]string{
	wire.UpdateStaged: "update.staged", wire.UpdateRefused: "update.refused", wire.UpdateTrial: "update.trial", wire.UpdateConfirmed: "update.confirmed", wire.UpdateBack: "update.back",
}

// outcome keeps and tells what became of a release; nil where nobody knows which.
func (h *House) outcome(o wire.UpdateOutcome, of *update.Release, why phrase.Message) {
	t := updateTold{Outcome: o.String(), Why: why, At: h.clock.Now()}
	if of != nil {
		t.Version, t.Number = of.Version, of.Number
	}
	b, _ := json.Marshal(t) // strings and numbers
	h.updates.told.Store(&t)
	h.journal.Put(keyUpdate, b)
	h.tellCounty(outcomeKinds[o], why, t.short(o))
}

// short is the outcome where every byte counts.
func (t updateTold) short(o wire.UpdateOutcome) func(wire.Name) []byte {
	item := wire.UpdateItem{Outcome: o, Number: uint32(min(t.Number, 1<<32-1)), Version: t.Version, Text: t.Why.In(phrase.ZH)}
	if t.At.Trust > clock.Free {
		item.At = uint32(max(0, t.At.Wall.Unix()))
	}
	return func(n wire.Name) []byte {
		item.Name = n
		b, err := item.Append(nil, alarmBytes)
		if err != nil {
			item.Version = "" // of no form that can be carried: the number names it
			b, _ = item.Append(nil, alarmBytes)
		}
		return b
	}
}

// recallOutcome takes back what an earlier run told, and tells what it could not: that the boot
// loader, or a release that is gone, ended a trial.
func (h *House) recallOutcome(s update.State) {
	var was updateTold
	if b, ok := h.journal.Get(keyUpdate); ok && json.Unmarshal(b, &was) == nil && was.Outcome != "" {
		if h.updates.told.Load() == nil {
			h.updates.told.Store(&was)
		}
	}
	if s.Reason.IsZero() {
		return
	}
	var number uint64
	if s.Failed != nil {
		number = s.Failed.Number
	}
	if was.Outcome == wire.UpdateBack.String() && (number == was.Number || number == 0) {
		return
	}
	h.outcome(wire.UpdateBack, s.Failed, phrase.M("update.told_back", "why", s.Reason))
}

// updateStanding is how the software stands, for the county; nil where it is updated elsewhere.
func (h *House) updateStanding() *account.Update {
	i, err := h.installer()
	if err != nil {
		return nil
	}
	s := i.State()
	out := &account.Update{Slot: h.updates.slot, Phase: string(s.Phase)}
	if s.Running != nil {
		out.Number = s.Running.Number
	}
	if s.Next != nil {
		out.Next, out.NextNumber = s.Next.Version, s.Next.Number
	}
	out.Order = h.updates.order.Load().told()
	if t := h.updates.told.Load(); t != nil {
		out.Outcome, out.OutcomeOf, out.OutcomeNumber = t.Outcome, t.Version, t.Number
		if t.At.Trust > clock.Free {
			out.At = t.At.Wall.Unix()
		}
		out.Text = account.TextOf(t.Why.In(phrase.ZH), t.Why.In(phrase.EN))
	}
	return out
}

// memoryWaits is how long what was told before a start is waited for.
const memoryWaits = 10 * time.Second
