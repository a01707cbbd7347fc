package access

import (
	"cmp"
	"context"
	"hash/maphash"
	"math"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"tocsin/firmware/phrase"
)

// Attempts at passwords go one by one. Of those who may go, who has failed least goes
// first, so that a crowd of guessers stands behind whoever comes from elsewhere. Who fails
// waits longer and longer, up to longestWait, and so does an account that is tried from
// everywhere: there only those who have failed at it, until there are so many that no
// machine is looked upon as new. Nobody is locked out by what others do: a machine that an
// account was used from of late stands in its own line alone.
const (
	freeOfMachine = 10  // failures at all accounts together: a village office has one address
	freeOfAccount = 10  // failures from everywhere, for who has failed at it
	freshAccount  = 300 // the same, for who has not
	longestHeld   = 15 * time.Second
	mostWaiting   = 64
	mostOfOne     = 8
	mostMachines  = 512
	mostPairs     = 1024
	strangeNames  = 64 // accounts that nobody has share so many places
)

// standing is how a machine, an account, or a machine at one account stands.
type standing struct {
	failed int
	last   time.Time
	// good: it signed in of late.
	good bool
}

// after is when the next attempt may be, where free failures cost nothing.
func (s *standing) after(free int) time.Time {
	if s == nil || s.failed < free {
		return time.Time{}
	}
	return s.last.Add(delay(s.failed - free))
}

func (s *standing) fails() int {
	if s == nil {
		return 0
	}
	return s.failed
}

func delay(over int) time.Duration {
	if over < 3 {
		return time.Second << max(over, 0)
	}
	return longestWait
}

// standings are bounded: what failed least gives way.
type standings[K comparable] struct {
	most int
	of   map[K]*standing
}

func newStandings[K comparable](most int) standings[K] {
	return standings[K]{most, map[K]*standing{}}
}

func (s *standings[K]) note(k K, right bool, now time.Time, forgives bool) {
	x := s.of[k]
	if x == nil {
		s.room(now)
		x = &standing{}
		s.of[k] = x
	}
	x.last = now
	switch {
	case !right:
		x.failed++
	case forgives:
		x.failed, x.good = 0, true
	}
}

func (s *standings[K]) room(now time.Time) {
	var least K
	worth := math.MaxInt
	var at time.Time
	for k, x := range s.of {
		if now.Sub(x.last) > forgetAfter && !x.good || now.Sub(x.last) > Lifetime {
			delete(s.of, k)
			continue
		}
		n := x.failed
		if x.good {
			n += freeFailures // what is known as good is worth keeping, but not for ever
		}
		if n < worth || n == worth && x.last.Before(at) {
			least, worth, at = k, n, x.last
		}
	}
	if len(s.of) >= s.most {
		delete(s.of, least)
	}
}

// get gives what is not yet forgotten.
func (s *standings[K]) get(k K, now time.Time) *standing {
	x := s.of[k]
	if x != nil && now.Sub(x.last) > forgetAfter {
		if !x.good {
			return nil
		}
		x.failed = 0
	}
	return x
}

// turns is that line. Use newTurns.
type turns struct {
	seed maphash.Seed

	mu       sync.Mutex
	busy     bool
	last     netip.Prefix
	machines standings[netip.Prefix]
	pairs    standings[caller]
	accounts standings[string]
	waiting  []*attempt
}

// attempt is one who waits. Who came first stands first in the line.
type attempt struct {
	at   caller
	name string // of the account's line
	away bool   // gave way to another
	wake chan struct{}
}

func (a *attempt) stir() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func newTurns() *turns {
	return &turns{
		seed: maphash.MakeSeed(), machines: newStandings[netip.Prefix](mostMachines),
		pairs: newStandings[caller](mostPairs), accounts: newStandings[string](MostAccounts + strangeNames),
	}
}

// enter waits for an attempt's turn. What it gives says how the attempt ended, and must be
// called. An error is a *phrase.Error where there is no room to wait, or the context's.
func (t *turns) enter(ctx context.Context, machine netip.Prefix, account string, known bool) (end func(right bool), err error) {
	a := &attempt{at: caller{machine, account}, name: account, wake: make(chan struct{}, 1)}
	if !known {
		// One place each would let a stranger fill the memory, and one place for all tell
		// which accounts there are.
		n := maphash.String(t.seed, account) % strangeNames
		a.at.account, a.name = "\x00"+strconv.FormatUint(n, 10), "\x00"+strconv.FormatUint(n, 10)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.stand(a, time.Now()); err != nil {
		return nil, err
	}
	for {
		now := time.Now()
		if a.away {
			return nil, phrase.E("access.busy")
		}
		if next := t.first(now); !t.busy && next == a {
			break
		} else if !t.busy && next != nil {
			next.stir()
		}
		if err := t.sleep(ctx, a, now); err != nil {
			t.leave(a)
			return nil, err
		}
	}
	t.busy, t.last = true, machine
	t.waiting = without(t.waiting, a)
	return func(right bool) { t.ended(a, right) }, nil
}

// crowd tells whether somebody waits.
func (t *turns) crowd() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting) > 0
}

func (t *turns) ended(a *attempt, right bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	// A machine's own right password forgives none of what it tried at others.
	t.machines.note(a.at.addr, right, now, false)
	t.pairs.note(a.at, right, now, true)
	if !right {
		t.accounts.note(a.name, false, now, false)
	}
	t.busy = false
	t.stir()
}

// stir wakes who goes next: whose time has come, or else whose comes first, who then sleeps
// until it has. What the others sleep for may be another time than theirs is now.
func (t *turns) stir() {
	if t.busy {
		return
	}
	now := time.Now()
	a := t.first(now)
	if a == nil {
		var soonest time.Time
		for _, w := range t.waiting {
			if r := t.ready(w, now); a == nil || r.Before(soonest) {
				a, soonest = w, r
			}
		}
	}
	if a != nil {
		a.stir()
	}
}

func (t *turns) leave(a *attempt) {
	t.waiting = without(t.waiting, a)
	t.stir()
}

func without(l []*attempt, a *attempt) []*attempt {
	var out []*attempt
	for _, x := range l {
		if x != a {
			out = append(out, x)
		}
	}
	return out
}

// sleep waits with mu given up until something changes or the attempt's time has come.
func (t *turns) sleep(ctx context.Context, a *attempt, now time.Time) error {
	timer := time.NewTimer(longestHeld)
	if r := t.ready(a, now); r.After(now) {
		timer.Reset(r.Sub(now))
	}
	t.mu.Unlock()
	defer t.mu.Lock()
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-a.wake:
	case <-timer.C:
	}
	return nil
}

// ready is when an attempt may go.
func (t *turns) ready(a *attempt, now time.Time) time.Time {
	pair := t.pairs.get(a.at, now)
	at := later(t.machines.get(a.at.addr, now).after(freeOfMachine), pair.after(freeFailures))
	if pair != nil && pair.good {
		return at
	}
	free := freshAccount
	if pair.fails() > 0 {
		free = freeOfAccount
	}
	return later(at, t.accounts.get(a.name, now).after(free))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// first is who goes next, nil where nobody's time has come.
func (t *turns) first(now time.Time) (best *attempt) {
	for _, a := range t.waiting {
		if !t.ready(a, now).After(now) && (best == nil || t.before(a, best, now) < 0) {
			best = a
		}
	}
	return best
}

// before orders two attempts: negative where a has the better claim. Of equals who came
// first has it.
func (t *turns) before(a, b *attempt, now time.Time) int {
	x, y := t.pairs.get(a.at, now), t.pairs.get(b.at, now)
	return cmp.Or(
		cmp.Compare(rank(x), rank(y)),
		cmp.Compare(t.machines.get(a.at.addr, now).fails(), t.machines.get(b.at.addr, now).fails()),
		cmp.Compare(stale(x, now), stale(y, now)),
		cmp.Compare(same(a.at.addr, t.last), same(b.at.addr, t.last)),
	)
}

// rank is worse the more has failed; a machine that was let in of late may mistype a while.
func rank(s *standing) int {
	if s != nil && s.good {
		return s.failed - freeOfAccount
	}
	return s.fails()
}

// stale is how long ago one failed: people try again at once, and of a crowd that has failed
// as often most did it long ago.
func stale(s *standing, now time.Time) time.Duration {
	if s.fails() == 0 {
		return 0
	}
	return now.Sub(s.last)
}

func same(a, b netip.Prefix) int {
	if a == b {
		return 1
	}
	return 0
}

// stand puts an attempt in the line where there is room: of its own machine no more than
// can be answered in time, and of all mostWaiting, where who has the worst claim gives way.
func (t *turns) stand(a *attempt, now time.Time) error {
	own := 0
	for _, w := range t.waiting {
		if w.at.addr == a.at.addr {
			own++
		}
	}
	each := max(t.machines.get(a.at.addr, now).pause(freeOfMachine), t.pairs.get(a.at, now).pause(freeFailures))
	if held := max(0, t.ready(a, now).Sub(now)) + time.Duration(own)*each; own >= mostOfOne || held > longestHeld {
		return phrase.E("access.slow", "seconds", int(longestWait/time.Second))
	}
	if len(t.waiting) >= mostWaiting {
		worst := a
		for _, w := range t.waiting {
			if t.before(w, worst, now) > 0 || worst != a && t.before(w, worst, now) == 0 {
				worst = w
			}
		}
		if worst == a {
			return phrase.E("access.busy")
		}
		worst.away = true
		t.waiting = without(t.waiting, worst)
		worst.stir()
	}
	t.waiting = append(t.waiting, a)
	return nil
}

// pause is how far apart attempts are.
func (s *standing) pause(free int) time.Duration {
	if s == nil || s.failed < free {
		return 0
	}
	return delay(s.failed - free)
}
