package page

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
)

// Door is sign-in; *access.Door is one.
type Door interface {
	SignIn(ctx context.Context, addr, agent, old, account, password string) (access.Entry, error)
	SignOut(token string)
	ChangePassword(ctx context.Context, addr, agent, token, account, old, password string) (access.Entry, error)
	Setup(ctx context.Context, addr, agent, old, secret, account, name, password string) (access.Entry, error)
	SetupLeft() time.Duration
	// Called is how what was typed as an account is written down.
	Called(typed string) string
	HasOwner() bool
	Saved() bool
}

// signing is what the pages of sign-in show.
type signing struct {
	// TLS: a password may travel on this connection. Secure is the same page with TLS,
	// Where whether there is one.
	TLS    bool
	Secure string
	// CA: there is a certificate to install.
	CA bool
	// Open: set-up is open. Owned: there is an owner. RAM: accounts go with the power.
	Open, Owned, RAM bool
	To               string
	Account, Full    string
	Role             string
	Done             bool
}

const (
	statusUpgrade = http.StatusUpgradeRequired
	setupPath     = "/setup"
	accountPath   = "/account"
)

func (p *page) signRoutes(r *api.Routes) {
	for _, name := range []string{"sign", "setup", "account"} {
		path := map[string]string{"sign": api.SignInPath, "setup": setupPath, "account": accountPath}[name]
		r.Open("GET "+path, false, func(w http.ResponseWriter, q *http.Request) { p.sign(w, q, http.StatusOK, name, nil) })
	}
	r.Open("POST "+api.SignInPath, false, p.form("sign", p.signIn))
	r.Open("POST "+setupPath, false, p.form("setup", p.setUp))
	r.Open("POST "+accountPath, false, p.form("account", p.changePassword))
	r.Open("POST /sign-out", false, p.form("sign", p.signOut))
}

// form holds a form to its kind and its connection, and shows what was wrong with it.
func (p *page) form(name string, f func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ct, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || ct != "application/x-www-form-urlencoded" {
			p.sign(w, r, http.StatusUnsupportedMediaType, name, phrase.E("sign.form_only"))
			return
		}
		if err := r.ParseForm(); err != nil {
			status, e := http.StatusBadRequest, phrase.E("sign.form_only")
			if big := (*http.MaxBytesError)(nil); errors.As(err, &big) {
				status, e = http.StatusRequestEntityTooLarge, phrase.E("serve.too_large")
			}
			p.sign(w, r, status, name, e)
			return
		}
		if !api.MaySignIn(r) {
			p.sign(w, r, statusUpgrade, name, phrase.E("sign.needs_tls"))
			return
		}
		if p.o.Door == nil {
			p.sign(w, r, http.StatusServiceUnavailable, name, phrase.E("sign.no_door"))
			return
		}
		if err := f(w, r); err != nil {
			status := statusOf(err)
			if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
				w.Header().Set("Retry-After", "5")
			}
			p.sign(w, r, status, name, err)
		}
	}
}

func statusOf(err error) int {
	switch phrase.Of(err).Code {
	case "access.wrong", "access.setup_wrong":
		return http.StatusUnauthorized
	case "access.slow":
		return http.StatusTooManyRequests
	case "access.busy":
		return http.StatusServiceUnavailable
	case "access.setup_closed":
		return http.StatusConflict
	}
	return http.StatusUnprocessableEntity
}

// sign shows one of the pages. It changes nothing.
func (p *page) sign(w http.ResponseWriter, r *http.Request, status int, name string, wrong error) {
	v := p.plain(langOf(r))
	st := p.box.Status()
	v.Site, v.Version = orElse(st.Name.In(v.Lang), st.Site), st.Version
	g := api.GrantOf(r.Context())
	x := &signing{TLS: api.MaySignIn(r), CA: p.o.Authority != nil, To: localPath(r.FormValue("to")), Account: g.Account, Full: g.Name, Role: roleWords[g.Role].In(v.Lang), Done: r.Method == http.MethodGet && r.URL.Query().Get("done") != ""}
	if !x.TLS {
		x.Secure = (&url.URL{Scheme: "https", Host: api.SecureHost(r.Host), Path: r.URL.Path, RawQuery: "lang=" + string(v.Lang)}).String()
	}
	if d := p.o.Door; d != nil {
		x.Open, x.Owned, x.RAM = d.SetupLeft() > 0, d.HasOwner(), !d.Saved()
	}
	if wrong != nil {
		m := phrase.Of(wrong)
		if m.Code == "error.plain" {
			p.o.Log.Error("sign-in", "page", name, "err", wrong)
			m = phrase.M("serve.internal")
		}
		v.Said = m.In(v.Lang)
		if name == "sign" {
			x.Account = api.Clean(r.PostForm.Get("account"), 64)
		}
	}
	v.Sign = x
	v.Headline = signTitles[name].In(v.Lang)
	p.write(w, status, "sign-"+name, v)
}

var (
	signTitles = words{"sign": phrase.M("sign.title_sign"), "setup": phrase.M("sign.title_setup"), "account": phrase.M("sign.title_account")}
	roleWords  = map[access.Role]phrase.Message{
		access.Nobody: phrase.M("sign.role_nobody"), access.Viewer: phrase.M("sign.role_viewer"), access.Cadre: phrase.M("sign.role_cadre"),
		access.Operator: phrase.M("sign.role_operator"), access.Technician: phrase.M("sign.role_technician"), access.Owner: phrase.M("sign.role_owner"),
	}
)

// caller gives what sign-in notes of a request: the address, the browser, and the token
// that it came with, which ends.
func caller(r *http.Request) (addr, agent, old string) {
	return api.GrantOf(r.Context()).Addr, r.UserAgent(), api.SessionToken(r)
}

func (p *page) signIn(w http.ResponseWriter, r *http.Request) error {
	addr, agent, old := caller(r)
	account := r.PostForm.Get("account")
	api.NoteTarget(r.Context(), p.o.Door.Called(account))
	e, err := p.o.Door.SignIn(r.Context(), addr, agent, old, account, r.PostForm.Get("password"))
	if err != nil {
		return err
	}
	p.enter(w, r, e, localPath(r.PostForm.Get("to")))
	return nil
}

func (p *page) enter(w http.ResponseWriter, r *http.Request, e access.Entry, to string) {
	api.NoteWho(r.Context(), e.Account.ID, e.Account.Name)
	api.SetSession(w, r, e.Token)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (p *page) setUp(w http.ResponseWriter, r *http.Request) error {
	f := r.PostForm
	if f.Get("password") != f.Get("again") {
		return phrase.E("access.password_differ")
	}
	addr, agent, old := caller(r)
	e, err := p.o.Door.Setup(r.Context(), addr, agent, old, f.Get("secret"), f.Get("account"), f.Get("name"), f.Get("password"))
	if err != nil {
		return err
	}
	// Whoever has just made a box theirs has it before them, and commissions it.
	p.enter(w, r, e, "/console/#/wizard")
	return nil
}

func (p *page) signOut(w http.ResponseWriter, r *http.Request) error {
	p.o.Door.SignOut(api.SessionToken(r))
	api.SetSession(w, r, "")
	http.Redirect(w, r, api.SignInPath+"?done=1&lang="+string(langOf(r)), http.StatusSeeOther)
	return nil
}

func (p *page) changePassword(w http.ResponseWriter, r *http.Request) error {
	g, f := api.GrantOf(r.Context()), r.PostForm
	switch {
	case !g.SignedIn():
		return phrase.E("sign.not_signed_in")
	case f.Get("password") != f.Get("again"):
		return phrase.E("access.password_differ")
	}
	addr, agent, token := caller(r)
	e, err := p.o.Door.ChangePassword(r.Context(), addr, agent, token, g.Account, f.Get("old"), f.Get("password"))
	if err != nil {
		return err
	}
	p.enter(w, r, e, accountPath+"?done=1&lang="+string(langOf(r)))
	return nil
}

// localPath gives a path of this box's own, and "/" for anything that leads elsewhere.
func localPath(s string) string {
	if len(s) > 512 || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.ContainsAny(s, "\\") || strings.ContainsFunc(s, unicode.IsControl) {
		return "/"
	}
	u, err := url.Parse(s)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.HasPrefix(u.Path, api.SignInPath) {
		return "/"
	}
	return u.String()
}
