// Package guard owns every goroutine of the firmware, knows whether the alarm
// path is alive, and holds children that may eat memory or crash.
//
// Rooms start goroutines only by Guard.Go: each has an owner and a name, its
// panic is recovered and reported with the stack, and it is restarted within a
// budget or its end is reported. A goroutine that ends with the process's
// context ends quietly. A test holds the firmware to having no bare go
// statement outside this package.
//
// The watchdog (Watchdog) is fed by proofs of life, not by a timer.
package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Policy says what happens when a goroutine ends although its context has not.
type Policy uint8

// The policies.
const (
	// Once: it may end; an error or a panic is reported.
	Once Policy = iota
	// Restart: it must not end; it is started again after a pause that grows
	// from 100 ms to 10 s and shrinks again after a minute of good running.
	Restart
)

// Event is a goroutine that failed.
type Event struct {
	Owner, Name string
	Err         error
	// Stack is set where it panicked.
	Stack string
	// Restarts counts how often it has been started again.
	Restarts int
	At       time.Time
}

// Guard starts and supervises goroutines. Use New.
type Guard struct {
	ctx    context.Context
	log    *slog.Logger
	report func(Event)

	wg sync.WaitGroup
	mu sync.Mutex
	on map[string]int

	groups atomic.Pointer[groups]
}

// New makes a Guard whose goroutines end with ctx. report is called for each
// failure; it must not block and may be nil.
func New(ctx context.Context, log *slog.Logger, report func(Event)) *Guard {
	if log == nil {
		log = slog.Default()
	}
	if report == nil {
		report = func(Event) {}
	}
	return &Guard{ctx: ctx, log: log, report: report, on: map[string]int{}}
}

// Go runs fn in a goroutine of owner under a policy.
func (g *Guard) Go(owner, name string, p Policy, fn func(context.Context) error) {
	g.GoIn(g.ctx, owner, name, p, fn)
}

// GoIn is Go with a context of the caller's, which should descend from the
// Guard's.
func (g *Guard) GoIn(ctx context.Context, owner, name string, p Policy, fn func(context.Context) error) {
	key := owner + "/" + name
	g.mu.Lock()
	g.on[key]++
	g.mu.Unlock()
	g.wg.Add(1)
	go func() {
		defer g.wg.Done()
		defer func() {
			g.mu.Lock()
			if g.on[key]--; g.on[key] == 0 {
				delete(g.on, key)
			}
			g.mu.Unlock()
		}()
		g.supervise(ctx, owner, name, p, fn)
	}()
}

// Starter gives a starter for a driver's goroutines, which are reported under
// owner and not restarted (the driver is reopened instead).
func (g *Guard) Starter(owner string) func(name string, run func()) {
	return func(name string, run func()) {
		g.Go(owner, name, Once, func(context.Context) error { run(); return nil })
	}
}

const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
	goodRun    = time.Minute
)

func (g *Guard) supervise(ctx context.Context, owner, name string, p Policy, fn func(context.Context) error) {
	pause := firstPause
	for n := 0; ; n++ {
		began := time.Now()
		stack, err := call(ctx, fn)
		if ctx.Err() != nil && stack == "" {
			return
		}
		if err == nil && p == Once {
			return
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		g.log.Error("goroutine failed", "owner", owner, "name", name, "err", err, "restarts", n, "stack", stack)
		g.report(Event{Owner: owner, Name: name, Err: err, Stack: stack, Restarts: n, At: time.Now()})
		if p == Once || ctx.Err() != nil {
			return
		}
		if time.Since(began) > goodRun {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

func call(ctx context.Context, fn func(context.Context) error) (stack string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err, stack = fmt.Errorf("panic: %v", r), string(debug.Stack())
		}
	}()
	return "", fn(ctx)
}

// Running lists the goroutines that run, as owner/name, sorted.
func (g *Guard) Running() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var s []string
	for k := range g.on {
		s = append(s, k)
	}
	slices.Sort(s)
	return s
}

// Wait waits until every goroutine has ended, at most d, and names those that
// have not.
func (g *Guard) Wait(d time.Duration) []string {
	done := make(chan struct{})
	go func() { g.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-time.After(d):
		return g.Running()
	}
}
