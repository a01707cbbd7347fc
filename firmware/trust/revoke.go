package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"tocsin/firmware/phrase"
)

// revocation is when a key ceased to be believed. always: nothing that it ever
// signed is.
type revocation struct {
	since  time.Time
	always bool
}

// at errs where a message of that time is not believed.
func (r revocation) at(sent time.Time, key string) error {
	switch {
	case r.always:
		return phrase.E("trust.revoked_compromised", "key", key)
	case !sent.Before(r.since):
		return phrase.E("trust.revoked", "key", key, "since", r.since.Format(time.RFC3339))
	}
	return nil
}

// list is a revocation list, ready to be asked.
type list struct {
	name    string
	this    time.Time
	next    time.Time
	crl     *smx509.RevocationList
	serials map[string]revocation
}

// Reasons for which a key may be in foreign hands (RFC 5280, 5.3.1).
const (
	keyCompromise = 1
	caCompromise  = 2
	fromCRL       = 8
	aaCompromise  = 10
)

func newList(der []byte) (*list, error) {
	crl, err := smx509.ParseRevocationList(der)
	if err != nil {
		return nil, phrase.Wrap(err, "trust.list_unreadable")
	}
	// Parts and differences of lists are marked so by a critical extension.
	for _, e := range crl.Extensions {
		if e.Critical {
			return nil, phrase.E("trust.list_partial", "extension", e.Id.String())
		}
	}
	switch crl.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.MD5WithRSA, x509.UnknownSignatureAlgorithm:
		return nil, phrase.E("trust.list_algorithm", "algorithm", crl.SignatureAlgorithm.String())
	}
	l := &list{name: crl.Issuer.String(), this: crl.ThisUpdate, next: crl.NextUpdate, crl: crl, serials: map[string]revocation{}}
	for _, e := range crl.RevokedCertificateEntries {
		for _, x := range e.Extensions {
			if x.Critical && !x.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 21}) {
				return nil, phrase.E("trust.list_partial", "extension", x.Id.String())
			}
		}
		if e.ReasonCode == fromCRL {
			continue
		}
		r := revocation{since: e.RevocationTime}
		switch e.ReasonCode {
		case keyCompromise, caCompromise, aaCompromise:
			r.always = true
		}
		l.serials[serial(e.SerialNumber)] = r
	}
	return l, nil
}

func serial(n *big.Int) string { return n.Text(16) }

// listed asks the newest list of an authority about a certificate of its.
func (s *Store) listed(c, authority *x509.Certificate, sent time.Time) error {
	var newest *list
	for _, l := range s.lists {
		if !bytes.Equal(l.crl.RawIssuer, authority.RawSubject) || newest != nil && !l.this.After(newest.this) {
			continue
		}
		if l.crl.CheckSignatureFrom((*smx509.Certificate)(authority)) == nil {
			newest = l
		}
	}
	if newest == nil {
		return nil
	}
	if r, ok := newest.serials[serial(c.SerialNumber)]; ok {
		return r.at(sent, c.Subject.String())
	}
	return nil
}
