package i2c

import (
	"errors"
	"fmt"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/devices/v3/ina219"

	"tocsin/drivers"
)

// ina219Chip is the TI INA219 (data sheet SBOS448G) by periph's ina219: battery
// voltage V, current A, power W and the shunt's mV.
func ina219Chip(o Opts) func(*guarded) (sense, error) {
	return func(g *guarded) (sense, error) {
		d, err := ina219.New(g, &ina219.Opts{Address: int(g.addr), SenseResistor: physic.ElectricResistance(o.ShuntMilliohm * float64(physic.MilliOhm)),
			MaxCurrent: physic.ElectricCurrent(o.MostAmpere * float64(physic.Ampere))})
		if err != nil {
			return nil, err
		}
		set, err := g.read16(5)
		if err == nil && (set == 0 || set == 0xFFFF) {
			err = fmt.Errorf("calibration reads 0x%04x", set)
		}
		if err != nil {
			return nil, err
		}
		return func() (map[string]float64, error) {
			// Section 8.6.2: what New wrote; a chip that was reset has 0x399F and no
			// calibration, so that its current is zero whatever flows.
			if err := errors.Join(g.keeps(0, 0x1FFF, 0xFFFF), g.keeps(5, set, 0xFFFF)); err != nil {
				return nil, err
			}
			m, err := d.Sense()
			if err != nil {
				return nil, err
			}
			return map[string]float64{
				"bus_voltage": float64(m.Voltage) / float64(physic.Volt), "shunt_voltage": float64(m.Shunt) / float64(physic.MilliVolt),
				"current": float64(m.Current) / float64(physic.Ampere), "power": float64(m.Power) / float64(physic.Watt),
			}, nil
		}, nil
	}
}

// ina226 is the TI INA226 (data sheet SBOS547B, section 7.6: registers; 7.5:
// programming). periph has no driver of it.
func ina226(o Opts) func(*guarded) (sense, error) {
	const (
		// Average of 16, 1.1 ms each, shunt and bus continuously (table 7-3).
		config = 0x4527
		maker  = 0x5449 // "TI"
	)
	lsb := o.MostAmpere / (1 << 15)                         // equation 2
	cal := uint32(0.00512 / (lsb * o.ShuntMilliohm / 1000)) // equation 1
	return func(g *guarded) (sense, error) {
		if cal == 0 || cal > 0x7FFF {
			return nil, &drivers.Fault{Kind: drivers.FaultOther, Detail: fmt.Sprintf("a shunt of %v mΩ and at most %v A need a calibration of %d, which the chip cannot hold", o.ShuntMilliohm, o.MostAmpere, cal)}
		}
		id, err := g.read16(0xFE)
		if err != nil {
			return nil, err
		}
		if id != maker {
			return nil, other("maker's id", fmt.Sprintf("0x%04x", id), "0x5449 (INA226)")
		}
		if err := errors.Join(g.write16(0, config), g.write16(5, uint16(cal))); err != nil {
			return nil, err
		}
		return func() (map[string]float64, error) {
			if err := errors.Join(g.keeps(0, config, 0xFFFF), g.keeps(5, uint16(cal), 0x7FFF)); err != nil {
				return nil, err
			}
			flags, err := g.read16(6)
			if err == nil && flags&0x0004 != 0 { // OVF: the arithmetic overflowed
				err = &drivers.Fault{Kind: drivers.FaultOther, Detail: "the current is beyond what was set as the most"}
			}
			var r [4]uint16
			for i, reg := range []byte{1, 2, 3, 4} {
				if err == nil {
					r[i], err = g.read16(reg)
				}
			}
			if err != nil {
				return nil, err
			}
			return map[string]float64{
				"shunt_voltage": float64(int16(r[0])) * 0.0025, "bus_voltage": float64(r[1]) * 0.00125,
				"power": float64(r[2]) * 25 * lsb, "current": float64(int16(r[3])) * lsb,
			}, nil
		}, nil
	}
}
