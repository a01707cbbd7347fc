package xmldsig

import (
	"crypto/x509"
	"encoding/base64"
	"strings"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

// SignOptions choose how Sign writes.
type SignOptions struct {
	// C14N is the canonicalisation of document and SignedInfo; "" is ExclusiveC14N.
	C14N string
	// SM2 names SM2 in XML; the zero value is the default.
	SM2 trust.SM2Scheme
	// KeyName is written into KeyInfo; "" writes the key's id.
	KeyName string
	// Chain are certificates sent along after the key's own.
	Chain []*x509.Certificate
	// Limits bound the text; zero fields are those of DefaultLimits.
	Limits Limits
}

// Sign appends an enveloped signature as the last child of the root and gives the
// signed text. What stands in it already, other signatures included, is signed. cert,
// where not nil, is sent along.
func Sign(b []byte, s trust.Signer, cert *x509.Certificate, o SignOptions) ([]byte, error) {
	o.SM2 = o.SM2.OrDefault()
	if o.C14N == "" {
		o.C14N = ExclusiveC14N
	}
	if !known(o.C14N) {
		return nil, phrase.E("trust.sig_c14n", "uri", o.C14N)
	}
	id, err := trust.IDOf(s.Public())
	if err != nil {
		return nil, err
	}
	if cert != nil {
		if have, err := trust.IDOf(cert.PublicKey); err != nil || have != id {
			return nil, phrase.E("trust.sig_other_certificate", "key", string(id))
		}
	}
	d, err := Parse(b, o.Limits)
	if err != nil {
		return nil, err
	}
	if d.rootEnd < 0 {
		return nil, phrase.E("trust.sig_empty")
	}
	f := form{uri: o.C14N}
	covered, err := d.without(nil, f)
	if err != nil {
		return nil, err
	}
	alg, digestURI, method := s.Algorithm(), sha256URI, ""
	for _, m := range methods {
		if m.alg == alg {
			method = m.uri
		}
	}
	if alg == trust.SM2SM3 {
		digestURI, method = o.SM2.Digests[0], o.SM2.Signatures[0]
	}
	if method == "" || alg == trust.RSASHA1 {
		return nil, phrase.E("trust.algorithm", "algorithm", string(alg))
	}
	h := digester(digestURI, o.SM2)
	h.Write(covered)
	sum := h.Sum(nil)
	if o.KeyName == "" {
		o.KeyName = string(id)
	}

	var w strings.Builder
	open := func(name, attrs string) { w.WriteString("<" + name + attrs + ">") }
	shut := func(name string) { w.WriteString("</" + name + ">") }
	empty := func(name, alg string) { open(name, ` Algorithm="`+escaped(alg)+`"`); shut(name) }
	text := func(name, v string) { open(name, ""); w.WriteString(v); shut(name) }
	const mark = "\x00"
	open("Signature", ` xmlns="`+Namespace+`"`)
	open("SignedInfo", "")
	empty("CanonicalizationMethod", o.C14N)
	empty("SignatureMethod", method)
	open("Reference", ` URI=""`)
	open("Transforms", "")
	empty("Transform", enveloped)
	empty("Transform", o.C14N)
	shut("Transforms")
	empty("DigestMethod", digestURI)
	text("DigestValue", base64.StdEncoding.EncodeToString(sum))
	shut("Reference")
	shut("SignedInfo")
	text("SignatureValue", mark)
	open("KeyInfo", "")
	text("KeyName", escaped(o.KeyName))
	if cert != nil {
		open("X509Data", "")
		for _, c := range append([]*x509.Certificate{cert}, o.Chain...) {
			text("X509Certificate", base64.StdEncoding.EncodeToString(c.Raw))
		}
		shut("X509Data")
	}
	shut("KeyInfo")
	shut("Signature")
	with := func(value string) string {
		return d.text[:d.rootEnd] + strings.Replace(w.String(), mark, value, 1) + d.text[d.rootEnd:]
	}

	// SignedInfo is canonicalised where it will stand.
	draft, err := Parse([]byte(with("AA==")), o.Limits)
	if err != nil {
		return nil, err
	}
	info, err := inContext(draft.signatures[len(draft.signatures)-1].e.ChildElements()[0], f)
	if err != nil {
		return nil, err
	}
	value, err := s.Sign(info)
	if err != nil {
		return nil, err
	}
	if alg == trust.SM2SM3 && o.SM2.DER {
		if value, err = toDER(value); err != nil {
			return nil, err
		}
	}
	return []byte(with(base64.StdEncoding.EncodeToString(value))), nil
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func escaped(s string) string { return escaper.Replace(s) }
