// Package onewire is thermometers on the kernel's 1-Wire bus: the DS18B20 and its
// kin, as the kernel's w1_therm driver gives them.
//
// The nine bytes of the scratchpad are read and checked here, not the kernel's
// number: their checksum, the power-on value 85 °C, which a sensor gives whose
// conversion did not happen, and −127 °C, which stands for no sensor in many a
// firmware, are faults and never a temperature.
//
// Sources: Linux Documentation/w1/slaves/w1_therm.rst (w1_slave); Maxim data sheet
// DS18B20, 19-7487 revision 6: figure 9 (scratchpad), table 1 (data), figure 11
// (CRC).
package onewire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tocsin/drivers"
)

// Thermometer is one sensor: a drivers.Values with the channel "temperature", °C.
type Thermometer struct {
	folder, id string
}

// id is a family and a serial number as the kernel writes them.
var id = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{12}$`)

// New names a sensor by the kernel's folder of devices and its id.
func New(folder, sensor string) (*Thermometer, error) {
	if !id.MatchString(sensor) {
		return nil, fmt.Errorf("%q is no 1-Wire id, such as 28-0316a2795ee4", sensor)
	}
	return &Thermometer{folder, sensor}, nil
}

// Measure is drivers.Values. The kernel's conversion takes up to a second and does
// not end before; a ctx that ends is seen after it.
func (t *Thermometer) Measure(ctx context.Context) ([]drivers.Sample, error) {
	if _, err := os.Stat(t.folder); err != nil {
		return nil, &drivers.Fault{Kind: drivers.FaultGone, Detail: t.folder, Err: fmt.Errorf("%w: %w", drivers.ErrAbsent, err)}
	}
	f, err := os.Open(filepath.Join(t.folder, t.id, "w1_slave"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &drivers.Fault{Kind: drivers.FaultTimeout, Detail: t.String() + " is not on the bus", Err: err}
	}
	if err != nil {
		return nil, &drivers.Fault{Kind: drivers.FaultOther, Detail: t.String(), Err: err}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 512))
	if err != nil {
		return nil, &drivers.Fault{Kind: drivers.FaultTimeout, Detail: t.String(), Err: err}
	}
	if ctx.Err() != nil {
		return nil, &drivers.Fault{Kind: drivers.FaultCancelled, Err: ctx.Err()}
	}
	v, err := parse(string(b))
	if err != nil {
		return nil, &drivers.Fault{Kind: drivers.FaultGarbled, Detail: t.String(), Err: err}
	}
	return []drivers.Sample{{Channel: "temperature", Value: v, At: time.Now()}}, nil
}

// parse reads the kernel's two lines:
//
//	50 05 4b 46 7f ff 0c 10 1c : crc=1c YES
//	50 05 4b 46 7f ff 0c 10 1c t=85000
func parse(s string) (float64, error) {
	first, _, _ := strings.Cut(s, "\n")
	data, verdict, ok := strings.Cut(first, ":")
	fields := strings.Fields(data)
	if !ok || len(fields) != 9 {
		return 0, fmt.Errorf("%.60q is no scratchpad", first)
	}
	var b [9]byte
	for i, x := range fields {
		v, err := strconv.ParseUint(x, 16, 8)
		if err != nil || len(x) != 2 {
			return 0, fmt.Errorf("%.60q is no scratchpad", first)
		}
		b[i] = byte(v)
	}
	if !strings.HasSuffix(strings.TrimSpace(verdict), "YES") || crc(b[:8]) != b[8] {
		return 0, fmt.Errorf("the checksum of % x is wrong", b)
	}
	// Eight zeros have the checksum zero: a bus that is held low. Byte 5 is 0xff
	// and the low bits of byte 4 are ones in every sensor of the kind (figure 9).
	if b[4]&0x1F != 0x1F {
		return 0, fmt.Errorf("% x is no scratchpad of a DS18B20: the bus is held low, or another chip", b)
	}
	raw := int16(uint16(b[1])<<8 | uint16(b[0]))
	v := float64(raw) / 16
	switch {
	case raw == 0x0550:
		return 0, errors.New("85 °C is what it holds after power-on: no conversion happened; check its supply")
	case v <= -127 || v < -55 || v > 125:
		return 0, fmt.Errorf("%v °C is outside what it can measure", v)
	}
	return v, nil
}

// crc is the 1-Wire checksum: x⁸+x⁵+x⁴+1, low bit first (figure 11).
func crc(b []byte) byte {
	c := byte(0)
	for _, x := range b {
		c ^= x
		for range 8 {
			if c&1 == 1 {
				c = c>>1 ^ 0x8C
			} else {
				c >>= 1
			}
		}
	}
	return c
}

// Close is drivers.Values.
func (t *Thermometer) Close() error { return nil }

// String names it.
func (t *Thermometer) String() string { return "1-wire " + t.id }

var _ drivers.Values = (*Thermometer)(nil)
