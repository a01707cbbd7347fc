package console

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/phrase"
)

// A session is a duty of twelve hours at a page that shows; whoever sends something down gives the token again.
const (
	sessionFor  = 12 * time.Hour
	sessionMost = 256
)

// sessions are browsers that signed in. They live as long as the daemon.
type sessions struct {
	now func() time.Time
	mu  sync.Mutex
	all map[[sha256.Size]byte]session // by the digest of what the cookie holds
}

type session struct {
	officer string
	until   time.Time
}

func (s *sessions) begin(officer string) string {
	cookie := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var oldest [sha256.Size]byte
	for k, x := range s.all {
		if !x.until.After(now) {
			delete(s.all, k)
		} else if o, ok := s.all[oldest]; !ok || x.until.Before(o.until) {
			oldest = k
		}
	}
	if len(s.all) >= sessionMost {
		delete(s.all, oldest)
	}
	if s.all == nil {
		s.all = map[[sha256.Size]byte]session{}
	}
	s.all[sha256.Sum256([]byte(cookie))] = session{officer, now.Add(sessionFor)}
	return cookie
}

func (s *sessions) of(r *http.Request) (officer string, ok bool) {
	c, err := r.Cookie(cookieOf(r))
	if err != nil || len(c.Value) > 64 {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.all[sha256.Sum256([]byte(c.Value))]
	return x.officer, ok && x.until.After(s.now())
}

func (s *sessions) end(r *http.Request) {
	if c, err := r.Cookie(cookieOf(r)); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.all, sha256.Sum256([]byte(c.Value)))
	}
}

// cookieOf is the cookie's name: over TLS one that no other host can have set.
func cookieOf(r *http.Request) string {
	if r.TLS != nil {
		return "__Host-county"
	}
	return "county"
}

func (o *officers) cookie(w http.ResponseWriter, r *http.Request, value string) {
	c := &http.Cookie{Name: cookieOf(r), Value: value, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode, MaxAge: int(sessionFor / time.Second)}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

type signView struct {
	frameView
	To, Officer, Wrong string
}

// signs is the page by which officers sign in, and out again.
func (c *Console) signs(o *officers) http.Handler {
	mux := http.NewServeMux()
	show := func(w http.ResponseWriter, r *http.Request, status int, wrong string) {
		v := signView{c.frame(r), localPath(r.FormValue("to")), "", wrong}
		v.Here = "sign"
		if wrong != "" {
			v.Officer = r.PostForm.Get("officer")
		}
		c.write(w, status, v.Lang, "sign", v)
	}
	mux.HandleFunc("GET /sign-in", func(w http.ResponseWriter, r *http.Request) { show(w, r, http.StatusOK, "") })
	mux.HandleFunc("POST /sign-in", func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
		name := r.PostFormValue("officer")
		if !o.knows(name, r.PostFormValue("token")) {
			c.log.Warn("nobody was signed in", "name", clip(name), "from", r.RemoteAddr)
			show(w, r, http.StatusUnauthorized, phrase.M("county.wrong").In(langOf(r)))
			return
		}
		o.sessions.end(r)
		o.cookie(w, r, o.sessions.begin(name))
		c.log.Info("an officer signed in", "name", name, "from", r.RemoteAddr)
		http.Redirect(w, r, localPath(r.PostFormValue("to")), http.StatusSeeOther)
	})
	mux.HandleFunc("POST /sign-out", func(w http.ResponseWriter, r *http.Request) {
		o.sessions.end(r)
		o.cookie(w, r, "")
		http.Redirect(w, r, "/sign-in?lang="+string(langOf(r)), http.StatusSeeOther)
	})
	return mux
}

// localPath is a path of this page, whatever was asked for.
func localPath(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n") || strings.HasPrefix(to, "/sign-") {
		return "/"
	}
	return to
}

// toSignIn sends a browser to the page, and tells a program how.
func toSignIn(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") && r.Header.Get("Authorization") == "" {
		http.Redirect(w, r, "/sign-in?"+url.Values{"to": {r.URL.RequestURI()}, "lang": {string(langOf(r))}}.Encode(), http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="hubd", charset="UTF-8"`)
	http.Error(w, "401", http.StatusUnauthorized)
}

func clip(s string) string {
	if r := []rune(s); len(r) > 64 {
		return string(r[:64])
	}
	return s
}
