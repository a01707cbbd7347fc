package station

import (
	"context"
	"sync"
	"sync/atomic"

	"tocsin/firmware/point"
)

// followers hands readings to whoever follows, without waiting: one who is slow
// loses readings and is told how many.
type followers struct {
	n   atomic.Int32 // of all
	mu  sync.Mutex
	all map[*follower]bool
}

type follower struct {
	ch   chan point.Reading
	mu   sync.Mutex
	lost int
}

// any tells whether anybody follows.
func (f *followers) any() bool { return f.n.Load() > 0 }

func (f *followers) offer(r point.Reading) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for x := range f.all {
		select {
		case x.ch <- r:
		default:
			x.mu.Lock()
			x.lost++
			x.mu.Unlock()
		}
	}
}

// run gives readings to take until ctx ends.
func (f *followers) run(ctx context.Context, take func(point.Reading, int) error) error {
	x := &follower{ch: make(chan point.Reading, 1024)}
	f.mu.Lock()
	if f.all == nil {
		f.all = map[*follower]bool{}
	}
	f.all[x] = true
	f.n.Store(int32(len(f.all)))
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.all, x)
		f.n.Store(int32(len(f.all)))
		f.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-x.ch:
			x.mu.Lock()
			lost := x.lost
			x.lost = 0
			x.mu.Unlock()
			if err := take(r, lost); err != nil {
				return err
			}
		}
	}
}
