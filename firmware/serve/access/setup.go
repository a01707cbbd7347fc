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
// label, once. The secret is made at the first start, as the stop token is, and like
// that never printed in a log.
type setup struct {
	dir  string
	log  *slog.Logger
	back *backoff

	// disk orders what is written; mu is never held over the disk or a hash, since every
	// page of sign-in asks how long set-up is open.
	disk sync.Mutex

	mu      sync.Mutex
	secret  string // "" once it was used
	until   time.Time
	forced  bool // opened by hand although there is an owner
	claimed bool // somebody with the right secret is about to become the owner
}

func openSetup(dir string, hasOwner bool, log *slog.Logger) *setup {
	s := &setup{dir: dir, log: log, back: newBackoff(freeFailures)}
	if hasOwner {
		s.keep()
		return s
	}
	s.until = time.Now().Add(SetupWindow)
	letters, err := load(filepath.Join(dir, setupFile))
	if err == nil {
		s.secret = letters
		return s
	}
	s.secret = generate()
	s.keep()
	return s
}

// keep puts the secret as it is now in its file, or takes the file of one that was used away.
func (s *setup) keep() {
	s.disk.Lock()
	defer s.disk.Unlock()
	s.mu.Lock()
	now := s.secret
	s.mu.Unlock()
	if now != "" {
		if err := save(s.dir, setupFile, now); err != nil {
			s.log.Warn("the set-up secret is held in RAM, it changes at the next start", "err", err)
		}
		return
	}
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
	s.secret, s.until, s.forced, s.claimed = generate(), time.Now().Add(d), true, false
	written := s.written()
	s.mu.Unlock()
	s.keep()
	return written, d
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
	secret, err := s.claim(a, key, given)
	if err != nil {
		return Account{}, err
	}
	x, err := a.Add(ctx, addr, id, name, Owner, password)
	s.mu.Lock()
	mine := s.secret == secret // and not one that was opened by hand meanwhile
	if mine {
		if s.claimed = false; err == nil {
			s.secret, s.forced, s.until = "", false, time.Time{}
		}
	}
	s.mu.Unlock()
	if mine && err == nil {
		s.keep()
	}
	return x, err
}

// claim proves the secret. Who has it is alone with it until they are the owner, or have
// failed to become one.
func (s *setup) claim(a *Accounts, key caller, given string) (secret string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leftNow(a) <= 0 {
		return "", phrase.E("access.setup_closed")
	}
	d, want := sha256.Sum256([]byte(normal(given))), sha256.Sum256([]byte(s.secret))
	ok := subtle.ConstantTimeCompare(d[:], want[:]) == 1
	s.back.note(key, ok, time.Now())
	switch {
	case !ok:
		return "", phrase.E("access.setup_wrong")
	case s.claimed:
		return "", phrase.E("access.busy")
	}
	s.claimed = true
	return s.secret, nil
}
