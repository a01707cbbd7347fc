package xmldsig

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
)

// characters gives the text that encoding/xml sees in a canonical form.
func characters(t *testing.T, b []byte) string {
	d := xml.NewDecoder(bytes.NewReader(b))
	var w bytes.Buffer
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return w.String()
		}
		if err != nil {
			t.Fatalf("encoding/xml cannot read what is canonical: %v\n%q", err, b)
		}
		if c, ok := tok.(xml.CharData); ok {
			w.Write(c)
		}
	}
}

// textBelow gives all text below an element.
func textBelow(e *etree.Element) string {
	var w strings.Builder
	for _, t := range e.Child {
		switch c := t.(type) {
		case *etree.CharData:
			w.WriteString(c.Data)
		case *etree.Element:
			w.WriteString(textBelow(c))
		}
	}
	return w.String()
}

// within takes the line ends off that stand beside the root.
func within(s string) string { return strings.Trim(s, "\n") }

// FuzzParse holds the one reading of a text: what is taken has a canonical form, which is
// read the same again, by us and by encoding/xml.
func FuzzParse(f *testing.F) {
	for _, s := range []string{plain, alert, "<?a b?><a>&#13;<![CDATA[x]]></a>", `<x:a xmlns:x="u" xmlns:y="v" x:b="" y:a="" xml:lang="z"/>`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse(b, Limits{Bytes: 64 << 10})
		if err != nil {
			if _, ok := err.(*phrase.Error); !ok {
				t.Fatal(err)
			}
			return
		}
		c, err := d.Canonical()
		if err != nil {
			t.Fatalf("%v\n%q", err, b)
		}
		again, err := Parse(c, Limits{Canonical: 4 << 20})
		if err != nil {
			t.Fatalf("the canonical form is not read: %v\n%q", err, c)
		}
		c2, err := again.Canonical()
		if err != nil || !bytes.Equal(c, c2) {
			t.Fatalf("%v\n%q\n%q", err, c, c2)
		}
		want := ""
		for _, p := range []*Document{d, again} {
			got := textBelow(p.root)
			if want != "" && got != want {
				t.Fatalf("%q became %q", want, got)
			}
			want = got
		}
		if got := within(characters(t, c)); got != within(want) {
			t.Fatalf("encoding/xml reads %q, we %q", got, want)
		}
	})
}

// seeded makes a key that is the same in every process that fuzzes.
func seeded(t testing.TB, n byte) *trust.PrivateKey {
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := trust.LoadSigner(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// FuzzVerify holds that whatever is done to a signed alert, what verifies by
// the pinned key is what was signed.
func FuzzVerify(f *testing.F) {
	s, other := seeded(f, 1), seeded(f, 2)
	for _, c14n := range forms {
		b, err := Sign([]byte(plain), s, nil, SignOptions{C14N: c14n})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		if b, err = Sign(b, other, nil, SignOptions{C14N: c14n}); err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	key := pin(f, s)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse(b, Limits{Bytes: 64 << 10})
		if err != nil {
			return
		}
		for _, o := range []Options{{}, {Lenient: true, SHA1: true}} {
			for _, v := range d.Verify([]trust.Key{key}, o) {
				if (v.Err == nil) != (v.Signed != nil) {
					t.Fatalf("%+v", v)
				}
				if v.Err == nil && v.KeyID == key.ID && string(v.Signed) != plain {
					t.Fatalf("taken for signed: %q", v.Signed)
				}
			}
		}
	})
}
