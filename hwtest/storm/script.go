package storm

import (
	"context"
	"fmt"
	"sort"
	"time"
)

// Step is one thing that befalls the village.
type Step struct {
	At   time.Duration // after the script's begin
	Name string        // short, for logs and summaries: "surge"
	Say  string        // what happens, one line of English
	Do   func() error
}

// Script is a list of steps; Run takes them in the order of At.
type Script []Step

// Length is when the last step is.
func (s Script) Length() (d time.Duration) {
	for _, x := range s {
		d = max(d, x.At)
	}
	return d
}

// Run does each step at its time after now and calls seen, if it is not nil,
// after each with the instant just before it was done. A step that fails ends
// the script; the error names it. A context that ends gives its error.
func (s Script) Run(ctx context.Context, seen func(Step, time.Time)) error {
	order := append(Script(nil), s...)
	sort.SliceStable(order, func(i, j int) bool { return order[i].At < order[j].At })
	begin := time.Now()
	for _, x := range order {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(begin.Add(x.At))):
		}
		at := time.Now()
		if err := x.Do(); err != nil {
			return fmt.Errorf("step %q at %v: %w", x.Name, x.At, err)
		}
		if seen != nil {
			seen(x, at)
		}
	}
	return nil
}

// do is a step's deed that cannot fail.
func do(f ...func()) func() error {
	return func() error {
		for _, g := range f {
			g()
		}
		return nil
	}
}
