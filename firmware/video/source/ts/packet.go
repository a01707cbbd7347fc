package ts

// A packet is one of 188 bytes (2.4.3.2).
const (
	packetSize = 188
	syncByte   = 0x47
)

// packet is what a header says.
type packet struct {
	pid     uint16
	starts  bool // a PES packet or a table begins
	counter byte
	jumps   bool // the counter may jump here
	padded  bool // more bytes of padding than the flags need
	payload []byte
}

// read takes a packet apart; false where it carries nothing that can be used.
func (p *packet) read(b []byte) bool {
	*p = packet{
		pid:     uint16(b[1]&0x1f)<<8 | uint16(b[2]),
		starts:  b[1]&0x40 != 0,
		counter: b[3] & 0x0f,
	}
	if b[1]&0x80 != 0 || b[3]&0xc0 != 0 || b[3]&0x10 == 0 { // spoiled on the way, scrambled, no payload
		return false
	}
	rest := b[4:]
	if b[3]&0x20 != 0 {
		n := int(rest[0])
		if n > packetSize-6 { // with a payload it is at most 182
			return false
		}
		p.adaptation(rest[1 : 1+n])
		rest = rest[1+n:]
	}
	p.payload = rest
	return true
}

// adaptation reads an adaptation field (2.4.3.4).
func (p *packet) adaptation(b []byte) {
	if len(b) == 0 {
		p.padded = true // one byte of it is the shortest padding
		return
	}
	p.jumps = b[0]&0x80 != 0
	need := 1
	for _, f := range []struct {
		flag byte
		size int
	}{{0x10, 6}, {0x08, 6}, {0x04, 1}} {
		if b[0]&f.flag != 0 {
			need += f.size
		}
	}
	// Private data and extensions tell their own length; where they are, padding is not told apart.
	p.padded = b[0]&0x03 == 0 && len(b) > need
}
