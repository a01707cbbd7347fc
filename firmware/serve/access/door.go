package access

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"time"

	"tocsin/firmware/phrase"
)

// DoorOpts configure a Door.
type DoorOpts struct {
	// Dir is the data directory. Sessions is the file that keeps sessions over a restart
	// within one boot, in a folder in RAM; "" for none.
	Dir, Sessions string
	// Roles are those that accounts may have here, Owner among them; nil for all.
	Roles []Role
	// Accounts is how many there may be, MostAccounts at the most; 0 for 64.
	Accounts int
	// Idle and Lifetime end sessions; 0 for IdleTimeout and Lifetime.
	Idle, Lifetime time.Duration
	// NoSetup: nobody comes in by a label's secret; the first account is made at the machine.
	NoSetup bool
	// Command is how accounts are made at the machine, as messages name it; "" for edged's.
	Command string
	// Now is the box's wall clock, nil for the system's.
	Now func() time.Time
	// Free gives a hash's memory back to the system; nil for nothing.
	Free func()
	// Log, nil for slog.Default.
	Log *slog.Logger
}

// Door is sign-in: accounts, the sessions that they began, and the set-up of the first.
// It never sees a request. Use OpenDoor.
type Door struct {
	*Accounts
	sessions *sessions
	setup    *setup
	turns    *turns
	names    maphash.Seed
}

// OpenDoor always gives a door that works; an error is a *phrase.Error, fit to be shown as
// a fault, that says what will not last.
func OpenDoor(o DoorOpts) (*Door, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Roles == nil {
		o.Roles = Roles[1:]
	}
	o.Accounts = min(cmp.Or(o.Accounts, usualAccounts), MostAccounts)
	o.Idle, o.Lifetime = cmp.Or(o.Idle, IdleTimeout), cmp.Or(o.Lifetime, Lifetime)
	o.Command = cmp.Or(o.Command, "edged user add")
	a, err := openAccounts(o)
	d := &Door{
		Accounts: a, sessions: newSessions(o), setup: openSetup(o.Dir, o.NoSetup || a.HasOwner() || a.closed, o.Log),
		turns: newTurns(), names: maphash.MakeSeed(),
	}
	a.hash.crowd = d.turns.crowd
	if d.SetupLeft() > 0 {
		o.Log.Info("nobody owns this yet: its set-up secret makes the first owner", "open_for", SetupWindow)
	}
	return d, err
}

// Entry is a sign-in that succeeded. Token is the session's secret.
type Entry struct {
	Token   string
	Account Account
	Session string
}

// SignIn proves a password and begins a session. Attempts go one by one, and each waits the
// time that its machine has earned. None is refused for what other machines did, unless more
// wait than there is room for. It says the same, and takes as long, whether the account or
// the password is wrong.
func (d *Door) SignIn(ctx context.Context, addr, agent, old, id, password string) (Entry, error) {
	id, err := cleanID(id)
	if err != nil {
		id = "" // an account that nobody has
	}
	machine := prefix(addr)
	_, known := d.Get(id)
	end, err := d.turns.enter(ctx, machine, id, known)
	if err != nil {
		return Entry{}, err
	}
	right := false
	defer func() { end(right) }()
	a, known := d.Get(id) // as it is now, and not when the wait began
	h := decoy
	if known {
		h = a.hash
	}
	p, ok := plain(password)
	if !ok {
		p = ""
	}
	same, err := d.Accounts.hash.is(ctx, machine, h, p)
	if err != nil {
		return Entry{}, err
	}
	if right = same && known && ok; !right {
		return Entry{}, phrase.E("access.wrong")
	}
	return d.begin(addr, agent, old, a.ID)
}

// Called is how what somebody typed as an account is written down: the account's ID where
// there is one, and else a word with a short digest by which the same is known again until
// the next start. People type passwords there.
func (d *Door) Called(typed string) string {
	id, err := cleanID(typed)
	if err == nil {
		if a, ok := d.Get(id); ok {
			return a.ID
		}
	}
	return fmt.Sprintf("unknown #%08x", uint32(maphash.String(d.names, typed)))
}

// begin begins a session of the account as it is now: it may have been changed while its
// password was hashed.
func (d *Door) begin(addr, agent, old, id string) (Entry, error) {
	a, ok := d.Get(id)
	if !ok {
		return Entry{}, phrase.E("access.wrong")
	}
	token, sid, err := d.sessions.begin(old, a, addr, agent)
	return Entry{Token: token, Account: a, Session: sid}, err
}

// Grant gives what a session's token allows; touch counts it as used. False where it opens
// nothing, or no longer.
func (d *Door) Grant(token, via, addr string, touch bool) (Grant, bool) {
	f, ok := d.sessions.of(token, touch)
	if !ok {
		return Grant{}, false
	}
	a, ok := d.Get(f.account)
	if !ok || a.gen != f.gen {
		d.sessions.end(token)
		return Grant{}, false
	}
	return Grant{Role: a.Role, Via: via, Addr: addr, Account: a.ID, Name: a.Name, Session: f.id, IdleLeft: f.idleLeft}, true
}

// Over is a context that ends with a session: what streams in it ends, too.
func (d *Door) Over(session string) context.Context { return d.sessions.store.over(session) }

// Sweep drops sessions that have run out. Whoever serves calls it now and then.
func (d *Door) Sweep() { d.sessions.store.sweepNow() }

// SignOut ends the session of a token.
func (d *Door) SignOut(token string) { d.sessions.end(token) }

// Sessions gives those that last, the latest first.
func (d *Door) Sessions() []SessionInfo { return d.sessions.list() }

// EndSession ends one by its ID, and tells whose it was; "" where there is none.
func (d *Door) EndSession(id string) (account string) {
	d.sessions.store.end(func(x *session) bool {
		if x.id == id {
			account = x.account
		}
		return x.id == id
	})
	return account
}

// EndSessions ends all of an account but one.
func (d *Door) EndSessions(account, but string) int {
	return d.sessions.store.end(func(x *session) bool { return x.account == account && x.id != but })
}

// SetPassword changes a password and ends the account's sessions.
func (d *Door) SetPassword(ctx context.Context, addr, id, password string) (Account, error) {
	a, err := d.Accounts.SetPassword(ctx, addr, id, password)
	if err == nil {
		d.EndSessions(a.ID, "")
	}
	return a, err
}

// ChangePassword is SetPassword by who has the old one; they are signed in anew.
func (d *Door) ChangePassword(ctx context.Context, addr, agent, token, id, old, password string) (Entry, error) {
	e, err := d.SignIn(ctx, addr, agent, "", id, old)
	if err != nil {
		return Entry{}, err
	}
	if _, err := d.SetPassword(ctx, addr, id, password); err != nil {
		d.SignOut(e.Token)
		return Entry{}, err
	}
	return d.begin(addr, agent, token, id)
}

// SetRole changes a role and ends the account's sessions.
func (d *Door) SetRole(id string, role Role) (Account, error) {
	a, err := d.Accounts.SetRole(id, role)
	if err == nil {
		for _, x := range d.Sessions() {
			if x.Account == a.ID {
				d.EndSession(x.ID)
			}
		}
	}
	return a, err
}

// Remove takes an account and its sessions away.
func (d *Door) Remove(id string) (Account, error) {
	a, err := d.Accounts.Remove(id)
	if err == nil {
		d.EndSessions(a.ID, "")
	}
	return a, err
}

// SetupLeft is how long set-up is open yet; 0 where it is closed.
func (d *Door) SetupLeft() time.Duration { return d.setup.left(d.Accounts) }

// SetupSecret is what stands on the label while set-up is open; it is for the local tools
// alone.
func (d *Door) SetupSecret() string {
	d.setup.mu.Lock()
	defer d.setup.mu.Unlock()
	if d.setup.leftNow(d.Accounts) <= 0 {
		return ""
	}
	return d.setup.written()
}

// OpenSetup opens set-up by hand with a new secret.
func (d *Door) OpenSetup() (secret string, left time.Duration) { return d.setup.open(SetupWindow) }

// Setup makes the first owner by the secret of the label, and signs them in. The secret is
// worth nothing afterwards.
func (d *Door) Setup(ctx context.Context, addr, agent, old, secret, id, name, password string) (Entry, error) {
	a, err := d.setup.use(ctx, d.Accounts, addr, secret, id, name, password)
	if err != nil {
		return Entry{}, err
	}
	return d.begin(addr, agent, old, a.ID)
}
