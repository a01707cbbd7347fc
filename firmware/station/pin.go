package station

import (
	"context"
	"sync"

	"tocsin/drivers/gpio"
)

// pinRelay is a relay on a GPIO line of the board. The line is requested when it
// is first used and again after a failure: a chip that is not there is this
// output's fault and nobody else's.
type pinRelay struct {
	name string

	mu  sync.Mutex
	pin *gpio.Output
}

// Set switches the line.
func (p *pinRelay) Set(ctx context.Context, on bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pin == nil {
		pin, err := gpio.OpenOutput(p.name, gpio.OutputOpts{})
		if err != nil {
			return err
		}
		p.pin = pin
	}
	err := p.pin.Set(ctx, on)
	if err != nil {
		p.pin.Close() // requested anew next time; the error that matters is Set's
		p.pin = nil
	}
	return err
}

// String names the line.
func (p *pinRelay) String() string { return p.name }
