package xmldsig

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"tocsin/firmware/trust"
)

const plain = `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>a1</identifier><event>flood</event></alert>`

// template is a Signature as Sign writes it, to be spoilt. DIGEST and VALUE are
// filled in with what is right for it.
const template = `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo>` +
	`<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></CanonicalizationMethod>` +
	`<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"></SignatureMethod>` +
	`<Reference URI=""><Transforms><Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></Transform>` +
	`<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></Transform></Transforms>` +
	`<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></DigestMethod><DigestValue>DIGEST</DigestValue></Reference>` +
	`</SignedInfo><SignatureValue>VALUE</SignatureValue><KeyInfo><KeyName>k</KeyName></KeyInfo></Signature>`

// hostile signs a spoilt template with a pinned key: digest and value are right for
// what stands there, so that only strictness can refuse it. alter changes the
// whole text before it is signed, after changes it afterwards.
func hostile(t *testing.T, s trust.Signer, doc, sig string, f form, after func(string) string) []byte {
	t.Helper()
	text := strings.Replace(doc, "</alert>", sig+"</alert>", 1)
	fill := func(mark string, v []byte) {
		text = strings.ReplaceAll(text, mark, base64.StdEncoding.EncodeToString(v))
	}
	first := func() (*Document, *etree.Element) {
		d, err := Parse([]byte(text), Limits{Signatures: 50})
		if err != nil || len(d.signatures) == 0 {
			return nil, nil
		}
		return d, d.signatures[0].e
	}
	if d, e := first(); d != nil {
		b, err := d.without([]*etree.Element{e}, f)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		fill("DIGEST", sum[:])
	}
	if _, e := first(); e != nil && e.SelectElement("SignedInfo") != nil {
		info, err := inContext(e.SelectElement("SignedInfo"), form{uri: ExclusiveC14N})
		if err != nil {
			t.Fatal(err)
		}
		v, err := s.Sign(info)
		if err != nil {
			t.Fatal(err)
		}
		fill("VALUE", v)
	}
	if after != nil {
		text = after(text)
	}
	return []byte(text)
}

func TestOnlyOneWayToSignIsTaken(t *testing.T) {
	s := newSigner(t, trust.P256)
	const reference = `<Reference URI="">`
	whole := template[strings.Index(template, reference):strings.Index(template, "</SignedInfo>")]
	exc := form{uri: ExclusiveC14N}
	replace := func(from, to string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, from) {
				panic(from)
			}
			return strings.Replace(s, from, to, 1)
		}
	}
	for _, c := range []struct {
		name     string
		from, to string // in the template, before signing
		f        form
		after    func(string) string
		want     string
	}{
		{name: "as it is"},
		{name: "white space between is no harm", from: "<SignedInfo>", to: "<SignedInfo>\n  "},
		{name: "a comment in it is no harm", from: "DIGEST", to: "<!-- -->DIGEST"},
		{name: "line breaks in base64 are no harm", from: "VALUE", to: "VALUE\n"},
		{name: "without its own canonicalisation", from: `<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></Transform>`, to: "", f: form{uri: C14N10}},
		{name: "Id attributes", from: `<SignatureValue>`, to: `<SignatureValue Id="x">`},

		{name: "two references", from: "</SignedInfo>", to: whole + "</SignedInfo>", want: "trust.sig_references"},
		{name: "no reference", from: whole, to: "", want: "trust.sig_missing"},
		{name: "a reference to an id", from: `URI=""`, to: `URI="#a1"`, want: "trust.sig_uri"},
		{name: "a reference to the root by pointer", from: `URI=""`, to: `URI="#xpointer(/)"`, want: "trust.sig_uri"},
		{name: "a reference elsewhere", from: `URI=""`, to: `URI="http://example.com/"`, want: "trust.sig_uri"},
		{name: "a reference to nothing named", from: ` URI=""`, to: ``, want: "trust.sig_uri"},
		{name: "a blank reference", from: `URI=""`, to: `URI=" "`, want: "trust.sig_uri"},
		{name: "a typed reference", from: `URI=""`, to: `URI="" Type="http://www.w3.org/2000/09/xmldsig#Manifest"`, want: "trust.sig_attribute"},
		{name: "a foreign attribute", from: `<SignedInfo>`, to: `<SignedInfo xmlns:x="u" x:y="z">`, want: "trust.sig_attribute"},

		{name: "no enveloped transform", from: `<Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></Transform>`, to: "", want: "trust.sig_transform"},
		{name: "no transform at all", from: template[strings.Index(template, "<Transform "):strings.Index(template, "</Transforms>")], to: "", want: "trust.sig_missing"},
		{name: "enveloped twice", from: `<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">`, to: `<Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature">`, want: "trust.sig_transform"},
		{name: "canonicalised twice", from: "</Transforms>", to: `<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></Transform></Transforms>`, want: "trust.sig_transform"},
		{name: "XPath", from: "</Transforms>", to: `<Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><XPath>1</XPath></Transform></Transforms>`, want: "trust.sig_transform"},
		{name: "XPath in the enveloped transform", from: `enveloped-signature"></Transform>`, to: `enveloped-signature"><XPath>1</XPath></Transform>`, want: "trust.sig_element"},
		{name: "XPath filter", from: "</Transforms>", to: `<Transform Algorithm="http://www.w3.org/2002/06/xmldsig-filter2"></Transform></Transforms>`, want: "trust.sig_transform"},
		{name: "XSLT", from: "</Transforms>", to: `<Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"></Transform></Transforms>`, want: "trust.sig_transform"},
		{name: "base64 transform", from: "</Transforms>", to: `<Transform Algorithm="http://www.w3.org/2000/09/xmldsig#base64"></Transform></Transforms>`, want: "trust.sig_transform"},
		{name: "with comments", from: `<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">`, to: `<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#WithComments">`, want: "trust.sig_transform"},
		{name: "SignedInfo with comments", from: `<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">`, to: `<CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments">`, want: "trust.sig_c14n"},
		{name: "no canonicalisation named", from: `<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">`, to: `<CanonicalizationMethod>`, want: "trust.sig_c14n"},

		{name: "a padded algorithm", from: `xmldsig-more#ecdsa-sha256"`, to: `xmldsig-more#ecdsa-sha256 "`, want: "trust.sig_method"},
		{name: "a padded algorithm by reference", from: `xmldsig-more#ecdsa-sha256"`, to: `xmldsig-more#ecdsa-sha256&#10;"`, want: "trust.sig_method"},
		{name: "a padded digest", from: `xmlenc#sha256"`, to: ` xmlenc#sha256"`, want: "trust.sig_digest_method"},
		{name: "a padded transform", from: `Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"`, to: `Algorithm=" http://www.w3.org/2000/09/xmldsig#enveloped-signature"`, want: "trust.sig_transform"},
		{name: "a second method as decoy", from: `<SignatureMethod `, to: `<SignatureMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"></SignatureMethod><SignatureMethod `, want: "trust.sig_hmac"},
		{name: "two methods", from: `<SignatureMethod `, to: `<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"></SignatureMethod><SignatureMethod `, want: "trust.sig_element"},
		{name: "an HMAC", from: `xmldsig-more#ecdsa-sha256`, to: `xmldsig-more#hmac-sha256`, want: "trust.sig_hmac"},
		{name: "an HMAC cut short", from: `<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256">`, to: `<SignatureMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"><HMACOutputLength>1</HMACOutputLength>`, want: "trust.sig_hmac"},
		{name: "a length in the method", from: `ecdsa-sha256"></SignatureMethod>`, to: `ecdsa-sha256"><HMACOutputLength>1</HMACOutputLength></SignatureMethod>`, want: "trust.sig_element"},
		{name: "DSA", from: `2001/04/xmldsig-more#ecdsa-sha256`, to: `2000/09/xmldsig#dsa-sha1`, want: "trust.sig_method"},
		{name: "ECDSA with SHA-1", from: `xmldsig-more#ecdsa-sha256`, to: `xmldsig-more#ecdsa-sha1`, want: "trust.sig_method"},
		{name: "RSA with SHA-1", from: `2001/04/xmldsig-more#ecdsa-sha256`, to: `2000/09/xmldsig#rsa-sha1`, want: "trust.sig_sha1"},
		{name: "a digest by SHA-1", from: `2001/04/xmlenc#sha256`, to: `2000/09/xmldsig#sha1`, want: "trust.sig_sha1"},
		{name: "a digest by MD5", from: `xmlenc#sha256`, to: `xmldsig-more#md5`, want: "trust.sig_digest_method"},
		{name: "another kind's algorithm", from: `xmldsig-more#ecdsa-sha256`, to: `xmldsig-more#rsa-sha256`, want: "trust.sig_value"},

		{name: "an Object", from: "</Signature>", to: "<Object><x/></Object></Signature>", want: "trust.sig_element"},
		{name: "a Manifest in an Object", from: "</Signature>", to: "<Object><Manifest></Manifest></Object></Signature>", want: "trust.sig_element"},
		{name: "a foreign element in it", from: "<SignatureValue>", to: `<x xmlns="u"/><SignatureValue>`, want: "trust.sig_element"},
		{name: "a value in another namespace", from: "<SignatureValue>VALUE</SignatureValue>", to: `<SignatureValue xmlns="u">VALUE</SignatureValue>`, want: "trust.sig_element"},
		{name: "text in it", from: "<SignatureValue>", to: "x<SignatureValue>", want: "trust.sig_text"},
		{name: "an instruction in it", from: "<SignatureValue>", to: "<?x?><SignatureValue>", want: "trust.sig_text"},
		{name: "an element in the digest", from: "DIGEST", to: "DIGEST<x/>", want: "trust.sig_text"},
		{name: "an instruction in the value", from: "VALUE", to: "VALUE<?x?>", want: "trust.sig_text"},
		{name: "out of order", from: "<SignatureValue>VALUE</SignatureValue><KeyInfo><KeyName>k</KeyName></KeyInfo>", to: "<KeyInfo><KeyName>k</KeyName></KeyInfo><SignatureValue>VALUE</SignatureValue>", want: "trust.sig_element"},
		{name: "two SignedInfo", from: "<SignatureValue>", to: "<SignedInfo></SignedInfo><SignatureValue>", want: "trust.sig_element"},
		{name: "two values", from: "<KeyInfo>", to: "<SignatureValue>VALUE</SignatureValue><KeyInfo>", want: "trust.sig_element"},
		{name: "two KeyInfo", from: "</Signature>", to: "<KeyInfo></KeyInfo></Signature>", want: "trust.sig_element"},
		{name: "no value", from: "<SignatureValue>VALUE</SignatureValue><KeyInfo><KeyName>k</KeyName></KeyInfo>", to: "", want: "trust.sig_missing"},
		{name: "an empty value", from: "VALUE", to: "", want: "trust.sig_base64"},
		{name: "a certificate that is none", from: "</KeyInfo>", to: "<X509Data><X509Certificate>AAAA</X509Certificate></X509Data></KeyInfo>", want: "trust.sig_certificate"},
		{name: "a certificate that is no base64", from: "</KeyInfo>", to: "<X509Data><X509Certificate>AA</X509Certificate></X509Data></KeyInfo>", want: "trust.sig_base64"},
		{name: "a key that is none", from: "</KeyInfo>", to: "<KeyValue><RSAKeyValue><Modulus>AA==</Modulus></RSAKeyValue></KeyValue></KeyInfo>", want: "trust.sig_key"},
		{name: "a key elsewhere is not fetched", from: "</KeyInfo>", to: `<RetrievalMethod URI="http://example.com/key"/></KeyInfo>`},
		{name: "a default prefix list", from: `<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">`, to: `<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"><InclusiveNamespaces xmlns="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="#default"/>`, want: "trust.sig_element"},

		{name: "pad bits in the value", after: padBits("SignatureValue"), want: "trust.sig_base64"},
		{name: "pad bits in the digest", after: padBits("DigestValue"), want: "trust.sig_base64"},
		{name: "an odd character in base64", after: replace("</SignatureValue>", "-</SignatureValue>"), want: "trust.sig_base64"},
		{name: "an odd space in base64", after: replace("</SignatureValue>", "\u00a0</SignatureValue>"), want: "trust.sig_base64"},
		{name: "too much padding", after: replace("</SignatureValue>", "====</SignatureValue>"), want: "trust.sig_base64"},
		{name: "a value after the value", after: replace("</SignatureValue>", "AAAA</SignatureValue>"), want: "trust.sig_base64"},
		{name: "changed text", after: replace("flood", "flooD"), want: "trust.sig_digest"},
		{name: "text in an attribute added", after: replace("<event>", `<event x="">`), want: "trust.sig_digest"},
		{name: "white space added", after: replace("<event>", "\n<event>"), want: "trust.sig_digest"},
		{name: "an instruction before the root", after: func(s string) string { return "<?a?>" + s }, want: "trust.sig_digest"},
		{name: "an instruction in the text", after: replace("flood", "fl<?a?>ood"), want: "trust.sig_digest"},
		{name: "a comment is no part of what is signed", after: replace("flood", "fl<!--a-->ood")},
		{name: "CDATA says the same", after: replace("flood", "<![CDATA[flood]]>")},
		{name: "another namespace", after: replace("cap:1.2", "cap:1.1"), want: "trust.sig_digest"},
		{name: "moved below an element of the root", after: wrap, want: "trust.sig_place"},
	} {
		sig := template
		if c.from != "" {
			if !strings.Contains(sig, c.from) {
				t.Fatalf("%s: %q is not in the template", c.name, c.from)
			}
			sig = strings.Replace(sig, c.from, c.to, 1)
		}
		f := c.f
		if f.uri == "" {
			f = exc
		}
		b := hostile(t, s, plain, sig, f, c.after)
		d, err := Parse(b, Limits{})
		if err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, b)
			continue
		}
		for _, lenient := range []bool{false, true} {
			got := d.Verify([]trust.Key{pin(t, s)}, Options{Lenient: lenient})
			if len(got) != 1 {
				t.Errorf("%s: %d signatures", c.name, len(got))
				continue
			}
			if lenient && (got[0].Lenient || got[0].Err == nil) {
				continue // what the declared second attempt forgives is tested apart
			}
			if code(got[0].Err) != c.want {
				t.Errorf("%s: %v, want %q\n%s", c.name, got[0].Err, c.want, b)
			}
			if (got[0].Err == nil) != (got[0].Signed != nil) || got[0].Err != nil && (got[0].KeyID != "" || got[0].Public != nil) {
				t.Errorf("%s: %+v", c.name, got[0])
			}
			if got[0].Err == nil && !bytes.Equal(got[0].Signed, []byte(plain)) {
				t.Errorf("%s: signed is %s", c.name, got[0].Signed)
			}
		}
	}
}

// padBits sets an unused bit of the last base64 character of an element, as the
// samples of a public corpus do: a lax decoder gives the same bytes.
func padBits(element string) func(string) string {
	return func(s string) string {
		i := strings.Index(s, "=</"+element)
		for ; s[i-1] == '='; i-- {
		}
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		return s[:i-1] + string(alphabet[strings.IndexByte(alphabet, s[i-1])|1]) + s[i:]
	}
}

// wrap puts the signed alert as it is below a new root that says something else.
func wrap(s string) string {
	return `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>forged</identifier><event>all clear</event><old>` + s + `</old></alert>`
}

func TestWrappingNeverGivesAnotherContentThanWasSigned(t *testing.T) {
	s := newSigner(t, trust.P256)
	b, err := Sign([]byte(plain), s, nil, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	at := strings.Index(text, "<Signature ")
	sig := text[at:strings.Index(text, "</alert>")]
	evil := `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>a1</identifier><event>all clear</event>`
	inner := strings.Replace(plain, "<alert", `<alert Id="a1"`, 1)
	for name, forged := range map[string]string{
		"the signature alone moved over":           evil + sig + "</alert>",
		"the original below it":                    evil + sig + "<any>" + plain + "</any></alert>",
		"the original with an id below it":         evil + strings.Replace(sig, `URI=""`, `URI="#a1"`, 1) + "<any>" + inner + "</any></alert>",
		"the original inside the signature":        evil + strings.Replace(sig, "</Signature>", "<Object>"+plain+"</Object></Signature>", 1) + "</alert>",
		"the original inside KeyInfo":              evil + strings.Replace(sig, "</KeyInfo>", plain+"</KeyInfo>", 1) + "</alert>",
		"the forged event before the signed one":   strings.Replace(text, "<event>", "<event>all clear</event><event>", 1),
		"the forged event inside the signature":    strings.Replace(text, "<SignedInfo>", "<event>all clear</event><SignedInfo>", 1),
		"the signed alert as a whole in a new one": wrap(text),
		"the signature in the first child":         strings.Replace(text[:at]+"</alert>", "<identifier>", sig+"<identifier>", 1),
		"a second signature with the same value":   strings.Replace(text, "</alert>", sig+"</alert>", 1),
		"two ids that are the same":                `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2" Id="a1"><x Id="a1"/>` + text[strings.Index(text, "<identifier>"):],
		"a decoy signature first":                  strings.Replace(text, "<identifier>", `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"></Signature><identifier>`, 1),
		"a decoy in another namespace":             strings.Replace(text, "<Signature xmlns=", `<Signature xmlns="urn:x"/><Signature xmlns=`, 1),
		"the namespace of signatures by a prefix":  strings.NewReplacer("<Signature xmlns=", "<d:Signature xmlns:d=", "</Signature>", "</d:Signature>").Replace(text),
		"text after the signature":                 strings.Replace(text, "</alert>", "<event>all clear</event></alert>", 1),
		"an entity for the event":                  `<!DOCTYPE alert [<!ENTITY e "all clear">]>` + strings.Replace(text, "flood", "&e;", 1),
	} {
		d, err := Parse([]byte(forged), Limits{})
		if err != nil {
			continue
		}
		for _, lenient := range []bool{false, true} {
			for _, v := range d.Verify([]trust.Key{pin(t, s)}, Options{Lenient: lenient}) {
				// Where something verifies it is what was signed, to the byte, and no more.
				if v.Err == nil && string(v.Signed) != plain {
					t.Errorf("%s: %s", name, v.Signed)
				}
			}
		}
	}
}

func TestADecoyDoesNotHideTheRealSignature(t *testing.T) {
	s := newSigner(t, trust.P256)
	b, err := Sign([]byte(strings.Replace(plain, "<identifier>", `<x:Signature xmlns:x="urn:x"/><identifier>`, 1)), s, nil, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := parse(t, b).Verify([]trust.Key{pin(t, s)}, Options{}); len(got) != 1 || got[0].Err != nil {
		t.Errorf("%+v", got)
	}
	many := strings.Replace(string(b), "</alert>", strings.Repeat(`<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>`, DefaultLimits.Signatures)+"</alert>", 1)
	if _, err := Parse([]byte(many), Limits{}); code(err) != "trust.sig_many" {
		t.Error(err)
	}
}

func TestTheDeclaredSecondAttemptForgivesLayoutOnly(t *testing.T) {
	s := newSigner(t, trust.P256)
	b, err := Sign([]byte(plain), s, nil, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// As a widely deployed authoring tool sends it: an instruction added and all
	// pretty-printed after signing.
	pretty := `<?xml version="1.0"?><?xml-stylesheet href="a.xsl"?>` + "\n" + strings.ReplaceAll(string(b), "><", ">\n  <")
	pretty = strings.NewReplacer("></CanonicalizationMethod", "/", "\n  </", "</").Replace(pretty)
	keys := []trust.Key{pin(t, s)}
	if got := parse(t, []byte(pretty)).Verify(keys, Options{}); got[0].Err == nil {
		t.Fatal("strict took it")
	}
	got := parse(t, []byte(pretty)).Verify(keys, Options{Lenient: true})
	if got[0].Err != nil || !got[0].Lenient || string(got[0].Signed) != plain {
		t.Fatalf("%+v\n%s", got[0], pretty)
	}
	for _, change := range []string{"flood\n", "flooD", " flood", "f<?x?>lood!"} {
		if got := parse(t, []byte(strings.Replace(pretty, "flood", change, 1))).Verify(keys, Options{Lenient: true}); got[0].Err == nil && string(got[0].Signed) != plain {
			t.Errorf("%q was taken: %s", change, got[0].Signed)
		}
	}
	if got := parse(t, b).Verify(keys, Options{Lenient: true}); got[0].Lenient {
		t.Error("what is strictly right is not called lenient")
	}
}

func TestNoChangedLetterIsTakenForSigned(t *testing.T) {
	for _, k := range []trust.Kind{trust.P256, trust.SM2, trust.RSA} {
		s := newSigner(t, k)
		b, err := Sign([]byte(plain), s, nil, SignOptions{C14N: C14N10})
		if err != nil {
			t.Fatal(err)
		}
		key := pin(t, s)
		changed, harmless := 0, 0
		try := func(bad []byte) {
			changed++
			d, err := Parse(bad, Limits{})
			if err != nil {
				return
			}
			for _, v := range d.Verify([]trust.Key{key}, Options{}) {
				if v.Err != nil || v.KeyID != key.ID {
					continue
				}
				harmless++
				if string(v.Signed) != plain {
					t.Fatalf("%s: taken as signed: %s\n%s", k, v.Signed, bad)
				}
			}
		}
		for i := range b {
			for _, x := range []byte{1, 4, 0x20} {
				bad := bytes.Clone(b)
				bad[i] ^= x
				try(bad)
			}
			try(append(append(bytes.Clone(b[:i]), ' '), b[i:]...))
			try(append(append(bytes.Clone(b[:i]), "<!--x-->"...), b[i:]...))
			try(append(bytes.Clone(b[:i]), b[i+1:]...))
		}
		t.Logf("%s: %d changed texts, %d said the same as before", k, changed, harmless)
		if changed < 1000 || harmless == changed {
			t.Error("too little was tried")
		}
	}
}

func TestSM2IsWrittenAsTheSiteSays(t *testing.T) {
	s := newSigner(t, trust.SM2)
	scheme := trust.SM2Scheme{Signatures: []string{"urn:county:sm2"}, Digests: []string{"urn:county:sm3"}, DER: true}
	b, err := Sign([]byte(plain), s, nil, SignOptions{SM2: scheme})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"urn:county:sm2"`) || !strings.Contains(string(b), `"urn:county:sm3"`) {
		t.Errorf("%s", b)
	}
	d := parse(t, b)
	if got := d.Verify([]trust.Key{pin(t, s)}, Options{SM2: scheme}); got[0].Err != nil {
		t.Error(got[0].Err)
	}
	if got := d.Verify([]trust.Key{pin(t, s)}, Options{}); code(got[0].Err) != "trust.sig_method" {
		t.Error(got[0].Err)
	}
	scheme.DER = false
	if got := d.Verify([]trust.Key{pin(t, s)}, Options{SM2: scheme}); code(got[0].Err) != "trust.sig_value" {
		t.Error(got[0].Err)
	}
	if got := d.Verify([]trust.Key{pin(t, s)}, Options{SM2: scheme, SM2UserID: "other"}); got[0].Err == nil {
		t.Error("verified under another identity")
	}
}

func TestDERHasOneForm(t *testing.T) {
	for _, bad := range []string{"", "3000", "300602010102010100", "3006020101020101" + "00", "30070202000102" + "0101", "30060201ff020101", "3006020100020101", "308106020101020101"} {
		var b []byte
		fmt.Sscanf(bad, "%x", &b)
		if _, err := fromDER(b); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	raw := bytes.Repeat([]byte{0x80}, 64)
	der, err := toDER(raw)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := fromDER(der); err != nil || !bytes.Equal(back, raw) {
		t.Error(back, err)
	}
}
