package gauge

import (
	"sync"
	"time"

	"tocsin/hwtest/line"
)

// Pattern is a unit for tests of the line: holding and input register k is
// id × 1000 + k, so that an answer that belongs to another request can be told
// by its value. Registers 0 and 1 can be a clock, see NewPattern.
type Pattern struct {
	id     byte
	size   uint16
	period time.Duration

	mu     sync.Mutex
	holes  [][2]uint16
	values map[uint16]uint16
	epoch  time.Time
}

// NewPattern makes a unit with size registers. If period is not 0, registers 0
// and 1 hold, high word first, the milliseconds since epoch at the latest
// whole period: a reader's lag is now minus value when it first shows a new
// one.
func NewPattern(id byte, size uint16, epoch time.Time, period time.Duration) *Pattern {
	return &Pattern{id: id, size: size, period: period, epoch: epoch, values: map[uint16]uint16{}}
}

// Hole makes the registers from a to b answer with IllegalAddress.
func (p *Pattern) Hole(a, b uint16) {
	p.mu.Lock()
	p.holes = append(p.holes, [2]uint16{a, b})
	p.mu.Unlock()
}

// Set gives a register another value.
func (p *Pattern) Set(addr, value uint16) {
	p.mu.Lock()
	p.values[addr] = value
	p.mu.Unlock()
}

// Get is a register's value; false if there is none.
func (p *Pattern) Get(addr uint16) (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, x := p.get(addr, time.Now())
	return v, x == 0
}

func (p *Pattern) get(addr uint16, at time.Time) (uint16, line.Exception) {
	if x := p.allowed(addr); x != 0 {
		return 0, x
	}
	if v, ok := p.values[addr]; ok {
		return v, 0
	}
	if p.period > 0 && addr < 2 {
		ms := uint32(at.Sub(p.epoch).Truncate(p.period).Milliseconds())
		if addr == 0 {
			return uint16(ms >> 16), 0
		}
		return uint16(ms), 0
	}
	return uint16(p.id)*1000 + addr, 0
}

func (p *Pattern) allowed(addr uint16) line.Exception {
	if addr >= p.size {
		return line.IllegalAddress
	}
	for _, h := range p.holes {
		if addr >= h[0] && addr <= h[1] {
			return line.IllegalAddress
		}
	}
	return 0
}

// Answer is the register map; registers may be written.
func (p *Pattern) Answer(pdu []byte, at time.Time) ([]byte, line.Exception) {
	p.mu.Lock()
	defer p.mu.Unlock()
	get := func(a uint16) (uint16, line.Exception) { return p.get(a, at) }
	return line.Map{
		Holding: get, Input: get,
		SetReg: func(a, v uint16) line.Exception {
			if x := p.allowed(a); x != 0 {
				return x
			}
			p.values[a] = v
			return 0
		},
		Check: func(_ byte, a, n int) line.Exception {
			for i := range n {
				if x := p.allowed(uint16(a + i)); x != 0 {
					return x
				}
			}
			return 0
		},
	}.Answer(pdu)
}

var _ line.Unit = (*Pattern)(nil)
