package drivertest

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"
)

// Request is what a slave heard.
type Request struct {
	N    int // counts from 1
	Unit byte
	PDU  []byte
}

// Reply is what a slave puts on the wire.
type Reply struct {
	// After is the delay from the request's end.
	After time.Duration
	Unit  byte
	PDU   []byte
	// Raw, where set, goes out as it is in place of Unit and PDU.
	Raw []byte
	// Hole, where set, pauses for so long in the middle of the frame.
	Hole time.Duration
}

// Slave models the units of a line. Units 1 to 8 exist. Register k of unit u
// holds 1000*u + k until it is written; addresses from 200 are refused with
// exception 2.
type Slave struct {
	// Script, where set, decides what a request is answered with. good is the
	// right reply, its PDU nil where the unit is not there.
	Script func(r Request, good Reply) []Reply
	// Serial slaves begin with a request only when the one before is answered
	// (by its first reply).
	Serial bool

	mu    sync.Mutex
	n     int
	busy  time.Time
	regs  map[[2]int]uint16
	coils map[[2]int]uint16
	asked []Request
}

// Set replaces the script.
func (s *Slave) Set(f func(Request, Reply) []Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Script = f
}

// Asked gives the requests heard so far.
func (s *Slave) Asked() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Coil gives the value last written to a coil.
func (s *Slave) Coil(unit byte, addr uint16) uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.coils[[2]int{int(unit), int(addr)}]
}

// Register gives a register's value.
func (s *Slave) Register(unit byte, addr uint16) uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reg(unit, int(addr))
}

func (s *Slave) reg(unit byte, addr int) uint16 {
	if v, ok := s.regs[[2]int{int(unit), addr}]; ok {
		return v
	}
	return uint16(1000*int(unit) + addr)
}

// hear takes a request and gives the replies; After of each is counted from
// now, the request's end.
func (s *Slave) hear(now time.Time, unit byte, pdu []byte) []Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	r := Request{N: s.n, Unit: unit, PDU: slices.Clone(pdu)}
	s.asked = append(s.asked, r)
	good := Reply{Unit: unit, PDU: s.answer(unit, pdu)}
	var out []Reply
	if s.Script != nil {
		out = s.Script(r, good)
	} else {
		out = []Reply{good}
	}
	out = slices.DeleteFunc(out, func(r Reply) bool { return r.PDU == nil && r.Raw == nil })
	if s.Serial && len(out) > 0 {
		wait := max(0, s.busy.Sub(now))
		for i := range out {
			out[i].After += wait
		}
		s.busy = now.Add(out[0].After)
	}
	return out
}

func (s *Slave) answer(unit byte, pdu []byte) []byte {
	if unit > 8 || len(pdu) < 5 {
		return nil
	}
	fn, addr, n := pdu[0], int(binary.BigEndian.Uint16(pdu[1:])), int(binary.BigEndian.Uint16(pdu[3:]))
	if s.regs == nil {
		s.regs, s.coils = map[[2]int]uint16{}, map[[2]int]uint16{}
	}
	refuse := []byte{fn | 0x80, 2}
	if addr >= 200 {
		return refuse
	}
	switch fn {
	case 1, 2:
		b := make([]byte, (n+7)/8)
		for i := range n {
			if s.coils[[2]int{int(unit), addr + i}] == 0xff00 {
				b[i/8] |= 1 << (i % 8)
			}
		}
		return append([]byte{fn, byte(len(b))}, b...)
	case 3, 4:
		if addr+n > 200 {
			return refuse
		}
		b := []byte{fn, byte(2 * n)}
		for i := range n {
			b = binary.BigEndian.AppendUint16(b, s.reg(unit, addr+i))
		}
		return b
	case 5:
		s.coils[[2]int{int(unit), addr}] = uint16(n)
	case 6:
		s.regs[[2]int{int(unit), addr}] = uint16(n)
	case 16:
		for i := 0; i < n && 7+2*i < len(pdu); i++ {
			s.regs[[2]int{int(unit), addr + i}] = binary.BigEndian.Uint16(pdu[6+2*i:])
		}
	default:
		return []byte{fn | 0x80, 1}
	}
	return slices.Clone(pdu[:5])
}

// CRC is the check of Modbus RTU, written anew here, bit by bit as the
// standard draws it, so that a fault in the driver's does not cancel out.
func CRC(p []byte) (lo, hi byte) {
	r := 0xffff
	for _, b := range p {
		r ^= int(b)
		for i := 0; i < 8; i++ {
			odd := r%2 == 1
			r /= 2
			if odd {
				r ^= 0xa001
			}
		}
	}
	return byte(r % 256), byte(r / 256)
}

// Frame makes an RTU frame.
func Frame(unit byte, pdu []byte) []byte {
	f := append([]byte{unit}, pdu...)
	lo, hi := CRC(f)
	return append(f, lo, hi)
}

func (r Reply) frame() []byte {
	if r.Raw != nil {
		return r.Raw
	}
	return Frame(r.Unit, r.PDU)
}

// cut takes the first request out of what was heard; nil while it is not whole.
// Bytes that begin no request are dropped.
func cut(p []byte) (frame, rest []byte) {
	for len(p) >= 2 {
		n := 8
		switch p[1] {
		case 1, 2, 3, 4, 5, 6:
		case 15, 16:
			if len(p) < 7 {
				return nil, p
			}
			n = 9 + int(p[6])
		default:
			p = p[1:]
			continue
		}
		if len(p) < n {
			return nil, p
		}
		if lo, hi := CRC(p[:n-2]); lo == p[n-2] && hi == p[n-1] {
			return p[:n], p[n:]
		}
		p = p[1:]
	}
	return nil, p
}
