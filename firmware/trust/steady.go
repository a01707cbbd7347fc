package trust

import (
	"crypto/hmac"
	"crypto/sha512"
	"fmt"
	"io"

	"github.com/emmansun/gmsm/sm2"
)

// Steady gives the same key making the same signature of the same message each time, so
// that two builds of a release are the same bytes. Ed25519 does so by itself (RFC 8032); an
// SM2 key's secret number for each signature then comes of the key and the message alone,
// as in RFC 6979, section 3.2, of an HMAC: nobody without the key can tell it from chance.
func (p *PrivateKey) Steady() *PrivateKey {
	q := *p
	q.steady = true
	return &q
}

// steadyNumbers are the bytes that an SM2 signature's number is taken from: a block of
// HMAC-SHA-512 under the private key for each read of 32 bytes. gmsm first reads, or not,
// by chance, a single byte, so that nobody relies on its order: such a read takes nothing.
type steadyNumbers struct {
	key, seed []byte
	reads     uint64
}

func newSteadyNumbers(k *sm2.PrivateKey, uid, message []byte) io.Reader {
	m := sha512.New()
	fmt.Fprintf(m, "%d:%s", len(uid), uid)
	m.Write(message)
	return &steadyNumbers{key: k.D.FillBytes(make([]byte, 32)), seed: m.Sum(nil)}
}

func (s *steadyNumbers) Read(b []byte) (int, error) {
	if len(b) == 1 {
		b[0] = 0
		return 1, nil
	}
	for at := 0; at < len(b); {
		h := hmac.New(sha512.New, s.key)
		fmt.Fprintf(h, "tocsin steady SM2 %d:", s.reads)
		h.Write(s.seed)
		s.reads++
		at += copy(b[at:], h.Sum(nil))
	}
	return len(b), nil
}
