package gpio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"

	"tocsin/drivers"
)

// OutputOpts says how an output is driven.
type OutputOpts struct {
	// ActiveLow: on is a low level.
	ActiveLow bool
}

// Output is one output line: a drivers.Output. Use OpenOutput. It is off when
// opened and when closed. (The kernel makes a line low first, so that one that
// is active low is on for the microseconds between two calls: too short for any
// relay.)
type Output struct {
	line line
	o    OutputOpts

	mu     sync.Mutex
	closed bool
}

// OpenOutput opens a line of this board as an output and switches it off. An
// error that is drivers.ErrAbsent says that the board does not have it.
func OpenOutput(name string, o OutputOpts) (*Output, error) {
	l, err := request(name, gpioioctl.LineOutput, gpio.NoEdge, gpio.PullNoChange)
	if err != nil {
		return nil, err
	}
	return newOutput(l, o)
}

// NewOutput makes an output of any periph pin.
func NewOutput(p gpio.PinIO, o OutputOpts) (*Output, error) {
	return newOutput(pinned{p}, o)
}

func newOutput(l line, o OutputOpts) (*Output, error) {
	out := &Output{line: l, o: o}
	if err := out.set(false); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return out, nil
}

// Set is drivers.Output: the line is read back after it was driven.
func (o *Output) Set(ctx context.Context, on bool) error {
	if err := ctx.Err(); err != nil {
		return &drivers.Fault{Kind: drivers.FaultCancelled, Detail: o.String(), Err: err}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return &drivers.Fault{Kind: drivers.FaultGone, Detail: o.String(), Err: os.ErrClosed}
	}
	return o.set(on)
}

func (o *Output) set(on bool) error {
	l := gpio.Level(on != o.o.ActiveLow)
	if err := o.line.drive(l); err != nil {
		return &drivers.Fault{Kind: drivers.FaultOther, Detail: o.String(), Err: err}
	}
	if got, err := o.line.level(); err != nil || got != l {
		return &drivers.Fault{Kind: drivers.FaultOther, Detail: fmt.Sprintf("%s: drove %v, reads %v", o, l, got), Err: err}
	}
	return nil
}

// Close switches off and lets the line go.
func (o *Output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil
	}
	o.closed = true
	return errors.Join(o.set(false), o.line.close())
}

// String names the line.
func (o *Output) String() string { return "gpio " + o.line.name() }

var _ drivers.Output = (*Output)(nil)
