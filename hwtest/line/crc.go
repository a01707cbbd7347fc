package line

// CRC is the check of an RTU frame (Serial Line V1.02, 6.2.2: polynomial
// 0xA001 reflected, begins with 0xFFFF). It goes on the wire low byte first.
func CRC(p []byte) uint16 {
	c := uint16(0xFFFF)
	for _, b := range p {
		c ^= uint16(b)
		for range 8 {
			low := c & 1
			c >>= 1
			if low == 1 {
				c ^= 0xA001
			}
		}
	}
	return c
}

// Frame puts address and CRC round a PDU.
func Frame(unit byte, pdu []byte) []byte {
	f := make([]byte, 0, len(pdu)+3)
	f = append(append(f, unit), pdu...)
	c := CRC(f)
	return append(f, byte(c), byte(c>>8))
}

// whole tells whether p is a frame with a right CRC.
func whole(p []byte) bool {
	if len(p) < 4 || len(p) > 256 {
		return false
	}
	n := len(p) - 2
	c := CRC(p[:n])
	return p[n] == byte(c) && p[n+1] == byte(c>>8)
}

// requestLen is the length of the request frame that p begins: 0 if it cannot
// yet be told, -1 if only the silence after it can tell.
func requestLen(p []byte) int {
	if len(p) < 2 {
		return 0
	}
	switch p[1] {
	case 1, 2, 3, 4, 5, 6, 8:
		return 8
	case 15, 16:
		if len(p) < 7 {
			return 0
		}
		return 9 + int(p[6])
	}
	return -1
}
