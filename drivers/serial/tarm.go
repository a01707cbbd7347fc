package serial

import (
	"time"

	"github.com/tarm/serial"
)

// tty is all that is asked of the package below. Read gives (0, io.EOF) when
// nothing came for readTimeout.
type tty interface {
	Read(p []byte) (int, error)
	// Flush drops what was not yet sent and not yet read. It fails where the
	// port is gone.
	Flush() error
	Close() error
}

// readTimeout is the shortest that the terminal layer knows. It is never left
// out: without it Close would wait for a Read that never returns.
const readTimeout = 100 * time.Millisecond

// listed are the rates that tarm/serial takes; others are set afterwards.
var listed = map[int]bool{
	50: true, 75: true, 110: true, 134: true, 150: true, 200: true, 300: true, 600: true, 1200: true, 1800: true,
	2400: true, 4800: true, 9600: true, 19200: true, 38400: true, 57600: true, 115200: true, 230400: true,
	460800: true, 500000: true, 576000: true, 921600: true, 1000000: true, 1152000: true, 1500000: true,
	2000000: true, 2500000: true, 3000000: true, 3500000: true, 4000000: true,
}

func openTTY(path string, baud int, f format) (tty, error) {
	if !listed[baud] {
		baud = 9600
	}
	return serial.OpenPort(&serial.Config{
		Name:        path,
		Baud:        baud,
		Size:        f.bits,
		Parity:      serial.Parity(f.parity),
		StopBits:    serial.StopBits(f.stop),
		ReadTimeout: readTimeout,
	})
}
