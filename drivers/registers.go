package drivers

import (
	"context"
	"fmt"
	"time"
)

// Table is one of the four tables of a Modbus unit (Modbus Application
// Protocol v1.1b3, section 4.3).
type Table uint8

// The tables.
const (
	Coil     Table = iota + 1 // read and written, one bit each
	Discrete                  // read only, one bit each
	Holding                   // read and written, 16 bits each
	Input                     // read only, 16 bits each
)

var tableNames = [...]string{"", "coil", "discrete", "holding", "input"}

// String gives the table's word.
func (t Table) String() string { return tableNames[min(int(t), 4)] }

// ParseTable reads the word.
func ParseTable(s string) (Table, error) {
	for i, n := range tableNames[1:] {
		if n == s {
			return Table(i + 1), nil
		}
	}
	return 0, fmt.Errorf("%q is none of coil, discrete, holding, input", s)
}

// Bits tells whether the table's entries are single bits.
func (t Table) Bits() bool { return t == Coil || t == Discrete }

// Answer is what a device gave to a read.
type Answer struct {
	// Data are the bytes as on the wire: registers big endian, two bytes
	// each; bits packed, the first in the lowest bit of the first byte.
	Data []byte
	// At is when the last byte arrived.
	At time.Time
	// Doubt is set where the answer may belong to an earlier request (the
	// first one after an answer that never came): take it for suspect.
	Doubt bool
}

// Registers is a line with units that hold numbered registers: Modbus RTU or
// TCP. It is used by one goroutine at a time, the line's owner. Errors are
// *Fault. A Registers reopens its port or connection by itself on the next call
// after FaultGone, with no more than one attempt a call.
type Registers interface {
	// Read asks unit for count entries of a table from addr (0-based).
	Read(ctx context.Context, unit uint8, t Table, addr, count uint16) (Answer, error)
	// WriteCoil switches one coil and checks the echo.
	WriteCoil(ctx context.Context, unit uint8, addr uint16, on bool) error
	// WriteSingle writes any value by function 5 (coil table) or 6 (holding
	// table); relay boards take timed commands so.
	WriteSingle(ctx context.Context, unit uint8, t Table, addr, value uint16) error
	// WriteRegisters writes holding registers by function 16.
	WriteRegisters(ctx context.Context, unit uint8, addr uint16, values []uint16) error
	// Cost gives the time that a read of count entries holds the line, for
	// scheduling: request, turnaround as configured, answer, silences.
	Cost(t Table, count uint16) time.Duration
	// Close ends it; a call that waits returns.
	Close() error
	String() string
}
