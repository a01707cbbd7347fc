package main

import (
	"runtime"
	"sync/atomic"
	"time"
)

// pulse tells how late this machine itself is: a thread that sleeps a
// millisecond at a time notes how much longer it slept. Nothing is taken off a
// figure for it; it stands in the log, so that a slow machine is not taken for
// a slow box.
type pulse struct {
	worst atomic.Int64
	stop  chan struct{}
}

func startPulse() *pulse {
	p := &pulse{stop: make(chan struct{})}
	go func() {
		runtime.LockOSThread()
		for {
			select {
			case <-p.stop:
				return
			default:
			}
			t := time.Now()
			time.Sleep(time.Millisecond)
			late := int64(time.Since(t) - time.Millisecond)
			for {
				w := p.worst.Load()
				if late <= w || p.worst.CompareAndSwap(w, late) {
					break
				}
			}
		}
	}()
	return p
}

// take gives the worst since it was last taken.
func (p *pulse) take() time.Duration { return time.Duration(p.worst.Swap(0)) }

func (p *pulse) end() { close(p.stop) }
