// Package flood pours alerts into an intake from several ways at once, as callers do
// that wait for their answer and come again when told to, and counts what must not
// happen. It is the measure behind the figure of the queue under flood and no part of a box.
package flood

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/intake"
)

// Opts say what is poured.
type Opts struct {
	// Alerts in all, over Within.
	Alerts int
	Within time.Duration
	// Callers that bring them, each waiting for its answers, per way.
	Callers int
	// Reds is how many in a hundred claim the highest level, Forged how many
	// prove false.
	Reds, Forged int
	Seed         uint64
	// Text makes the i-th alert of a level.
	Text func(i, level int) []byte
	// Verify is what the verifier does with one; it says whether it was true.
	// Nil takes every message that is not forged for true.
	Verify func(b []byte, forged bool) bool
}

// Report is what came of it.
type Report struct {
	Offered, Reds int
	// RedsLost were brought and never verified. Violations are turns in which
	// a lower level came while a higher one was in the queue.
	RedsLost, Violations int
	// Late is how long the last alert was brought after Within; Slowest is the
	// longest that a red waited from its first try to its turn.
	Late, Slowest time.Duration
	// HeapGrowth is the most that the live heap grew by, in bytes, sampled.
	HeapGrowth int64
	Counts     intake.Counts
}

type alert struct {
	text   []byte
	level  int
	forged bool
	first  time.Time
	turns  atomic.Int32
}

// Run pours and gives the report. The last of the queue's ways brings what is
// forged; the others bring true ones in turn.
func Run(ctx context.Context, q *intake.Queue, io intake.Opts, o Opts) (Report, error) {
	if len(io.Ways) < 2 || o.Callers < 1 || o.Alerts < 1 {
		return Report{}, fmt.Errorf("a flood needs two ways, a caller and an alert")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := rand.New(rand.NewPCG(o.Seed, 1))
	all := make([]alert, o.Alerts)
	rep := Report{Offered: o.Alerts}
	for i := range all {
		a := &all[i]
		a.level = r.IntN(io.Top)
		if r.IntN(100) < o.Reds {
			a.level = io.Top
		}
		a.forged = r.IntN(100) < o.Forged
		if a.level == io.Top && !a.forged {
			rep.Reds++
		}
	}
	var byText sync.Map // address of the text's first byte → *alert
	begun := time.Now()
	base := heap()
	var grown atomic.Int64

	var callers, verifier sync.WaitGroup
	var next atomic.Int64
	var lateness atomic.Int64
	lines := make([]chan *alert, len(io.Ways))
	for i := range lines {
		lines[i] = make(chan *alert)
	}
	for w := range io.Ways {
		for range o.Callers {
			callers.Go(func() {
				for a := range lines[w] {
					a.first = time.Now()
					byText.Store(&a.text[0], a)
					bring(ctx, q, a, io.Ways[w].Name)
					byText.Delete(&a.text[0])
					a.text = nil
				}
			})
		}
	}
	var slowest atomic.Int64
	verifier.Go(func() {
		for {
			// What waits is looked at before the turn: only what was there then
			// can have been overtaken.
			waits, any := q.Waiting()
			it := q.TryNext()
			if it == nil {
				var err error
				if it, err = q.Next(ctx); err != nil {
					return
				}
				any = false
			}
			if any && it.Level < waits {
				rep.Violations++
			}
			v, _ := byText.Load(&it.Bytes[0])
			a := v.(*alert)
			a.turns.Add(1)
			if a.level == io.Top && !a.forged {
				slowest.Store(max(slowest.Load(), int64(time.Since(a.first))))
			}
			ok := !a.forged
			if o.Verify != nil {
				ok = o.Verify(it.Bytes, a.forged)
			}
			it.Done(nil, ok)
		}
	})
	sampler := make(chan struct{})
	var sampled sync.WaitGroup
	sampled.Go(func() {
		t := time.NewTicker(100 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-sampler:
				return
			case <-t.C:
				grown.Store(max(grown.Load(), heap()-base))
			}
		}
	})

	// The pourer keeps the pace; a way whose callers are all waiting does not
	// hold up the others.
	var pourers sync.WaitGroup
	for w := range lines {
		pourers.Go(func() {
			defer close(lines[w])
			for i := range all {
				a := &all[i]
				if home(i, a.forged, len(lines)) != w {
					continue
				}
				due := begun.Add(o.Within * time.Duration(i) / time.Duration(o.Alerts))
				select {
				case <-time.After(time.Until(due)):
				case <-ctx.Done():
					return
				}
				a.text = o.Text(i, a.level)
				select {
				case lines[w] <- a:
				case <-ctx.Done():
					return
				}
				lateness.Store(max(lateness.Load(), int64(time.Since(begun)-o.Within)))
				next.Add(1)
			}
		})
	}
	pourers.Wait()
	callers.Wait()
	close(sampler)
	sampled.Wait()
	cancel()
	verifier.Wait()
	for i := range all {
		if a := &all[i]; a.level == io.Top && !a.forged && a.turns.Load() != 1 {
			rep.RedsLost++
		}
	}
	rep.Late, rep.Slowest, rep.HeapGrowth, rep.Counts = time.Duration(lateness.Load()), time.Duration(slowest.Load()), grown.Load(), q.Counts()
	return rep, nil
}

func home(i int, forged bool, ways int) int {
	if forged {
		return ways - 1
	}
	return i % (ways - 1)
}

// bring waits for the answer and comes again when it is told to. A forger gives
// up when it is told to wait.
func bring(ctx context.Context, q *intake.Queue, a *alert, way string) {
	for {
		err := q.Take(ctx, a.text, way, a.level)
		wait, again := intake.RetryAfter(err)
		if !again || a.forged {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// Clock is the machine's, for queues that are flooded outside a box.
var Clock = clock.Func(func() clock.Stamp { return clock.Stamp{Mono: clock.Mono(), Wall: time.Now(), Boot: "flood"} })
