package relay

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
)

const (
	// beginFor is how long a credential lets a relaying begin, goOnFor how long it lets
	// one go on.
	beginFor = 10 * time.Minute
	goOnFor  = 12 * time.Hour
)

// Credential is one user's for a while.
type Credential struct {
	URLs           []string
	User, Password string
}

// For makes a credential. The name stands in it for the bounds of each user; people see it
// in their browser.
func (r *Relay) For(name string) Credential {
	u := strconv.FormatInt(r.o.Now().Add(beginFor).Unix(), 10) + ":" + plain(name)
	return Credential{URLs: r.URLs(), User: u, Password: r.password(u)}
}

func plain(name string) string {
	name = strings.Map(func(c rune) rune {
		if c == ':' || c < ' ' || c == 0x7f {
			return '_'
		}
		return c
	}, name)
	if len(name) > 60 {
		name = name[:60]
	}
	return strings.ToValidUTF8(name, "_")
}

// URLs are the relay's legs, the fastest first (RFC 7065).
func (r *Relay) URLs() []string {
	host := r.o.Host
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		host = "[" + host + "]"
	}
	at := func(scheme string, a net.Addr, transport string) string {
		_, port, _ := net.SplitHostPort(a.String())
		return scheme + ":" + host + ":" + port + "?transport=" + transport
	}
	all := []string{at("turn", r.udp.LocalAddr(), "udp"), at("turn", r.tcp.Addr(), "tcp")}
	if r.tls != nil {
		all = append(all, at("turns", r.tls.Addr(), "tcp"))
	}
	return all
}

func (r *Relay) password(user string) string {
	m := hmac.New(sha1.New, r.key)
	m.Write([]byte(user))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// knows finds the key of a user name. One that is out of time begins nothing, and may hold
// what it began.
func (r *Relay) knows(a *turn.RequestAttributes) (string, []byte, bool) {
	until, name, ok := strings.Cut(a.Username, ":")
	t, err := strconv.ParseInt(until, 10, 64)
	if !ok || err != nil || len(a.Username) > 120 || a.Realm != realm {
		return "", nil, false
	}
	left := time.Unix(t, 0).Sub(r.o.Now())
	if left > beginFor+time.Second || a.Method == stun.MethodAllocate && left < 0 || left < -goOnFor {
		return "", nil, false
	}
	return name, turn.GenerateAuthKey(a.Username, realm, r.password(a.Username)), true
}
