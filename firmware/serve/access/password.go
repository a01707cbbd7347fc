package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"tocsin/firmware/phrase"
)

// Passwords are hashed by Argon2id with 19 MiB, two passes and one lane (OWASP Password
// Storage Cheat Sheet; RFC 9106), one at a time: a board of 512 MiB has no room for more.
const (
	hashMemory = 19 << 10 // KiB
	hashPasses = 2
	hashLanes  = 1
	saltLength = 16
	hashLength = 32
	leastRunes = 8
	mostRunes  = 128
	mostBytes  = 1024
)

// hash is one password's, as the file has it in the PHC string format.
type hash struct {
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

var errBadHash = errors.New("not a password's hash")

// String writes $argon2id$v=19$m=…,t=…,p=…$salt$sum.
func (h hash) String() string {
	e := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes, e(h.salt), e(h.sum))
}

// parseHash reads one, and refuses what would take more of the board than ours do.
func parseHash(s string) (hash, error) {
	var h hash
	if len(s) > 256 {
		return h, errBadHash
	}
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, errBadHash
	}
	if n, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.lanes); n != 3 || err != nil {
		return h, errBadHash
	}
	var err, err2 error
	h.salt, err = base64.RawStdEncoding.Strict().DecodeString(part[4])
	h.sum, err2 = base64.RawStdEncoding.Strict().DecodeString(part[5])
	if err != nil || err2 != nil || len(h.salt) < 8 || len(h.salt) > 64 || len(h.sum) < 16 || len(h.sum) > 64 ||
		h.memory < 8 || h.memory > hashMemory || h.passes < 1 || h.passes > 4 || h.lanes < 1 || h.lanes > 4 || h.String() != s {
		return hash{}, errBadHash
	}
	return h, nil
}

func (h hash) of(password string) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.lanes, uint32(len(h.sum)))
}

// decoy is what the password of an account that is not there is compared with, so that
// it takes as long as any other.
var decoy = hash{hashMemory, hashPasses, hashLanes, make([]byte, saltLength), make([]byte, hashLength)}

// hasher hashes one password at a time. Those who wait take turns by address, so that a
// crowd from one keeps nobody else out.
type hasher struct {
	// free gives the memory of a hash back when nobody waits.
	free func()
	// crowd tells whether others are about to come, nil for nobody: the memory is kept for
	// them, since giving it back costs more than a hash.
	crowd func() bool

	mu      sync.Mutex
	busy    bool
	last    netip.Prefix
	waiting []*waiter
}

type waiter struct {
	who  netip.Prefix
	turn chan bool // true: go; false: others have more need of the place
}

// make hashes a new password.
func (q *hasher) make(ctx context.Context, who netip.Prefix, password string) (hash, error) {
	if err := q.enter(ctx, who); err != nil {
		return hash{}, err
	}
	defer q.leave()
	h := hash{hashMemory, hashPasses, hashLanes, make([]byte, saltLength), make([]byte, hashLength)}
	rand.Read(h.salt) // never fails (crypto/rand, Go 1.24)
	h.sum = h.of(password)
	return h, nil
}

// is compares in constant time.
func (q *hasher) is(ctx context.Context, who netip.Prefix, h hash, password string) (bool, error) {
	if err := q.enter(ctx, who); err != nil {
		return false, err
	}
	defer q.leave()
	return subtle.ConstantTimeCompare(h.of(password), h.sum) == 1, nil
}

func (q *hasher) enter(ctx context.Context, who netip.Prefix) error {
	q.mu.Lock()
	if !q.busy {
		q.busy, q.last = true, who
		q.mu.Unlock()
		return nil
	}
	if !q.room(who) {
		q.mu.Unlock()
		return phrase.E("access.busy")
	}
	w := &waiter{who, make(chan bool, 1)}
	q.waiting = append(q.waiting, w)
	q.mu.Unlock()
	select {
	case ok := <-w.turn:
		if !ok {
			return phrase.E("access.busy")
		}
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	i := slices.Index(q.waiting, w)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	q.mu.Unlock()
	if i < 0 && <-w.turn {
		q.leave()
	}
	return ctx.Err()
}

// room makes room for one more. Where it is full, the address that waits most often gives
// way to one that waits less.
func (q *hasher) room(who netip.Prefix) bool {
	count := map[netip.Prefix]int{}
	for _, w := range q.waiting {
		count[w.who]++
	}
	if count[who] >= mostOfOne {
		return false
	}
	if len(q.waiting) < mostWaiting {
		return true
	}
	most := who
	for k, n := range count {
		if n > count[most] {
			most = k
		}
	}
	if count[most] <= count[who]+1 {
		return false
	}
	for i := len(q.waiting) - 1; i >= 0; i-- {
		if w := q.waiting[i]; w.who == most {
			q.waiting = slices.Delete(q.waiting, i, i+1)
			w.turn <- false
			break
		}
	}
	return true
}

func (q *hasher) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.busy = false
		if q.free != nil && (q.crowd == nil || !q.crowd()) {
			q.free()
		}
		return
	}
	i := max(0, slices.IndexFunc(q.waiting, func(w *waiter) bool { return w.who != q.last }))
	w := q.waiting[i]
	q.waiting = slices.Delete(q.waiting, i, i+1)
	q.last = w.who
	w.turn <- true
}

// plain makes one of the ways in which a keyboard may write the same password (NIST
// SP 800-63B, 5.1.1.2: NFKC); what is too long is no password.
func plain(password string) (string, bool) {
	if len(password) > mostBytes || !utf8.ValidString(password) {
		return "", false
	}
	p := norm.NFKC.String(password)
	return p, len(p) <= 4*mostRunes && utf8.RuneCountInString(p) <= mostRunes
}

//go:embed weak.txt
var weakList string

// Fit tells what is wrong with a new password or passphrase of nobody in particular, nil for nothing.
func Fit(password string) error { return fit(password, "", "") }

// fit tells what is wrong with a new password of an account, nil for nothing.
func fit(password, account, name string) error {
	p, ok := plain(password)
	switch n := utf8.RuneCountInString(p); {
	case !ok:
		return phrase.E("access.password_long", "most", mostRunes)
	case n < leastRunes:
		return phrase.E("access.password_short", "least", leastRunes)
	}
	low := strings.ToLower(p)
	for _, own := range []string{account, name, "tocsin", "警钟"} {
		own = strings.ToLower(own)
		// A name with a few figures behind it is what is tried first.
		if rest, ok := strings.CutPrefix(low, own); own != "" && ok && len(rest) <= 8 && strings.Trim(rest, "0123456789.!@#_-") == "" {
			return phrase.E("access.password_name")
		}
	}
	if dull(low) {
		return phrase.E("access.password_weak")
	}
	for w := range strings.Lines(weakList) {
		if strings.TrimSpace(w) == low {
			return phrase.E("access.password_weak")
		}
	}
	return nil
}

// dull finds what is one short piece over and over, and what only counts up or down.
func dull(s string) bool {
	r := []rune(s)
	for n := 1; n <= 4 && 2*n <= len(r); n++ {
		same := true
		for i := n; i < len(r) && same; i++ {
			same = r[i] == r[i-n]
		}
		if same {
			return true
		}
	}
	for _, step := range []rune{1, -1} {
		run := true
		for i := 1; i < len(r) && run; i++ {
			run = r[i]-r[i-1] == step || r[i] == '0' && r[i-1] == '9' && step == 1 || r[i] == '9' && r[i-1] == '0' && step == -1
		}
		if run {
			return true
		}
	}
	return false
}
