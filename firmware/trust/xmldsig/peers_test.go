//go:build peers

package xmldsig

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/trust"
)

// run runs a peer in a folder of its own.
func run(t *testing.T, dir string, name string, args ...string) ([]byte, error) {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	return out.Bytes(), err
}

func must(t *testing.T, dir string, name string, args ...string) []byte {
	t.Helper()
	b, err := run(t, dir, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// opensslKey makes a key and a certificate of it with openssl.
func opensslKey(t *testing.T, dir string, args ...string) *trust.PrivateKey {
	t.Helper()
	must(t, dir, "openssl", append([]string{"genpkey", "-out", "key.pem"}, args...)...)
	must(t, dir, "openssl", "req", "-x509", "-key", "key.pem", "-out", "cert.pem", "-days", "30", "-subj", "/CN=county", "-addext", "keyUsage=digitalSignature")
	b, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := trust.LoadSigner(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var peerKinds = []struct {
	name   string
	args   []string
	method string
}{
	{"rsa", []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"},
	{"p-256", []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"},
	{"p-384", []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"}, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"},
}

// unfilled is a signature to be filled in by xmlsec1.
func unfilled(method, infoForm, docForm string) string {
	transform := ""
	if docForm != "" {
		transform = `<ds:Transform Algorithm="` + docForm + `"/>`
	}
	value := ""
	if strings.Contains(method, "rsa") { // this xmlsec writes no ECKeyValue
		value = "<ds:KeyValue/>"
	}
	return `<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
  <ds:SignedInfo>
    <ds:CanonicalizationMethod Algorithm="` + infoForm + `"/>
    <ds:SignatureMethod Algorithm="` + method + `"/>
    <ds:Reference URI=""><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>` + transform + `</ds:Transforms>
      <ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/></ds:Reference>
  </ds:SignedInfo>
  <ds:SignatureValue/>
  <ds:KeyInfo><ds:KeyName/><ds:X509Data><ds:X509Certificate/></ds:X509Data>` + value + `</ds:KeyInfo>
</ds:Signature>`
}

func TestXmlsecSignsAndWeVerify(t *testing.T) {
	for _, k := range peerKinds {
		dir := t.TempDir()
		s := opensslKey(t, dir, k.args...)
		for _, info := range forms {
			for _, doc := range append([]string{""}, forms...) {
				text := strings.Replace(alert, "</alert>", unfilled(k.method, info, doc)+"\n</alert>", 1)
				write(t, dir, "in.xml", []byte(text))
				b := must(t, dir, "xmlsec1", "--sign", "--privkey-pem", "key.pem,cert.pem", "in.xml")
				got := parse(t, b).Verify(nil, Options{})
				if len(got) != 1 || got[0].Err != nil || got[0].KeyID != pin(t, s).ID || len(got[0].Certificates) != 1 {
					t.Errorf("%s, SignedInfo %s, document %s: %+v\n%s", k.name, info, doc, got[0].Err, b)
					continue
				}
				// The same without what came along, by the pinned key.
				i, j := bytes.Index(b, []byte("<ds:KeyInfo>")), bytes.Index(b, []byte("</ds:KeyInfo>"))
				bare := append(bytes.Clone(b[:i]), b[j+len("</ds:KeyInfo>"):]...)
				if got := parse(t, bare).Verify([]trust.Key{pin(t, s)}, Options{}); got[0].Err != nil {
					t.Errorf("%s, by the pinned key: %v", k.name, got[0].Err)
				}
				if got := parse(t, bytes.Replace(b, []byte("暴雨"), []byte("暴雪"), 1)).Verify(nil, Options{}); code(got[0].Err) != "trust.sig_digest" {
					t.Errorf("%s, changed: %v", k.name, got[0].Err)
				}
			}
		}
	}
}

func TestWeSignAndXmlsecVerifies(t *testing.T) {
	for _, k := range peerKinds {
		dir := t.TempDir()
		s := opensslKey(t, dir, k.args...)
		cert, err := s.SelfSigned("county", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "ours.pem", trust.CertificatePEM(cert))
		for _, f := range forms {
			b, err := Sign([]byte(alert), s, cert, SignOptions{C14N: f})
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, "ours.xml", b)
			if _, err := run(t, dir, "xmlsec1", "--verify", "--trusted-pem", "ours.pem", "ours.xml"); err != nil {
				t.Errorf("%s %s: %v", k.name, f, err)
			}
			write(t, dir, "bad.xml", bytes.Replace(b, []byte("暴雨"), []byte("暴雪"), 1))
			if _, err := run(t, dir, "xmlsec1", "--verify", "--trusted-pem", "ours.pem", "bad.xml"); err == nil {
				t.Errorf("%s %s: xmlsec1 took a changed one: it proves nothing", k.name, f)
			}
		}
	}
}

func TestXmlsecsSecondSignatureLeavesOursRight(t *testing.T) {
	dir := t.TempDir()
	opensslKey(t, dir, peerKinds[0].args...)
	inner := newSigner(t, trust.SM2)
	b, err := Sign([]byte(plain), inner, nil, SignOptions{C14N: ExclusiveC14N})
	if err != nil {
		t.Fatal(err)
	}
	// As Canada's networks do: the national signature after the originator's.
	write(t, dir, "in.xml", bytes.Replace(b, []byte("</alert>"), []byte(unfilled(peerKinds[0].method, C14N10, "")+"</alert>"), 1))
	b = must(t, dir, "xmlsec1", "--sign", "--privkey-pem", "key.pem,cert.pem", "--node-xpath", "/*/*[local-name()='Signature'][2]", "in.xml")
	got := parse(t, b).Verify([]trust.Key{pin(t, inner)}, Options{})
	if len(got) != 2 || got[0].Err != nil || got[1].Err != nil {
		t.Fatalf("%+v", got)
	}
}

// TestXmllintHasTheSameCanonicalForm compares with libxml2 on random documents.
func TestXmllintHasTheSameCanonicalForm(t *testing.T) {
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(7, 7))
	for n := range 400 {
		text := random(r)
		d, err := Parse([]byte(text), Limits{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		write(t, dir, "a.xml", []byte(text))
		for flag, f := range map[string]form{"--c14n": {uri: C14N10}, "--c14n11": {uri: C14N11}, "--exc-c14n": {uri: ExclusiveC14N}} {
			got, err := d.without(nil, f)
			if err != nil {
				t.Fatalf("%d: %v\n%s", n, err, text)
			}
			want := must(t, dir, "xmllint", flag, "a.xml")
			// xmllint keeps comments; the form with them differs in nothing else.
			if want = uncommented(want); !bytes.Equal(got, want) {
				t.Fatalf("%d %s\ntext %q\ngot  %q\nwant %q", n, flag, text, got, want)
			}
		}
	}
}

// uncommented takes the comments out of a canonical form.
func uncommented(b []byte) []byte {
	for {
		i := bytes.Index(b, []byte("<!--"))
		if i < 0 {
			return b
		}
		j := i + bytes.Index(b[i:], []byte("-->")) + 3
		switch rest := b[j:]; {
		case i == 0 || !bytes.Contains(b[:i], []byte("</")) && bytes.HasPrefix(rest, []byte("\n")) && !bytes.Contains(b[:i], []byte("<r")):
			j++ // before the root a line end follows it
		case !bytes.Contains(rest, []byte("</")) && i > 0 && b[i-1] == '\n' && bytes.HasSuffix(bytes.TrimSpace(b[:i]), []byte(">")) && bytes.Contains(b[:i], []byte("</r>")):
			i-- // after it one stands before
		}
		b = append(bytes.Clone(b[:i]), b[j:]...)
	}
}

// random makes a document with what canonicalisers stumble over.
func random(r *rand.Rand) string {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	var w strings.Builder
	w.WriteString(pick("", "<?xml version=\"1.0\"?>\n", "<?xml version='1.0' encoding='UTF-8'?>\r\n"))
	w.WriteString(pick("", "<?p  q ?>\n", "<?p?>"))
	var element func(name string, depth int, scope []string)
	element = func(name string, depth int, scope []string) {
		attrs := map[string]string{}
		scope = append([]string{}, scope...)
		for range r.IntN(3) {
			p := pick("a", "b", "c")
			attrs["xmlns:"+p] = pick("urn:1", "urn:2", "urn:3")
			scope = append(scope, p)
		}
		if r.IntN(3) == 0 {
			attrs["xmlns"] = pick("urn:1", "urn:4")
		}
		prefix := ""
		if len(scope) > 0 {
			prefix = scope[r.IntN(len(scope))] + ":"
		}
		for range r.IntN(4) {
			attrs[pick("x", "y", "z", "é", "A")] = pick("", "v", "&lt;&amp;", "a&#10;b", "a\tb\n c", "\"q\"", ">", "&#x9;")
		}
		for range 3 {
			if len(scope) > 0 && r.IntN(3) == 0 {
				p := scope[r.IntN(len(scope))]
				attrs[p+":"+p+pick("w", "v")] = "1" // the local name has the prefix, lest two be one
			}
		}
		if r.IntN(6) == 0 {
			attrs["xml:lang"] = "zh"
		}
		tag := name
		if name != "r" && r.IntN(2) == 0 {
			tag = prefix + name
		}
		w.WriteString("<" + tag)
		for k, v := range attrs {
			w.WriteString(pick(" ", "\n ") + k + pick("=", " = ") + "'" + v + "'")
		}
		if name != "r" && r.IntN(5) == 0 {
			w.WriteString(pick("/>", " />"))
			return
		}
		w.WriteString(pick(">", " >"))
		for range r.IntN(5) {
			switch r.IntN(7) {
			case 0, 1:
				if depth < 5 {
					element(pick("d", "e", "f"), depth+1, scope)
				}
			case 2:
				w.WriteString(pick("text", "&gt;&lt;", "\r\n", "a\rb", "&#13;", "暴雨", "\"'"))
			case 3:
				w.WriteString(pick("<![CDATA[<&>]]>", "<![CDATA[ ]]>"))
			case 4:
				w.WriteString(pick("<!--c-->", "<?p q?>", "<?p?>"))
			}
		}
		w.WriteString("</" + tag + pick(">", " >"))
	}
	element("r", 0, nil)
	w.WriteString(pick("", "\n", "<?p q?>", "\n<?p?>\n"))
	return w.String()
}

// TestXmllintTakesWhatWeTake: nothing that we read is malformed for libxml2.
func TestXmllintTakesWhatWeTake(t *testing.T) {
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	taken := 0
	for range 3000 {
		b := []byte(random(r))
		for range 1 + r.IntN(3) {
			at := r.IntN(len(b))
			switch r.IntN(3) {
			case 0:
				const odd = "<>&;\"'=/:!?-] \tax1\x00\xff#"
				b[at] = odd[r.IntN(len(odd))]
			case 1:
				b = append(b[:at:at], b[at+1:]...)
			case 2:
				const odd = "<>&;\"'=/:!?-] "
				b = append(append(bytes.Clone(b[:at]), odd[r.IntN(len(odd))]), b[at:]...)
			}
		}
		if _, err := Parse(b, Limits{}); err != nil {
			continue
		}
		taken++
		write(t, dir, "a.xml", b)
		if out, err := run(t, dir, "xmllint", "--noout", "a.xml"); err != nil {
			t.Fatalf("%v\n%s\n%q", err, out, b)
		}
	}
	if taken < 200 {
		t.Errorf("only %d texts were well-formed: too little was compared", taken)
	}
	t.Log(taken, "texts")
}
