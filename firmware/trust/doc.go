// Package trust says whose words this box believes: the issuers that its site
// names, their pinned keys and authorities, what each may say, which keys are
// revoked, and which counters were seen. It also holds the keys with which the
// box itself signs.
//
// Trust is pinned. A key or certificate that came along with a message proves
// nothing but mathematics; Vouch believes it only when the site's document
// names it, or an authority that the document names has certified it for a
// subject that the document names. Everything is judged at the time when a message
// says that it was sent, offline: no answer ever waits for a network.
//
// The package never decides what sounds. It answers three questions: is this
// signature right (Verify), may this key speak for this issuer (Vouch), was this
// counter seen before (Counters).
//
// Sources: RFC 5280 (certificates, revocation lists, key usage), RFC 5958 (private
// keys), RFC 8032 (Ed25519), FIPS 186-5 (RSA, ECDSA), GB/T 32918.2-2016 (SM2),
// GB/T 32905-2016 (SM3), DSSE 1.0.2 (envelopes). National algorithms are
// available; no certification is claimed.
package trust
