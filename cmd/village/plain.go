package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tocsin/hwtest/storm"
)

// plainBox is what the village had before: it takes what the radar says for the
// river, sounds while the number is above the threshold, and knows nothing else. It
// is run on the same river, each half second as the real one, and sounds nothing.
type plainBox struct {
	mu     sync.Mutex
	events []plainEvent
}

type plainEvent struct {
	at time.Time
	on bool
	// truth is the river as it was, in metres above datum.
	truth, said float64
}

func (p *plainBox) watch(ctx context.Context, v *storm.Village) {
	t := time.NewTicker(500 * time.Millisecond)
	defer t.Stop()
	on := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		said := v.River.Says() + zero
		if now := said >= prepare; now != on {
			on = now
			p.mu.Lock()
			p.events = append(p.events, plainEvent{time.Now(), on, v.River.Level() + zero, said})
			p.mu.Unlock()
		}
	}
}

// story tells what it did and where it was wrong.
func (p *plainBox) story(begin time.Time) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, e := range p.events {
		s := fmt.Sprintf("%5.1f s 停 · off (radar says %.2f m, river stands at %.2f m)", e.at.Sub(begin).Seconds(), e.said, e.truth)
		if e.on {
			s = fmt.Sprintf("%5.1f s 响 · on (radar says %.2f m, river stands at %.2f m)", e.at.Sub(begin).Seconds(), e.said, e.truth)
			if e.truth < prepare {
				s += " ← 误报 · a false alarm"
			}
		}
		out = append(out, s)
	}
	return append(out, "不报故障、没有钥匙、断电后不续响、粘连后停不下来 · no fault called, no key, nothing resumed after the cut, no way to silence a welded contact")
}
