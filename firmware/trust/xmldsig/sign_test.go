package xmldsig

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/trust"
)

// alert is a small CAP alert with what trips canonicalisers: references, CDATA, comments,
// quotes, an attribute, a foreign namespace, carriage returns.
const alert = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<!-- made by hand -->\r\n" +
	`<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2" xmlns:x='urn:x' x:b="1" xml:lang="zh" a='say "now"'>
  <identifier>44188141600000_20260501224000_1</identifier><sender>county@example.cn</sender>
  <sent>2026-05-01T22:40:00+08:00</sent><!-- a comment --><event>暴雨 &lt;red&gt; &#x26; "now"</event>
  <info><headline><![CDATA[5 < 6 & 7]]></headline><x:extra xmlns:y="urn:y" y:z="&#9;tab&#10;"/><empty/></info>
</alert>`

var kinds = []trust.Kind{trust.RSA, trust.P256, trust.P384, trust.SM2, trust.Ed25519}

var forms = []string{C14N10, C14N11, ExclusiveC14N}

func newSigner(t testing.TB, k trust.Kind) *trust.PrivateKey {
	t.Helper()
	s, err := trust.NewSigner(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pin(t testing.TB, s trust.Signer) trust.Key {
	t.Helper()
	id, err := trust.IDOf(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	return trust.Key{ID: id, Public: s.Public()}
}

func parse(t testing.TB, b []byte) *Document {
	t.Helper()
	d, err := Parse(b, Limits{})
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return d
}

func TestWhatIsSignedVerifiesInEveryAlgorithmAndForm(t *testing.T) {
	for _, k := range kinds {
		s := newSigner(t, k)
		cert, err := s.SelfSigned("county", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(k, err)
		}
		for _, f := range forms {
			t.Run(fmt.Sprint(k, f), func(t *testing.T) {
				b, err := Sign([]byte(alert), s, nil, SignOptions{C14N: f})
				if err != nil {
					t.Fatal(err)
				}
				got := parse(t, b).Verify([]trust.Key{pin(t, s)}, Options{})
				if len(got) != 1 || got[0].Err != nil || got[0].KeyID != pin(t, s).ID || got[0].Lenient {
					t.Fatalf("%+v", got)
				}
				if !bytes.Contains(got[0].Signed, []byte("暴雨 &lt;red&gt; &amp; \"now\"")) || bytes.Contains(got[0].Signed, []byte("Signature")) {
					t.Errorf("%s", got[0].Signed)
				}
				if got := parse(t, b).Verify(nil, Options{}); got[0].Err == nil {
					t.Error("verified without a key")
				}
				b, err = Sign([]byte(alert), s, cert, SignOptions{C14N: f})
				if err != nil {
					t.Fatal(err)
				}
				if got := parse(t, b).Verify(nil, Options{}); got[0].Err != nil || len(got[0].Certificates) != 1 {
					t.Errorf("with its certificate: %+v", got)
				}
				// A changed letter.
				if got := parse(t, bytes.Replace(b, []byte("暴雨"), []byte("暴雪"), 1)).Verify(nil, Options{}); got[0].Err == nil || got[0].Signed != nil {
					t.Error("a changed letter was not seen")
				}
			})
		}
	}
}

func TestSeveralSignaturesEachHoldAsTheyWereMade(t *testing.T) {
	inner, outer := newSigner(t, trust.P256), newSigner(t, trust.RSA)
	b, err := Sign([]byte(alert), inner, nil, SignOptions{C14N: ExclusiveC14N})
	if err != nil {
		t.Fatal(err)
	}
	b, err = Sign(b, outer, nil, SignOptions{C14N: C14N10})
	if err != nil {
		t.Fatal(err)
	}
	got := parse(t, b).Verify([]trust.Key{pin(t, inner), pin(t, outer)}, Options{})
	if len(got) != 2 || got[0].Err != nil || got[1].Err != nil {
		t.Fatalf("%+v", got)
	}
	if got[0].Path != "/alert/Signature[1]" || got[1].Path != "/alert/Signature[2]" {
		t.Error(got[0].Path, got[1].Path)
	}
	if strings.Contains(string(got[0].Signed), "<Signature") || strings.Count(string(got[1].Signed), "<Signature ") != 1 {
		t.Error("each digest covers what was there when it was made")
	}
}
