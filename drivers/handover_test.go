package drivers

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoeverAsksLearnsWhetherTheDeviceHadIt(t *testing.T) {
	never := errors.New("no such number")
	for _, c := range []struct {
		name        string
		before      bool // the context has ended before
		prepare     error
		takes       bool          // the device takes jobs
		wait, after time.Duration // until the device takes it, until it answers
		grace       time.Duration
		kind        FaultKind
		err         error
		began       bool
	}{
		{name: "done", takes: true, after: time.Second, began: true},
		{name: "a context that had ended", before: true, takes: true, kind: FaultCancelled},
		{name: "nothing to hand over", prepare: never, takes: true, err: never},
		{name: "nobody takes it", kind: FaultCancelled},
		{name: "taken late", takes: true, wait: 8 * time.Second, began: true},
		{name: "taken too late", takes: true, wait: 12 * time.Second, kind: FaultCancelled},
		{name: "answered within the grace", takes: true, wait: 5 * time.Second, after: 8 * time.Second, grace: 4 * time.Second, began: true},
		{name: "answered after the grace", takes: true, wait: 5 * time.Second, after: 30 * time.Second, grace: 4 * time.Second, kind: FaultTimeout, began: true},
		{name: "answered too late", takes: true, wait: 5 * time.Second, after: 30 * time.Second, kind: FaultTimeout, began: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				type job struct {
					Reply[int]
					word string
				}
				h := NewHandover[job, int]("busy", "begun")
				h.Grace = c.grace
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if c.before {
					cancel()
				}
				began := false
				stop := make(chan struct{})
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					if !c.takes {
						return
					}
					time.Sleep(c.wait)
					select {
					case x := <-h.Jobs():
						began = x.word == "ring"
						time.Sleep(c.after)
						x.Answer(7, nil) // also where nobody waits any more
					case <-stop:
					}
				}()
				r, err := h.Give(ctx, func(r Reply[int]) (job, error) { return job{r, "ring"}, c.prepare })
				close(stop)
				<-ended
				if began != c.began {
					t.Errorf("the device had it: %v", began)
				}
				switch {
				case c.err != nil && !errors.Is(err, c.err), c.kind != FaultOther && KindOf(err) != c.kind:
					t.Errorf("%v", err)
				case c.err == nil && c.kind == FaultOther && (err != nil || r != 7):
					t.Errorf("%d, %v", r, err)
				}
			})
		})
	}
}
