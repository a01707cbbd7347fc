package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"math/big"

	"github.com/emmansun/gmsm/sm2"

	"tocsin/firmware/phrase"
)

// Algorithm is a signature algorithm, its hash included.
type Algorithm string

// The algorithms. RSASHA1 is for issuers that declare it (Issuer.SHA1) and for
// nobody else.
const (
	RSASHA256   Algorithm = "rsa-sha256"
	RSASHA1     Algorithm = "rsa-sha1"
	ECDSASHA256 Algorithm = "ecdsa-sha256"
	ECDSASHA384 Algorithm = "ecdsa-sha384"
	SM2SM3      Algorithm = "sm2-sm3"
	EdDSA       Algorithm = "ed25519"
)

// SM2UserID is the identity that GM/T 0009-2012 (10) hashes into a signature where
// the parties agreed on no other.
const SM2UserID = "1234567812345678"

// Verify checks a signature over a message with the default SM2 identity.
// Signatures of ECDSA and SM2 are r‖s, each as wide as the curve's order, never DER:
// there is one way to write a signature.
func Verify(pub crypto.PublicKey, alg Algorithm, message, sig []byte) error {
	return VerifyAs(pub, alg, message, sig, "")
}

// VerifyAs is Verify with the SM2 identity of the signer; "" is the default.
// It errs with why: another kind of key, a signature of the wrong length, or one
// that does not fit.
func VerifyAs(pub crypto.PublicKey, alg Algorithm, message, sig []byte, sm2UserID string) error {
	kind := KindOf(pub)
	ok, fits := false, false
	switch alg {
	case RSASHA256, RSASHA1:
		if fits = kind == RSA; fits {
			h, sum := crypto.SHA256, hash(alg, message)
			if alg == RSASHA1 {
				h = crypto.SHA1
			}
			if strong(pub, rsaFloor) != nil {
				return strong(pub, rsaFloor)
			}
			ok = rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), h, sum, sig) == nil
		}
	case ECDSASHA256, ECDSASHA384:
		if fits = kind == P256 || kind == P384; fits {
			k := pub.(*ecdsa.PublicKey)
			r, s, good := split(sig, k)
			ok = good && ecdsa.Verify(k, hash(alg, message), r, s)
		}
	case SM2SM3:
		if fits = kind == SM2; fits {
			k := pub.(*ecdsa.PublicKey)
			if sm2UserID == "" {
				sm2UserID = SM2UserID
			}
			r, s, good := split(sig, k)
			ok = good && sm2.VerifyWithSM2(k, []byte(sm2UserID), message, r, s)
		}
	case EdDSA:
		if fits = kind == Ed25519; fits {
			ok = ed25519.Verify(pub.(ed25519.PublicKey), message, sig)
		}
	default:
		return phrase.E("trust.algorithm", "algorithm", string(alg))
	}
	switch {
	case !fits:
		return phrase.E("trust.algorithm_key", "algorithm", string(alg), "kind", string(kind))
	case !ok:
		return phrase.E("trust.signature")
	}
	return nil
}

// rsaFloor is the smallest modulus that mathematics is asked about at all; what
// a site accepts is its own, higher, setting.
const rsaFloor = 1024

func hash(alg Algorithm, message []byte) []byte {
	switch alg {
	case RSASHA1:
		h := sha1.Sum(message)
		return h[:]
	case ECDSASHA384:
		h := sha512.Sum384(message)
		return h[:]
	}
	h := sha256.Sum256(message)
	return h[:]
}

func width(k *ecdsa.PublicKey) int { return (k.Curve.Params().N.BitLen() + 7) / 8 }

func split(sig []byte, k *ecdsa.PublicKey) (r, s *big.Int, ok bool) {
	w := width(k)
	if len(sig) != 2*w {
		return nil, nil, false
	}
	r, s = new(big.Int).SetBytes(sig[:w]), new(big.Int).SetBytes(sig[w:])
	return r, s, r.Sign() > 0 && s.Sign() > 0
}
