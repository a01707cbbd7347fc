package trust

import (
	"crypto"
	"crypto/x509"
	"io/fs"
	"slices"
	"time"

	"tocsin/firmware/phrase"
)

// Store is what a site believes. It is immutable and may be used by many at once.
type Store struct {
	issuers  []*Issuer // by ID
	keys     map[KeyID]pinned
	rsaLeast int
	sm2      SM2Scheme
}

type pinned struct {
	issuer *Issuer
	key    *Key
}

// New proves a document and makes a Store of it. Files are read from files, which
// may be nil where all is inline. A Store is given also where there are faults;
// what is faulty is left out of it, so that a broken line costs only itself.
func New(d Document, files fs.FS) (*Store, []Fault) {
	return &Store{keys: map[KeyID]pinned{}, sm2: d.SM2.OrDefault(), rsaLeast: max(rsaModest, d.RSABits)}, nil
}

// Issuers lists all issuers by ID.
func (s *Store) Issuers() []*Issuer { return slices.Clone(s.issuers) }

// Issuer gives one issuer.
func (s *Store) Issuer(id string) (*Issuer, bool) {
	for _, i := range s.issuers {
		if i.ID == id {
			return i, true
		}
	}
	return nil, false
}

// BySender gives the issuers that speak under a value of CAP's sender element.
func (s *Store) BySender(sender string) []*Issuer {
	var out []*Issuer
	for _, i := range s.issuers {
		if i.SpeaksAs(sender) {
			out = append(out, i)
		}
	}
	return out
}

// Key gives a pinned key and whose it is. One key belongs to one issuer.
func (s *Store) Key(id KeyID) (*Issuer, *Key, bool) {
	p, ok := s.keys[id]
	return p.issuer, p.key, ok
}

// SM2 gives the site's way of writing SM2 in XML.
func (s *Store) SM2() SM2Scheme { return s.sm2 }

// Vouch answers whether a key, with the certificates that came along, may speak
// for an issuer at the time that the message says it was sent. nil is yes; otherwise a
// *phrase.Error says why not.
func (s *Store) Vouch(i *Issuer, key crypto.PublicKey, certs []*x509.Certificate, sent time.Time) error {
	return phrase.E("trust.key_unknown", "issuer", i.ID, "key", "")
}
