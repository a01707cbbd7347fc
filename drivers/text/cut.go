package text

import (
	"fmt"
	"strconv"
	"strings"
)

// The kinds of checksum.
const (
	None = "none"
	// XOR is two hex digits after a star: the XOR of all between the first
	// character and the star.
	XOR = "xor"
	// Sum is the same with the sum modulo 256.
	Sum = "sum"
	// CRC16 is four hex digits after a star: the CRC of Modbus RTU, as a
	// number, over the same.
	CRC16 = "crc16modbus"
)

// body takes the checksum off a line, where there is one, and checks it.
func body(line, kind string) (string, error) {
	digits := 2
	switch kind {
	case None:
		return line, nil
	case CRC16:
		digits = 4
	}
	i := strings.LastIndexByte(line, '*')
	if i < 1 || len(line) != i+1+digits {
		return "", fmt.Errorf("no checksum at its end")
	}
	want, err := strconv.ParseUint(line[i+1:], 16, 16)
	if err != nil {
		return "", fmt.Errorf("its checksum is not %d hex digits", digits)
	}
	if got := checksum(line[1:i], kind); got != uint16(want) {
		return "", fmt.Errorf("its checksum is %0*X, reckoned %0*X", digits, want, digits, got)
	}
	return line[:i], nil
}

func checksum(s, kind string) uint16 {
	switch kind {
	case XOR:
		var x byte
		for _, b := range []byte(s) {
			x ^= b
		}
		return uint16(x)
	case Sum:
		var x byte
		for _, b := range []byte(s) {
			x += b
		}
		return uint16(x)
	}
	c := uint16(0xffff)
	for _, b := range []byte(s) {
		c ^= uint16(b)
		for range 8 {
			if c&1 == 1 {
				c = c>>1 ^ 0xa001
			} else {
				c >>= 1
			}
		}
	}
	return c
}

// printable tells whether a line is ASCII that can be shown. A character whose
// parity was wrong arrives as NUL.
func printable(line string) bool {
	for _, b := range []byte(line) {
		if (b < 0x20 && b != '\t') || b > 0x7e {
			return false
		}
	}
	return true
}

// cut gives the fields of a whole line without its end. ours is false for a
// good line that does not begin with Start.
func (o *Opts) cut(line string) (fields []string, ours bool, err error) {
	if !printable(line) {
		return nil, false, fmt.Errorf("it holds bytes that are no text")
	}
	line, err = body(line, o.Checksum)
	if err != nil {
		return nil, false, err
	}
	rest, ok := strings.CutPrefix(line, o.Start)
	if !ok {
		return nil, false, nil
	}
	if o.Start != "" {
		rest = strings.TrimPrefix(rest, o.Separator)
	}
	return strings.Split(rest, o.Separator), true, nil
}
