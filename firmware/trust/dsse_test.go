package trust

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const orderType = "application/vnd.tocsin.order+json"

func TestPAEIsThatOfTheSpecification(t *testing.T) {
	// The example of DSSE 1.0.2, protocol.md.
	if got := string(encode("http://example.com/HelloWorld", []byte("hello world"))); got != "DSSEv1 29 http://example.com/HelloWorld 11 hello world" {
		t.Error(got)
	}
}

func TestAnEnvelopeCountsDistinctPinnedSigners(t *testing.T) {
	var doc IssuerDocument
	var keys []*PrivateKey
	for _, k := range kinds {
		s := newKey(t, k)
		keys, doc.Keys = append(keys, s), append(doc.Keys, pemKey(t, s))
	}
	doc.SM2UserID = "county"
	for i, k := range keys {
		keys[i] = k.As("county")
	}
	s, _ := store(t, one(doc))
	stranger := newKey(t, P256)
	for _, c := range []struct {
		name    string
		signers []Signer
		want    int
	}{
		{"each kind of key", []Signer{keys[0], keys[1], keys[2], keys[3], keys[4]}, 5},
		{"one key twice is one person", []Signer{keys[1], keys[1]}, 1},
		{"a stranger does not count", []Signer{keys[1], stranger}, 1},
		{"strangers only", []Signer{stranger}, 0},
	} {
		b, err := SealDSSE(orderType, []byte(`{"do":"sound"}`), c.signers...)
		if err != nil {
			t.Fatal(err)
		}
		e, err := OpenDSSE(b, orderType, EnvelopeLimits{})
		if err != nil {
			t.Fatal(c.name, err)
		}
		vs := s.VerifyDSSE(e, may)
		if got := len(Signers(vs, "county")); got != c.want || len(vs) != len(c.signers) {
			t.Errorf("%s: %d, %+v", c.name, got, vs)
		}
		if len(Signers(vs, "other")) != 0 {
			t.Errorf("%s: counted for another issuer", c.name)
		}
		// The key id is a hint: without it every pinned key is tried.
		for i := range e.Signatures {
			e.Signatures[i].KeyID = ""
		}
		if got := len(Signers(s.VerifyDSSE(e, may), "county")); got != c.want {
			t.Errorf("%s, without key ids: %d", c.name, got)
		}
		e.Payload = append(e.Payload, ' ')
		if got := Signers(s.VerifyDSSE(e, may), "county"); len(got) != 0 {
			t.Errorf("%s: changed payload: %v", c.name, got)
		}
	}
}

func TestAnEnvelopeOfARevokedKeyDoesNotCount(t *testing.T) {
	k := newKey(t, Ed25519)
	d := one(IssuerDocument{Keys: []PEMDocument{pemKey(t, k)}})
	d.Revoked = []RevokedDocument{{Key: string(idOf(t, k)), Since: "2026-01-01"}}
	s, _ := store(t, d)
	b, err := SealDSSE(orderType, []byte("x"), k)
	if err != nil {
		t.Fatal(err)
	}
	e, err := OpenDSSE(b, orderType, EnvelopeLimits{})
	if err != nil {
		t.Fatal(err)
	}
	vs := s.VerifyDSSE(e, may)
	if len(Signers(vs, "county")) != 0 || code(vs[0].Err) != "trust.revoked" {
		t.Errorf("%+v", vs)
	}
}

func TestAnEnvelopeIsReadStrictly(t *testing.T) {
	k := newKey(t, Ed25519)
	sealed, err := SealDSSE(orderType, []byte("hello!"), k) // aGVsbG8h
	if err != nil {
		t.Fatal(err)
	}
	good := string(sealed)
	many := strings.Repeat(`{"sig":"AAAA"},`, 9)
	for _, c := range []struct{ name, from, to, want string }{
		{"as it is", "", "", ""},
		{"an unknown field is passed over", `{"payload"`, `{"more":[1,{}],"payload"`, ""},
		{"URL-safe base64", `"aGVsbG8h"`, `"-_-_"`, ""},
		{"another type", orderType, "application/json", "trust.dsse_type"},
		{"no payload", `"payload":`, `"paylod":`, "trust.dsse_field"},
		{"payload twice", `{"payload"`, `{"payload":"AAAA","payload"`, "trust.dsse_form"},
		{"payload in other letters", `{"payload"`, `{"Payload":"AAAA","payload"`, "trust.dsse_form"},
		{"only in other letters", `"payload":`, `"PAYLOAD":`, "trust.dsse_form"},
		{"sig twice", `"sig":`, `"sig":"AAAA","sig":`, "trust.dsse_form"},
		{"pad bits", `"aGVsbG8h"`, `"aGVsbG9="`, "trust.dsse_field"},
		{"no padding", `"aGVsbG8h"`, `"aGVsbG8"`, "trust.dsse_field"},
		{"line ends inside", `"aGVsbG8h"`, `"aGVs\nbG8h"`, "trust.dsse_field"},
		{"blanks inside", `"aGVsbG8h"`, `"aGVs bG8h"`, "trust.dsse_field"},
		{"two alphabets", `"aGVsbG8h"`, `"+-_/"`, "trust.dsse_field"},
		{"null", `"aGVsbG8h"`, `null`, "trust.dsse_field"},
		{"a number", `"aGVsbG8h"`, `7`, "trust.dsse_field"},
		{"no signature", good, `{"payload":"","payloadType":"` + orderType + `","signatures":[]}`, "trust.dsse_count"},
		{"too many", good, `{"payload":"","payloadType":"` + orderType + `","signatures":[` + many[:len(many)-1] + `]}`, "trust.dsse_count"},
		{"an empty signature", good, `{"payload":"","payloadType":"` + orderType + `","signatures":[{"sig":""}]}`, "trust.dsse_field"},
		{"a long signature", good, `{"payload":"","payloadType":"` + orderType + `","signatures":[{"sig":"` + strings.Repeat("AAAA", 400) + `"}]}`, "trust.dsse_field"},
		{"more after it", good, good + "{}", "trust.dsse_form"},
		{"a list", good, "[" + good + "]", "trust.dsse_form"},
		{"cut", good, good[:len(good)-1], "trust.dsse_form"},
		{"nothing", good, "", "trust.dsse_form"},
		{"deep", good, strings.Repeat(`{"a":`, 20000), "trust.dsse_size"},
		{"less deep", good, strings.Repeat(`{"a":`, 12000), "trust.dsse_form"},
	} {
		_, err := OpenDSSE([]byte(strings.Replace(good, c.from, c.to, 1)), orderType, EnvelopeLimits{})
		if code(err) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestEveryChangedLetterOfAnEnvelopeIsSeen(t *testing.T) {
	k := newKey(t, P256)
	s, _ := store(t, one(IssuerDocument{Keys: []PEMDocument{pemKey(t, k)}}))
	good, err := SealDSSE(orderType, []byte(`{"order":7,"do":"sound"}`), k)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for _, x := range []byte{1, 2, 4, 0x20} {
			bad := bytes.Clone(good)
			bad[i] ^= x
			e, err := OpenDSSE(bad, orderType, EnvelopeLimits{})
			if err != nil || len(Signers(s.VerifyDSSE(e, may), "county")) == 0 {
				continue
			}
			// What may change unseen is what says nothing: an unknown field's name.
			if string(e.Payload) != `{"order":7,"do":"sound"}` || e.PayloadType != orderType {
				t.Fatalf("byte %d: %s", i, bad)
			}
		}
	}
}

func TestASecondPersonReleases(t *testing.T) {
	a, b := newKey(t, P256), newKey(t, SM2)
	s, i := store(t, one(IssuerDocument{Keys: []PEMDocument{pemKey(t, a), pemKey(t, b)},
		Grant: GrantDocument{Scopes: []string{"sound"}, Persons: map[string]int{"sound": 2}}}))
	sealed, err := SealDSSE(orderType, []byte("x"), a)
	if err != nil {
		t.Fatal(err)
	}
	e, err := OpenDSSE(sealed, orderType, EnvelopeLimits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(Signers(s.VerifyDSSE(e, may), "county")) >= i.Grant.PersonsFor("sound") {
		t.Error("one person released")
	}
	if err := e.Add(b); err != nil {
		t.Fatal(err)
	}
	both, err := e.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if e, err = OpenDSSE(both, orderType, EnvelopeLimits{}); err != nil {
		t.Fatal(err)
	}
	if len(Signers(s.VerifyDSSE(e, may), "county")) != 2 {
		t.Error("two persons did not release")
	}
}

func FuzzOpenDSSE(f *testing.F) {
	k := newKey(f, Ed25519)
	b, err := SealDSSE(orderType, []byte("hello!"), k)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"payload":"aGk=","payloadType":"` + orderType + `","signatures":[{"keyid":"00","sig":"AAAA"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := OpenDSSE(b, orderType, EnvelopeLimits{})
		if err != nil {
			if !strings.HasPrefix(code(err), "trust.dsse") {
				t.Fatal(err)
			}
			return
		}
		again, err := e.JSON()
		if err != nil {
			t.Fatal(err)
		}
		back, err := OpenDSSE(again, orderType, EnvelopeLimits{Bytes: 1 << 20})
		if err != nil || fmt.Sprint(back) != fmt.Sprint(e) {
			t.Fatalf("%v: %s", err, again)
		}
		// A second parser that takes it must see the same payload.
		var other struct {
			Payload string `json:"payload"`
		}
		if json.Unmarshal(b, &other) == nil && base64.StdEncoding.EncodeToString(e.Payload) != strings.NewReplacer("-", "+", "_", "/").Replace(other.Payload) {
			t.Fatalf("read differently: %s", b)
		}
	})
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("issuers: {a: {keys: [{pem: x}]}}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 8<<10 {
			return
		}
		d, err := ParseDocument(b)
		if err != nil {
			return
		}
		s, _ := New(d, nil)
		for _, i := range s.Issuers() {
			if len(i.Keys)+len(i.Authorities) > 0 && i.SpeaksAs("somebody whom nobody named") {
				for _, p := range i.Senders {
					if strings.Trim(p, "*?") == "" {
						t.Fatal("everybody is believed")
					}
				}
			}
		}
	})
}
