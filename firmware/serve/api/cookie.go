package api

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"tocsin/firmware/serve/access"
)

// Door proves sessions; *access.Door is one.
type Door interface {
	// Grant gives what a token allows; touch counts it as used.
	Grant(token, via, addr string, touch bool) (access.Grant, bool)
	// Over is a context that ends with a session.
	Over(session string) context.Context
	// Sweep drops sessions that have run out.
	Sweep()
}

// The session's cookie. With TLS the browser itself holds it to this very host and to TLS
// (RFC 6265bis, 4.1.3.2: the prefix __Host-); without, it is taken from this machine alone.
const (
	cookieTLS   = "__Host-tocsin"
	cookiePlain = "tocsin"
)

// MaySignIn tells whether a password and a session may travel on a request's connection.
func MaySignIn(r *http.Request) bool { return r.TLS != nil || loopback(r) }

func loopback(r *http.Request) bool {
	a, err := netip.ParseAddr(GrantOf(r.Context()).Addr)
	return err == nil && a.Unmap().IsLoopback()
}

// SessionToken gives the token that a request brings, "" for none.
func SessionToken(r *http.Request) string {
	name := cookieTLS
	if r.TLS == nil {
		if name = cookiePlain; !loopback(r) {
			return ""
		}
	}
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// SetSession gives a browser its session; the empty token takes it away. It lasts no longer
// than the browser, and the box ends it by its own count.
func SetSession(w http.ResponseWriter, r *http.Request, token string) {
	c := &http.Cookie{Name: cookieTLS, Value: token, Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode}
	if r.TLS == nil {
		c.Name, c.Secure = cookiePlain, false
	}
	if token == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// unasked are paths that pages ask for by themselves: they keep no session alive. A page
// marks what else it asks for so with the header Tocsin-Auto.
var unasked = map[string]bool{
	"/live": true, "/metrics": true, prefix + "/session": true, prefix + "/readiness": true, prefix + "/events": true,
	prefix + "/readings/stream": true, prefix + "/journal/stream": true,
}

func deliberate(r *http.Request) bool {
	return !unasked[r.URL.Path] && r.Header.Get("Tocsin-Auto") == "" && !strings.HasPrefix(r.URL.Path, videoPrefix)
}

// signedIn gives who calls on the network: of an account where a session stands behind the
// request, else a stranger.
func (s *Server) signedIn(r *http.Request, g access.Grant) access.Grant {
	if g.Via != ViaPage || g.SignedIn() {
		return g
	}
	if s.o.Strangers != nil {
		g.Role = min(g.Role, s.o.Strangers())
	}
	if s.o.Door == nil {
		return g
	}
	token := SessionToken(r)
	if token == "" {
		return g
	}
	if in, ok := s.o.Door.Grant(token, g.Via, g.Addr, deliberate(r)); ok {
		return in
	}
	return g
}

// withSession puts who calls into the request's context, which ends with their session.
func (s *Server) withSession(r *http.Request) (*http.Request, context.CancelFunc) {
	was := GrantOf(r.Context())
	g := s.signedIn(r, was)
	ctx := WithGrant(r.Context(), g)
	if g.Session == "" || g.Session == was.Session || s.o.Door == nil {
		return r.WithContext(ctx), func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.o.Door.Over(g.Session), cancel)
	return r.WithContext(ctx), func() { stop(); cancel() }
}
