package i2c

import (
	"context"
	"fmt"
	"time"

	"periph.io/x/conn/v3/i2c"

	"tocsin/drivers"
)

// Clock is a Maxim DS3231 (data sheet 19-5170, revision 10: register map figure 1;
// oscillator stop flag in the status register; temperature registers): a clock
// kept by a cell. It is a drivers.Values too: its channel is "temperature", °C.
type Clock struct {
	g *guarded
}

// NewDS3231 gives the clock of a bus; its address is 0x68.
func NewDS3231(b i2c.Bus) *Clock { return &Clock{g: &guarded{bus: b, addr: 0x68}} }

// Time gives what it reads, in UTC. A clock whose oscillator stood still since it
// was set, or that holds no date, is an error.
func (c *Clock) Time(ctx context.Context) (time.Time, error) {
	c.g.ctx, c.g.failed = ctx, nil
	status, err := c.g.read(0x0F, 1)
	if err != nil {
		return time.Time{}, err
	}
	b, err := c.g.read(0x00, 7)
	if err != nil {
		return time.Time{}, err
	}
	if status[0]&0x80 != 0 {
		return time.Time{}, &drivers.Fault{Kind: drivers.FaultOther, Detail: "the clock stood still since it was set: its cell is empty or it was never set"}
	}
	return parseClock(b)
}

// parseClock reads registers 0 to 6.
func parseClock(b []byte) (time.Time, error) {
	bad := &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("the registers % x are no date", b)}
	if len(b) != 7 || b[2]&0x40 != 0 || b[0]&0x80 != 0 || b[1]&0x80 != 0 || b[3] < 1 || b[3] > 7 {
		return time.Time{}, bad // 12-hour form is never written by us
	}
	var v [7]int
	for i, mask := range []byte{0x7F, 0x7F, 0x3F, 0x07, 0x3F, 0x1F, 0xFF} {
		x := b[i] & mask
		if x&0x0F > 9 || x>>4 > 9 {
			return time.Time{}, bad
		}
		v[i] = int(x>>4)*10 + int(x&0x0F)
	}
	year := 2000 + v[6]
	if b[5]&0x80 != 0 {
		year += 100
	}
	t := time.Date(year, time.Month(v[5]), v[4], v[2], v[1], v[0], 0, time.UTC)
	if t.Day() != v[4] || int(t.Month()) != v[5] || t.Hour() != v[2] || t.Minute() != v[1] || t.Second() != v[0] {
		return time.Time{}, bad
	}
	return t, nil
}

// SetTime sets the clock and forgets that it stood still.
func (c *Clock) SetTime(ctx context.Context, t time.Time) error {
	c.g.ctx, c.g.failed = ctx, nil
	t = t.UTC()
	if t.Year() < 2000 || t.Year() > 2099 {
		return fmt.Errorf("%d cannot be set", t.Year())
	}
	bcd := func(n int) byte { return byte(n/10<<4 | n%10) }
	if err := c.g.write(0x00, bcd(t.Second()), bcd(t.Minute()), bcd(t.Hour()), byte(t.Weekday())+1, bcd(t.Day()), bcd(int(t.Month())), bcd(t.Year()-2000)); err != nil {
		return err
	}
	status, err := c.g.read(0x0F, 1)
	if err != nil {
		return err
	}
	return c.g.write(0x0F, status[0]&^0x80)
}

// Measure is drivers.Values.
func (c *Clock) Measure(ctx context.Context) ([]drivers.Sample, error) {
	c.g.ctx, c.g.failed = ctx, nil
	b, err := c.g.read(0x11, 2)
	if err != nil {
		return nil, err
	}
	control, err := c.g.read(0x0E, 2)
	if err != nil {
		return nil, err
	}
	// The low six bits of the fraction are always zero, and bit 4 to 6 of the
	// status: a stuck bus shows there.
	if b[1]&0x3F != 0 || control[1]&0x70 != 0 || same(append(b, control...)) {
		return nil, &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("the registers % x % x are none of a DS3231", b, control)}
	}
	v := float64(int16(uint16(b[0])<<8|uint16(b[1]))>>6) / 4
	return []drivers.Sample{{Channel: "temperature", Value: v, At: time.Now()}}, nil
}

// Close is drivers.Values; the bus stays.
func (c *Clock) Close() error { return nil }

// String names it.
func (c *Clock) String() string { return "ds3231 at 0x68 of " + c.g.bus.String() }

var _ drivers.Values = (*Clock)(nil)
var _ drivers.Timepiece = (*Clock)(nil)
