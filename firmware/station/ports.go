package station

import (
	"context"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/modbus"
	"tocsin/drivers/serial"
	"tocsin/firmware/keep/config"
)

// What a line speaks, as a site file writes it.
const (
	framingTCP   = "modbus-tcp"
	framingRTU   = "rtu"
	framingASCII = "ascii"
)

// ascii tells whether a line speaks Modbus ASCII.
func (l LinePlan) ascii() bool {
	return l.Config.Mode == framingASCII || l.Config.Framing == framingASCII
}

// portOf gives what opens a line's port: a serial port, or the far end of a
// serial server. A port that is not there is tried again by whoever calls it.
func (h *House) portOf(ctx context.Context, p LinePlan) func() (drivers.Port, error) {
	start := h.guard.Starter("drivers")
	if p.Config.TCP != "" {
		return func() (drivers.Port, error) {
			return modbus.DialStream(ctx, p.Config.TCP, modbus.StreamOpts{Start: start, Connect: max(time.Second, p.timeout())})
		}
	}
	return func() (drivers.Port, error) { return openSerial(p, start) }
}

func openSerial(p LinePlan, start drivers.Starter) (drivers.Port, error) {
	s, err := serial.Open(p.Config.Port, serial.Opts{Baud: p.Baud, Format: p.Format, Start: start, RS485: directionOf(p.Config.RS485)})
	if err != nil {
		return nil, portProblem(err)
	}
	return s, nil
}

func directionOf(c *config.RS485) *serial.RS485 {
	if c == nil {
		return nil
	}
	return &serial.RS485{RTSLowOnSend: c.Send == "low", Before: c.Before.Duration(), After: c.After.Duration()}
}

// openRegisters makes the line's driver; nothing is opened before it is asked.
func openRegisters(p LinePlan, port func() (drivers.Port, error)) (*modbus.Line, error) {
	if p.Config.TCP != "" && (p.Config.Framing == "" || p.Config.Framing == framingTCP) {
		return modbus.NewTCP(p.Config.TCP, modbus.TCPOpts{Timeout: p.timeout(), Turnaround: p.turnaround()}), nil
	}
	bits, err := serial.CharBits(p.Format)
	if err != nil {
		return nil, err
	}
	o := modbus.RTUOpts{Baud: p.Baud, CharBits: bits, Timeout: p.timeout(), Turnaround: p.turnaround()}
	for _, u := range p.Units {
		o.Gap = max(o.Gap, u.Profile.Line.Gap)
	}
	if p.ascii() {
		return modbus.NewASCII(port, o), nil
	}
	return modbus.NewRTU(port, o), nil
}
