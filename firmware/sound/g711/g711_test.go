package g711

import (
	"slices"
	"testing"
)

// TestEveryByteComesBack holds each code to itself: the middle of its interval is in it.
func TestEveryByteComesBack(t *testing.T) {
	for _, l := range []Law{A, Mu} {
		for c := range 256 {
			s := l.Decode(nil, []byte{byte(c)})
			back := l.Encode(nil, s)[0]
			if back != byte(c) && !(l == Mu && c == 0x7f && back == 0xff) { // the two zeros
				t.Errorf("%s %#02x is %d and comes back as %#02x", l, c, s[0], back)
			}
		}
	}
}

// TestKnownValues are of G.711, tables 1a and 2a: the ends and the middle of the scale.
func TestKnownValues(t *testing.T) {
	for _, x := range []struct {
		law    Law
		code   byte
		sample int16
	}{
		{A, 0xD5, 8}, {A, 0x55, -8}, {A, 0xAA, 32256}, {A, 0x2A, -32256},
		{Mu, 0xFF, 0}, {Mu, 0x80, 32124}, {Mu, 0x00, -32124}, {Mu, 0xFE, 8},
	} {
		if s := x.law.Decode(nil, []byte{x.code}); s[0] != x.sample {
			t.Errorf("%s %#02x is %d, want %d", x.law, x.code, s[0], x.sample)
		}
	}
}

// TestTheErrorIsThatOfTheLaw: 6 bits of mantissa, so that no sample is off by more than 1/32, or
// by the smallest step.
func TestTheErrorIsThatOfTheLaw(t *testing.T) {
	for _, l := range []Law{A, Mu} {
		for s := -32768; s < 32768; s++ {
			got := int(l.Decode(nil, l.Encode(nil, []int16{int16(s)}))[0])
			if d := max(got-s, s-got); d > 8+max(s, -s)/32 {
				t.Fatalf("%s: %d becomes %d", l, s, got)
			}
		}
	}
}

func TestLowerSamplesNeverBecomeHigher(t *testing.T) {
	for _, l := range []Law{A, Mu} {
		var all []int16
		for s := -32768; s < 32768; s += 3 {
			all = append(all, int16(s))
		}
		if !slices.IsSorted(l.Decode(nil, l.Encode(nil, all))) {
			t.Error(l)
		}
	}
}
