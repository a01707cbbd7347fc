package onvif

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// challenge is what a server wants to be answered (RFC 7616, RFC 2617).
type challenge struct {
	kind                 string // "digest", "basic"; "" is none
	realm, nonce, opaque string
	sha256, qop, session bool
	count                int
}

// challenged picks the best that is offered: digest with SHA-256, with MD5, basic where
// that may be.
func challenged(headers []string, basic bool) (best challenge, ok bool) {
	rank := 0
	for i, h := range headers {
		if i == 8 || len(h) > 4096 {
			break
		}
		kind, rest, _ := strings.Cut(strings.TrimSpace(h), " ")
		k := challenge{kind: strings.ToLower(kind)}
		p := parameters(rest)
		k.realm, k.nonce, k.opaque = p["realm"], p["nonce"], p["opaque"]
		r := 0
		switch {
		case k.kind == "digest" && k.nonce != "":
			switch a := strings.ToUpper(p["algorithm"]); a {
			case "", "MD5", "MD5-SESS":
				r = 2
				k.session = a == "MD5-SESS"
			case "SHA-256", "SHA-256-SESS":
				r, k.sha256 = 3, true
				k.session = a == "SHA-256-SESS"
			}
			if q, has := p["qop"]; has {
				for one := range strings.SplitSeq(q, ",") {
					k.qop = k.qop || strings.EqualFold(strings.TrimSpace(one), "auth")
				}
				if !k.qop {
					r = 0 // auth-int alone
				}
			}
		case k.kind == "basic" && basic:
			r = 1
		}
		if r > rank {
			rank, best, ok = r, k, true
		}
	}
	return best, ok
}

// parameters reads name=value and name="value" parts.
func parameters(s string) map[string]string {
	p := map[string]string{}
	for len(p) < 32 {
		s = strings.TrimLeft(s, " ,\t")
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		var v strings.Builder
		if strings.HasPrefix(rest, `"`) {
			i := 1
			for ; i < len(rest) && rest[i] != '"'; i++ {
				if rest[i] == '\\' && i+1 < len(rest) {
					i++
				}
				v.WriteByte(rest[i])
			}
			s = rest[min(i+1, len(rest)):]
		} else {
			var w string
			w, s, _ = strings.Cut(rest, ",")
			v.WriteString(strings.TrimSpace(w))
		}
		p[strings.ToLower(strings.TrimSpace(name))] = v.String()
	}
	return p
}

// answer is the Authorization header; "" where nothing was asked for. Who has no mutex
// on the challenge must not call it.
func (k *challenge) answer(method, uri, user, password string, basic bool) string {
	switch {
	case user == "":
		return ""
	case k.kind == "basic" && basic:
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	case k.kind != "digest":
		return ""
	}
	sum := func(s string) string { h := md5.Sum([]byte(s)); return hex.EncodeToString(h[:]) }
	algorithm := "MD5"
	if k.sha256 {
		sum = func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
		algorithm = "SHA-256"
	}
	var own [8]byte
	rand.Read(own[:])
	cnonce := hex.EncodeToString(own[:])
	k.count++
	nc := fmt.Sprintf("%08x", k.count)
	ha1 := sum(user + ":" + k.realm + ":" + password)
	if k.session {
		ha1 = sum(ha1 + ":" + k.nonce + ":" + cnonce)
		algorithm += "-sess"
	}
	ha2 := sum(method + ":" + uri)
	var b strings.Builder
	fmt.Fprintf(&b, `Digest username="%s", realm="%s", nonce="%s", uri="%s", algorithm=%s`, quote(user), quote(k.realm), quote(k.nonce), quote(uri), algorithm)
	if k.qop {
		fmt.Fprintf(&b, `, qop=auth, nc=%s, cnonce="%s", response="%s"`, nc, cnonce, sum(ha1+":"+k.nonce+":"+nc+":"+cnonce+":auth:"+ha2))
	} else {
		fmt.Fprintf(&b, `, response="%s"`, sum(ha1+":"+k.nonce+":"+ha2))
		if k.session {
			fmt.Fprintf(&b, `, cnonce="%s"`, cnonce)
		}
	}
	if k.opaque != "" {
		fmt.Fprintf(&b, `, opaque="%s"`, quote(k.opaque))
	}
	return b.String()
}

func quote(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "", "\n", "").Replace(s)
}
