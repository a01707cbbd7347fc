package api

import (
	"context"
	"net/http"

	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/audit"
)

// Accountable is a box that keeps who changed what.
type Accountable interface {
	// AuditLog gives entries after a number, the oldest first. They stand as they are kept,
	// tampered with or not: whoever reads proves the chain.
	AuditLog(after int64, limit int) ([]audit.Entry, error)
}

func (s *Server) registerAudit() {
	add(s, access.Technician, http.MethodGet, "/audit", "audit", "Who changed what, the oldest first; each entry carries the digest of the one before it", func(_ context.Context, q *journalQuery) (*body[[]audit.Entry], error) {
		l, err := s.box.AuditLog(q.After, q.Limit)
		if err != nil {
			return nil, s.refused(http.StatusServiceUnavailable, err)
		}
		return &body[[]audit.Entry]{full(l)}, nil
	})
}

// Audited is one changing act as it came in and what became of it.
type Audited struct {
	// Method and Path are the request's; Status what it was answered with.
	Method, Path string
	Status       int
	Via, Addr    string
	// Account is who was signed in, Name who acted by what they said or their account says.
	Account, Name string
	// Target is what was acted on where the path does not say it; Old and New are digests,
	// or words that are no secret.
	Target, Old, New string
}

type auditKey struct{}

func noted(ctx context.Context) *Audited {
	a, _ := ctx.Value(auditKey{}).(*Audited)
	if a == nil {
		return &Audited{} // a reading: nobody keeps it
	}
	return a
}

// NoteWho says who acts, where the request's own grant does not.
func NoteWho(ctx context.Context, account, name string) {
	a := noted(ctx)
	a.Account, a.Name = Clean(account, 64), Clean(name, 64)
}

// NoteTarget says what is acted on.
func NoteTarget(ctx context.Context, target string) { noted(ctx).Target = Clean(target, 128) }

// NoteChange says what was there and what is there now: a digest where it is long, and
// never a secret or what one could be guessed by.
func NoteChange(ctx context.Context, old, now string) {
	a := noted(ctx)
	a.Old, a.New = Clean(old, 128), Clean(now, 128)
}

// audited keeps every changing act, refused ones too. It never waits.
func (s *Server) audited(next http.Handler) http.Handler {
	if s.o.Audit == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		g := GrantOf(r.Context())
		a := &Audited{Method: Clean(r.Method, 16), Path: Clean(r.URL.Path, 160), Via: g.Via, Addr: g.Addr, Account: g.Account, Name: g.Name}
		t := &answered{ResponseWriter: w}
		defer func() {
			if a.Status = t.status; a.Status == 0 {
				a.Status = http.StatusOK
			}
			if g.Role == access.Nobody && a.Name == "" {
				a.Name = g.Addr
			}
			s.o.Audit(*a)
		}()
		next.ServeHTTP(t, r.WithContext(context.WithValue(r.Context(), auditKey{}, a)))
	})
}

// answered remembers what a request was answered with.
type answered struct {
	http.ResponseWriter
	status int
}

// WriteHeader is http.ResponseWriter's.
func (t *answered) WriteHeader(status int) {
	if t.status == 0 && status >= 200 {
		t.status = status
	}
	t.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what is below.
func (t *answered) Unwrap() http.ResponseWriter { return t.ResponseWriter }
