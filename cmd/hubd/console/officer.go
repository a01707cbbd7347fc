package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"tocsin/cmd/hubd/hubfile"
)

// officers knows who may see the page. One guess is looked at at a time: bcrypt is
// dear on purpose, and must not be a way to tire the hub out.
type officers struct {
	list     []hubfile.Officer
	guess    sync.Mutex
	mu       sync.Mutex
	known    map[string][sha256.Size]byte // of a token that was right
	nothing  []byte                       // a digest of nobody's, so that a wrong name takes as long
	sessions sessions
}

func newOfficers(list []hubfile.Officer) *officers {
	o := &officers{list: list, known: map[string][sha256.Size]byte{}, sessions: sessions{now: time.Now}}
	if len(list) > 0 {
		o.nothing = []byte(list[0].Token)
	}
	return o
}

// knows tells whether the name and the token belong together.
func (o *officers) knows(name, token string) bool {
	if token == "" || len(token) > 72 {
		return false
	}
	d := sha256.Sum256([]byte(token))
	o.mu.Lock()
	have, ok := o.known[name]
	o.mu.Unlock()
	if ok && subtle.ConstantTimeCompare(have[:], d[:]) == 1 {
		return true
	}
	o.guess.Lock()
	defer o.guess.Unlock()
	digest, found := o.nothing, false
	for _, p := range o.list {
		if p.Name == name {
			digest, found = []byte(p.Token), true
		}
	}
	if bcrypt.CompareHashAndPassword(digest, []byte(token)) != nil || !found {
		return false
	}
	o.mu.Lock()
	o.known[name] = d
	o.mu.Unlock()
	return true
}

// only lets officers through.
func (o *officers) only(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, token, ok := r.BasicAuth()
		if ok {
			ok = o.knows(name, token)
		} else {
			name, ok = o.sessions.of(r)
		}
		if !ok {
			toSignIn(w, r)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), officerKey{}, o.named(name))))
	})
}

type officerKey struct{}

func (o *officers) named(name string) hubfile.Officer {
	for _, p := range o.list {
		if p.Name == name {
			return p
		}
	}
	return hubfile.Officer{}
}

// Officer tells who asks. Where nobody signs in, it is whoever is at this machine, and has no role.
func Officer(r *http.Request) (name string, roles []string) {
	p, ok := r.Context().Value(officerKey{}).(hubfile.Officer)
	if !ok {
		return "localhost", nil
	}
	return p.Name, p.Roles
}
