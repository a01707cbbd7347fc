package xmldsig

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"slices"

	"github.com/emmansun/gmsm/sm3"

	"tocsin/firmware/trust"
)

const enveloped = Namespace + "enveloped-signature"

// methods are the names of signature algorithms: XML Signature 6.4, RFC 9231 2.3.
// SM2 has none there; its names come with Options.
var methods = []struct {
	uri string
	alg trust.Algorithm
}{
	{"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", trust.RSASHA256},
	{"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", trust.ECDSASHA256},
	{"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", trust.ECDSASHA384},
	{"http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519", trust.EdDSA},
	{Namespace + "rsa-sha1", trust.RSASHA1},
}

// digests are the names of digests: XML Signature 6.2, RFC 9231 2.1.
const (
	sha1URI   = Namespace + "sha1"
	sha256URI = "http://www.w3.org/2001/04/xmlenc#sha256"
	sha384URI = "http://www.w3.org/2001/04/xmldsig-more#sha384"
	sha512URI = "http://www.w3.org/2001/04/xmlenc#sha512"
)

// algorithm gives the algorithm of a SignatureMethod, exactly as it is written.
func algorithm(uri string, sm2 trust.SM2Scheme) (trust.Algorithm, bool) {
	for _, m := range methods {
		if m.uri == uri {
			return m.alg, true
		}
	}
	return trust.SM2SM3, slices.Contains(sm2.Signatures, uri)
}

// digester gives the hash of a DigestMethod, and nil for one that is not taken.
func digester(uri string, sm2 trust.SM2Scheme) hash.Hash {
	switch uri {
	case sha1URI:
		return sha1.New()
	case sha256URI:
		return sha256.New()
	case sha384URI:
		return sha512.New384()
	case sha512URI:
		return sha512.New()
	}
	if slices.Contains(sm2.Digests, uri) {
		return sm3.New()
	}
	return nil
}
