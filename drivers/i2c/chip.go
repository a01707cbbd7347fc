package i2c

import (
	"context"
	"fmt"
	"slices"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"

	"tocsin/drivers"
)

// Opts says what must be known of a chip.
type Opts struct {
	// Channels are those that are wanted; an ADS1115 measures no others. Empty:
	// all.
	Channels []string
	// ShuntMilliohm and MostAmpere are an INA's shunt and its largest current.
	// Defaults 100 mΩ and 3.2 A: the common board.
	ShuntMilliohm, MostAmpere float64
	// FullScale is an ADS1115's range in volts. Default 4.096.
	FullScale float64
	// PullUp lets an MCP23017 pull its inputs up, for contacts to ground.
	PullUp bool
}

func (o Opts) wants(channel string) bool {
	return len(o.Channels) == 0 || slices.Contains(o.Channels, channel)
}

// Chip is one chip of a bus: a drivers.Values. A failed measurement, or a chip that
// no longer has its settings, begins again from the chip's identity.
type Chip struct {
	name  string
	addr  uint16
	g     *guarded
	begin func(g *guarded) (sense, error)
	sense sense
}

// sense measures all channels.
type sense func() (map[string]float64, error)

// chips are the chips by their word.
var chips = map[string]func(Opts) func(*guarded) (sense, error){
	"bme280": bme280, "ina219": ina219Chip, "ina226": ina226, "ads1115": ads1115, "mcp23017": mcp23017,
}

// New gives a chip at an address. Nothing is sent before the first Measure. For a
// DS3231 use NewDS3231.
func New(b i2c.Bus, chip string, addr uint16, o Opts) (*Chip, error) {
	if o.ShuntMilliohm == 0 {
		o.ShuntMilliohm = 100
	}
	if o.MostAmpere == 0 {
		o.MostAmpere = 3.2
	}
	if o.FullScale == 0 {
		o.FullScale = 4.096
	}
	make, ok := chips[chip]
	if !ok {
		return nil, fmt.Errorf("no chip is named %q", chip)
	}
	if addr < 0x03 || addr > 0x77 {
		return nil, fmt.Errorf("0x%02x is no address of a chip", addr)
	}
	return &Chip{name: chip, addr: addr, g: &guarded{bus: b, addr: addr}, begin: make(o)}, nil
}

// Measure is drivers.Values.
func (c *Chip) Measure(ctx context.Context) ([]drivers.Sample, error) {
	c.g.ctx, c.g.failed = ctx, nil
	vs, err := c.once()
	if err != nil {
		c.sense = nil
		if c.g.failed != nil {
			err = c.g.failed // what the bus said, which a library may have hidden
		}
		if drivers.KindOf(err) == drivers.FaultOther {
			err = &drivers.Fault{Kind: drivers.FaultGarbled, Detail: c.String(), Err: err}
		}
		return nil, err
	}
	now := time.Now()
	var out []drivers.Sample
	for ch, v := range vs {
		out = append(out, drivers.Sample{Channel: ch, Value: v, At: now})
	}
	slices.SortFunc(out, func(a, b drivers.Sample) int { return len(a.Channel) - len(b.Channel) })
	return out, nil
}

func (c *Chip) once() (vs map[string]float64, err error) {
	if c.sense == nil {
		if c.sense, err = c.begin(c.g); err != nil {
			return nil, err
		}
	}
	vs, err = c.sense()
	if err == nil && c.g.failed != nil {
		err = c.g.failed // a library went on after an error
	}
	return vs, err
}

// Close is drivers.Values; the bus stays.
func (c *Chip) Close() error { return nil }

// String names chip, address and bus.
func (c *Chip) String() string { return fmt.Sprintf("%s at 0x%02x of %s", c.name, c.addr, c.g.bus) }

// guarded is a bus that ends with its caller's context, and keeps the first fault
// of a measurement. A library's loop that waits for a chip ends by it.
type guarded struct {
	bus    i2c.Bus
	addr   uint16
	ctx    context.Context // of the present Measure
	failed error
	// last is what was read last.
	last []byte
}

// Tx is periph's i2c.Bus.
func (g *guarded) Tx(addr uint16, w, r []byte) error {
	if g.failed == nil && g.ctx.Err() != nil {
		g.failed = &drivers.Fault{Kind: drivers.FaultTimeout, Detail: fmt.Sprintf("chip at 0x%02x", addr), Err: g.ctx.Err()}
	}
	if g.failed != nil {
		return g.failed
	}
	if err := g.bus.Tx(addr, w, r); err != nil {
		if drivers.KindOf(err) == drivers.FaultOther {
			err = &drivers.Fault{Kind: drivers.FaultTimeout, Detail: fmt.Sprintf("chip at 0x%02x", addr), Err: err}
		}
		g.failed = err
		return err
	}
	if len(r) > 0 {
		g.last = append(g.last[:0], r...)
	}
	return nil
}

// SetSpeed is periph's i2c.Bus.
func (g *guarded) SetSpeed(f physic.Frequency) error { return g.bus.SetSpeed(f) }

// String is periph's i2c.Bus.
func (g *guarded) String() string { return g.bus.String() }

// read gives n registers from one.
func (g *guarded) read(reg byte, n int) ([]byte, error) {
	b := make([]byte, n)
	err := g.Tx(g.addr, []byte{reg}, b)
	return b, err
}

// read16 gives a register of two bytes, the high one first.
func (g *guarded) read16(reg byte) (uint16, error) {
	b, err := g.read(reg, 2)
	return uint16(b[0])<<8 | uint16(b[1]), err
}

func (g *guarded) write(b ...byte) error { return g.Tx(g.addr, b, nil) }

func (g *guarded) write16(reg byte, v uint16) error { return g.write(reg, byte(v>>8), byte(v)) }

// keeps tells whether a register still has what it was given.
func (g *guarded) keeps(reg byte, want, mask uint16) error {
	v, err := g.read16(reg)
	if err == nil && v&mask != want&mask {
		err = &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("register 0x%02x is 0x%04x, was set to 0x%04x: the chip lost its settings or its bus is stuck", reg, v, want)}
	}
	return err
}

// other says that another chip is at the address.
func other(what string, got, want any) error {
	return &drivers.Fault{Kind: drivers.FaultForeign, Detail: fmt.Sprintf("%s is %v, want %v", what, got, want)}
}

var _ drivers.Values = (*Chip)(nil)
