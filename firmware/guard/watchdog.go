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
	given  map[string]bool
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

// GiveUp starves the dog for a part that turns over and yet does not do its work: one that
// dies again and again. Forgive takes it back.
func (w *Watchdog) GiveUp(part string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.given == nil {
		w.given = map[string]bool{}
	}
	w.given[part] = true
}

// Forgive says that the part runs well again.
func (w *Watchdog) Forgive(part string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.given, part)
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

// Rest forgets all parts: they end on purpose, and whoever ends them bounds how long.
func (w *Watchdog) Rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proofs, w.given = nil, nil
}

// Hung names the parts that have not turned over within their limits, and those that were
// given up, sorted.
func (w *Watchdog) Hung() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var s []string
	for part := range w.given {
		s = append(s, part)
	}
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
// names otherwise, and how many looks in a row found some. It ends with ctx.
func (w *Watchdog) Run(ctx context.Context, every time.Duration, feed func(), starved func(hung []string, looks int)) error {
	t := time.NewTicker(every)
	defer t.Stop()
	looks := 0
	for {
		if hung := w.Hung(); len(hung) == 0 {
			looks = 0
			feed()
		} else {
			looks++
			starved(hung, looks)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}
