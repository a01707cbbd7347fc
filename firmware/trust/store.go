package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"tocsin/firmware/phrase"
)

// Store is what a site believes. It is immutable and may be used by many at once.
type Store struct {
	issuers  []*Issuer // by ID
	keys     map[KeyID]pinned
	revoked  map[KeyID]revocation
	lists    []*list
	rsaLeast int
	sm2      SM2Scheme
}

type pinned struct {
	issuer *Issuer
	key    *Key
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

// ByCompact gives the issuer that has a number in compact warnings.
func (s *Store) ByCompact(number uint8) (*Issuer, bool) {
	for _, i := range s.issuers {
		if i.Compact != nil && i.Compact.Number == number {
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

// StandsBy tells whether what an issuer's key signed at a time is still believed: the
// issuer is, and the key was not revoked for that time. That a key is no longer pinned
// takes nothing back: so ends every roll-over.
func (s *Store) StandsBy(issuer string, key KeyID, sent time.Time) bool {
	r, revoked := s.revoked[key]
	_, there := s.Issuer(issuer)
	return there && (!revoked || r.at(sent, string(key)) == nil)
}

// SM2 gives the site's way of writing SM2 in XML.
func (s *Store) SM2() SM2Scheme { return s.sm2 }

// Due says what of the trust will soon need a hand: keys and authorities that end before
// now+ahead, and revocation lists that are past their next update. They are used
// until then, and lists also afterwards: an old list is better than none.
func (s *Store) Due(now time.Time, ahead time.Duration) []phrase.Message {
	var out []phrase.Message
	soon := now.Add(ahead)
	day := func(t time.Time) string { return t.Format("2006-01-02") }
	for _, i := range s.issuers {
		lasts := false // some key lasts: a roll-over is under way
		var ends []phrase.Message
		for _, k := range i.Keys {
			until := k.Until
			if k.Certificate != nil && (until.IsZero() || k.Certificate.NotAfter.Before(until)) {
				until = k.Certificate.NotAfter
			}
			if until.IsZero() || until.After(soon) {
				lasts = true
			} else {
				ends = append(ends, phrase.M("trust.due_key", "issuer", i.ID, "key", string(k.ID), "until", day(until)))
			}
		}
		for _, a := range i.Authorities {
			if a.NotAfter.After(soon) {
				lasts = true
			} else {
				ends = append(ends, phrase.M("trust.due_authority", "issuer", i.ID, "subject", a.Subject.String(), "until", day(a.NotAfter)))
			}
		}
		if !lasts {
			out = append(out, ends...)
		}
	}
	for _, l := range s.lists {
		if !l.next.IsZero() && l.next.Before(now) {
			out = append(out, phrase.M("trust.due_list", "issuer", l.name, "next", day(l.next)))
		}
	}
	return out
}

// Digest names what the store believes: two that would answer anything differently have
// different ones.
func (s *Store) Digest() string {
	h := sha256.New()
	at := func(t time.Time) int64 { return t.Unix() }
	for _, i := range s.issuers {
		fmt.Fprintf(h, "issuer %q %q %q %t %t %q %#v\n", i.ID, i.Senders, i.Subjects, i.Lenient, i.SHA1, i.SM2UserID, i.Grant)
		for _, k := range i.Keys {
			fmt.Fprintf(h, "key %q %d %d %q %t\n", k.ID, at(k.From), at(k.Until), k.Person, k.Certificate != nil)
			if k.Certificate != nil {
				fmt.Fprintf(h, "%x\n", k.Certificate.Raw)
			}
		}
		for _, a := range i.Authorities {
			fmt.Fprintf(h, "authority %x\n", a.Raw)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.revoked)) {
		fmt.Fprintf(h, "revoked %q %d %t\n", id, at(s.revoked[id].since), s.revoked[id].always)
	}
	for _, l := range s.lists {
		fmt.Fprintf(h, "list %q %x\n", l.name, l.crl.Raw)
	}
	fmt.Fprintf(h, "%d %#v\n", s.rsaLeast, s.sm2)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// signs tells whether a certificate's key usage allows signatures on messages
// (RFC 5280, 4.2.1.3): digitalSignature or contentCommitment, or no usage named.
func signs(c *x509.Certificate) bool {
	return c.KeyUsage == 0 || c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) != 0
}
