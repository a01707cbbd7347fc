package line

import (
	"encoding/binary"
	"time"
)

// Exception is a Modbus exception code (Application Protocol V1.1b3, 7). Zero
// is none.
type Exception byte

// The exception codes that units answer with.
const (
	IllegalFunction Exception = 1
	IllegalAddress  Exception = 2
	IllegalValue    Exception = 3
	DeviceFailure   Exception = 4
	Acknowledge     Exception = 5
	DeviceBusy      Exception = 6
	GatewayNoPath   Exception = 0x0A
	GatewayNoAnswer Exception = 0x0B
)

// Unit is one device on a line. Answer gets a request's PDU (function code and
// data, no address, no CRC) and the instant at which the unit acts on it. It
// gives the answer's PDU, or an exception, or neither to stay silent. It is
// called from the line's own thread and must not block.
type Unit interface {
	Answer(pdu []byte, at time.Time) (reply []byte, exception Exception)
}

// UnitFunc is a Unit made of one function.
type UnitFunc func(pdu []byte, at time.Time) ([]byte, Exception)

// Answer calls f.
func (f UnitFunc) Answer(pdu []byte, at time.Time) ([]byte, Exception) { return f(pdu, at) }

// Map is the application layer of a unit, cell by cell. A table that is nil
// answers IllegalFunction. Addresses are as on the wire, 0-based.
type Map struct {
	Coil     func(addr uint16) (bool, Exception)        // function 1
	Discrete func(addr uint16) (bool, Exception)        // function 2
	Holding  func(addr uint16) (uint16, Exception)      // function 3
	Input    func(addr uint16) (uint16, Exception)      // function 4
	SetCoil  func(addr, value uint16) Exception         // functions 5 and 15; 5 gives the value as sent, 15 gives 0xFF00 or 0
	SetReg   func(addr, value uint16) Exception         // functions 6 and 16
	ID       *Identity                                  // functions 17 and 43/14; IllegalFunction where nil
	Check    func(function byte, addr, n int) Exception // before several are written, so that none is written if one may not be; optional
}

// Answer does functions 1-6, 15 and 16, 8 with sub-function 0 (echo), and what
// its Identity has.
func (m Map) Answer(pdu []byte) ([]byte, Exception) {
	if len(pdu) == 0 {
		return nil, 0
	}
	switch fn := pdu[0]; fn {
	case 1:
		return readBits(pdu, m.Coil)
	case 2:
		return readBits(pdu, m.Discrete)
	case 3:
		return readRegs(pdu, m.Holding)
	case 4:
		return readRegs(pdu, m.Input)
	case 5, 6:
		set := m.SetCoil
		if fn == 6 {
			set = m.SetReg
		}
		if set == nil {
			return nil, IllegalFunction
		}
		if len(pdu) != 5 {
			return nil, IllegalValue
		}
		if x := set(be16(pdu[1:]), be16(pdu[3:])); x != 0 {
			return nil, x
		}
		return append([]byte(nil), pdu...), 0
	case 17, 43:
		return m.ID.answer(pdu)
	case 8:
		if len(pdu) < 5 || be16(pdu[1:]) != 0 {
			return nil, IllegalFunction
		}
		return append([]byte(nil), pdu...), 0
	case 15, 16:
		return m.writeMany(pdu)
	}
	return nil, IllegalFunction
}

func (m Map) writeMany(pdu []byte) ([]byte, Exception) {
	set := m.SetCoil
	if pdu[0] == 16 {
		set = m.SetReg
	}
	if set == nil {
		return nil, IllegalFunction
	}
	if len(pdu) < 6 {
		return nil, IllegalValue
	}
	addr, n, data := be16(pdu[1:]), int(be16(pdu[3:])), pdu[6:]
	size, most := (n+7)/8, 1968
	if pdu[0] == 16 {
		size, most = 2*n, 123
	}
	if n < 1 || n > most || int(pdu[5]) != size || len(data) != size {
		return nil, IllegalValue
	}
	if int(addr)+n > 1<<16 {
		return nil, IllegalAddress
	}
	if m.Check != nil {
		if x := m.Check(pdu[0], int(addr), n); x != 0 {
			return nil, x
		}
	}
	for i := range n {
		var v uint16
		switch {
		case pdu[0] == 16:
			v = be16(data[2*i:])
		case data[i/8]>>(i%8)&1 == 1:
			v = 0xFF00
		}
		if x := set(addr+uint16(i), v); x != 0 {
			return nil, x
		}
	}
	return append([]byte(nil), pdu[:5]...), 0
}

func readBits(pdu []byte, get func(uint16) (bool, Exception)) ([]byte, Exception) {
	addr, n, x := window(pdu, get != nil, 2000)
	if x != 0 {
		return nil, x
	}
	out := make([]byte, 2+(n+7)/8)
	out[0], out[1] = pdu[0], byte((n+7)/8)
	for i := range n {
		on, x := get(addr + uint16(i))
		if x != 0 {
			return nil, x
		}
		if on {
			out[2+i/8] |= 1 << (i % 8)
		}
	}
	return out, 0
}

func readRegs(pdu []byte, get func(uint16) (uint16, Exception)) ([]byte, Exception) {
	addr, n, x := window(pdu, get != nil, 125)
	if x != 0 {
		return nil, x
	}
	out := []byte{pdu[0], byte(2 * n)}
	for i := range n {
		v, x := get(addr + uint16(i))
		if x != 0 {
			return nil, x
		}
		out = binary.BigEndian.AppendUint16(out, v)
	}
	return out, 0
}

// window checks a read request: address and quantity.
func window(pdu []byte, have bool, most int) (addr uint16, n int, x Exception) {
	if !have {
		return 0, 0, IllegalFunction
	}
	if len(pdu) != 5 {
		return 0, 0, IllegalValue
	}
	addr, n = be16(pdu[1:]), int(be16(pdu[3:]))
	if n < 1 || n > most {
		return 0, 0, IllegalValue
	}
	if int(addr)+n > 1<<16 {
		return 0, 0, IllegalAddress
	}
	return addr, n, 0
}

func be16(p []byte) uint16 { return binary.BigEndian.Uint16(p) }
