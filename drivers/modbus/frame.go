package modbus

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Functions that this package sends (Application Protocol V1.1b3, section 6).
const (
	readCoils      = 1
	readDiscretes  = 2
	readHoldings   = 3
	readInputs     = 4
	writeCoil      = 5
	writeRegister  = 6
	writeCoils     = 15
	writeRegisters = 16
	reportServer   = 17
	encapsulated   = 43 // with MEI type 14, read device identification

	meiDevice = 14

	exceptionBit = 0x80
)

const (
	maxFrame     = 256 // an RTU frame, Serial Line V1.02 section 2.3
	minFrame     = 4   // unit, function, CRC
	exceptionLen = 5   // unit, function, code, CRC
)

// crc16 is the RTU check (Serial Line V1.02, section 6.2.2), low byte first on
// the wire.
func crc16(p []byte) uint16 {
	c := uint16(0xffff)
	for _, b := range p {
		c ^= uint16(b)
		for range 8 {
			if c&1 == 1 {
				c = c>>1 ^ 0xa001
			} else {
				c >>= 1
			}
		}
	}
	return c
}

func sealed(p []byte) bool {
	n := len(p) - 2
	return n >= 2 && crc16(p[:n]) == binary.LittleEndian.Uint16(p[n:])
}

// shape is all that an RTU answer says about the request it belongs to.
type shape struct {
	unit, fn byte
	// head is what follows unit and function: the byte count of a read, or the
	// four bytes that a write echoes.
	head [4]byte
	n    int // how many bytes of head count
	size int // the whole frame, or the most that it may be:
	// open: the answer itself says how long it is.
	open bool
}

// shapeOf gives the shape of the answer that a request (an RTU frame without
// need of a CRC) asks for.
func shapeOf(unit byte, pdu []byte) (shape, error) {
	switch {
	case len(pdu) == 1 && pdu[0] == reportServer:
		return shape{unit: unit, fn: reportServer, size: maxFrame, open: true}, nil
	case len(pdu) == 4 && pdu[0] == encapsulated && pdu[1] == meiDevice:
		return shape{unit: unit, fn: encapsulated, head: [4]byte{meiDevice, pdu[2]}, n: 2, size: maxFrame, open: true}, nil
	case len(pdu) < 5:
		return shape{}, fmt.Errorf("a request of %d bytes", len(pdu))
	}
	s := shape{unit: unit, fn: pdu[0]}
	count := int(binary.BigEndian.Uint16(pdu[3:]))
	switch s.fn {
	case readCoils, readDiscretes:
		s.head[0], s.n = byte((count+7)/8), 1
		s.size = 5 + (count+7)/8
	case readHoldings, readInputs:
		s.head[0], s.n = byte(2*count), 1
		s.size = 5 + 2*count
	case writeCoil, writeRegister, writeCoils, writeRegisters:
		copy(s.head[:], pdu[1:5])
		s.n, s.size = 4, 8
	default:
		return shape{}, fmt.Errorf("function %d is not used here", s.fn)
	}
	if s.size > maxFrame {
		return shape{}, fmt.Errorf("the answer would take %d bytes", s.size)
	}
	return s, nil
}

func (s shape) read() bool { return s.fn <= readInputs || s.open }

// pdu tells whether p, an answer without unit and CRC, has the shape.
func (s shape) pdu(p []byte) bool {
	size := s.size
	if s.open {
		size = openSize(s.fn, p)
	}
	return len(p) == size-3 && p[0] == s.fn && bytes.Equal(p[1:1+s.n], s.head[:s.n])
}

// openSize gives the whole frame's length as an answer's PDU tells it: 0 where
// its beginning does not say yet, more than maxFrame where it says nonsense
// (Application Protocol V1.1b3, sections 6.13 and 6.21).
func openSize(fn byte, p []byte) int {
	if fn == reportServer {
		if len(p) < 2 {
			return 0
		}
		return 5 + int(p[1])
	}
	if len(p) < 7 { // function, MEI type, code, conformity, more, next, number
		return 0
	}
	size := 7
	for range p[6] {
		if len(p) < size+2 {
			return 0
		}
		if size += 2 + int(p[size+1]); size+3 > maxFrame {
			return maxFrame + 1
		}
	}
	return size + 3
}

// fit is how far bytes agree with what is looked for.
type fit uint8

const (
	misfit fit = iota
	partly     // as far as the bytes go
	fits       // a whole frame with its CRC
	broken     // the head agrees, the length is there, the CRC is not
)

// fit compares the beginning of p with the shape. need is how many bytes the
// frame takes once that is known from its head.
func (s shape) fit(p []byte) (f fit, need int) {
	if p[0] != s.unit {
		return misfit, 0
	}
	if len(p) == 1 {
		return partly, 0
	}
	if p[1] != s.fn {
		return misfit, 0
	}
	n := min(len(p)-2, s.n)
	if !bytes.Equal(p[2:2+n], s.head[:n]) {
		return misfit, 0
	}
	if n == s.n && s.open {
		if s.size = openSize(s.fn, p[1:]); s.size > maxFrame {
			return misfit, 0
		}
	}
	switch {
	case n < s.n, s.size == 0:
		return partly, 0
	case len(p) < s.size:
		return partly, s.size
	case !sealed(p[:s.size]):
		return broken, s.size
	}
	return fits, s.size
}

// refusal compares the beginning of p with an exception to the shape.
func (s shape) refusal(p []byte) (f fit, need int) {
	if p[0] != s.unit || len(p) > 1 && p[1] != s.fn|exceptionBit {
		return misfit, 0
	}
	switch {
	case len(p) == 1:
		return partly, 0
	case len(p) < exceptionLen:
		return partly, exceptionLen
	case !sealed(p[:exceptionLen]):
		return misfit, exceptionLen
	}
	return fits, exceptionLen
}

// anyFrame finds the first valid frame of whatever unit and function in p, to
// say at the deadline what was heard instead. skip is the own request, which
// an adapter may echo.
func anyFrame(p, skip []byte) []byte {
	for i := 0; i+minFrame <= len(p); i++ {
		if len(skip) > 0 && bytes.HasPrefix(p[i:], skip) {
			i += len(skip) - 1
			continue
		}
		n := 0
		switch fn := p[i+1]; {
		case fn >= readCoils && fn <= readInputs:
			n = 5 + int(p[i+2])
			// A foreign master's request is as long as a write's echo.
			if (n > len(p)-i || !sealed(p[i:i+n])) && len(p)-i >= 8 && sealed(p[i:i+8]) {
				n = 8
			}
		case fn == writeCoil, fn == writeRegister, fn == writeCoils, fn == writeRegisters:
			n = 8
		case fn&exceptionBit != 0:
			n = exceptionLen
		}
		if n >= minFrame && i+n <= len(p) && sealed(p[i:i+n]) {
			return p[i : i+n]
		}
	}
	return nil
}
