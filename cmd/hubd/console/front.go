package console

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"tocsin/cmd/hubd/hubfile"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/audit"
	"tocsin/firmware/serve/page/ui"
)

// route is one way in. What is not listed is not served; a test tries each as every role.
type route struct {
	pattern string
	// role is the least that may; access.Nobody is open to whoever comes.
	role access.Role
	do   func(w http.ResponseWriter, r *http.Request) error
}

const api = "/api/v1"

// routes are all ways in but those below other rooms' paths, which are a viewer's.
func (c *Console) routes() []route {
	return []route{
		{"POST " + api + "/sign-in", access.Nobody, c.signIn},
		{"POST " + api + "/set-up", access.Nobody, c.setUp},
		{"GET " + api + "/session", access.Nobody, c.session},
		{"POST " + api + "/sign-out", access.Viewer, c.signOut},
		{"POST " + api + "/password", access.Viewer, c.changePassword},
		{"GET " + api + "/county", access.Viewer, c.giveCounty},
		{"GET " + api + "/stations/{id}", access.Viewer, c.giveStation},
		{"POST " + api + "/alerts/check", access.Operator, c.checkAlert},
		{"POST " + api + "/alerts", access.Operator, c.sendAlert},
		{"GET " + api + "/accounts", access.Owner, c.accounts},
		{"POST " + api + "/accounts", access.Owner, c.addAccount},
		{"POST " + api + "/accounts/{id}", access.Owner, c.changeAccount},
		{"POST " + api + "/accounts/{id}/remove", access.Owner, c.removeAccount},
		{"GET " + api + "/sign-ins", access.Owner, c.signIns},
		{"POST " + api + "/sign-ins/{id}/end", access.Owner, c.endSignIn},
		{"GET " + api + "/audit", access.Owner, c.giveAudit},
	}
}

// policy is what the console may load: nothing from elsewhere. Pictures come by WebRTC, their clips as files.
const policy = "default-src 'self'; media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"

// front is all that the page's address serves.
func (c *Console) front() http.Handler {
	mux := http.NewServeMux()
	for _, x := range c.routes() {
		mux.HandleFunc(x.pattern, c.held(x.role, x.do))
	}
	for path, below := range c.below {
		mux.HandleFunc(path, c.held(access.Viewer, func(w http.ResponseWriter, r *http.Request) error {
			below.ServeHTTP(w, r)
			return nil
		}))
	}
	// The console itself holds nothing of the county: what it shows it asks for.
	mux.Handle("GET /console/", ui.County("/console/"))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/console/", http.StatusSeeOther) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, phrase.E("county.no_path"))
	})
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusForbidden, phrase.E("pictures.other_site"))
	}))
	next := c.audited(cross.Handler(mux))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Permissions-Policy", "microphone=(self), camera=()")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !c.called(r.Host) {
			fail(w, http.StatusMisdirectedRequest, phrase.E("county.wrong_host"))
			return
		}
		g := access.Grant{Via: "page", Addr: addr(r)}
		if in, ok := c.door.Grant(token(r), g.Via, g.Addr, true); ok {
			g = in
			// What goes on in a session ends with it.
			ctx, end := context.WithCancel(r.Context())
			defer end()
			stop := context.AfterFunc(c.door.Over(g.Session), end)
			defer stop()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), grantKey{}, g)))
	})
}

// held serves a way in to who has the role.
func (c *Console) held(need access.Role, do func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g := grantOf(r)
		switch {
		case need == access.Nobody || g.Role.Allows(need):
		case !g.SignedIn():
			fail(w, http.StatusUnauthorized, phrase.E("county.sign_in_first"))
			return
		default:
			fail(w, http.StatusForbidden, phrase.E("county.may_not"))
			return
		}
		if err := do(w, r); err != nil {
			status := http.StatusUnprocessableEntity
			if s := (*statusError)(nil); errors.As(err, &s) {
				status, err = s.status, s.err
			}
			if phrase.Of(err).Code == "error.plain" {
				c.log.Error("the page", "path", r.URL.Path, "err", err)
				status, err = http.StatusInternalServerError, phrase.E("serve.internal")
			}
			fail(w, status, err)
		}
	}
}

// statusError is an error with what it is answered with.
type statusError struct {
	status int
	err    error
}

func (s *statusError) Error() string { return s.err.Error() }

func with(status int, err error) error { return &statusError{status, err} }

type grantKey struct{}

func grantOf(r *http.Request) access.Grant {
	g, _ := r.Context().Value(grantKey{}).(access.Grant)
	return g
}

// Officer tells who is signed in, by name and account, and which duties the county gave them.
func (c *Console) Officer(r *http.Request) (name string, duties []string) {
	g := grantOf(r)
	return who(g), c.duties.of(g.Account)
}

// Until is a context that ends with the sign-in of who asks.
func (c *Console) Until(r *http.Request) context.Context { return c.door.Over(grantOf(r).Session) }

// who is somebody's name, and the account where that is another.
func who(g access.Grant) string {
	if g.Name == "" || g.Name == g.Account {
		return g.Account
	}
	return g.Name + "（" + g.Account + "）"
}

// called holds the Host header to what the hub is really called, so that a name somewhere in the world that is pointed
// at its address (DNS rebinding) gets nothing: an address, this machine, its certificate's names, those of the file.
func (c *Console) called(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(ip, "]")
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Zone() == "" && (c.leaf != nil || a.IsLoopback())
	}
	if host == "localhost" || host != "" && c.leaf != nil && c.leaf.VerifyHostname(host) == nil {
		return true
	}
	for _, n := range c.file.Page.Names {
		if strings.EqualFold(n, host) {
			return true
		}
	}
	return false
}

func addr(r *http.Request) string {
	if h, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return h
	}
	return r.RemoteAddr
}

// mayEnter tells whether a password and a session may travel on a request's connection: the file holds what is reached
// from elsewhere to TLS, so that without it this machine is left.
func mayEnter(r *http.Request) bool {
	return r.TLS != nil || hubfile.Loopback(r.RemoteAddr)
}

// The session's cookie: over TLS one that no other host can have set (RFC 6265bis, 4.1.3.2).
const (
	cookieTLS   = "__Host-county"
	cookiePlain = "county"
)

func token(r *http.Request) string {
	name := cookieTLS
	if r.TLS == nil {
		name = cookiePlain
	}
	k, err := r.Cookie(name)
	if err != nil || !mayEnter(r) {
		return ""
	}
	return k.Value
}

func setToken(w http.ResponseWriter, r *http.Request, token string) {
	k := &http.Cookie{Name: cookieTLS, Value: token, Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode}
	if r.TLS == nil {
		k.Name, k.Secure = cookiePlain, false
	}
	if token == "" {
		k.MaxAge = -1
	}
	http.SetCookie(w, k)
}

// Problem is how every refusal is written, as the station's are (firmware/serve/api).
type Problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	ZH     string `json:"zh"`
	EN     string `json:"en"`
}

func fail(w http.ResponseWriter, status int, err error) {
	m := phrase.Of(err)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Problem{status, m.Code, phrase.In(err, phrase.ZH), phrase.In(err, phrase.EN)})
}

func give(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// bodyMost bounds a form's JSON.
const bodyMost = 8 << 10

// take reads a form's JSON; a form of another kind does not come from the console.
func take(w http.ResponseWriter, r *http.Request, v any) error {
	if t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); t != "application/json" {
		return with(http.StatusUnsupportedMediaType, phrase.E("county.bad_form"))
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMost))
	d.DisallowUnknownFields()
	if d.Decode(v) != nil || d.More() {
		return with(http.StatusBadRequest, phrase.E("county.bad_form"))
	}
	return nil
}

type auditKey struct{}

// note completes what the audit keeps of an act.
func note(r *http.Request, f func(e *audit.Entry)) {
	if e, ok := r.Context().Value(auditKey{}).(*audit.Entry); ok {
		f(e)
	}
}

// audited keeps every changing act, refused ones too. It never waits. A picture's pieces of voice are not acts.
func (c *Console) audited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead || c.audit == nil || strings.HasPrefix(r.URL.Path, "/pictures/voice/") || strings.HasPrefix(r.URL.Path, "/pictures/film/") {
			next.ServeHTTP(w, r)
			return
		}
		g := grantOf(r)
		e := &audit.Entry{Op: clip(r.Method + " " + r.URL.Path), Via: g.Via, Addr: g.Addr, Account: g.Account, Who: g.Name}
		t := &answered{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			e.Status = t.status
			c.audit.Note(*e)
		}()
		next.ServeHTTP(t, r.WithContext(context.WithValue(r.Context(), auditKey{}, e)))
	})
}

// answered remembers what a request was answered with.
type answered struct {
	http.ResponseWriter
	status int
}

// WriteHeader is http.ResponseWriter's.
func (t *answered) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what is below.
func (t *answered) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 160 {
		return string(r[:160])
	}
	return s
}
