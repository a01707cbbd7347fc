package xmldsig

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"strings"

	"github.com/beevik/etree"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

// Bounds of what a Signature brings along.
const (
	signatureMost    = 2 << 10  // bytes of SignatureValue: RSA of 8192 bits has 1 KiB
	certificateMost  = 16 << 10 // bytes of one certificate
	certificatesMost = 8
	keyNameMost      = 256
)

// content is a Signature element, read.
type content struct {
	info      *etree.Element
	infoForm  form
	alg       trust.Algorithm
	form      form // of the document
	digestURI string
	digest    []byte
	value     []byte

	keyName string
	certs   []*x509.Certificate
	key     crypto.PublicKey // of KeyValue
}

// reader reads one Signature element. Everything that it does not know it refuses.
type reader struct {
	d *Document
	o Options
	c *content
}

func (r *reader) read(sig *etree.Element) error {
	if err := r.attributes(sig, "Id"); err != nil {
		return err
	}
	kids, err := r.children(sig)
	if err != nil {
		return err
	}
	for i, k := range kids {
		switch {
		case i == 0 && k.Tag == "SignedInfo":
			err = r.signedInfo(k)
		case i == 1 && k.Tag == "SignatureValue":
			if err = r.attributes(k, "Id"); err == nil {
				r.c.value, err = r.base64(k, signatureMost)
			}
		case i == 2 && k.Tag == "KeyInfo":
			err = r.keyInfo(k)
		default:
			return phrase.E("trust.sig_element", "element", k.Tag)
		}
		if err != nil {
			return err
		}
	}
	if len(kids) < 2 {
		return phrase.E("trust.sig_missing", "element", "SignedInfo, SignatureValue")
	}
	return nil
}

// children gives the element's children, which must all be of the namespace of signatures, with
// nothing but white space between them.
func (r *reader) children(e *etree.Element) ([]*etree.Element, error) {
	var out []*etree.Element
	for _, t := range e.Child {
		switch c := t.(type) {
		case *etree.Element:
			if r.d.uriOf(c) != Namespace {
				return nil, phrase.E("trust.sig_element", "element", c.FullTag())
			}
			out = append(out, c)
		case *etree.CharData:
			if !blank(c.Data) {
				return nil, phrase.E("trust.sig_text", "element", e.Tag)
			}
		default:
			return nil, phrase.E("trust.sig_text", "element", e.Tag)
		}
	}
	return out, nil
}

// attributes refuses attributes other than those named and namespace declarations.
func (r *reader) attributes(e *etree.Element, allowed ...string) error {
next:
	for _, a := range e.Attr {
		if a.Space == "xmlns" || a.Space == "" && a.Key == "xmlns" {
			continue
		}
		for _, n := range allowed {
			if a.Space == "" && a.Key == n {
				continue next
			}
		}
		return phrase.E("trust.sig_attribute", "element", e.Tag, "attribute", a.FullKey())
	}
	return nil
}

// method reads an element that is an Algorithm and nothing else.
func (r *reader) method(e *etree.Element) (string, error) {
	if err := r.attributes(e, "Algorithm"); err != nil {
		return "", err
	}
	if len(e.Child) > 0 {
		if kids, err := r.children(e); err != nil || len(kids) > 0 {
			return "", phrase.E("trust.sig_element", "element", e.Tag+"/*")
		}
	}
	return e.SelectAttrValue("Algorithm", ""), nil
}

func (r *reader) signedInfo(e *etree.Element) error {
	r.c.info = e
	if err := r.attributes(e, "Id"); err != nil {
		return err
	}
	kids, err := r.children(e)
	if err != nil {
		return err
	}
	references := 0
	for i, k := range kids {
		switch {
		case i == 0 && k.Tag == "CanonicalizationMethod":
			r.c.infoForm, err = r.canonicalisation(k)
		case i == 1 && k.Tag == "SignatureMethod":
			err = r.signatureMethod(k)
		case i >= 2 && k.Tag == "Reference":
			if references++; references > 1 {
				return phrase.E("trust.sig_references")
			}
			err = r.reference(k)
		default:
			return phrase.E("trust.sig_element", "element", k.Tag)
		}
		if err != nil {
			return err
		}
	}
	if references == 0 {
		return phrase.E("trust.sig_missing", "element", "Reference")
	}
	return nil
}

func (r *reader) signatureMethod(e *etree.Element) error {
	uri := e.SelectAttrValue("Algorithm", "")
	if strings.Contains(uri, "hmac") {
		return phrase.E("trust.sig_hmac")
	}
	if _, err := r.method(e); err != nil {
		return err
	}
	alg, ok := algorithm(uri, r.o.SM2)
	if !ok {
		return phrase.E("trust.sig_method", "uri", uri)
	}
	if r.c.alg = alg; alg == trust.RSASHA1 && !r.o.SHA1 {
		return phrase.E("trust.sig_sha1")
	}
	return nil
}

// canonicalisation reads a CanonicalizationMethod or the Transform of one.
func (r *reader) canonicalisation(e *etree.Element) (form, error) {
	uri := e.SelectAttrValue("Algorithm", "")
	if !known(uri) {
		return form{}, phrase.E("trust.sig_c14n", "uri", uri)
	}
	if err := r.attributes(e, "Algorithm"); err != nil {
		return form{}, err
	}
	f := form{uri: uri}
	for _, t := range e.Child {
		switch c := t.(type) {
		case *etree.CharData:
			if blank(c.Data) {
				continue
			}
		case *etree.Element:
			if uri == ExclusiveC14N && c.Tag == "InclusiveNamespaces" && r.d.uriOf(c) == ExclusiveC14N && f.prefixes == "" && len(c.Child) == 0 {
				if err := r.attributes(c, "PrefixList"); err != nil {
					return form{}, err
				}
				f.prefixes = c.SelectAttrValue("PrefixList", "")
				if !strings.Contains(f.prefixes, "#") { // #default is not one of the canonicaliser's
					continue
				}
			}
		}
		return form{}, phrase.E("trust.sig_element", "element", e.Tag+"/*")
	}
	return f, nil
}

// reference reads the one Reference: the whole document without this Signature.
func (r *reader) reference(e *etree.Element) error {
	uri := e.SelectAttr("URI")
	if uri == nil || uri.Value != "" {
		v := "–"
		if uri != nil {
			v = uri.Value
		}
		return phrase.E("trust.sig_uri", "uri", v)
	}
	if err := r.attributes(e, "URI", "Id"); err != nil {
		return err
	}
	kids, err := r.children(e)
	if err != nil {
		return err
	}
	if len(kids) != 3 || kids[0].Tag != "Transforms" || kids[1].Tag != "DigestMethod" || kids[2].Tag != "DigestValue" {
		return phrase.E("trust.sig_missing", "element", "Transforms, DigestMethod, DigestValue")
	}
	if err := r.transforms(kids[0]); err != nil {
		return err
	}
	if r.c.digestURI, err = r.method(kids[1]); err != nil {
		return err
	}
	h := digester(r.c.digestURI, r.o.SM2)
	switch {
	case h == nil:
		return phrase.E("trust.sig_digest_method", "uri", r.c.digestURI)
	case r.c.digestURI == sha1URI && !r.o.SHA1:
		return phrase.E("trust.sig_sha1")
	}
	if err := r.attributes(kids[2]); err != nil {
		return err
	}
	if r.c.digest, err = r.base64(kids[2], 64); err == nil && len(r.c.digest) != h.Size() {
		err = phrase.E("trust.sig_base64", "element", kids[2].Tag)
	}
	return err
}

func (r *reader) transforms(e *etree.Element) error {
	if err := r.attributes(e); err != nil {
		return err
	}
	kids, err := r.children(e)
	if err != nil {
		return err
	}
	r.c.form = form{uri: C14N10} // what a set of nodes becomes by itself (XML Signature, 4.4.3.2)
	for i, k := range kids {
		uri := k.SelectAttrValue("Algorithm", "")
		switch {
		case k.Tag != "Transform":
			return phrase.E("trust.sig_element", "element", k.Tag)
		case i == 0 && uri == enveloped:
			_, err = r.method(k)
		case i == 1 && known(uri):
			r.c.form, err = r.canonicalisation(k)
		default:
			return phrase.E("trust.sig_transform", "uri", uri)
		}
		if err != nil {
			return err
		}
	}
	if len(kids) == 0 {
		return phrase.E("trust.sig_missing", "element", "Transform "+enveloped)
	}
	return nil
}

// base64 reads strict base64 (RFC 4648, 3.5: pad bits are zero), white space
// taken out.
func (r *reader) base64(e *etree.Element, most int) ([]byte, error) {
	for _, t := range e.Child {
		if _, ok := t.(*etree.CharData); !ok {
			return nil, phrase.E("trust.sig_text", "element", e.Tag)
		}
	}
	return decode(textOf(e), e.Tag, most)
}

func decode(text, element string, most int) ([]byte, error) {
	if len(text) > 3*most {
		return nil, phrase.E("trust.sig_base64", "element", element)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(spaces.Replace(text))
	if err != nil || len(b) == 0 || len(b) > most {
		return nil, phrase.E("trust.sig_base64", "element", element)
	}
	return b, nil
}

var spaces = strings.NewReplacer(" ", "", "\t", "", "\n", "", "\r", "")
