package station

import (
	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/update"
)

// reasonKinds are the reasons that tell of something else than a release that went back.
var reasonKinds = map[string]string{"update.good_lost": "spare", "update.choice_lost": "records"}

// reasonsLost are what an installer says that could not keep the reason itself.
var reasonsLost = map[string]bool{"update.why_long": true, "update.why_lost": true}

// viewTrial tells of a trial under way, and of the last one where it did not stay.
func (h *House) viewTrial(out *api.Update, s update.State) {
	if t := h.updates.trial; t != nil {
		out.SelfJudged = true
		if s.Phase == update.Trial {
			for _, n := range h.seen().called(h.missing(t.asked)) {
				out.Missing = append(out.Missing, api.Text{ZH: n.ZH, EN: n.EN})
			}
		}
	}
	if s.Reason.IsZero() {
		return
	}
	why, kind := s.Reason, reasonKinds[s.Reason.Code]
	if kind == "" {
		kind = "back"
	}
	out.ReasonKind = kind
	if kind == "back" {
		out.Failed = releaseOf(s.Failed)
		if t := h.updates.told.Load(); t != nil && t.Outcome == wire.UpdateBack.String() && (s.Failed == nil || s.Failed.Number == t.Number) {
			if out.Failed == nil && t.Version != "" {
				out.Failed = &api.Release{Version: t.Version, Number: int64(t.Number)}
			}
			if t.At.Trust > clock.Free {
				out.FailedAt = &t.At.Wall
			}
			if kept, ok := t.Why.Params["why"].(phrase.Message); ok && reasonsLost[why.Code] {
				why = kept
			}
		}
	}
	said := api.TextOf(why)
	out.Reason = &said
}
