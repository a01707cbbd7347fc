package pack

import "encoding/binary"

// A call in A64 code says how far away what it calls is, so that two calls of one function
// are two different words; said as a place they are the same, and pack better. Only BL is
// taken, which is unlikely in what is no code (Arm Architecture Reference Manual, C6.2).

// calls makes the calls in b to places; align is where b's words begin, 0 to 3.
func calls(b []byte, align int) { shift(b, align, 1) }

// jumps makes the places distances again.
func jumps(b []byte, align int) { shift(b, align, -1) }

func shift(b []byte, align, sign int) {
	const code, far = 0x25 << 26, 1<<26 - 1
	for at := align; at+4 <= len(b); at += 4 {
		if w := binary.LittleEndian.Uint32(b[at:]); w&^far == code {
			binary.LittleEndian.PutUint32(b[at:], code|(w+uint32(sign*(at/4)))&far)
		}
	}
}

// aligned guesses where b's words begin, which is where most calls are, and counts those.
func aligned(b []byte) (align, count int) {
	var n [4]int
	for at := 3; at < len(b); at++ {
		if b[at]>>2 == 0x25 {
			n[(at+1)%4]++
		}
	}
	for a := range n {
		if n[a] > n[align] {
			align = a
		}
	}
	return align, n[align]
}
