package guard

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestAPanicIsRecoveredReportedAndRestarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var events []Event
		g := New(ctx, quiet(), func(e Event) { mu.Lock(); events = append(events, e); mu.Unlock() })
		var runs atomic.Int32
		g.Go("sense", "line west", Restart, func(ctx context.Context) error {
			switch n := runs.Add(1); n {
			case 1:
				panic("boom")
			case 2:
				return errors.New("plain")
			case 3:
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		time.Sleep(5 * time.Second)
		if n := runs.Load(); n != 4 {
			t.Errorf("ran %d times, want 4", n)
		}
		mu.Lock()
		if len(events) != 3 || !strings.Contains(events[0].Err.Error(), "boom") || events[0].Stack == "" || events[0].Owner != "sense" {
			t.Errorf("events: %+v", events)
		}
		mu.Unlock()
		if r := g.Running(); !slices.Equal(r, []string{"sense/line west"}) {
			t.Errorf("running: %v", r)
		}
		cancel()
		if left := g.Wait(time.Second); left != nil {
			t.Errorf("left: %v", left)
		}
	})
}

func TestWaitNamesWhatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		g := New(ctx, quiet(), nil)
		stuck := make(chan struct{})
		g.Go("video", "stuck", Once, func(context.Context) error { <-stuck; return nil })
		cancel()
		if left := g.Wait(time.Second); !slices.Equal(left, []string{"video/stuck"}) {
			t.Errorf("left: %v", left)
		}
		close(stuck)
		g.Wait(time.Second)
	})
}

func TestTheWatchdogStarvesWhenOnePartHangsAndNotWhenTheProcessLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Watchdog
		rule := w.Proof("rule", 3*time.Second)
		line := w.Proof("line west", 3*time.Second)
		var mu sync.Mutex
		fed, starved := 0, []string(nil)
		ctx, cancel := context.WithCancel(t.Context())
		g := New(ctx, quiet(), nil)
		g.Go("guard", "watchdog", Restart, func(ctx context.Context) error {
			return w.Run(ctx, time.Second,
				func() { mu.Lock(); fed++; mu.Unlock() },
				func(n []string, _ int) { mu.Lock(); starved = n; mu.Unlock() })
		})
		for range 10 {
			rule.Alive()
			line.Alive()
			time.Sleep(time.Second)
		}
		mu.Lock()
		if fed < 10 || starved != nil {
			t.Errorf("all alive: fed %d, starved %v", fed, starved)
		}
		mu.Unlock()
		for range 10 {
			rule.Alive()
			time.Sleep(time.Second)
		}
		mu.Lock()
		if !slices.Equal(starved, []string{"line west"}) || fed > 15 {
			t.Errorf("one hangs: fed %d, starved %v", fed, starved)
		}
		mu.Unlock()
		w.Retire(line)
		if h := w.Hung(); h != nil {
			t.Errorf("a retired part hangs: %v", h)
		}
		cancel()
		g.Wait(time.Second)
	})
}
