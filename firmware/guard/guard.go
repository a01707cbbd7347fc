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
	// from 100 ms to 10 s and shrinks again after a minute of good running, as
	// long as its budget allows.
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
	// Spent says that its budget is used up, and Budget what follows from that.
	Spent  bool
	Budget Budget
	// Once says that it is not started again.
	Once bool
	// Well is no failure: it failed before and has run well for a minute since.
	Well bool
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
	rules  atomic.Pointer[Restarts]
	words  words
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

func (g *Guard) supervise(ctx context.Context, owner, name string, p Policy, fn func(context.Context) error) {
	tries := g.Tries(owner, name)
	for n := 0; ; n++ {
		var well *time.Timer
		if n > 0 {
			well = time.AfterFunc(goodRun, func() {
				g.report(Event{Owner: owner, Name: name, Restarts: n, At: time.Now(), Well: true})
			})
		}
		stack, err := call(ctx, fn)
		if well != nil {
			well.Stop()
		}
		if ctx.Err() != nil && stack == "" {
			return
		}
		if err == nil && p == Once {
			return
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		e := Event{Owner: owner, Name: name, Err: err, Stack: stack, Restarts: n, At: time.Now(), Budget: tries.budget(), Once: p == Once}
		var pause time.Duration
		if p == Restart {
			pause, e.Spent = tries.Died()
		}
		g.say(e)
		g.report(e)
		if p == Once || ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		tries.Began()
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
