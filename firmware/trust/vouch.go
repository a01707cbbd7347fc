package trust

import (
	"crypto"
	"crypto/x509"
	"errors"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"tocsin/firmware/phrase"
)

// Vouch answers whether a key, with the certificates that came along, may speak
// for an issuer at the time that the message says it was sent. nil is yes; otherwise a
// *phrase.Error says why not.
//
// The time is the signer's own word. So a key that may be in foreign hands must be
// revoked as compromised: its thief can write any time. How strong a key is was
// asked of pinned ones by New, and is of all others with their chain.
func (s *Store) Vouch(i *Issuer, key crypto.PublicKey, certs []*x509.Certificate, sent time.Time) error {
	id, err := IDOf(key)
	if err != nil {
		return err
	}
	if sent.IsZero() {
		return phrase.E("trust.no_time")
	}
	if r, ok := s.revoked[id]; ok {
		if err := r.at(sent, string(id)); err != nil {
			return err
		}
	}
	if p, ok := s.keys[id]; ok {
		if p.issuer.ID != i.ID {
			return phrase.E("trust.key_other", "key", string(id), "issuer", i.ID, "other", p.issuer.ID)
		}
		return s.pinned(p, sent)
	}
	for _, c := range certs {
		if same(c.PublicKey, key) && len(i.Authorities) > 0 {
			return s.chained(i, c, certs, sent)
		}
	}
	return phrase.E("trust.key_unknown", "issuer", i.ID, "key", string(id))
}

// pinned judges a pinned key.
func (s *Store) pinned(p pinned, sent time.Time) error {
	k := p.key
	switch {
	case sent.Before(k.From):
		return phrase.E("trust.key_early", "key", string(k.ID), "from", k.From.Format(time.RFC3339))
	case !k.Until.IsZero() && !sent.Before(k.Until):
		return phrase.E("trust.key_ended", "key", string(k.ID), "until", k.Until.Format(time.RFC3339))
	case k.Certificate == nil:
		return nil
	}
	if err := times(k.Certificate, sent); err != nil {
		return err
	}
	for _, a := range p.issuer.Authorities {
		if (*smx509.Certificate)(k.Certificate).CheckSignatureFrom((*smx509.Certificate)(a)) == nil {
			if err := s.listed(k.Certificate, a, sent); err != nil {
				return err
			}
		}
	}
	return nil
}

func times(c *x509.Certificate, sent time.Time) error {
	switch {
	case sent.Before(c.NotBefore):
		return phrase.E("trust.key_early", "key", c.Subject.String(), "from", c.NotBefore.Format(time.RFC3339))
	case sent.After(c.NotAfter):
		return phrase.E("trust.key_ended", "key", c.Subject.String(), "until", c.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// chained judges a certificate by the issuer's authorities (RFC 5280, 6).
func (s *Store) chained(i *Issuer, leaf *x509.Certificate, certs []*x509.Certificate, sent time.Time) error {
	subject := leaf.Subject.String()
	switch {
	case !matches(i.Subjects, leaf.Subject.CommonName) && !matches(i.Subjects, subject):
		return phrase.E("trust.subject", "subject", subject, "issuer", i.ID)
	case leaf.IsCA:
		return phrase.E("trust.cert_authority", "subject", subject)
	case !signs(leaf):
		return phrase.E("trust.cert_usage", "subject", subject)
	}
	if err := times(leaf, sent); err != nil {
		return err
	}
	roots, between := smx509.NewCertPool(), smx509.NewCertPool()
	for _, a := range i.Authorities {
		roots.AddCert((*smx509.Certificate)(a))
	}
	for _, c := range certs {
		between.AddCert((*smx509.Certificate)(c))
	}
	chains, err := (*smx509.Certificate)(leaf).Verify(smx509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: sent,
		KeyUsages: []smx509.ExtKeyUsage{smx509.ExtKeyUsageAny}, // the authorities are pinned for this purpose
	})
	if err != nil {
		return phrase.Wrap(err, "trust.chain", "subject", subject, "issuer", i.ID)
	}
	var why error
	for _, chain := range chains {
		if why = s.chain(chain, sent); why == nil {
			return nil
		}
	}
	if why == nil {
		why = errors.New("no chain")
	}
	return why
}

// chain holds every certificate of a chain to key size and revocation.
func (s *Store) chain(chain []*smx509.Certificate, sent time.Time) error {
	for n, c := range chain {
		cert := (*x509.Certificate)(c)
		if err := strong(cert.PublicKey, s.rsaLeast); err != nil {
			return err
		}
		id, err := IDOf(cert.PublicKey)
		if err != nil {
			return err
		}
		if r, ok := s.revoked[id]; ok {
			if err := r.at(sent, string(id)); err != nil {
				return err
			}
		}
		if n+1 < len(chain) {
			if err := s.listed(cert, (*x509.Certificate)(chain[n+1]), sent); err != nil {
				return err
			}
		}
	}
	return nil
}
