package i2c

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"syscall"
	"testing"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/i2c/i2ctest"
	"periph.io/x/conn/v3/physic"

	"tocsin/drivers"
)

// chipAt answers one address; wide chips have registers of two bytes.
type chipAt struct {
	addr  uint16
	wide  bool
	pairs bool // writes are pairs of register and value (BME280, section 6.2.1)
	mem   map[byte]uint16
	stuck int   // 0 none, 1: every byte reads 0x00, 2: 0xff
	err   error // of every transaction
	n     int
}

func (c *chipAt) String() string                  { return "fake" }
func (c *chipAt) SetSpeed(physic.Frequency) error { return nil }

func (c *chipAt) Tx(addr uint16, w, r []byte) error {
	c.n++
	if c.err != nil {
		return c.err
	}
	if addr != c.addr {
		return &drivers.Fault{Kind: drivers.FaultTimeout, Err: syscall.ENXIO}
	}
	if len(w) == 0 {
		return errors.New("no register named")
	}
	reg, data := w[0], w[1:]
	switch {
	case c.wide:
		if len(data) == 2 {
			c.mem[reg] = binary.BigEndian.Uint16(data)
		}
		if len(r) == 2 {
			binary.BigEndian.PutUint16(r, c.mem[reg])
		}
	case c.pairs:
		for i := 0; i+1 < len(w); i += 2 {
			c.mem[w[i]] = uint16(w[i+1])
		}
	default:
		for i, x := range data {
			c.mem[reg+byte(i)] = uint16(x)
		}
	}
	if !c.wide {
		for i := range r {
			r[i] = byte(c.mem[reg+byte(i)])
		}
	}
	if c.stuck > 0 {
		for i := range r {
			r[i] = byte(c.stuck-1) * 0xff
		}
	}
	return nil
}

func le(mem map[byte]uint16, reg byte, v int) {
	mem[reg], mem[reg+1] = uint16(v)&0xff, uint16(v)>>8&0xff
}

// airChip is a BME280 with the calibration and raw values of the example in
// Bosch's data sheet of the BMP280 (BST-BMP280-DS001, section 3.12), which has the
// same arithmetic: 25.08 °C and 100653 Pa. For the humidity, where no example is
// printed, the test reckons by the double-precision formula (BME280, section 8.1).
func airChip() *chipAt {
	m := map[byte]uint16{0xD0: 0x60}
	for i, v := range []int{27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000} {
		le(m, 0x88+byte(2*i), v)
	}
	m[0xA1] = 75
	le(m, 0xE1, 362)
	m[0xE3] = 0
	m[0xE4], m[0xE5], m[0xE6], m[0xE7] = 0x14, 0x02|0x20, 0x03, 30 // H4 = 0x142, H5 = 0x032
	p, t, h := 415148, 519888, 30000
	for i, v := range []int{p >> 12, p >> 4, p << 4, t >> 12, t >> 4, t << 4, h >> 8, h} {
		m[0xF7+byte(i)] = uint16(v) & 0xff
	}
	return &chipAt{addr: 0x76, pairs: true, mem: m}
}

func humidity(t float64) float64 {
	h := t*5120 - 76800
	h = (30000 - (322*64 + 50.0/16384*h)) * (362.0 / 65536 * (1 + 30.0/67108864*h*(1+0)))
	return h * (1 - 75*h/524288)
}

func measure(t *testing.T, v drivers.Values) (map[string]float64, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	s, err := v.Measure(ctx)
	out := map[string]float64{}
	for _, x := range s {
		out[x.Channel] = x.Value
	}
	if err != nil && len(s) > 0 {
		t.Errorf("values %v with %v", out, err)
	}
	return out, err
}

func chip(t *testing.T, b i2c.Bus, name string, addr uint16, o Opts) *Chip {
	t.Helper()
	c, err := New(b, name, addr, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func near(t *testing.T, got map[string]float64, want map[string]float64, within float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%v, want %v", got, want)
	}
	for k, w := range want {
		if g, ok := got[k]; !ok || math.Abs(g-w) > within*math.Max(1, math.Abs(w)) {
			t.Errorf("%s is %v, want %v", k, g, w)
		}
	}
}

func TestABME280GivesTheAirAsItsDataSheetReckons(t *testing.T) {
	got, err := measure(t, chip(t, airChip(), "bme280", 0x76, Opts{}))
	if err != nil {
		t.Fatal(err)
	}
	near(t, got, map[string]float64{"temperature": 25.08, "pressure": 1006.5327, "humidity": humidity(25.0825)}, 1e-3)
}

func TestAnINA226GivesVoltsAndAmperes(t *testing.T) {
	// SBOS547B, section 8.2.2.2: 2 mΩ, 1 mA a bit, calibration 2560; 12 V, 10 A, shunt
	// register 1F40, current 2710, power 12B8, bus 2570 (11.98 V).
	c := &chipAt{addr: 0x40, wide: true, mem: map[byte]uint16{0xFE: 0x5449, 1: 0x1F40, 2: 0x2570, 3: 0x12B8, 4: 0x2710}}
	got, err := measure(t, chip(t, c, "ina226", 0x40, Opts{ShuntMilliohm: 2, MostAmpere: 32.768}))
	if err != nil {
		t.Fatal(err)
	}
	if c.mem[5] != 2560 {
		t.Errorf("calibration %d, want 2560", c.mem[5])
	}
	near(t, got, map[string]float64{"shunt_voltage": 20, "bus_voltage": 11.98, "current": 10, "power": 119.8}, 1e-4)
	c.mem[4] = 0xFFFF
	if got, _ := measure(t, chip(t, c, "ina226", 0x40, Opts{ShuntMilliohm: 2, MostAmpere: 32.768})); math.Abs(got["current"]+0.001) > 1e-9 {
		t.Errorf("a current the other way is %v", got["current"])
	}
	c.mem[6] = 4
	if _, err := measure(t, chip(t, c, "ina226", 0x40, Opts{ShuntMilliohm: 2, MostAmpere: 32.768})); err == nil {
		t.Error("an overflow passed")
	}
}

func TestAnINA219GivesVoltsAndAmperes(t *testing.T) {
	c := &chipAt{addr: 0x40, wide: true, mem: map[byte]uint16{1: 2000, 2: 0x5D98, 3: 0x1766, 4: 2048}}
	got, err := measure(t, chip(t, c, "ina219", 0x40, Opts{ShuntMilliohm: 100, MostAmpere: 3.2}))
	if err != nil {
		t.Fatal(err)
	}
	near(t, got, map[string]float64{"shunt_voltage": 20, "bus_voltage": 11.98, "current": 0.2, "power": 11.6957}, 1e-3)
}

func TestAnADS1115GivesVoltsOfTheInputsThatAreWanted(t *testing.T) {
	c := &chipAt{addr: 0x48, wide: true, mem: map[byte]uint16{0: 0x4000}}
	got, err := measure(t, chip(t, c, "ads1115", 0x48, Opts{Channels: []string{"ain0", "ain2_ain3"}}))
	if err != nil {
		t.Fatal(err)
	}
	near(t, got, map[string]float64{"ain0": 2.048, "ain2_ain3": 2.048}, 1e-6)
	c.mem[0] = 0x7FFF
	if got, err := measure(t, chip(t, c, "ads1115", 0x48, Opts{Channels: []string{"ain0"}})); err != nil || len(got) != 0 {
		t.Errorf("beyond its range: %v, %v", got, err)
	}
}

func TestAnMCP23017GivesItsContacts(t *testing.T) {
	c := &chipAt{addr: 0x20, mem: map[byte]uint16{0x12: 0x81, 0x13: 0x02}}
	got, err := measure(t, chip(t, c, "mcp23017", 0x20, Opts{PullUp: true}))
	if err != nil || len(got) != 16 || c.mem[0x0C] != 0xff {
		t.Fatal(got, err)
	}
	for k, v := range got {
		if want := k == "a0" || k == "a7" || k == "b1"; (v == 1) != want {
			t.Errorf("%s is %v", k, v)
		}
	}
}

// each is every chip with a bus on which it works.
func each(t *testing.T, run func(t *testing.T, c *chipAt, v drivers.Values)) {
	for _, x := range []struct {
		name string
		bus  *chipAt
		o    Opts
	}{
		{"bme280", airChip(), Opts{}},
		{"ina219", &chipAt{addr: 0x40, wide: true, mem: map[byte]uint16{2: 0x5D98}}, Opts{}},
		{"ina226", &chipAt{addr: 0x40, wide: true, mem: map[byte]uint16{0xFE: 0x5449}}, Opts{}},
		{"ads1115", &chipAt{addr: 0x48, wide: true, mem: map[byte]uint16{0: 0x4000}}, Opts{Channels: []string{"ain0"}}},
		{"mcp23017", &chipAt{addr: 0x20, mem: map[byte]uint16{}}, Opts{}},
		{"ds3231", &chipAt{addr: 0x68, mem: map[byte]uint16{0x0E: 0x1C, 0x11: 25, 0x12: 0x40}}, Opts{}},
	} {
		t.Run(x.name, func(t *testing.T) {
			if x.name == "ds3231" {
				run(t, x.bus, NewDS3231(x.bus))
				return
			}
			run(t, x.bus, chip(t, x.bus, x.name, x.bus.addr, x.o))
		})
	}
}

// TestEveryChipConforms: what a driver of a chip must do whatever the bus does.
func TestEveryChipConforms(t *testing.T) {
	each(t, func(t *testing.T, c *chipAt, v drivers.Values) {
		if got, err := measure(t, v); err != nil || len(got) == 0 {
			t.Fatalf("it does not measure: %v, %v", got, err)
		}
		for _, stuck := range []int{1, 2} {
			c.stuck = stuck
			if got, err := measure(t, v); err == nil {
				t.Errorf("a bus stuck at %d gave %v", stuck-1, got)
			}
			c.stuck = 0
			if _, err := measure(t, v); err != nil {
				t.Errorf("not back after a stuck bus: %v", err)
			}
		}
		c.err = &drivers.Fault{Kind: drivers.FaultTimeout, Err: syscall.ENXIO}
		if _, err := measure(t, v); drivers.KindOf(err) != drivers.FaultTimeout {
			t.Errorf("absent: %v", err)
		}
		c.err = &drivers.Fault{Kind: drivers.FaultGone, Err: syscall.ENODEV}
		if _, err := measure(t, v); drivers.KindOf(err) != drivers.FaultGone {
			t.Errorf("gone: %v", err)
		}
		c.err = nil
		if got, err := measure(t, v); err != nil || len(got) == 0 {
			t.Errorf("not back after it was gone: %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if s, err := v.Measure(ctx); err == nil {
			t.Errorf("a context that ended gave %v", s)
		}
	})
}

// TestAChipThatLostItsSettingsIsNotBelieved: a supply that failed for a moment.
func TestAChipThatLostItsSettingsIsNotBelieved(t *testing.T) {
	for name, lose := range map[string]func(m map[byte]uint16){
		"ina219":   func(m map[byte]uint16) { m[0], m[5] = 0x399F, 0 },
		"ina226":   func(m map[byte]uint16) { m[0], m[5] = 0x4127, 0 },
		"mcp23017": func(m map[byte]uint16) { m[0x0C], m[0x0D] = 0, 0 },
		"bme280":   func(m map[byte]uint16) { m[0xFD], m[0xFE] = 0x80, 0 },
	} {
		c := airChip()
		switch name {
		case "ina219", "ina226":
			c = &chipAt{addr: 0x40, wide: true, mem: map[byte]uint16{0xFE: 0x5449, 2: 0x5D98}}
		case "mcp23017":
			c = &chipAt{addr: 0x20, mem: map[byte]uint16{}}
		}
		v := chip(t, c, name, c.addr, Opts{PullUp: true})
		if _, err := measure(t, v); err != nil {
			t.Fatal(name, err)
		}
		lose(c.mem)
		if got, err := measure(t, v); err == nil {
			t.Errorf("%s that was reset gave %v", name, got)
		}
		if name == "bme280" {
			continue // the data themselves are the mark
		}
		if _, err := measure(t, v); err != nil {
			t.Errorf("%s was not set up again: %v", name, err)
		}
	}
}

func TestAnotherChipAtTheAddressIsRefused(t *testing.T) {
	c := airChip()
	c.mem[0xD0] = 0x58 // a BMP280, which measures no humidity
	if _, err := measure(t, chip(t, c, "bme280", 0x76, Opts{})); drivers.KindOf(err) != drivers.FaultForeign {
		t.Error(err)
	}
	d := &chipAt{addr: 0x40, wide: true, mem: map[byte]uint16{0xFE: 0x1234}}
	if _, err := measure(t, chip(t, d, "ina226", 0x40, Opts{})); drivers.KindOf(err) != drivers.FaultForeign {
		t.Error(err)
	}
}

// A BME280 whose status always says "measuring" holds periph's loop: the caller's
// context ends it.
func TestAChipThatIsNeverReadyEndsWithItsCaller(t *testing.T) {
	c := airChip()
	c.mem[0xF3] = 0x08
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := chip(t, c, "bme280", 0x76, Opts{}).Measure(ctx); drivers.KindOf(err) != drivers.FaultTimeout {
		t.Error(err)
	}
}

// The recording of a clock: figure 1 of its data sheet, 2026-05-12 14:30:45.
func TestAClockReadsAndSetsItsTime(t *testing.T) {
	ctx := context.Background()
	now := time.Date(2026, 5, 12, 14, 30, 45, 0, time.UTC)
	regs := []byte{0x45, 0x30, 0x14, 0x03, 0x12, 0x05, 0x26}
	p := &i2ctest.Playback{DontPanic: true, Ops: []i2ctest.IO{
		{Addr: 0x68, W: append([]byte{0}, regs...)},
		{Addr: 0x68, W: []byte{0x0F}, R: []byte{0x88}},
		{Addr: 0x68, W: []byte{0x0F, 0x08}},
		{Addr: 0x68, W: []byte{0x0F}, R: []byte{0x08}},
		{Addr: 0x68, W: []byte{0x00}, R: regs},
		{Addr: 0x68, W: []byte{0x0F}, R: []byte{0x88}},
		{Addr: 0x68, W: []byte{0x00}, R: regs},
		{Addr: 0x68, W: []byte{0x11}, R: []byte{0xF4, 0xC0}},
		{Addr: 0x68, W: []byte{0x0E}, R: []byte{0x1C, 0x08}},
	}}
	c := NewDS3231(p)
	if err := c.SetTime(ctx, now); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Time(ctx); err != nil || !got.Equal(now) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := c.Time(ctx); err == nil {
		t.Errorf("a clock that stood still gave %v", got)
	}
	if got, err := measure(t, c); err != nil || got["temperature"] != -11.25 {
		t.Errorf("%v, %v", got, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestABusThatIsNotThereIsSaid(t *testing.T) {
	b := Open(t.TempDir() + "/i2c-9")
	err := b.Tx(0x76, []byte{0}, nil)
	if drivers.KindOf(err) != drivers.FaultGone || !errors.Is(err, drivers.ErrAbsent) {
		t.Error(err)
	}
	b.Close()
	if err := b.Tx(0x76, []byte{0}, nil); drivers.KindOf(err) != drivers.FaultGone {
		t.Error(err)
	}
	for errno, want := range map[syscall.Errno]drivers.FaultKind{syscall.ENXIO: drivers.FaultTimeout, syscall.EREMOTEIO: drivers.FaultTimeout,
		syscall.EAGAIN: drivers.FaultGarbled, syscall.EIO: drivers.FaultGarbled, syscall.ENODEV: drivers.FaultGone} {
		if got := fault(errno, "x").Kind; got != want {
			t.Errorf("%v is %v", errno, got)
		}
	}
}

func FuzzClock(f *testing.F) {
	f.Add([]byte{0x45, 0x30, 0x14, 0x03, 0x12, 0x05, 0x26})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0, 0, 0, 1, 0x31, 0x02, 0x26})
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := parseClock(b); err == nil && (got.Year() < 2000 || got.Year() > 2199) {
			t.Fatalf("% x gives %v", b, got)
		}
	})
}

// FuzzChips: whatever a bus answers, a chip gives finite values or a fault, and ends.
func FuzzChips(f *testing.F) {
	f.Add([]byte{0x60, 0, 1, 2, 3}, uint8(0))
	f.Add([]byte{0x54, 0x49, 0x45, 0x27}, uint8(2))
	f.Fuzz(func(t *testing.T, b []byte, which uint8) {
		names := []string{"bme280", "ina219", "ina226", "ads1115", "mcp23017"}
		bus := &noisy{b: b}
		c, err := New(bus, names[int(which)%len(names)], 0x40, Opts{Channels: []string{"ain0"}})
		if names[int(which)%len(names)] == "bme280" {
			c, err = New(bus, "bme280", 0x76, Opts{})
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		for range 2 {
			s, err := c.Measure(ctx)
			for _, x := range s {
				if math.IsNaN(x.Value) || math.IsInf(x.Value, 0) || err != nil {
					t.Fatalf("%v, %v", s, err)
				}
			}
		}
	})
}

type noisy struct {
	b []byte
	i int
}

func (n *noisy) String() string                  { return "noisy" }
func (n *noisy) SetSpeed(physic.Frequency) error { return nil }
func (n *noisy) Tx(_ uint16, _, r []byte) error {
	for i := range r {
		if len(n.b) > 0 {
			r[i] = n.b[n.i%len(n.b)]
			n.i++
		}
	}
	return nil
}
