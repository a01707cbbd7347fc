package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tocsin/firmware/phrase"
)

const setupFile = "setup-secret"

// SetupWindow is how long after a start set-up is open. Switching the box off and on
// opens it again: who can do that stands before it.
const SetupWindow = time.Hour

// setup is the door through which the first owner comes: by the secret on the unit's
// label, once. The secret is made at the first start, as the stop token is, but never
// printed in a log.
type setup struct {
	dir  string
	log  *slog.Logger
	back *backoff

	mu     sync.Mutex
	secret string // "" once it was used
	until  time.Time
	forced bool // opened by hand although there is an owner
}

func openSetup(dir string, hasOwner bool, log *slog.Logger) *setup {
	s := &setup{dir: dir, log: log, back: newBackoff(freeFailures)}
	if hasOwner {
		s.forget()
		return s
	}
	s.until = time.Now().Add(SetupWindow)
	letters, err := load(filepath.Join(dir, setupFile))
	if err == nil {
		s.secret = letters
		return s
	}
	s.renew()
	return s
}

// renew makes another secret; called with mu held, or before anybody else has s.
func (s *setup) renew() {
	s.secret = generate()
	if err := save(s.dir, setupFile, s.secret); err != nil {
		s.log.Warn("the set-up secret is held in RAM, it changes at the next start", "err", err)
	}
}

// forget ends the secret's life.
func (s *setup) forget() {
	s.secret, s.forced, s.until = "", false, time.Time{}
	if err := os.Remove(filepath.Join(s.dir, setupFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("the used set-up secret is still in its file", "err", err)
	}
}

// left is how long set-up is open yet.
func (s *setup) left(a *Accounts) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leftNow(a)
}

func (s *setup) leftNow(a *Accounts) time.Duration {
	if s.secret == "" || !s.forced && (a.closed || a.HasOwner()) {
		return 0
	}
	return max(0, time.Until(s.until))
}

// open opens set-up by hand, with a new secret: what was printed before is worth nothing.
func (s *setup) open(d time.Duration) (string, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renew()
	s.until, s.forced = time.Now().Add(d), true
	return s.written(), d
}

// written is the secret as it stands on the label.
func (s *setup) written() string {
	if s.secret == "" {
		return ""
	}
	return s.secret[:5] + "-" + s.secret[5:]
}

// use makes the first owner.
func (s *setup) use(ctx context.Context, a *Accounts, addr, given, id, name, password string) (Account, error) {
	key := caller{addr: prefix(addr)}
	if !pause(ctx, s.back.wait(key)) {
		return Account{}, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leftNow(a) <= 0 {
		return Account{}, phrase.E("access.setup_closed")
	}
	d, want := sha256.Sum256([]byte(normal(given))), sha256.Sum256([]byte(s.secret))
	ok := subtle.ConstantTimeCompare(d[:], want[:]) == 1
	s.back.note(key, ok, time.Now())
	if !ok {
		return Account{}, phrase.E("access.setup_wrong")
	}
	x, err := a.Add(ctx, addr, id, name, Owner, password)
	if err == nil {
		s.forget()
	}
	return x, err
}
