package modbus

import (
	"encoding/binary"

	"tocsin/drivers"
)

// NewASCII makes a line in the standard's other transmission mode (Serial Line
// V1.02, section 2.5.2): each byte as two hexadecimal characters, ':' before,
// a sum (LRC) and CR LF after. The usual format is 7E1; 8N1 is met too.
//
// It is the RTU line with another dress: a frame that comes in whole and with
// its sum is turned into the RTU frame that it stands for, and all that holds
// against late answers, echoes and noise holds here.
func NewASCII(open func() (drivers.Port, error), o RTUOpts) *Line {
	o.ascii = true
	return NewRTU(open, o)
}

const (
	colon = ':'
	// maxASCII is a frame from unit to LRC, in bytes: section 2.5.2.1.
	maxASCII = maxFrame - 1
	// asciiChars is how many characters an RTU frame of n bytes takes: 2n+1.
	asciiChars = 2
)

// lrc is the ASCII check (Serial Line V1.02, section 6.2.1).
func lrc(p []byte) byte {
	var sum byte
	for _, b := range p {
		sum += b
	}
	return -sum
}

const upperHex = "0123456789ABCDEF"

// dress appends the ASCII frame that stands for an RTU frame.
func dress(dst, rtu []byte) []byte {
	body := rtu[:len(rtu)-2]
	dst = append(dst, colon)
	for _, b := range body {
		dst = append(dst, upperHex[b>>4], upperHex[b&15])
	}
	sum := lrc(body)
	return append(dst, upperHex[sum>>4], upperHex[sum&15], '\r', '\n')
}

func nibble(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// undress turns what is heard on an ASCII line into RTU frames.
type undress struct {
	in   bool // within a frame
	high bool // half a byte is there
	cr   bool // its CR was heard
	body []byte
	out  []byte
}

// feed takes characters as they come and gives the RTU frames that they
// complete. The result is valid until the next call. A frame whose sum is wrong
// comes out with a wrong CRC; what is no frame comes out as zeros, which begin
// none and are counted as noise.
func (a *undress) feed(p []byte) []byte {
	a.out = a.out[:0]
	for _, c := range p {
		v, digit := nibble(c)
		switch {
		case c == colon:
			a.noise(a.heard())
			a.begin(true)
		case !a.in:
			a.noise(1)
		case a.cr && c == '\n':
			a.end()
		case a.cr, !digit && c != '\r', c == '\r' && a.high, c != '\r' && !a.high && len(a.body) >= maxASCII:
			a.noise(a.heard() + 1)
			a.begin(false)
		case c == '\r':
			a.cr = true
		case a.high:
			a.body[len(a.body)-1] |= v
			a.high = false
		default:
			a.body = append(a.body, v<<4)
			a.high = true
		}
	}
	return a.out
}

func (a *undress) begin(in bool) { a.in, a.high, a.cr, a.body = in, false, false, a.body[:0] }

// heard gives how many characters of an unfinished frame are held.
func (a *undress) heard() int {
	if !a.in {
		return 0
	}
	return 1 + 2*len(a.body)
}

func (a *undress) noise(n int) {
	for range n {
		a.out = append(a.out, 0)
	}
}

func (a *undress) end() {
	n := len(a.body) - 1
	if n < 2 {
		a.noise(a.heard())
		a.begin(false)
		return
	}
	crc := crc16(a.body[:n])
	if lrc(a.body[:n]) != a.body[n] {
		crc = ^crc
	}
	a.out = binary.LittleEndian.AppendUint16(append(a.out, a.body[:n]...), crc)
	a.begin(false)
}

// missing gives how many more characters the frame that is coming in takes, as
// far as its head says; 0 where none is.
func (a *undress) missing() int {
	if !a.in {
		return 0
	}
	n := 4 // unit, function, a byte, LRC: the shortest
	if len(a.body) > 1 {
		switch fn := a.body[1]; {
		case fn >= writeCoil && fn < exceptionBit:
			n = 7
		case fn >= readCoils && fn <= readInputs && (len(a.body) > 3 || len(a.body) == 3 && !a.high):
			n = 4 + int(a.body[2])
		}
	}
	return max(1, 2*n+3-a.heard())
}
