package gb28181

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"
)

// fresh is how long a nonce may be answered.
const fresh = time.Minute

// nonce is the time with a seal over it and over who asked, so that nothing need be
// kept for those who only knock.
func (s *Server) nonce(now time.Duration, who string) string {
	at := strconv.FormatInt(int64(now/time.Millisecond), 16)
	return at + "-" + s.seal(at, who)
}

func (s *Server) seal(at, who string) string {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(at + " " + who))
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// ours says whether a nonce is of ours for that device, and whether it is still fresh.
func (s *Server) ours(nonce, who string, now time.Duration) (ours, isFresh bool) {
	at, seal, _ := strings.Cut(nonce, "-")
	if subtle.ConstantTimeCompare([]byte(seal), []byte(s.seal(at, who))) != 1 {
		return false, false
	}
	ms, err := strconv.ParseInt(at, 16, 64)
	return err == nil, now-time.Duration(ms)*time.Millisecond <= fresh
}

func (s *Server) challenge(c *camera, stale bool) string {
	algorithm := c.c.Algorithm
	if algorithm == "" {
		algorithm = "MD5"
	}
	return fmt.Sprintf(`Digest realm="%s",qop="auth",nonce="%s",algorithm=%s,stale=%v`, s.o.Realm, s.nonce(s.o.Now(), c.c.Device), algorithm, stale)
}

// credentials reads an Authorization of digest; nil where it is none.
func credentials(v string) map[string]string {
	if len(v) > 2048 || len(v) < 7 || !strings.EqualFold(v[:7], "digest ") {
		return nil
	}
	m := map[string]string{}
	for rest := v[7:]; rest != ""; {
		k, after, ok := strings.Cut(rest, "=")
		if !ok {
			break
		}
		var val string
		after = strings.TrimLeft(after, " ")
		if q, quoted := strings.CutPrefix(after, `"`); quoted {
			val, rest, _ = strings.Cut(q, `"`)
			_, rest, _ = strings.Cut(rest, ",")
		} else {
			val, rest, _ = strings.Cut(after, ",")
			val = strings.TrimSpace(val)
		}
		m[strings.ToLower(strings.Trim(k, " \t,"))] = val
	}
	return m
}

// knows says whether the answer is that of who knows the password (RFC 7616 3.4.1;
// without qop RFC 2617 3.2.2.1, as older devices answer).
func knows(m map[string]string, method, realm, user, password, algorithm string) bool {
	newHash := md5.New
	if algorithm == "SHA-256" {
		newHash = sha256.New
	}
	if m["username"] != user || m["realm"] != realm {
		return false
	}
	a1 := sum(newHash, user, realm, password)
	a2 := sum(newHash, method, m["uri"])
	want := sum(newHash, a1, m["nonce"], a2)
	switch m["qop"] {
	case "":
	case "auth":
		want = sum(newHash, a1, m["nonce"], m["nc"], m["cnonce"], "auth", a2)
	default:
		return false
	}
	return subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(m["response"]))) == 1
}

func sum(newHash func() hash.Hash, parts ...string) string {
	h := newHash()
	h.Write([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(h.Sum(nil))
}
