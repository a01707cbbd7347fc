package xmldsig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"math/big"

	"github.com/beevik/etree"
	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"tocsin/firmware/phrase"
)

const namespace11 = "http://www.w3.org/2009/xmldsig11#"

// keyInfo reads what a Signature says of its key. It is not signed: it is a
// hint by which to find the key. Nothing that it points to is ever fetched; what is
// not known is passed over, what is known must be right.
func (r *reader) keyInfo(e *etree.Element) error {
	for _, c := range e.ChildElements() {
		if r.d.uriOf(c) != Namespace && r.d.uriOf(c) != namespace11 {
			continue
		}
		var err error
		switch c.Tag {
		case "KeyName":
			if n := textOf(c); len(n) <= keyNameMost {
				r.c.keyName = n
			}
		case "X509Data":
			err = r.certificates(c)
		case "KeyValue":
			err = r.keyValue(c)
		case "DEREncodedKeyValue":
			var der []byte
			if der, err = r.base64(c, signatureMost); err == nil {
				if r.c.key, err = smx509.ParsePKIXPublicKey(der); err != nil {
					err = phrase.Wrap(err, "trust.sig_key")
				}
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) certificates(e *etree.Element) error {
	for _, c := range e.ChildElements() {
		if c.Tag != "X509Certificate" || r.d.uriOf(c) != Namespace {
			continue
		}
		if len(r.c.certs) == certificatesMost {
			return phrase.E("trust.sig_certificates", "most", certificatesMost)
		}
		der, err := r.base64(c, certificateMost)
		if err != nil {
			return err
		}
		cert, err := smx509.ParseCertificate(der)
		if err != nil {
			return phrase.Wrap(err, "trust.sig_certificate")
		}
		r.c.certs = append(r.c.certs, (*x509.Certificate)(cert))
	}
	return nil
}

// curves are the curves of ECKeyValue/NamedCurve (XML Signature, 4.5.2.3.1). The last is SM2's
// (GM/T 0006).
var curves = []struct {
	uri   string
	curve func() elliptic.Curve
}{
	{"urn:oid:1.2.840.10045.3.1.7", elliptic.P256},
	{"urn:oid:1.3.132.0.34", elliptic.P384},
	{"urn:oid:1.2.156.10197.1.301", sm2.P256},
}

func (r *reader) keyValue(e *etree.Element) error {
	for _, c := range e.ChildElements() {
		parts := map[string]*etree.Element{}
		for _, k := range c.ChildElements() {
			if parts[k.Tag] != nil {
				return phrase.E("trust.sig_key")
			}
			parts[k.Tag] = k
		}
		switch {
		case c.Tag == "RSAKeyValue" && r.d.uriOf(c) == Namespace:
			n, e := parts["Modulus"], parts["Exponent"]
			if n == nil || e == nil {
				return phrase.E("trust.sig_key")
			}
			nb, err := r.base64(n, signatureMost)
			if err != nil {
				return err
			}
			eb, err := r.base64(e, 4)
			if err != nil {
				return err
			}
			r.c.key = &rsa.PublicKey{N: new(big.Int).SetBytes(nb), E: int(new(big.Int).SetBytes(eb).Int64())}
		case c.Tag == "ECKeyValue" && r.d.uriOf(c) == namespace11:
			name, point := parts["NamedCurve"], parts["PublicKey"]
			if name == nil || point == nil {
				continue // explicit parameters are not read
			}
			pb, err := r.base64(point, 133)
			if err != nil {
				return err
			}
			for _, k := range curves {
				if k.uri != name.SelectAttrValue("URI", "") {
					continue
				}
				if k.uri == "urn:oid:1.2.156.10197.1.301" {
					if r.c.key, err = sm2.NewPublicKey(pb); err != nil {
						return phrase.Wrap(err, "trust.sig_key")
					}
					continue
				}
				key, err := ecdsa.ParseUncompressedPublicKey(k.curve(), pb)
				if err != nil {
					return phrase.Wrap(err, "trust.sig_key")
				}
				r.c.key = key
			}
		}
	}
	return nil
}
