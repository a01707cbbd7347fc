package scan

import (
	"context"
	"errors"
	"time"

	"tocsin/drivers"
)

// read asks once, and waits for the beginning of the answer no longer than wait.
func read(ctx context.Context, bus drivers.Registers, wait time.Duration, u uint8, t drivers.Table, addr, count uint16) (drivers.Answer, error) {
	bounded, cancel := context.WithTimeout(ctx, wait+bus.Cost(t, count)+adapter)
	defer cancel()
	a, err := bus.Read(bounded, u, t, addr, count)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil && (drivers.KindOf(err) == drivers.FaultCancelled || drivers.KindOf(err) == drivers.FaultOther) {
		err = &drivers.Fault{Kind: drivers.FaultTimeout, Err: err}
	}
	return a, err
}

// adapter is how long a USB adapter may hold bytes back (16 ms is the usual
// latency timer), with room.
const adapter = 25 * time.Millisecond

func codeOf(err error) int {
	var f *drivers.Fault
	if errors.As(err, &f) && f.Kind == drivers.FaultRefused {
		return f.Code
	}
	return 0
}

// listener is a line that can wait for the answers that it is owed.
type listener interface {
	Owed(unit uint8) (time.Time, bool)
	Listen(ctx context.Context, until time.Time) error
}

// settle waits until no answer to this scan can come any more, so that whoever
// asks next cannot take one for its own.
func settle(ctx context.Context, bus drivers.Registers, wait time.Duration) error {
	l, ok := bus.(listener)
	if !ok {
		return nil
	}
	// The driver counts six of its timeouts.
	for end := time.Now().Add(2*time.Second + 10*wait); time.Now().Before(end); {
		until := time.Time{}
		for u := 1; u <= 247; u++ {
			if t, owed := l.Owed(uint8(u)); owed && t.After(until) {
				until = t
			}
		}
		if until.IsZero() {
			return nil
		}
		if err := l.Listen(ctx, until); err != nil {
			return err
		}
	}
	return nil
}
