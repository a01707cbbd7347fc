package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/audit"
)

// The county's roles: who looks, who sends warnings down, who keeps accounts.
var roles = []access.Role{access.Viewer, access.Operator, access.Owner}

// Session is who is signed in, and whether the first account is still to be made.
type Session struct {
	Account string      `json:"account"`
	Name    string      `json:"name"`
	Role    access.Role `json:"role"`
	Duties  []string    `json:"duties"`
	// Setup: there is no owner yet. Open: set-up takes its secret now.
	Setup bool `json:"setup"`
	Open  bool `json:"open"`
	// Lasting: accounts outlive a restart. Pictures: there are live pictures here.
	Lasting  bool        `json:"lasting"`
	Pictures bool        `json:"pictures"`
	County   phrase.Text `json:"county"`
}

func (c *Console) sessionOf(g access.Grant) Session {
	return Session{Account: g.Account, Name: g.Name, Role: g.Role, Duties: full(c.duties.of(g.Account)), Setup: !c.door.HasOwner(), Open: c.door.SetupLeft() > 0,
		Lasting: c.door.Saved(), Pictures: c.below["/pictures/"] != nil, County: c.file.Name}
}

func full[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func (c *Console) session(w http.ResponseWriter, r *http.Request) error {
	return give(w, c.sessionOf(grantOf(r)))
}

// refusedEntry gives a refusal of the door its status.
func refusedEntry(err error) error {
	switch phrase.Of(err).Code {
	case "access.wrong":
		return with(http.StatusUnauthorized, err)
	case "access.setup_wrong": // a hub has no label
		return with(http.StatusUnauthorized, phrase.E("county.setup_wrong"))
	case "access.busy":
		return with(http.StatusServiceUnavailable, err)
	case "access.setup_closed":
		return with(http.StatusConflict, phrase.E("county.setup_closed"))
	}
	return err
}

func (c *Console) enter(w http.ResponseWriter, r *http.Request, e access.Entry) error {
	note(r, func(x *audit.Entry) { x.Account, x.Who = e.Account.ID, e.Account.Name })
	setToken(w, r, e.Token)
	return give(w, c.sessionOf(access.Grant{Account: e.Account.ID, Name: e.Account.Name, Role: e.Account.Role}))
}

func (c *Console) signIn(w http.ResponseWriter, r *http.Request) error {
	var f struct{ Account, Password string }
	if err := take(w, r, &f); err != nil {
		return err
	}
	if !mayEnter(r) {
		return with(http.StatusUpgradeRequired, phrase.E("county.needs_tls"))
	}
	note(r, func(x *audit.Entry) { x.Target = c.door.Called(f.Account) }) // people type passwords there
	e, err := c.door.SignIn(r.Context(), addr(r), r.UserAgent(), token(r), f.Account, f.Password)
	if err != nil {
		return refusedEntry(err)
	}
	return c.enter(w, r, e)
}

func (c *Console) setUp(w http.ResponseWriter, r *http.Request) error {
	var f struct{ Secret, Account, Name, Password string }
	if err := take(w, r, &f); err != nil {
		return err
	}
	if !mayEnter(r) {
		return with(http.StatusUpgradeRequired, phrase.E("county.needs_tls"))
	}
	e, err := c.door.Setup(r.Context(), addr(r), r.UserAgent(), token(r), f.Secret, f.Account, f.Name, f.Password)
	if err != nil {
		return refusedEntry(err)
	}
	return c.enter(w, r, e)
}

func (c *Console) signOut(w http.ResponseWriter, r *http.Request) error {
	c.door.SignOut(token(r))
	setToken(w, r, "")
	return give(w, c.sessionOf(access.Grant{}))
}

func (c *Console) changePassword(w http.ResponseWriter, r *http.Request) error {
	var f struct{ Old, Password string }
	if err := take(w, r, &f); err != nil {
		return err
	}
	e, err := c.door.ChangePassword(r.Context(), addr(r), r.UserAgent(), token(r), grantOf(r).Account, f.Old, f.Password)
	if err != nil {
		if phrase.Of(err).Code == "access.wrong" { // who is signed in stays so
			return phrase.E("county.wrong_password")
		}
		return refusedEntry(err)
	}
	return c.enter(w, r, e)
}

// proves tells whether who is signed in gives their password again: a page that was left open does nothing grave.
func (c *Console) proves(r *http.Request, password string) error {
	e, err := c.door.SignIn(r.Context(), addr(r), r.UserAgent(), "", grantOf(r).Account, password)
	if err != nil {
		if phrase.Of(err).Code == "access.wrong" {
			return phrase.E("county.wrong_password")
		}
		return refusedEntry(err)
	}
	c.door.SignOut(e.Token)
	return nil
}

// Account is one who may sign in.
type Account struct {
	Account string      `json:"account"`
	Name    string      `json:"name"`
	Role    access.Role `json:"role"`
	Duties  []string    `json:"duties"`
	Own     bool        `json:"own"`
}

// Accounts are all, and the duties that the file's views know.
type Accounts struct {
	Accounts []Account     `json:"accounts"`
	Duties   []string      `json:"duties"`
	Roles    []access.Role `json:"roles"`
}

func (c *Console) accounts(w http.ResponseWriter, r *http.Request) error {
	out := Accounts{Accounts: []Account{}, Duties: full(c.file.Pictures.Duties()), Roles: roles}
	for _, a := range c.door.List() {
		out.Accounts = append(out.Accounts, Account{a.ID, a.Name, a.Role, full(c.duties.of(a.ID)), a.ID == grantOf(r).Account})
	}
	return give(w, out)
}

type accountForm struct {
	Account  string       `json:"account"`
	Name     string       `json:"name"`
	Role     *access.Role `json:"role"`
	Duties   *[]string    `json:"duties"`
	Password string       `json:"password"`
}

// fit holds a form to the county's roles, and to duties that a view of the file names or that the account has.
func (c *Console) fit(f accountForm, account string) error {
	if f.Role != nil && !slices.Contains(roles, *f.Role) {
		return phrase.E("county.no_role")
	}
	if f.Duties != nil {
		known := append(c.duties.of(account), c.file.Pictures.Duties()...)
		for _, d := range *f.Duties {
			if !slices.Contains(known, d) {
				return phrase.E("county.no_duty", "duty", clip(d))
			}
		}
	}
	return nil
}

func (c *Console) addAccount(w http.ResponseWriter, r *http.Request) error {
	var f accountForm
	if err := take(w, r, &f); err != nil {
		return err
	}
	if f.Role == nil {
		return phrase.E("county.no_role")
	}
	if err := c.fit(f, ""); err != nil {
		return err
	}
	a, err := c.door.Add(r.Context(), addr(r), f.Account, f.Name, *f.Role, f.Password)
	if err != nil {
		return refusedEntry(err)
	}
	note(r, func(x *audit.Entry) { x.Target, x.New = a.ID, a.Role.String() })
	// An account of this name may have been here before: nobody takes over what it was given.
	given := []string{}
	if f.Duties != nil {
		given = *f.Duties
	}
	if err := c.duties.set(a.ID, given); err != nil {
		return err
	}
	return c.accounts(w, r)
}

func (c *Console) changeAccount(w http.ResponseWriter, r *http.Request) error {
	var f accountForm
	if err := take(w, r, &f); err != nil {
		return err
	}
	id := r.PathValue("id")
	was, ok := c.door.Get(id)
	if !ok {
		return with(http.StatusNotFound, phrase.E("access.no_account", "account", clip(id)))
	}
	if err := c.fit(f, id); err != nil {
		return err
	}
	var err error
	if f.Name != "" && f.Name != was.Name {
		_, err = c.door.SetName(id, f.Name)
	}
	if err == nil && f.Role != nil && *f.Role != was.Role {
		_, err = c.door.SetRole(id, *f.Role)
	}
	if err == nil && f.Duties != nil {
		err = c.duties.set(id, *f.Duties)
	}
	if err == nil && f.Password != "" {
		_, err = c.door.SetPassword(r.Context(), addr(r), id, f.Password)
	}
	now, _ := c.door.Get(id)
	note(r, func(x *audit.Entry) {
		x.Target, x.Old, x.New = id, was.Role.String(), strings.TrimSpace(now.Role.String()+" "+strings.Join(c.duties.of(id), " "))
	})
	if err != nil {
		return refusedEntry(err)
	}
	return c.accounts(w, r)
}

func (c *Console) removeAccount(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if id == grantOf(r).Account {
		return phrase.E("county.own_account")
	}
	a, err := c.door.Remove(id)
	if err != nil {
		return err
	}
	note(r, func(x *audit.Entry) { x.Target, x.Old = a.ID, a.Role.String() })
	if err := c.duties.set(a.ID, nil); err != nil {
		return err
	}
	return c.accounts(w, r)
}

// SignIn is one sign-in that lasts.
type SignIn struct {
	ID      string        `json:"id"`
	Account string        `json:"account"`
	Addr    string        `json:"addr"`
	Since   time.Duration `json:"since_ns"`
	Idle    time.Duration `json:"idle_ns"`
	Own     bool          `json:"own"`
}

func (c *Console) signIns(w http.ResponseWriter, r *http.Request) error {
	out := []SignIn{}
	for _, s := range c.door.Sessions() {
		out = append(out, SignIn{s.ID, s.Account, s.Addr, s.Since, s.Idle, s.ID == grantOf(r).Session})
	}
	return give(w, out)
}

func (c *Console) endSignIn(w http.ResponseWriter, r *http.Request) error {
	a := c.door.EndSession(r.PathValue("id"))
	if a == "" {
		return with(http.StatusNotFound, phrase.E("county.no_sign_in"))
	}
	note(r, func(x *audit.Entry) { x.Target = a })
	return c.signIns(w, r)
}

// auditMost is how many entries are given at once.
const auditMost = 500

func (c *Console) giveAudit(w http.ResponseWriter, r *http.Request) error {
	if c.audit == nil {
		return give(w, []audit.Entry{})
	}
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	l, err := c.audit.Read(max(0, after), auditMost)
	if err != nil {
		return err
	}
	return give(w, full(l))
}

// SetupAnswer is what the desk hears of set-up.
type SetupAnswer struct {
	Page   string `json:"page"`
	Owned  bool   `json:"owned"`
	Secret string `json:"secret,omitempty"`
	// Left is how long it is open yet.
	Left  time.Duration  `json:"left_ns"`
	Error phrase.Message `json:"error,omitzero"`
}

// openSetup gives the secret of the first account; with ?again=1 it opens set-up by hand, for a county whose owners
// have all gone. The socket is its owner's alone.
func (c *Console) openSetup(w http.ResponseWriter, r *http.Request) {
	if c.door == nil {
		_ = give(w, SetupAnswer{Error: phrase.M("county.no_page")})
		return
	}
	a := SetupAnswer{Page: "http://" + c.page.Addr().String() + "/", Owned: c.door.HasOwner()}
	if c.file.Page.TLS != nil {
		a.Page = "https://" + c.page.Addr().String() + "/"
	}
	if again := r.URL.Query().Get("again") != ""; again || !a.Owned && c.door.SetupLeft() == 0 {
		a.Secret, a.Left = c.door.OpenSetup()
		c.log.Warn("set-up was opened by hand", "by", caller(r.Context()))
	} else {
		a.Secret, a.Left = c.door.SetupSecret(), c.door.SetupLeft()
	}
	if c.audit != nil {
		c.audit.Note(audit.Entry{Op: "POST /v1/set-up", Status: http.StatusOK, Via: "socket", Who: caller(r.Context())})
	}
	_ = give(w, a)
}
