package i2c

import (
	"fmt"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/devices/v3/bmxx80"

	"tocsin/drivers"
)

// bme280 is the Bosch BME280 (data sheet BST-BME280-DS002, revision 1.6): air
// temperature °C, humidity %, pressure hPa, by periph's bmxx80. That package also
// takes a BMP280, whose humidity it leaves at zero: it is refused here.
func bme280(Opts) func(*guarded) (sense, error) {
	return func(g *guarded) (sense, error) {
		id, err := g.read(0xD0, 1) // section 5.4.1
		if err != nil {
			return nil, err
		}
		if id[0] != 0x60 {
			return nil, other("chip id", fmt.Sprintf("0x%02x", id[0]), "0x60 (BME280)")
		}
		d, err := bmxx80.NewI2C(g, g.addr, &bmxx80.DefaultOpts)
		if err != nil {
			return nil, err
		}
		return func() (map[string]float64, error) {
			var e physic.Env
			if err := d.Sense(&e); err != nil {
				return nil, err
			}
			// Section 4.2.2: 0x80000 and 0x8000 stand in a register whose quantity was
			// not measured, which a chip that was reset does.
			b := g.last
			if len(b) != 8 || b[0] == 0x80 && b[1] == 0 && b[2] == 0 || b[3] == 0x80 && b[4] == 0 && b[5] == 0 || b[6] == 0x80 && b[7] == 0 || same(b) {
				return nil, &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("the data % x are no measurement", b)}
			}
			return map[string]float64{
				"temperature": e.Temperature.Celsius(),
				"humidity":    float64(e.Humidity) / float64(physic.PercentRH),
				"pressure":    float64(e.Pressure) / float64(100*physic.Pascal),
			}, nil
		}, nil
	}
}

// same tells whether all bytes are 0x00 or all 0xff: a bus that is stuck.
func same(b []byte) bool {
	for _, x := range b {
		if x != b[0] {
			return false
		}
	}
	return len(b) > 0 && (b[0] == 0 || b[0] == 0xff)
}
