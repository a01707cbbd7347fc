package i2c

import (
	"fmt"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/devices/v3/ads1x15"

	"tocsin/drivers"
)

// inputs are the multiplexer's ways (TI data sheet SBAS444E, table 8-3).
var inputs = []struct {
	channel string
	mux     ads1x15.Channel
	bits    uint16
}{
	{"ain0", ads1x15.Channel0, 4}, {"ain1", ads1x15.Channel1, 5}, {"ain2", ads1x15.Channel2, 6}, {"ain3", ads1x15.Channel3, 7},
	{"ain0_ain1", ads1x15.Channel0Minus1, 0}, {"ain2_ain3", ads1x15.Channel2Minus3, 3},
}

// ads1115 is the TI ADS1115 (SBAS444E) by periph's ads1x15: volts at its inputs.
// After each conversion the configuration is read back: the conversion must be
// over, and have been of this input (section 8.1.3).
func ads1115(o Opts) func(*guarded) (sense, error) {
	return func(g *guarded) (sense, error) {
		d, err := ads1x15.NewADS1115(g, &ads1x15.Opts{I2cAddress: g.addr})
		if err != nil {
			return nil, err
		}
		pins := map[string]ads1x15.PinADC{}
		for _, in := range inputs {
			if !o.wants(in.channel) {
				continue
			}
			p, err := d.PinForChannel(in.mux, physic.ElectricPotential(o.FullScale*float64(physic.Volt)), 32*physic.Hertz, ads1x15.BestQuality)
			if err != nil {
				return nil, &drivers.Fault{Kind: drivers.FaultOther, Detail: "ads1115", Err: err}
			}
			pins[in.channel] = p
		}
		return func() (map[string]float64, error) {
			out := map[string]float64{}
			for _, in := range inputs {
				p := pins[in.channel]
				if p == nil {
					continue
				}
				s, err := p.Read()
				if err != nil {
					return nil, err
				}
				c, err := g.read16(1)
				if err != nil {
					return nil, err
				}
				if c == 0xFFFF || c&0x8000 == 0 || c>>12&7 != in.bits {
					return nil, &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("%s: the configuration reads 0x%04x: another input, not ready, or a stuck bus", in.channel, c)}
				}
				if s.Raw == 0x7FFF || s.Raw == -0x8000 {
					// At the end of its range it is more, nobody knows how much; the channel
					// is left out (section 8.3.3).
					continue
				}
				out[in.channel] = float64(s.V) / float64(physic.Volt)
			}
			return out, nil
		}, nil
	}
}
