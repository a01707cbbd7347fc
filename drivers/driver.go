// Package drivers says how the box touches the world: the capabilities that a
// bus, a chip or a terminal may have, as small interfaces, and the faults that
// it may report. Each driver is one folder below with one word for a name; it
// imports only this package (and libraries), never a room of the firmware.
// Clock and goroutine starter come in by Opts.
//
// A driver opens in one of three states: ready, skipped (the hardware is not
// on this board: ErrAbsent, with why) or failed (an error, with why).
package drivers

import (
	"errors"
	"fmt"
	"time"
)

// ErrAbsent is wrapped by an error that says that the hardware is not on this
// board: the driver is skipped, not failed.
var ErrAbsent = errors.New("not on this board")

// Starter starts a goroutine that its owner supervises. name says what it is
// for, e.g. "serial pump /dev/ttyUSB0". Drivers start goroutines only by it.
type Starter func(name string, run func())

// FaultKind says what went wrong on a bus, as far as whoever reads it must act
// differently.
type FaultKind uint8

// The kinds of fault.
const (
	// FaultOther: none of the below.
	FaultOther FaultKind = iota
	// FaultTimeout: no answer within the deadline. Counts towards quarantine.
	FaultTimeout
	// FaultGarbled: bytes came and no valid frame could be made of them (CRC,
	// checksum, half a frame, noise).
	FaultGarbled
	// FaultForeign: a valid frame came from another unit, or for another
	// function, than the one asked.
	FaultForeign
	// FaultRefused: the device answered with an exception; Code has it. The
	// device is alive.
	FaultRefused
	// FaultOwed: not asked at all, since an answer to an earlier request that
	// this one could be confused with may still come. Ask again at Until.
	FaultOwed
	// FaultGone: the port or connection itself is gone; it must be reopened.
	FaultGone
	// FaultCancelled: the caller's context ended.
	FaultCancelled
	// FaultEarly: a terminal takes no message before Until.
	FaultEarly
	// FaultTooLong: more than the device takes at once. Nothing was sent.
	FaultTooLong
	// FaultBarred: a terminal may not or cannot transmit now. Nothing was sent.
	FaultBarred
)

var faultNames = [...]string{"other", "timeout", "garbled", "foreign", "refused", "owed", "gone", "cancelled", "early", "too long", "barred"}

// String gives the kind's code.
func (k FaultKind) String() string { return faultNames[min(int(k), len(faultNames)-1)] }

// Fault is an error of a bus or device with its kind.
type Fault struct {
	Kind FaultKind
	// Code is the device's own, e.g. the Modbus exception code.
	Code int
	// Until is when what was FaultOwed or FaultEarly may be tried again.
	Until time.Time
	// Detail is short and English, for logs: what was heard.
	Detail string
	Err    error
}

// Error says kind, code, detail and cause.
func (f *Fault) Error() string {
	s := f.Kind.String()
	if f.Kind == FaultRefused {
		s = fmt.Sprintf("%s (exception %d)", s, f.Code)
	}
	if f.Detail != "" {
		s += ": " + f.Detail
	}
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.Err }

// KindOf gives the kind of an error: FaultOther where it is no Fault.
func KindOf(err error) FaultKind {
	var f *Fault
	if errors.As(err, &f) {
		return f.Kind
	}
	return FaultOther
}
