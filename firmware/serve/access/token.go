package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/secret"
)

// alphabet leaves out what looks alike on paper or sounds alike when it is read
// aloud: 0 O, 1 I L, 2 Z, 5 S, 8 B. Ten of its 25 letters are 46 bits.
const (
	alphabet    = "ACDEFGHJKMNPQRTUVWXY34679"
	tokenLength = 10
	tokenFile   = "stop-token"
)

// Token is the stop token. Use Open.
type Token struct {
	letters string
	digest  [sha256.Size]byte
	saved   bool
	back    *backoff
}

// Open reads the token of a data directory, or makes one at the first start. It never
// stands in a log: that is shown on the page, packed into the support bundle and sent to
// other machines. Who stands at the box asks its socket. It always gives a token that
// works: where the directory cannot be read or written, a new one is held in RAM, and the
// error is a *phrase.Error that says so, fit to be shown as a fault.
func Open(dir string, log *slog.Logger) (*Token, error) {
	if log == nil {
		log = slog.Default()
	}
	letters, err := load(filepath.Join(dir, tokenFile))
	if err == nil {
		return newToken(letters, true), nil
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errBadToken) {
		return inRAM(log, err)
	}
	if errors.Is(err, errBadToken) {
		log.Warn("the stop token's file is damaged; a new token replaces it", "err", err)
	}
	letters = generate()
	if err := save(dir, tokenFile, letters); err != nil {
		return inRAM(log, err)
	}
	t := newToken(letters, true)
	log.Info("stop token made; edged label shows it", "kept_in", filepath.Join(dir, tokenFile))
	return t, nil
}

func inRAM(log *slog.Logger, cause error) (*Token, error) {
	t := newToken(generate(), false)
	log.Warn("stop token held in RAM, it changes at the next start; edged label shows it", "err", cause)
	return t, phrase.Wrap(cause, "serve.token_in_ram")
}

func newToken(letters string, saved bool) *Token {
	return &Token{letters: letters, digest: sha256.Sum256([]byte(letters)), saved: saved, back: newBackoff(freeFailures)}
}

// Saved tells whether the token outlives this process.
func (t *Token) Saved() bool { return t.saved }

// String writes the token as a person copies it, in two groups of five.
func (t *Token) String() string { return t.letters[:5] + "-" + t.letters[5:] }

// LogValue keeps the token out of logs it was not meant for.
func (t *Token) LogValue() slog.Value { return slog.StringValue("(stop token)") }

// Is compares in constant time. Case, blanks, hyphens and the full-width
// letters of a Chinese keyboard do not matter.
func (t *Token) Is(given string) bool {
	d := sha256.Sum256([]byte(normal(given)))
	return subtle.ConstantTimeCompare(d[:], t.digest[:]) == 1
}

func normal(s string) string {
	if len(s) > 128 {
		s = s[:128]
	}
	return strings.Map(func(r rune) rune {
		if r >= 0xFF01 && r <= 0xFF5E {
			r -= 0xFEE0
		}
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r == ' ' || r == '-' || r == '\t' || r == 0x3000 || r == '—' || r == '–':
			return -1
		}
		return r
	}, s)
}

func generate() string {
	out := make([]byte, 0, tokenLength)
	var b [1]byte
	for len(out) < tokenLength {
		rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
		if n := len(alphabet); int(b[0]) < 256/n*n {
			out = append(out, alphabet[int(b[0])%n])
		}
	}
	return string(out)
}

var errBadToken = errors.New("not a stop token")

func load(name string) (string, error) {
	b, err := secret.Read(name, 256)
	if errors.Is(err, secret.ErrTooLarge) {
		return "", errBadToken
	}
	if err != nil {
		return "", err
	}
	return parse(string(b))
}

func parse(s string) (string, error) {
	s = normal(strings.TrimSpace(s))
	if len(s) != tokenLength || strings.Trim(s, alphabet) != "" {
		return "", errBadToken
	}
	return s, nil
}

// save writes the file whole or not at all, and only for the service's eyes.
func save(dir, file, letters string) (err error) {
	f, err := os.CreateTemp(dir, "."+file+"-*") // 0600 by itself
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.WriteString(letters + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err = os.Rename(f.Name(), filepath.Join(dir, file)); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
