package gauge

import (
	"math"
	"sync"
	"time"

	"tocsin/hwtest/line"
)

// Gas is a methane transmitter (generic-ch4-rs485).
type Gas struct {
	mu    sync.Mutex
	lel   curve
	warm  time.Time
	fault bool
}

// NewGas makes a transmitter that is warm and in so many %LEL of methane.
func NewGas(lel float64) *Gas { return &Gas{lel: flat(lel)} }

// Set puts the gas at a concentration in %LEL at once.
func (g *Gas) Set(lel float64) {
	g.mu.Lock()
	g.lel = flat(lel)
	g.mu.Unlock()
}

// Ramp lets the gas go straight to a concentration in %LEL within over.
func (g *Gas) Ramp(lel float64, over time.Duration) {
	g.mu.Lock()
	g.lel = g.lel.ramp(time.Now(), lel, over)
	g.mu.Unlock()
}

// WarmUp has the transmitter say "warming up" for a while, with a value that
// is of no use.
func (g *Gas) WarmUp(d time.Duration) {
	g.mu.Lock()
	g.warm = time.Now().Add(d)
	g.mu.Unlock()
}

// Fault sets or clears the fault status; the value is then full scale.
func (g *Gas) Fault(on bool) {
	g.mu.Lock()
	g.fault = on
	g.mu.Unlock()
}

// LEL is the concentration that is really there, in %LEL.
func (g *Gas) LEL() float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lel.at(time.Now())
}

// Answer is the register map.
func (g *Gas) Answer(pdu []byte, at time.Time) ([]byte, line.Exception) {
	g.mu.Lock()
	defer g.mu.Unlock()
	raw := uint16(min(max(math.Round(g.lel.at(at)*100), 0), 10000))
	var status uint16
	switch {
	case g.fault:
		raw, status = 0xFFFF, 2
	case at.Before(g.warm):
		raw, status = 0, 1
	}
	return line.Map{Holding: cells(raw, status)}.Answer(pdu)
}

var _ line.Unit = (*Gas)(nil)
