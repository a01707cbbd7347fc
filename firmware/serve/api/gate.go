package api

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
)

type grantKey struct{}

// WithGrant says who calls in a context; the listeners put it on each
// connection.
func WithGrant(ctx context.Context, g access.Grant) context.Context {
	return context.WithValue(ctx, grantKey{}, g)
}

// GrantOf tells who calls; Nobody where nothing was said.
func GrantOf(ctx context.Context) access.Grant {
	g, _ := ctx.Value(grantKey{}).(access.Grant)
	return g
}

// The ways of a caller.
const (
	ViaPage   = "page"
	ViaSocket = "socket"
)

// gate is what every request passes first, on both listeners.
func (s *Server) gate(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, problem(http.StatusForbidden, phrase.M("serve.cross_origin")))
	}))
	next = s.paced(s.audited(cross.Handler(next)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		// Not no-referrer: with that a browser sends "Origin: null" on a plain
		// form, and without TLS there is no Sec-Fetch-Site to tell it by.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		r, end := s.withSession(r)
		defer end()
		g := GrantOf(r.Context())
		defer connOf(r.Context()).ask(g.SignedIn())()
		if g.Via != ViaSocket && !s.hostAllowed(r.Host) {
			writeProblem(w, problem(http.StatusMisdirectedRequest, phrase.M("serve.wrong_host")))
			return
		}
		if !s.inTheClear(r) {
			toTLS(w, r)
			return
		}
		if g.Role == access.Nobody && !s.openTo(r, g) {
			s.audited(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { turnAway(w, r, g) })).ServeHTTP(w, r)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, s.mostBytes(r, g))
		next.ServeHTTP(w, r)
	})
}

// openTo tells whether somebody who may nothing is answered: on the network where a path is
// open, and at STOP, which the token opens.
func (s *Server) openTo(r *http.Request, g access.Grant) bool {
	if g.Via != ViaPage {
		return false
	}
	if r.Method == http.MethodPost && r.URL.Path == stopPath {
		return true
	}
	x, ok := s.o.Pages.of(r)
	return ok && x.Open && !strings.HasPrefix(r.URL.Path, "/api/") && r.URL.Path != "/metrics"
}

// stopPath is the operation that the stop token opens.
const stopPath = prefix + "/stop"

// mostBytes is how large a body may be: only who may hand in an alert or a command
// has room for one. It is never below the operation's own bound, which is what answers
// that a body is too large.
func (s *Server) mostBytes(r *http.Request, g access.Grant) int64 {
	if p := r.URL.Path; g.Role.Allows(access.Operator) && (strings.HasPrefix(p, prefix+"/alerts") || p == prefix+"/commands" || p == prefix+"/documents") {
		return LargestMessage
	}
	if g.Role.Allows(access.Owner) && r.URL.Path == sealedPath {
		return largestSealed
	}
	if p := r.URL.Path; g.Role.Allows(access.Technician) && (p == prefix+"/config" || strings.HasPrefix(p, prefix+"/config/")) || g.Role.Allows(access.Operator) && p == prefix+"/rules/dry-run" {
		return bodyConfig
	}
	if g.Role.Allows(access.Cadre) && strings.HasPrefix(r.URL.Path, prefix+"/talk/") && strings.HasSuffix(r.URL.Path, "/voice") {
		return LargestVoice
	}
	if g.Role.Allows(access.Cadre) && r.URL.Path == RecordPath {
		return LargestRecording
	}
	if g.Role.Allows(access.Technician) && (r.URL.Path == releasePath || r.URL.Path == RescueUpdatePath) {
		return LargestRelease
	}
	if g.Role.Allows(access.Technician) && strings.HasPrefix(r.URL.Path, prefix+"/commissioning/") && strings.HasSuffix(r.URL.Path, "/photos") {
		return LargestPhoto
	}
	if r.URL.Path == videoPrefix || strings.HasPrefix(r.URL.Path, videoPrefix+"/") {
		return LargestSDP
	}
	return s.o.Limits.Body
}

// videoPrefix is where live pictures are asked for; an offer is LargestSDP bytes at most.
const (
	videoPrefix = prefix + "/video"
	LargestSDP  = 64 << 10
)

// hostAllowed holds the Host header to what the box is really called, so that a
// name somewhere in the world that is pointed at the box's address (DNS
// rebinding) gets nothing.
func (s *Server) hostAllowed(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(ip, "]")
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Zone() == ""
	}
	return s.names[host]
}

// What an operation says of itself in the OpenAPI document: the least role, and
// whether the stop token does in its place.
const (
	roleExt  = "x-role"
	tokenExt = "x-stop-token"
)

// authorize holds every operation to its declared role. An operation that
// declares none is refused to everybody.
func (s *Server) authorize(ctx huma.Context, next func(huma.Context)) {
	op, g := ctx.Operation(), GrantOf(ctx.Context())
	code, _ := op.Extensions[roleExt].(string)
	need, err := access.ParseRole(code)
	if err == nil && g.Role.Allows(need) {
		next(ctx)
		return
	}
	if open, _ := op.Extensions[tokenExt].(bool); err == nil && open && (g.Role.Allows(access.Viewer) || g.Via == ViaPage) {
		given, ok := bearer(ctx.Header("Authorization"))
		switch {
		case !ok:
			ctx.SetHeader("WWW-Authenticate", `Bearer realm="stop"`)
			s.refuse(ctx, problem(http.StatusUnauthorized, phrase.M("serve.needs_token")))
			return
		case s.o.Token != nil && s.o.Token.Verify(ctx.Context(), g.Addr, given):
			next(ctx)
			return
		}
		ctx.SetHeader("WWW-Authenticate", `Bearer realm="stop", error="invalid_token"`)
		s.refuse(ctx, problem(http.StatusUnauthorized, phrase.M("serve.wrong_token")))
		return
	}
	s.refuse(ctx, problem(http.StatusForbidden, phrase.M("serve.forbidden")))
}

func bearer(h string) (string, bool) {
	kind, t, ok := strings.Cut(h, " ")
	t = strings.TrimSpace(t)
	return t, ok && strings.EqualFold(kind, "bearer") && t != ""
}

func (s *Server) refuse(ctx huma.Context, p *Problem) {
	ctx.SetHeader("Content-Type", p.ContentType(""))
	ctx.SetStatus(p.Status)
	json.NewEncoder(ctx.BodyWriter()).Encode(p)
}

func (s *Server) viewersOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !GrantOf(r.Context()).Role.Allows(access.Viewer) {
			writeProblem(w, problem(http.StatusForbidden, phrase.M("serve.forbidden")))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}
