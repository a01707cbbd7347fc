package station

import (
	"time"

	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// proveGuard loads how the box looks after itself.
func (p *prover) proveGuard() {
	r, err := guard.LoadRules(p.fsys)
	if err != nil {
		p.problem(phrase.M("site.guard_rules", "detail", err), "site")
		return
	}
	p.bp.Guard = r
}

// roomFailed calls a goroutine that failed, and says when it runs well again. Where a part
// of what warns dies again and again although this process has long run, the watchdog is
// starved for it: the process begins anew, and where that does not help, the board.
func (h *House) roomFailed(e guard.Event) {
	part := e.Owner + "/" + e.Name
	reset := false
	switch {
	case e.Well:
		h.dog.Forgive(part)
	case e.Spent && e.Budget.Then == guard.Reset && time.Since(h.started) >= e.Budget.For:
		h.dog.GiveUp(part)
		reset = true
	}
	// Beside: whoever tells this may be what failed, and its lock what it held.
	h.noteSoon(func() {
		if e.Well {
			h.clearFault("room " + part)
			return
		}
		h.setFault("room "+part, roomFault(part, e, reset))
	})
}

func roomFault(part string, e guard.Event, reset bool) phrase.Message {
	per, n := point.Span(e.Budget.Per).String(), e.Budget.Restarts
	switch {
	case reset:
		return phrase.M("guard.part_reset", "room", part, "err", e.Err, "per", per, "n", n)
	case e.Spent && e.Budget.Then == guard.Rest:
		return phrase.M("guard.part_rests", "room", part, "err", e.Err, "per", per, "n", n, "for", point.Span(e.Budget.For).String())
	case e.Spent:
		return phrase.M("guard.part_slow", "room", part, "err", e.Err, "per", per, "n", n)
	case e.Once:
		return phrase.M("guard.ended", "room", part, "err", e.Err)
	}
	return phrase.M("guard.part_failed", "room", part, "err", e.Err)
}
