package access

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/renameio/v2"
	"golang.org/x/text/unicode/norm"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/secret"
)

// MostAccounts is how many accounts a door can keep.
const MostAccounts = 512

const (
	accountsFile    = "accounts.json"
	accountsVersion = 1
	usualAccounts   = 64
	mostFile        = 256 << 10
	mostName        = 64
	mostID          = 32
)

// Account is somebody who may sign in.
type Account struct {
	// ID is what is typed, Name what people call them.
	ID   string `json:"id"`
	Name string `json:"name"`
	Role Role   `json:"role"`
	// Changed is when the password or the role was last changed, by the box's clock.
	Changed time.Time `json:"changed"`

	hash hash
	// gen ends every session that began under another.
	gen int64
}

type kept struct {
	Account
	Hash string `json:"hash"`
	Gen  int64  `json:"gen"`
}

type keptFile struct {
	Version  int    `json:"version"`
	Accounts []kept `json:"accounts"`
}

// Accounts are those who may sign in. Readers never wait for the disk.
type Accounts struct {
	dir   string
	log   *slog.Logger
	hash  *hasher
	now   func() time.Time
	roles []Role
	most  int

	// closed: the file could not be read, so that nobody knows whether there is an owner.
	closed bool

	change sync.Mutex // one change at a time
	all    atomic.Pointer[[]Account]
	saved  atomic.Bool
}

// openAccounts reads them. It always gives accounts that work, from RAM where the
// disk is dead; then the error is a *phrase.Error that says so. A file that is there and
// cannot be read is put aside, and does not open set-up to whoever comes.
func openAccounts(o DoorOpts) (*Accounts, error) {
	dir, log := o.Dir, o.Log
	a := &Accounts{dir: dir, log: log, hash: &hasher{free: o.Free}, now: o.Now, roles: o.Roles, most: o.Accounts}
	a.all.Store(&[]Account{})
	all, err := loadAccounts(filepath.Join(dir, accountsFile))
	switch {
	case err == nil:
		a.all.Store(&all)
		a.saved.Store(true)
		return a, nil
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(dir); err != nil {
			return a, phrase.Wrap(err, "access.accounts_in_ram")
		}
		a.saved.Store(true)
		return a, nil
	}
	a.closed = true
	var bad *badAccounts
	if errors.As(err, &bad) {
		if err := os.Rename(filepath.Join(dir, accountsFile), filepath.Join(dir, accountsFile+".damaged")); err != nil {
			log.Warn("the damaged accounts are left where they are", "err", err)
		}
	}
	return a, phrase.Wrap(err, "access.accounts_damaged", "command", o.Command)
}

// badAccounts is a file that was read and says nothing that holds.
type badAccounts struct{ err error }

func (b *badAccounts) Error() string { return "not the accounts of a box: " + b.err.Error() }
func (b *badAccounts) Unwrap() error { return b.err }

func loadAccounts(name string) ([]Account, error) {
	b, err := secret.Read(name, mostFile)
	if errors.Is(err, secret.ErrTooLarge) {
		return nil, &badAccounts{err}
	}
	if err != nil {
		return nil, err
	}
	all, err := parseAccounts(b)
	if err != nil {
		return nil, &badAccounts{err}
	}
	return all, nil
}

// parseAccounts reads the file. One account that does not hold makes the whole file bad:
// half of the accounts would let in who was removed, or keep out who was not.
func parseAccounts(b []byte) ([]Account, error) {
	if len(b) > mostFile {
		return nil, errors.New("too large")
	}
	var f keptFile
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, err
	}
	if d.More() || f.Version != accountsVersion || len(f.Accounts) > MostAccounts {
		return nil, errors.New("another version, or more than there can be")
	}
	var all []Account
	for _, k := range f.Accounts {
		a := k.Account
		id, err := cleanID(a.ID)
		if err != nil || id != a.ID || a.Name != cleanName(a.Name) || a.Role <= Nobody || a.Role > Owner || find(all, a.ID) >= 0 {
			return nil, fmt.Errorf("the account %q", a.ID)
		}
		if a.hash, err = parseHash(k.Hash); err != nil {
			return nil, err
		}
		a.gen = k.Gen
		all = append(all, a)
	}
	return all, nil
}

func find(all []Account, id string) int {
	return slices.IndexFunc(all, func(a Account) bool { return a.ID == id })
}

// cleanID makes one of the ways in which the same account is typed: full-width and
// capital letters do not matter. Letters of any script, figures and . _ - make one.
func cleanID(s string) (string, error) {
	if len(s) > 4*mostID {
		return "", phrase.E("access.bad_account")
	}
	s = strings.ToLower(norm.NFKC.String(strings.TrimSpace(s)))
	ok := s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= mostID
	for _, r := range s {
		ok = ok && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.Mn, r) || strings.ContainsRune("._-", r))
	}
	if !ok {
		return "", phrase.E("access.bad_account")
	}
	return s, nil
}

func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if r := []rune(strings.TrimSpace(s)); len(r) > mostName {
		return strings.TrimSpace(string(r[:mostName]))
	}
	return strings.TrimSpace(s)
}

// List gives them by their ID.
func (a *Accounts) List() []Account {
	l := slices.Clone(*a.all.Load())
	slices.SortFunc(l, func(x, y Account) int { return strings.Compare(x.ID, y.ID) })
	return l
}

// Get gives one.
func (a *Accounts) Get(id string) (Account, bool) {
	all := *a.all.Load()
	if i := find(all, id); i >= 0 {
		return all[i], true
	}
	return Account{}, false
}

// HasOwner tells whether somebody may change accounts.
func (a *Accounts) HasOwner() bool { return owners(*a.all.Load()) > 0 }

func owners(all []Account) (n int) {
	for _, x := range all {
		if x.Role == Owner {
			n++
		}
	}
	return n
}

// Saved tells whether the accounts outlive this process.
func (a *Accounts) Saved() bool { return a.saved.Load() }

func (a *Accounts) mayBe(role Role) error {
	if slices.Contains(a.roles, role) {
		return nil
	}
	var names []string
	for _, r := range a.roles {
		names = append(names, r.String())
	}
	return phrase.E("access.bad_role", "roles", strings.Join(names, ", "))
}

// Roles are those that accounts may have here.
func (a *Accounts) Roles() []Role { return slices.Clone(a.roles) }

// Add makes a new account.
func (a *Accounts) Add(ctx context.Context, addr, id, name string, role Role, password string) (Account, error) {
	id, err := cleanID(id)
	if err != nil {
		return Account{}, err
	}
	if err := a.mayBe(role); err != nil {
		return Account{}, err
	}
	name = cleanName(name)
	if name == "" {
		name = id
	}
	h, err := a.hashed(ctx, addr, id, name, password)
	if err != nil {
		return Account{}, err
	}
	x := Account{ID: id, Name: name, Role: role, Changed: a.now(), hash: h, gen: newGen()}
	return x, a.edit(func(all []Account) ([]Account, error) {
		switch {
		case find(all, id) >= 0:
			return nil, phrase.E("access.account_taken", "account", id)
		case len(all) >= a.most:
			return nil, phrase.E("access.accounts_full", "most", a.most)
		}
		return append(all, x), nil
	})
}

func (a *Accounts) hashed(ctx context.Context, addr, id, name, password string) (hash, error) {
	if err := fit(password, id, name); err != nil {
		return hash{}, err
	}
	p, _ := plain(password)
	return a.hash.make(ctx, prefix(addr), p)
}

// SetPassword gives an account another password, which ends its sessions.
func (a *Accounts) SetPassword(ctx context.Context, addr, id, password string) (Account, error) {
	x, ok := a.Get(id)
	if !ok {
		return x, unknown(id)
	}
	h, err := a.hashed(ctx, addr, x.ID, x.Name, password)
	if err != nil {
		return x, err
	}
	return a.one(id, func(x *Account, _ []Account) error {
		x.hash, x.gen, x.Changed = h, newGen(), a.now()
		return nil
	})
}

// SetRole gives an account another role, which ends its sessions. The last owner stays one.
func (a *Accounts) SetRole(id string, role Role) (Account, error) {
	if err := a.mayBe(role); err != nil {
		return Account{}, err
	}
	return a.one(id, func(x *Account, all []Account) error {
		if x.Role == Owner && role != Owner && owners(all) == 1 {
			return phrase.E("access.last_owner")
		}
		if x.Role != role {
			x.Role, x.gen, x.Changed = role, newGen(), a.now()
		}
		return nil
	})
}

// SetName changes what people call somebody.
func (a *Accounts) SetName(id, name string) (Account, error) {
	return a.one(id, func(x *Account, _ []Account) error {
		if name = cleanName(name); name == "" {
			return phrase.E("access.needs_name")
		}
		x.Name = name
		return nil
	})
}

// Remove takes an account away. The last owner stays.
func (a *Accounts) Remove(id string) (Account, error) {
	var gone Account
	err := a.edit(func(all []Account) ([]Account, error) {
		i := find(all, id)
		if i < 0 {
			return nil, unknown(id)
		}
		if gone = all[i]; gone.Role == Owner && owners(all) == 1 {
			return nil, phrase.E("access.last_owner")
		}
		return slices.Delete(all, i, i+1), nil
	})
	return gone, err
}

// ErrUnknownAccount is wrapped where there is no account of the name.
var ErrUnknownAccount = errors.New("no such account")

func unknown(id string) error {
	return phrase.Wrap(ErrUnknownAccount, "access.no_account", "account", cleanName(id))
}

func (a *Accounts) one(id string, f func(x *Account, all []Account) error) (Account, error) {
	var out Account
	err := a.edit(func(all []Account) ([]Account, error) {
		i := find(all, id)
		if i < 0 {
			return nil, unknown(id)
		}
		if err := f(&all[i], all); err != nil {
			return nil, err
		}
		out = all[i]
		return all, nil
	})
	return out, err
}

// edit makes a change and keeps it. Where the disk does not take it, it holds until the
// next start, and Saved says so.
func (a *Accounts) edit(f func([]Account) ([]Account, error)) error {
	a.change.Lock()
	defer a.change.Unlock()
	all, err := f(slices.Clone(*a.all.Load()))
	if err != nil {
		return err
	}
	a.all.Store(&all)
	err = a.save(all)
	if err != nil {
		a.log.Error("the accounts are not kept: they hold until the next start", "err", err)
	}
	a.saved.Store(err == nil)
	return nil
}

func (a *Accounts) save(all []Account) error {
	f := keptFile{Version: accountsVersion}
	for _, x := range all {
		f.Accounts = append(f.Accounts, kept{x, x.hash.String(), x.gen})
	}
	b, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(a.dir, accountsFile), append(b, '\n'), 0o600)
}

func newGen() int64 {
	var b [8]byte
	rand.Read(b[:])
	return int64(binary.BigEndian.Uint64(b[:]) >> 11) // exact in JSON's numbers
}
