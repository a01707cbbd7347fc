package station

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
)

// sessionsFile lies beside the socket, in RAM: sessions outlive a restart in place, and
// never a boot.
const sessionsFile = "sessions"

// openDoor opens sign-in. What does not last is a fault.
func (h *House) openDoor() *access.Door {
	o := access.DoorOpts{Dir: h.o.Data, Log: h.log, Free: returnMemory, Now: func() time.Time { return h.clock.Now().Wall }}
	if h.o.Socket != "" {
		o.Sessions = filepath.Join(filepath.Dir(h.o.Socket), sessionsFile)
	}
	d, err := access.OpenDoor(o)
	if err != nil {
		h.setFault("accounts", phrase.Of(err))
	}
	return d
}

// provePage holds the page's words to those that there are.
func (p *prover) provePage() {
	c := p.site.Page
	if c.Viewers != "" && c.Viewers != "anyone" && c.Viewers != "signed-in" {
		p.problem(phrase.M("site.page_viewers", "is", c.Viewers), "page", "viewers")
	}
	if c.TLS != "" && c.TLS != "auto" && c.TLS != "off" {
		p.problem(phrase.M("site.page_tls", "is", c.TLS), "page", "tls")
	}
}

// strangers is what whoever is not signed in may do on the local network.
func (h *House) strangers() access.Role {
	if h.seen().bp.Doc.Site.Page.Viewers == "signed-in" {
		return access.Nobody
	}
	return access.Viewer
}

var _ api.Users = (*House)(nil)

func userOf(a access.Account) api.User {
	return api.User{Account: a.ID, Name: a.Name, Role: a.Role, Changed: a.Changed}
}

// Users lists the accounts.
func (h *House) Users() (out []api.User) {
	for _, a := range h.door.List() {
		out = append(out, userOf(a))
	}
	return out
}

// changedUser notes a change for the audit, and calls accounts that are not kept.
func (h *House) changedUser(ctx context.Context, id, old, now string, err error) error {
	api.NoteTarget(ctx, id)
	if err != nil {
		api.NoteTarget(ctx, h.door.Called(id))
	}
	if err == nil {
		api.NoteChange(ctx, old, now)
		if h.door.Saved() {
			h.clearFault("accounts")
		} else {
			h.setFault("accounts", phrase.M("access.accounts_in_ram"))
		}
	}
	if errors.Is(err, access.ErrUnknownAccount) {
		return phrase.Wrap(api.ErrUnknown, "access.no_account", "account", api.Clean(id, 64))
	}
	return err
}

// AddUser makes an account.
func (h *House) AddUser(ctx context.Context, n api.NewUser, _ api.Who) (api.User, error) {
	role, _ := access.ParseRole(n.Role) // what is none, the door refuses as it does Nobody
	a, err := h.door.Add(ctx, api.GrantOf(ctx).Addr, n.Account, n.Name, role, n.Password)
	return userOf(a), h.changedUser(ctx, cmp.Or(a.ID, n.Account), "", role.String(), err)
}

// ChangeUser changes an account's name or role.
func (h *House) ChangeUser(ctx context.Context, account string, c api.UserChange, _ api.Who) (api.User, error) {
	was, _ := h.door.Get(account)
	a := was
	var err error
	if c.Role != "" {
		role, _ := access.ParseRole(c.Role)
		if a, err = h.door.SetRole(account, role); err != nil {
			return api.User{}, h.changedUser(ctx, account, "", "", err)
		}
	}
	if c.Name != "" {
		a, err = h.door.SetName(account, c.Name)
	}
	return userOf(a), h.changedUser(ctx, account, was.Name+" "+was.Role.String(), a.Name+" "+a.Role.String(), err)
}

// SetPassword gives an account another password.
func (h *House) SetPassword(ctx context.Context, account, password string, _ api.Who) error {
	_, err := h.door.SetPassword(ctx, api.GrantOf(ctx).Addr, account, password)
	return h.changedUser(ctx, account, "", "", err)
}

// RemoveUser takes an account away.
func (h *House) RemoveUser(ctx context.Context, account string, _ api.Who) error {
	a, err := h.door.Remove(account)
	return h.changedUser(ctx, account, a.Role.String(), "", err)
}

// SignIns lists the sessions.
func (h *House) SignIns() (out []api.SignIn) {
	for _, s := range h.door.Sessions() {
		out = append(out, api.SignIn{ID: s.ID, Account: s.Account, Addr: s.Addr, Agent: s.Agent, Since: s.Since, Idle: s.Idle})
	}
	return out
}

// EndSignIn ends a session.
func (h *House) EndSignIn(ctx context.Context, id string, _ api.Who) error {
	account := h.door.EndSession(id)
	if account == "" {
		return api.ErrUnknown
	}
	api.NoteTarget(ctx, account)
	return nil
}

// Label gives what is printed on the unit.
func (h *House) Label() api.Label {
	site := h.seen().bp.Doc.Site
	sum := ""
	if h.authority != nil {
		sum = h.authority.Fingerprint()
	}
	return api.Label{
		Fingerprint: sum, Open: h.door.SetupLeft(), Secret: h.door.SetupSecret(), Addresses: h.addresses(),
		Site: api.Text{ZH: site.Site.Name.ZH, EN: site.Site.Name.EN}, Station: site.Site.ID, Stop: h.token.String(),
	}
}

// OpenSetup opens set-up anew.
func (h *House) OpenSetup(context.Context, api.Who) (api.Label, error) {
	h.door.OpenSetup()
	return h.Label(), nil
}

// addresses are where the page is: by name first, then by the addresses of the local network.
func (h *House) addresses() (out []string) {
	if h.server == nil {
		return nil
	}
	bound, err := netip.ParseAddrPort(h.server.LANAddr())
	if err != nil {
		return nil
	}
	port, scheme := bound.Port(), "https"
	if h.authority == nil {
		scheme = "http"
	}
	at := func(host string) {
		if port == 80 { // with TLS it answers on 443 besides (serve/api): an address needs no port
			if strings.Contains(host, ":") {
				host = "[" + host + "]"
			}
			out = append(out, scheme+"://"+host)
			return
		}
		out = append(out, scheme+"://"+net.JoinHostPort(host, strconv.Itoa(int(port))))
	}
	for _, n := range h.seen().bp.Doc.Site.Page.Hosts {
		at(n)
	}
	if !bound.Addr().IsUnspecified() {
		at(bound.Addr().String())
		return out
	}
	for _, a := range localAddrs() {
		at(a.String())
	}
	return out
}

// localAddrs are the machine's own addresses on its networks, private ones and IPv4 first.
func localAddrs() (out []netip.Addr) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range all {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		if ip, ok := netip.AddrFromSlice(n.IP); ok && !ip.Unmap().IsLoopback() && !ip.Unmap().IsLinkLocalUnicast() {
			out = append(out, ip.Unmap())
		}
	}
	rank := func(a netip.Addr) int {
		r := 0
		if !a.IsPrivate() {
			r = 2
		}
		if a.Is6() {
			r++
		}
		return r
	}
	slices.SortStableFunc(out, func(a, b netip.Addr) int { return rank(a) - rank(b) })
	return out
}
