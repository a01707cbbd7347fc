package main

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
)

// notary signs with xmlsec1 and has openssl check what xmlsec1 does not know. Its
// keys are the desk's, in files.
type notary struct {
	b   *bench
	d   *desk
	dir string
}

// notaryNeeds are the programs; the Makefile installs them as Debian packages.
var notaryNeeds = []string{"xmlsec1", "openssl", "xmllint"}

func newNotary(b *bench, d *desk) (*notary, error) {
	for _, p := range notaryNeeds {
		if _, err := exec.LookPath(p); err != nil {
			return nil, fmt.Errorf("%s is missing: install the packages xmlsec1, openssl and libxml2-utils, as `make figures` does where it may", p)
		}
	}
	n := &notary{b: b, d: d}
	var err error
	if n.dir, err = b.under("notary"); err != nil {
		return nil, err
	}
	for _, k := range countyKinds {
		private, err := d.keys[k].PEM()
		if err != nil {
			return nil, err
		}
		public, err := trust.PublicPEM(d.keys[k].Public())
		if err != nil {
			return nil, err
		}
		for name, p := range map[string][]byte{".key": private, ".pub": public, ".crt": trust.CertificatePEM(d.cert[k])} {
			if err := os.WriteFile(filepath.Join(n.dir, k+name), p, 0o600); err != nil {
				return nil, err
			}
		}
	}
	return n, nil
}

func (n *notary) run(in []byte, name string, args ...string) ([]byte, error) {
	c := exec.CommandContext(n.b.ctx, name, args...)
	c.Dir, c.Stdin = n.dir, bytes.NewReader(in)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s %s", name, strings.Join(args, " "), err, bytes.TrimSpace(errs.Bytes()), bytes.TrimSpace(out))
	}
	return out, err
}

func (n *notary) file(name string, b []byte) error {
	return os.WriteFile(filepath.Join(n.dir, name), b, 0o600)
}

// xmlsecMethods are what xmlsec1 signs with, by the desk's names of keys.
var xmlsecMethods = map[string]string{
	"rsa":   "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
	"p-256": "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
	"p-384": "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
}

// xmlsec signs a text with xmlsec1: SignedInfo and document in forms of their own, the
// document's left out where doc is "".
func (n *notary) xmlsec(text []byte, key, info, doc string, certificate bool) ([]byte, error) {
	transform, with := "", ""
	if doc != "" {
		transform = `<ds:Transform Algorithm="` + doc + `"/>`
	}
	if certificate {
		with = "<ds:X509Data><ds:X509Certificate/></ds:X509Data>"
	}
	unfilled := `<ds:Signature xmlns:ds="` + dsig + `">
  <ds:SignedInfo>
    <ds:CanonicalizationMethod Algorithm="` + info + `"/>
    <ds:SignatureMethod Algorithm="` + xmlsecMethods[key] + `"/>
    <ds:Reference URI=""><ds:Transforms><ds:Transform Algorithm="` + dsig + `enveloped-signature"/>` + transform + `</ds:Transforms>
      <ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/></ds:Reference>
  </ds:SignedInfo>
  <ds:SignatureValue/>
  <ds:KeyInfo><ds:KeyName/>` + with + `</ds:KeyInfo>
</ds:Signature>`
	if err := n.file("in.xml", into(string(text), unfilled)); err != nil {
		return nil, err
	}
	return n.run(nil, "xmlsec1", "--sign", "--privkey-pem", key+".key,"+key+".crt", "in.xml")
}

// openssl checks a Signature of our signer that xmlsec1 cannot: the value over
// SignedInfo and, for SM2, the SM3 digest over the document as xmllint canonicalises it.
// The signer writes SignedInfo as its own canonical form but for the namespace, which
// it inherits.
func (n *notary) openssl(m message, key string) error {
	_, value := element(m.Signed, "SignatureValue")
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return err
	}
	info, _ := element(m.Signed, "SignedInfo")
	if err := n.file("info", []byte(strings.Replace(info, "<SignedInfo>", `<SignedInfo xmlns="`+dsig+`">`, 1))); err != nil {
		return err
	}
	args := []string{"pkeyutl", "-verify", "-pubin", "-inkey", key + ".pub", "-rawin", "-in", "info", "-sigfile", "value"}
	if key == "sm2" {
		raw, err = asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
		if err != nil {
			return err
		}
		args = append(args, "-digest", "sm3", "-pkeyopt", "distid:"+trust.SM2UserID)
	}
	if err := n.file("value", raw); err != nil {
		return err
	}
	if _, err := n.run(nil, "openssl", args...); err != nil || key != "sm2" {
		return err
	}
	form := "--exc-c14n"
	switch {
	case strings.Contains(info, `"`+xmldsig.C14N10+`"`):
		form = "--c14n"
	case strings.Contains(info, `"`+xmldsig.C14N11+`"`):
		form = "--c14n11"
	}
	before, _, after := parts(m.Signed)
	doc, err := n.run([]byte(before+after), "xmllint", form, "-")
	if err != nil {
		return err
	}
	sum, err := n.run(doc, "openssl", "dgst", "-sm3", "-binary")
	if err != nil {
		return err
	}
	if _, digest := element(m.Signed, "DigestValue"); digest != base64.StdEncoding.EncodeToString(sum) {
		return fmt.Errorf("xmllint and openssl have the digest %x, our signer wrote %s", sum, digest)
	}
	return nil
}
