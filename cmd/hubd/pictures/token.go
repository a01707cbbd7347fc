package pictures

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"tocsin/firmware/reach/letter"
)

// grant is what a token lets its bearer do.
type grant struct {
	key   feedKey
	until time.Time
	used  bool
	bring bool   // lets a station bring its clips, again and again, and begins no call
	call  string // what it began; it may end that
}

// tokens are kept by their digest: whoever reads the hub's memory or logs finds none.
type tokens map[[sha256.Size]byte]*grant

// secret makes 256 random bits, of letters, digits, - and _.
func secret() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// issue makes a token for one push. An older one for the same stream is good for nothing from now on.
func (t tokens) issue(k feedKey, now time.Time) (string, time.Time) {
	for d, g := range t {
		if g.key == k && !g.used || g.call == "" && now.After(g.until) {
			delete(t, d)
		}
	}
	s, until := secret(), now.Add(letter.TokenFor)
	t[sha256.Sum256([]byte(s))] = &grant{key: k, until: until}
	return s, until
}

// letBring makes a token for a station's clips; an older one is good until its own end, since a clip may be on its
// way by it.
func (t tokens) letBring(s letter.Station, now time.Time) (string, time.Time) {
	for d, g := range t {
		if g.bring && now.After(g.until) {
			delete(t, d)
		}
	}
	token, until := secret(), now.Add(letter.TokenFor)
	t[sha256.Sum256([]byte(token))] = &grant{key: feedKey{station: s}, until: until, used: true, bring: true}
	return token, until
}

// of finds what a token is for. To look it up by its digest tells nobody by the time it takes how much of it
// was right.
func (t tokens) of(token string) *grant { return t[sha256.Sum256([]byte(token))] }

// forget drops the token that began a call.
func (t tokens) forget(call string) {
	for d, g := range t {
		if g.call == call {
			delete(t, d)
		}
	}
}

// bearer is the token of a request (RFC 6750, 2.1); "" where it has none.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || len(token) > 128 {
		return ""
	}
	return strings.TrimSpace(token)
}
