package trust

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
)

func TestEveryKindOfKeySignsAndIsKept(t *testing.T) {
	message := []byte("leave at once")
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			s := newKey(t, k)
			b, err := s.PEM()
			if err != nil {
				t.Fatal(err)
			}
			back, err := LoadSigner(b)
			if err != nil {
				t.Fatal(err)
			}
			if id := idOf(t, s); id != idOf(t, back) || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(string(id)) {
				t.Error("another key came back:", id)
			}
			sig, err := back.Sign(message)
			if err != nil {
				t.Fatal(err)
			}
			if err := Verify(s.Public(), s.Algorithm(), message, sig); err != nil {
				t.Error(err)
			}
			for name, v := range map[string][]byte{
				"longer": append(bytes.Clone(sig), 0), "shorter": sig[:len(sig)-1], "empty": nil, "zeros": make([]byte, len(sig)),
			} {
				if code(Verify(s.Public(), s.Algorithm(), message, v)) != "trust.signature" {
					t.Errorf("%s was taken", name)
				}
			}
			if code(Verify(s.Public(), s.Algorithm(), append(message, '!'), sig)) != "trust.signature" {
				t.Error("another message was taken")
			}
			for _, alg := range []Algorithm{RSASHA256, RSASHA1, ECDSASHA256, ECDSASHA384, SM2SM3, EdDSA, "hmac-sha256"} {
				if alg != s.Algorithm() && Verify(s.Public(), alg, message, sig) == nil {
					t.Errorf("taken as %s", alg)
				}
			}
			for i := range 200 {
				bad := bytes.Clone(sig)
				bad[i%len(bad)] ^= 1 << (i / len(bad) % 8)
				if Verify(s.Public(), s.Algorithm(), message, bad) == nil {
					t.Fatalf("byte %d changed and taken", i%len(bad))
				}
			}
			cert, err := s.SelfSigned("box 7", may, may.AddDate(10, 0, 0))
			if err != nil {
				t.Fatal(err)
			}
			if cert.IsCA || !signs(cert) || cert.Subject.CommonName != "box 7" {
				t.Errorf("%+v", cert)
			}
			if text := fmt.Sprintf("%v %+v %#v %s", s, s, s, s); strings.Contains(text, "D:") || len(text) > 300 {
				t.Error("the key is printed:", text)
			}
			if _, err := json.Marshal(s); err == nil {
				t.Error("the key went out as JSON")
			}
		})
	}
}

func TestASignatureHasOneFormOnly(t *testing.T) {
	// s and n-s are both right for ECDSA: a known property, harmless since replay is
	// held by counters and identifiers, never by the signature's bytes. What must not pass
	// is r or s that is not reduced.
	s := newKey(t, P256)
	pub := s.Public().(*ecdsa.PublicKey)
	sig, err := s.Sign([]byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	r := new(big.Int).SetBytes(sig[:32])
	if r.Add(r, pub.Params().N); r.BitLen() <= 256 {
		bad := append(r.FillBytes(make([]byte, 32)), sig[32:]...)
		if Verify(pub, ECDSASHA256, []byte("m"), bad) == nil {
			t.Error("r+n was taken")
		}
	}
}

func TestSM2IdentityIsPartOfTheSignature(t *testing.T) {
	s := newKey(t, SM2).As("ALICE123@YAHOO.COM")
	sig, err := s.Sign([]byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyAs(s.Public(), SM2SM3, []byte("m"), sig, "ALICE123@YAHOO.COM"); err != nil {
		t.Error(err)
	}
	if Verify(s.Public(), SM2SM3, []byte("m"), sig) == nil {
		t.Error("verified under another identity")
	}
}

// TestSM3KnowsTheStandardsExample holds SM3 to GB/T 32905-2016, A.1.
func TestSM3KnowsTheStandardsExample(t *testing.T) {
	sum := sm3.Sum([]byte("abc"))
	if got := hex.EncodeToString(sum[:]); got != "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0" {
		t.Error(got)
	}
}

// TestSM2KnowsTheStandardsExample holds SM2 to the example on the recommended curve in
// GB/T 32918.5-2017, A.2.
func TestSM2KnowsTheStandardsExample(t *testing.T) {
	point, _ := hex.DecodeString("04" + "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020" + "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13")
	pub, err := sm2.NewPublicKey(point)
	if err != nil {
		t.Fatal(err)
	}
	sig, _ := hex.DecodeString("F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3" + "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA")
	if err := Verify(pub, SM2SM3, []byte("message digest"), sig); err != nil {
		t.Error(err)
	}
}

func TestPrivateKeysThatCannotBeUsedSayWhy(t *testing.T) {
	pub, err := PublicPEM(newKey(t, P256).Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, pem, want string }{
		{"nothing", "", "trust.key_none"},
		{"a public key", string(pub), "trust.key_none"},
		{"under a password", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "trust.key_encrypted"},
		{"rubbish", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "trust.key_unreadable"},
	} {
		if _, err := LoadSigner([]byte(c.pem)); code(err) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := NewSigner("dsa"); code(err) != "trust.key_kind" {
		t.Error(err)
	}
	if _, err := IDOf("not a key"); code(err) != "trust.key_kind" {
		t.Error(err)
	}
}
