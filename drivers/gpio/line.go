package gpio

import (
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"
)

// line is one line that was requested as an input or an output.
type line interface {
	name() string
	level() (gpio.Level, error)
	drive(gpio.Level) error
	// edge waits for one; it may end early.
	edge(d time.Duration)
	halt()
	close() error
}

// requested is a line of this board. It is a LineSet of one, not a GPIOLine:
// GPIOLine.Read (host v3.8.5) turns an output into an input, so that a relay
// would let go when its state is looked at, and gives a chip's error as low.
type requested struct {
	set   *gpioioctl.LineSet
	label string
}

func (r *requested) name() string { return r.label }

func (r *requested) level() (gpio.Level, error) {
	v, err := r.set.Read(0)
	return v&1 == 1, err
}

func (r *requested) drive(l gpio.Level) error {
	v := gpio.GPIOValue(0)
	if l {
		v = 1
	}
	return r.set.Out(v, 0)
}

func (r *requested) edge(d time.Duration) { r.set.WaitForEdge(d) }
func (r *requested) halt()                { r.set.Halt() }
func (r *requested) close() error         { return r.set.Close() }

// pinned is any other periph pin.
type pinned struct{ gpio.PinIO }

func (p pinned) name() string               { return p.Name() }
func (p pinned) level() (gpio.Level, error) { return p.Read(), nil }
func (p pinned) drive(l gpio.Level) error   { return p.Out(l) }
func (p pinned) edge(d time.Duration)       { p.WaitForEdge(d) }
func (p pinned) halt()                      { p.Halt() }
func (p pinned) close() error               { return nil }
