package trust

import (
	"bytes"
	"fmt"
	"testing"
)

func TestASteadyKeySignsTheSameEachTimeAndNoTwoMessagesAlike(t *testing.T) {
	for _, k := range []Kind{SM2, Ed25519} {
		s, err := NewSigner(k)
		if err != nil {
			t.Fatal(err)
		}
		other, err := NewSigner(k)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for n := range 20 {
			msg := fmt.Appendf(nil, "release %d", n)
			one, err := s.Steady().Sign(msg)
			if err != nil {
				t.Fatal(err)
			}
			for range 8 { // what gmsm does by chance, it does often enough
				again, err := s.Steady().Sign(msg)
				if err != nil || !bytes.Equal(one, again) {
					t.Fatalf("%s: two signatures of one message differ, %v", k, err)
				}
			}
			if err := Verify(s.Public(), s.Algorithm(), msg, one); err != nil {
				t.Fatalf("%s: %v", k, err)
			}
			// The first half of an SM2 signature hangs on its secret number: one that two
			// messages or keys had in common would give the key away.
			theirs, err := other.Steady().Sign(msg)
			if err != nil {
				t.Fatal(err)
			}
			named, err := s.As("another").Steady().Sign(msg)
			if err != nil {
				t.Fatal(err)
			}
			for _, sig := range [][]byte{one, theirs} {
				if seen[string(sig[:32])] {
					t.Fatalf("%s: a number was used twice", k)
				}
				seen[string(sig[:32])] = true
			}
			if k == SM2 && bytes.Equal(named[:32], one[:32]) {
				t.Fatal("two identities have one number")
			}
		}
	}
	s, err := NewSigner(SM2)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Sign([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Sign([]byte("x"))
	if err != nil || bytes.Equal(a, b) {
		t.Fatalf("a key that is not asked to is steady, %v", err)
	}
}
