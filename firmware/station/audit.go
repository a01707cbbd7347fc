package station

import (
	"context"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/audit"
)

// openAudit begins to keep who changes what. Where the chain stands is told to the journal
// now and then, which the county has copies of.
func (h *House) openAudit(ctx context.Context) {
	h.audit = audit.Open(ctx, audit.Opts{
		Dir: h.o.Data, Guard: h.guard, Clock: h.clock, Log: h.log,
		Report: func(why phrase.Message) {
			if why.IsZero() {
				h.clearFault("audit")
			} else {
				h.setFault("audit", why)
			}
		},
		Head: func(n int64, hash string) {
			h.record("audit.head", phrase.M("audit.head", "n", n), map[string]any{"n": n, "hash": hash})
		},
	})
}

// noteAct hands one changing act to the audit. It never waits.
func (h *House) noteAct(a api.Audited) {
	h.audit.Note(audit.Entry{
		Op: a.Method + " " + a.Path, Status: a.Status, Via: a.Via, Addr: a.Addr, Account: a.Account, Who: a.Name,
		Target: a.Target, Old: a.Old, New: a.New,
	})
}

// AuditLog gives what was kept.
func (h *House) AuditLog(after int64, limit int) ([]audit.Entry, error) {
	return h.audit.Read(after, limit)
}
