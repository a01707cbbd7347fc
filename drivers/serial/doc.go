// Package serial is a serial port as a drivers.Port: one goroutine alone reads
// it, what was heard arrives in chunks with their time, and a port that was
// pulled out says so.
//
// The port itself is github.com/tarm/serial, which has been unmaintained since
// 2018: it is kept behind the interface tty in tarm.go, the only file that
// knows it. What it cannot do (locks, odd rates, RS-485 direction, parity
// checks) is done by ioctl on a second descriptor of the same terminal, whose
// settings are the terminal's and not the descriptor's. What comes is read by
// that second descriptor too (ear.go), since the package's own wakes the whole
// program for each byte. Sources: tty_ioctl(4), termios(3), epoll(7), Linux
// Documentation/driver-api/serial/serial-rs485.rst.
//
// It never blocks for ever: Close returns within a second whatever the port
// does, and nobody but the pump reads.
package serial
