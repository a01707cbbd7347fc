package guard

import (
	"context"
	"sort"
	"sync"
	"time"
)

// Watchdog feeds what would restart the box (systemd, the init, a hardware
// timer) only while every part of the alarm path has proved since the last
// feeding that it has turned over.
type Watchdog struct {
	mu     sync.Mutex
	proofs map[string]*Proof
}

// Proof is one part's proof of life. A part whose work is asleep by design
// proves itself by waking at least once within its limit.
type Proof struct {
	name  string
	limit time.Duration

	mu   sync.Mutex
	last time.Time
}

// Proof registers a part that must turn over at least once in limit. Call
// Retire when the part ends on purpose.
func (w *Watchdog) Proof(name string, limit time.Duration) *Proof {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.proofs == nil {
		w.proofs = map[string]*Proof{}
	}
	p := &Proof{name: name, limit: limit, last: time.Now()}
	w.proofs[name] = p
	return p
}

// Retire forgets a part.
func (w *Watchdog) Retire(p *Proof) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.proofs[p.name] == p {
		delete(w.proofs, p.name)
	}
}

// Alive says that the part has turned over. A nil Proof ignores it.
func (p *Proof) Alive() {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.last = time.Now()
	p.mu.Unlock()
}

// Hung names the parts that have not turned over within their limits, sorted.
func (w *Watchdog) Hung() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var s []string
	for name, p := range w.proofs {
		p.mu.Lock()
		if time.Since(p.last) > p.limit {
			s = append(s, name)
		}
		p.mu.Unlock()
	}
	sort.Strings(s)
	return s
}

// Run looks every interval and feeds while nothing hangs; starved is told the
// names otherwise. It ends with ctx.
func (w *Watchdog) Run(ctx context.Context, every time.Duration, feed func(), starved func([]string)) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		if hung := w.Hung(); len(hung) == 0 {
			feed()
		} else {
			starved(hung)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}
