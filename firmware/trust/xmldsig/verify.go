package xmldsig

import (
	"crypto"
	"crypto/subtle"
	"crypto/x509"
	"slices"

	"github.com/beevik/etree"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

// Options say what a Verify may take.
type Options struct {
	// Lenient allows the declared second attempt.
	Lenient bool
	// SHA1 allows rsa-sha1 and SHA-1 digests.
	SHA1 bool
	// SM2UserID is the signer's SM2 identity; "" is the default one.
	SM2UserID string
	// SM2 names SM2 in XML; the zero value is the default.
	SM2 trust.SM2Scheme
}

// Signature is one signature of a document and what became of it.
type Signature struct {
	// Path is its place: /alert/Signature[2].
	Path      string
	Algorithm trust.Algorithm
	// C14N is the URI of the canonicalisation of the signed document.
	C14N string
	// KeyID and Public name the key that verified; "" and nil if none did.
	KeyID  trust.KeyID
	Public crypto.PublicKey
	// Certificates came along; where one is of the key that verified it is the first.
	Certificates []*x509.Certificate
	KeyName      string
	// Signed are the canonical bytes that the digest covers: what is parsed
	// afterwards. nil unless Err is nil.
	Signed []byte
	// Err says why it does not verify, as a *phrase.Error; nil is genuine.
	Err error
	// Lenient tells that only the declared second attempt verified.
	Lenient bool
}

// Verify checks every Signature of the document, in its order. candidates are
// pinned keys: tried where no key that came along verifies. An empty answer means that
// the document has no signature.
func (d *Document) Verify(candidates []trust.Key, o Options) []Signature {
	o.SM2 = o.SM2.OrDefault()
	out := make([]Signature, len(d.signatures))
	var second *Document
	for i := range d.signatures {
		out[i] = d.verify(i, candidates, o)
		if out[i].Err == nil || !o.Lenient {
			continue
		}
		if second == nil {
			d.cut = nil // not both in memory at once
			second = d.stripped()
		}
		if s := second.verify(i, candidates, o); s.Err == nil {
			s.Lenient, s.Path = true, out[i].Path
			out[i] = s
		}
	}
	return out
}

func (d *Document) verify(i int, candidates []trust.Key, o Options) (s Signature) {
	sig := d.signatures[i]
	s.Path = sig.path
	if !sig.direct {
		s.Err = phrase.E("trust.sig_place", "path", sig.path)
		return s
	}
	c := &content{}
	err := (&reader{d, o, c}).read(sig.e)
	s.Algorithm, s.C14N, s.Certificates, s.KeyName = c.alg, c.form.uri, c.certs, c.keyName
	if err == nil {
		err = s.byKey(c, candidates, o)
	}
	if err == nil {
		s.Signed, err = d.covered(i, c, o)
	}
	if s.Err = err; err != nil {
		s.KeyID, s.Public, s.Signed = "", nil, nil
	}
	return s
}

// byKey finds the key that SignedInfo verifies by. That costs little: SignedInfo is
// short, and the document is canonicalised only for a signature that has a key.
func (s *Signature) byKey(c *content, candidates []trust.Key, o Options) error {
	info, err := inContext(c.info, c.infoForm)
	if err != nil {
		return err
	}
	value := c.value
	if c.alg == trust.SM2SM3 && o.SM2.DER {
		if value, err = fromDER(value); err != nil {
			return err
		}
	}
	tried := false
	try := func(k crypto.PublicKey) bool {
		if k == nil {
			return false
		}
		err := trust.VerifyAs(k, c.alg, info, value, o.SM2UserID)
		tried = true
		if err != nil {
			return false
		}
		s.Public = k
		s.KeyID, err = trust.IDOf(k)
		return err == nil
	}
	for i, cert := range c.certs {
		if try(cert.PublicKey) {
			rest := slices.Delete(slices.Clone(c.certs), i, i+1)
			s.Certificates = append([]*x509.Certificate{cert}, rest...)
			return nil
		}
	}
	if try(c.key) {
		return nil
	}
	for _, k := range candidates {
		if try(k.Public) {
			return nil
		}
	}
	if !tried {
		return phrase.E("trust.sig_no_key")
	}
	return phrase.E("trust.sig_value")
}

// covered gives what the digest covers. The enveloped transform takes out this
// Signature only. Where others were appended afterwards, as national networks do, the
// digest was made before they were there: so they are taken out for a second comparison.
func (d *Document) covered(i int, c *content, o Options) ([]byte, error) {
	out := []*etree.Element{d.signatures[i].e}
	for attempt := 0; ; attempt++ {
		p, err := d.pieces(c.form)
		if err != nil {
			return nil, err
		}
		h := digester(c.digestURI, o.SM2)
		p.each(out, func(b []byte) { h.Write(b) })
		if subtle.ConstantTimeCompare(h.Sum(nil), c.digest) == 1 {
			return d.without(out, c.form)
		}
		later := out
		for _, p := range d.signatures[i+1:] {
			if p.direct {
				later = append(later, p.e)
			}
		}
		if attempt > 0 || len(later) == len(out) {
			return nil, phrase.E("trust.sig_digest")
		}
		out = later
	}
}
