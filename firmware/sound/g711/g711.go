// Package g711 turns 16-bit samples into the two companding laws of telephony and
// back. It holds no tables and cannot fail: every byte is a sample.
//
// Source: ITU-T G.711 (11/88), tables 1a to 2b; samples of 13 (A) and 14 (µ) bits stand in
// the upper bits of 16.
package g711

import "math/bits"

// Law is a companding law.
type Law string

// The laws, as SDP and a talk's order name them.
const (
	A  Law = "pcma"
	Mu Law = "pcmu"
)

// Rate is how many samples G.711 has a second.
const Rate = 8000

// Valid tells whether there is such a law.
func (l Law) Valid() bool { return l == A || l == Mu }

// Decode appends the samples of b to dst.
func (l Law) Decode(dst []int16, b []byte) []int16 {
	for _, c := range b {
		if l == Mu {
			dst = append(dst, mu(c))
		} else {
			dst = append(dst, a(c))
		}
	}
	return dst
}

// Encode appends the bytes of samples to dst.
func (l Law) Encode(dst []byte, samples []int16) []byte {
	for _, s := range samples {
		if l == Mu {
			dst = append(dst, toMu(s))
		} else {
			dst = append(dst, toA(s))
		}
	}
	return dst
}

func mu(c byte) int16 {
	c = ^c
	v := (int(c&15)<<3 + 0x84) << (c >> 4 & 7)
	if c&0x80 != 0 {
		return int16(0x84 - v)
	}
	return int16(v - 0x84)
}

func toMu(s int16) byte {
	v, sign := int(s), byte(0)
	if v < 0 {
		v, sign = -v, 0x80
	}
	v = min(v, 32635) + 0x84
	e := bits.Len(uint(v)) - 8
	return ^(sign | byte(e)<<4 | byte(v>>(e+3)&15))
}

func a(c byte) int16 {
	c ^= 0x55
	v, e := int(c&15)<<4+8, c>>4&7
	if e > 0 {
		v = (v + 0x100) << (e - 1)
	}
	if c&0x80 == 0 {
		return int16(-v)
	}
	return int16(v)
}

func toA(s int16) byte {
	v, sign := int(s), byte(0x80)
	if v < 0 {
		v, sign = -v-1, 0
	}
	e := max(0, bits.Len(uint(v))-8)
	m := byte(v >> 4 & 15)
	if e > 0 {
		m = byte(v >> (e + 3) & 15)
	}
	return (sign | byte(e)<<4 | m) ^ 0x55
}
