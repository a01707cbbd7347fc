package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"tocsin/firmware/phrase"
)

// KeyID names a public key: lower-case hexadecimal of the first 16 bytes of
// SHA-256 over its DER SubjectPublicKeyInfo (RFC 5280, 4.1.2.7). It is 32
// characters long.
type KeyID string

// IDOf gives a public key's name. It errs on kinds of key that this package
// does not use.
func IDOf(pub crypto.PublicKey) (KeyID, error) {
	if KindOf(pub) == "" {
		return "", phrase.E("trust.key_kind")
	}
	der, err := smx509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", phrase.Wrap(err, "trust.key_kind")
	}
	sum := sha256.Sum256(der)
	return KeyID(hex.EncodeToString(sum[:16])), nil
}

// PublicDER writes a public key as DER SubjectPublicKeyInfo (RFC 5280, 4.1.2.7).
func PublicDER(pub crypto.PublicKey) ([]byte, error) { return smx509.MarshalPKIXPublicKey(pub) }

// ReadPublicDER reads one, and errs on what this package does not use.
func ReadPublicDER(der []byte) (crypto.PublicKey, error) {
	pub, err := smx509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, phrase.Wrap(err, "trust.key_unreadable")
	}
	return pub, strong(pub, rsaModest)
}

// Kind is a kind of key.
type Kind string

// The kinds of key that this package uses.
const (
	RSA       Kind = "rsa"
	P256      Kind = "p-256"
	P384      Kind = "p-384"
	SM2       Kind = "sm2"
	Ed25519   Kind = "ed25519"
	rsaMost        = 8192 // larger moduli only cost time
	rsaModest      = 2048 // NIST SP 800-131A: the least that is still in use
)

// KindOf tells a public key's kind, and "" for one that this package does not use.
func KindOf(pub crypto.PublicKey) Kind {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if k != nil && k.N != nil {
			return RSA
		}
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return Ed25519
		}
	case *ecdsa.PublicKey:
		switch {
		case k == nil || k.Curve == nil:
		case k.Curve == elliptic.P256():
			return P256
		case k.Curve == elliptic.P384():
			return P384
		case sm2.IsSM2PublicKey(k):
			return SM2
		}
	}
	return ""
}

// strong errs on a key that is too weak, too large or of an unknown kind.
func strong(pub crypto.PublicKey, rsaLeast int) error {
	switch KindOf(pub) {
	case "":
		return phrase.E("trust.key_kind")
	case RSA:
		k := pub.(*rsa.PublicKey)
		bits := k.N.BitLen()
		switch {
		case bits < rsaLeast:
			return phrase.E("trust.key_weak", "bits", bits, "least", rsaLeast)
		case bits > rsaMost:
			return phrase.E("trust.key_large", "bits", bits, "most", rsaMost)
		case k.E < 65537 || k.E%2 == 0: // FIPS 186-5, A.1.1
			return phrase.E("trust.key_exponent", "exponent", k.E)
		}
	}
	return nil
}

func same(a, b crypto.PublicKey) bool {
	e, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && e.Equal(b)
}
