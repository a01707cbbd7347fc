package i2c

import (
	"errors"
	"fmt"
)

// mcp23017 is the Microchip MCP23017 (data sheet DS20001952C, section 3.5, with
// IOCON.BANK 0 as after a reset): sixteen contacts. periph's mcp23xxx is not used,
// since it registers its pins with the process for ever, so that a chip could not
// begin again.
func mcp23017(o Opts) func(*guarded) (sense, error) {
	const (
		direction = 0x00 // IODIRA, IODIRB
		polarity  = 0x02 // IPOL
		pullUp    = 0x0C // GPPU
		ports     = 0x12 // GPIO
	)
	pull := uint16(0)
	if o.PullUp {
		pull = 0xFFFF
	}
	return func(g *guarded) (sense, error) {
		if err := errors.Join(g.write16(direction, 0xFFFF), g.write16(polarity, 0), g.write16(pullUp, pull)); err != nil {
			return nil, err
		}
		return func() (map[string]float64, error) {
			// A stuck bus cannot read as all ones, as none and as what was set at once.
			if err := errors.Join(g.keeps(direction, 0xFFFF, 0xFFFF), g.keeps(polarity, 0, 0xFFFF), g.keeps(pullUp, pull, 0xFFFF)); err != nil {
				return nil, err
			}
			v, err := g.read(ports, 2)
			if err != nil {
				return nil, err
			}
			out := map[string]float64{}
			for i := range 8 {
				out[fmt.Sprintf("a%d", i)] = float64(v[0] >> i & 1)
				out[fmt.Sprintf("b%d", i)] = float64(v[1] >> i & 1)
			}
			return out, nil
		}, nil
	}
}
