package serial

import (
	"fmt"
	"time"

	"tocsin/drivers"
)

// Opts says how a port is opened.
type Opts struct {
	// Baud is the rate; any that the hardware can make. Default 9600.
	Baud int
	// Format is data bits, parity and stop bits, e.g. "8N1" (default), "8E1",
	// "8O1", "8N2", "7E1".
	Format string
	// Start starts the pump. Required.
	Start drivers.Starter
	// Shared lets other programs open the port too. By default it is locked
	// (flock and TIOCEXCL).
	Shared bool
	// RS485 lets the kernel switch the direction of the line driver by RTS.
	// Adapters that find the direction themselves do not need it.
	RS485 *RS485
}

// RS485 is the kernel's own switching of the line's direction.
type RS485 struct {
	// RTSLowOnSend is for hardware whose driver is enabled by a low RTS.
	RTSLowOnSend bool
	// Before and After are how long RTS is held before the first and after
	// the last bit, in whole milliseconds.
	Before, After time.Duration
}

// format is a parsed Opts.Format.
type format struct {
	bits   byte
	parity byte // 'N', 'E', 'O'
	stop   byte
}

func parseFormat(s string) (format, error) {
	if s == "" {
		s = "8N1"
	}
	if len(s) != 3 {
		return format{}, fmt.Errorf("%q is no format such as 8N1", s)
	}
	f := format{bits: s[0] - '0', parity: s[1], stop: s[2] - '0'}
	switch {
	case f.bits < 5 || f.bits > 8:
		return f, fmt.Errorf("format %q: 5 to 8 data bits are possible", s)
	case f.parity != 'N' && f.parity != 'E' && f.parity != 'O':
		return f, fmt.Errorf("format %q: the parity is N, E or O", s)
	case f.stop != 1 && f.stop != 2:
		return f, fmt.Errorf("format %q: 1 or 2 stop bits are possible", s)
	}
	return f, nil
}

// CharBits gives how many bits a character of a format takes on the wire,
// start and stop bits counted.
func CharBits(formatName string) (int, error) {
	f, err := parseFormat(formatName)
	if err != nil {
		return 0, err
	}
	n := 1 + int(f.bits) + int(f.stop)
	if f.parity != 'N' {
		n++
	}
	return n, nil
}
