package gpio

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"

	"tocsin/drivers"
)

// Pull is the resistor of an input.
type Pull uint8

// The pulls.
const (
	PullNone Pull = iota // as the board has it
	PullUp
	PullDown
)

// InputOpts says how an input is read.
type InputOpts struct {
	// ActiveLow: a low level is true, as with a contact to ground.
	ActiveLow bool
	Pull      Pull
	// Debounce is how long a level must hold to count. Default 10 ms;
	// negative: none.
	Debounce time.Duration
}

// slice is the longest single wait for an edge, so that a context that ends is
// seen although periph's waits know none.
const slice = 100 * time.Millisecond

// settle is the pause after an edge.
const settle = time.Millisecond

// Input is one input line: a drivers.Edges. Use OpenInput. One goroutine at a
// time reads or waits; Close may be called from any.
type Input struct {
	line line
	o    InputOpts

	closed atomic.Bool
	mu     sync.Mutex // the pin, against its closing
	last   bool
	known  bool
}

// OpenInput opens a line of this board as an input. An error that is
// drivers.ErrAbsent says that the board does not have it.
func OpenInput(name string, o InputOpts) (*Input, error) {
	l, err := request(name, gpioioctl.LineInput, gpio.BothEdges, o.Pull.periph())
	if err != nil {
		return nil, err
	}
	return newInput(l, o), nil
}

func (p Pull) periph() gpio.Pull {
	switch p {
	case PullUp:
		return gpio.PullUp
	case PullDown:
		return gpio.PullDown
	}
	return gpio.PullNoChange
}

// NewInput makes an input of any periph pin.
func NewInput(p gpio.PinIO, o InputOpts) (*Input, error) {
	if err := p.In(o.Pull.periph(), gpio.BothEdges); err != nil {
		return nil, &drivers.Fault{Kind: drivers.FaultOther, Detail: "gpio " + p.Name() + " as input", Err: err}
	}
	return newInput(pinned{p}, o), nil
}

func newInput(l line, o InputOpts) *Input {
	if o.Debounce == 0 {
		o.Debounce = 10 * time.Millisecond
	}
	return &Input{line: l, o: o}
}

func (i *Input) level() (bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed.Load() {
		return false, &drivers.Fault{Kind: drivers.FaultGone, Detail: i.String(), Err: os.ErrClosed}
	}
	l, err := i.line.level()
	if err != nil {
		return false, &drivers.Fault{Kind: drivers.FaultOther, Detail: i.String(), Err: err}
	}
	return bool(l) != i.o.ActiveLow, nil
}

// Read is drivers.Sense: the level as it is now, once it holds still; a contact
// that bounces without end gives a fault after ten debounce times.
func (i *Input) Read(ctx context.Context) (bool, error) {
	v, err := i.level()
	if err != nil {
		return false, err
	}
	if i.o.Debounce > 0 && (!i.known || v != i.last) {
		if v, err = i.still(ctx, v); err != nil {
			return false, err
		}
	}
	i.last, i.known = v, true
	return v, nil
}

// still waits until the level has held for the debounce time.
func (i *Input) still(ctx context.Context, v bool) (bool, error) {
	const steps = 5
	tick := time.NewTicker(max(i.o.Debounce/steps, 100*time.Microsecond))
	defer tick.Stop()
	held := 0
	for range 10 * steps {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false, &drivers.Fault{Kind: drivers.FaultCancelled, Detail: i.String(), Err: ctx.Err()}
		}
		now, err := i.level()
		if err != nil {
			return false, err
		}
		if held++; now != v {
			v, held = now, 0
		}
		if held >= steps {
			return v, nil
		}
	}
	return false, &drivers.Fault{Kind: drivers.FaultGarbled, Detail: fmt.Sprintf("%s does not hold still", i)}
}

// WaitEdge is drivers.Edges: it returns nil when the level is no longer the one
// that was last read, and after poll at the latest, whether or not an edge was
// reported.
func (i *Input) WaitEdge(ctx context.Context, poll time.Duration) error {
	end := time.Now().Add(poll)
	for {
		if err := ctx.Err(); err != nil {
			return &drivers.Fault{Kind: drivers.FaultCancelled, Detail: i.String(), Err: err}
		}
		v, err := i.level()
		if err != nil {
			return err
		}
		left := time.Until(end)
		if i.known && v != i.last || left <= 0 {
			return nil
		}
		began := time.Now()
		i.line.edge(min(left, slice))
		if time.Since(began) < settle {
			// An edge that came to nothing, or a line that cannot wait: not
			// to be asked again at once for ever.
			time.Sleep(min(left, settle))
		}
	}
}

// Close lets the line go; a wait ends within 100 ms.
func (i *Input) Close() error {
	if i.closed.Swap(true) {
		return nil
	}
	i.line.halt()
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.line.close()
}

// String names the line.
func (i *Input) String() string { return "gpio " + i.line.name() }

var _ drivers.Edges = (*Input)(nil)
