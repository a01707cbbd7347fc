package proxy

import (
	"context"
	"errors"
	"sync"
	"time"

	"tocsin/drivers"
)

// key is what is read.
type key struct {
	unit        uint8
	table       drivers.Table
	addr, count uint16
}

// known is an answer, or the reason why there is none; asking while ready is
// open.
type known struct {
	ready chan struct{}
	data  []byte
	err   error
	until time.Time
}

// memory keeps answers for a moment, lets those who ask the same wait for one
// asking, and bounds how often the line is asked.
type memory struct {
	fresh time.Duration
	every time.Duration

	mu   sync.Mutex
	had  map[key]*known
	next time.Time // when the next asking may begin
}

const (
	mostKnown = 1024
	// mostWait is how long an asking may wait for its turn.
	mostWait = 2 * time.Second
)

var errBusy = errors.New("too many requests")

func newMemory(fresh time.Duration, rate float64) *memory {
	return &memory{fresh: fresh, every: time.Duration(float64(time.Second) / rate), had: map[key]*known{}}
}

// get gives what is known, or asks.
func (m *memory) get(ctx context.Context, k key, ask func(context.Context) ([]byte, error)) ([]byte, error) {
	m.mu.Lock()
	if x, ok := m.had[k]; ok && (x.until.IsZero() || time.Now().Before(x.until)) {
		m.mu.Unlock()
		select {
		case <-x.ready:
			return x.data, x.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	x := &known{ready: make(chan struct{})}
	m.sweep()
	m.had[k] = x
	m.mu.Unlock()
	x.err = errBusy // where asking does not come back
	defer func() {
		m.mu.Lock()
		x.until = time.Now().Add(max(0, m.keep(x.err)))
		m.mu.Unlock()
		close(x.ready)
	}()
	if err := m.turn(ctx); err != nil {
		x.err = err
		return nil, err
	}
	x.data, x.err = ask(ctx)
	return x.data, x.err
}

// keep gives how long an answer holds. What the unit refuses it will refuse
// again; what it leaves unanswered the line says when to ask again.
func (m *memory) keep(err error) time.Duration {
	var f *drivers.Fault
	switch {
	case err == nil:
		return m.fresh
	case !errors.As(err, &f):
		return 0
	case f.Kind == drivers.FaultRefused:
		return m.fresh
	}
	return time.Until(f.Until)
}

// sweep makes room. Called with the lock.
func (m *memory) sweep() {
	if len(m.had) < mostKnown {
		return
	}
	now := time.Now()
	for k, x := range m.had {
		if !x.until.IsZero() && now.After(x.until) {
			delete(m.had, k)
		}
	}
	for k, x := range m.had {
		if len(m.had) < mostKnown {
			return
		}
		if !x.until.IsZero() {
			delete(m.had, k)
		}
	}
}

// turn waits until the line may be asked again.
func (m *memory) turn(ctx context.Context) error {
	m.mu.Lock()
	now := time.Now()
	at := m.next
	if at.Before(now) {
		at = now
	}
	if at.Sub(now) > mostWait {
		m.mu.Unlock()
		return errBusy
	}
	m.next = at.Add(m.every)
	m.mu.Unlock()
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// forget drops what is known of a unit that was written to. What is just being
// asked may be older than the writing: nobody new waits for it.
func (m *memory) forget(unit uint8) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.had {
		if k.unit == unit {
			delete(m.had, k)
		}
	}
}
