package guard

import (
	"fmt"
	"sync"
	"time"
)

const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
	goodRun    = time.Minute
)

// Then is what follows when a part's budget is used up.
type Then string

// What may follow. Slow: it goes on being started again, at the slowest pace. Rest: it is
// let alone for Budget.For, and then has a new budget. Reset: as Slow, and where this process
// has run for Budget.For, whoever holds the Watchdog starves it, so that the process begins
// anew, and in the end the board: a process that died young would only do so again.
const (
	Slow  Then = "slow"
	Rest  Then = "rest"
	Reset Then = "reset"
)

// Budget is how often a part may be started again in a time.
type Budget struct {
	Restarts int           `yaml:"restarts"`
	Per      time.Duration `yaml:"per"`
	Then     Then          `yaml:"then"`
	For      time.Duration `yaml:"for"`
	// Slowest is the longest pause before it is started again; 0 takes 10 s.
	Slowest time.Duration `yaml:"slowest"`
}

func (b Budget) slowest() time.Duration {
	if b.Slowest > 0 {
		return b.Slowest
	}
	return lastPause
}

// Restarts are budgets by part: "owner/name", "owner", and "*" for all others.
type Restarts map[string]Budget

// unbounded is where nobody gave rules: a program other than the box's.
var unbounded = Budget{Then: Slow}

// Of gives a part's budget: that of the nearest name.
func (r Restarts) Of(owner, name string) Budget {
	for _, key := range []string{owner + "/" + name, owner, "*"} {
		if b, ok := r[key]; ok {
			return b
		}
	}
	return unbounded
}

// Govern gives the budgets, from now on.
func (g *Guard) Govern(r Restarts) { g.rules.Store(&r) }

// Tries is what a part has spent of its budget. Whoever starts something again by himself,
// as a child, keeps one; Guard.Go does so for goroutines. It is safe for one goroutine.
type Tries struct {
	g           *Guard
	owner, name string
	began       time.Time
	pause       time.Duration
	when        []time.Time
}

// Tries begins the account of a part that now begins.
func (g *Guard) Tries(owner, name string) *Tries {
	return &Tries{g: g, owner: owner, name: name, began: time.Now(), pause: firstPause}
}

func (t *Tries) budget() Budget {
	if r := t.g.rules.Load(); r != nil {
		return r.Of(t.owner, t.name)
	}
	return unbounded
}

// Began says that it was started again.
func (t *Tries) Began() { t.began = time.Now() }

// Died says that it ended although it must not: how long it is to be let alone, and whether
// its budget is used up.
func (t *Tries) Died() (pause time.Duration, spent bool) {
	b, now := t.budget(), time.Now()
	if now.Sub(t.began) > goodRun {
		t.pause = firstPause
	}
	pause, t.pause = min(t.pause, b.slowest()), min(2*t.pause, b.slowest())
	if b.Restarts <= 0 {
		return pause, false
	}
	kept := t.when[:0]
	for _, w := range t.when {
		if now.Sub(w) < b.Per {
			kept = append(kept, w)
		}
	}
	t.when = append(kept, now)
	// What is spent stays so while it goes on dying: else a slow pace would win it back.
	if n := len(t.when); n > b.Restarts+1 {
		t.when = t.when[n-b.Restarts-1:]
	}
	if len(t.when) <= b.Restarts {
		return pause, false
	}
	if b.Then == Rest {
		t.when, t.pause = t.when[:0], firstPause
		return b.For, true
	}
	return b.slowest(), true
}

// words bounds what the log is told of failures: whatever dies again and again must not push
// everything else out of it, nor wear the flash.
type words struct {
	mu  sync.Mutex
	all map[string]*said
}

type said struct {
	last    string // error
	since   time.Time
	n, held int
}

const (
	wordsMost = 512              // parts that are remembered
	wordsIn   = 5                // lines of one part
	wordsPer  = 10 * time.Minute // in this time
)

// may tells whether a failure gets a line, whether with its stack, and how many were held
// back before it.
func (w *words) may(key, err string, now time.Time) (line, stack bool, held int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil || len(w.all) > wordsMost {
		w.all = map[string]*said{}
	}
	s := w.all[key]
	if s == nil || now.Sub(s.since) >= wordsPer {
		held := 0
		if s != nil {
			held = s.held
		}
		s = &said{since: now, last: err, n: 1}
		w.all[key] = s
		return true, true, held
	}
	stack = s.last != err && s.n < wordsIn
	s.last = err
	if s.n++; s.n > wordsIn {
		s.held++
		return false, false, 0
	}
	return true, stack, 0
}

// say writes a failure into the log, within bounds.
func (g *Guard) say(e Event) {
	line, stack, held := g.words.may(e.Owner+"/"+e.Name, fmt.Sprint(e.Err), e.At)
	if !line && !(e.Spent && e.Budget.Then == Rest) {
		return
	}
	a := []any{"owner", e.Owner, "name", e.Name, "err", e.Err, "restarts", e.Restarts}
	if held > 0 {
		a = append(a, "not_logged", held)
	}
	if e.Spent {
		a = append(a, "budget", "spent", "then", string(e.Budget.Then), "for", e.Budget.For)
	}
	if stack && e.Stack != "" {
		a = append(a, "stack", e.Stack)
	}
	g.log.Error("goroutine failed", a...)
}
