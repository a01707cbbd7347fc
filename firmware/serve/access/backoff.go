package access

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// Wrong tokens from one address make its next attempts wait, up to longestWait.
// An attempt that waits is held and then compared, never refused, so the right
// token gets through within longestWait however many wrong ones come from the
// same address, and at once from any other.
const (
	freeFailures = 3
	longestWait  = 5 * time.Second
	forgetAfter  = 10 * time.Minute
	mostAddrs    = 256
)

type backoff struct {
	// free is how many failures cost nothing.
	free int

	mu   sync.Mutex
	seen map[caller]*failures
}

// caller is who fails: a machine, or a machine at one account.
type caller struct {
	addr    netip.Prefix
	account string
}

type failures struct {
	n    int
	last time.Time
}

func newBackoff(free int) *backoff { return &backoff{free: free, seen: map[caller]*failures{}} }

// Verify compares a token that came from an address ("ip:port" or "ip"),
// after the wait that the address has earned. False also where ctx ends first.
func (t *Token) Verify(ctx context.Context, addr, given string) bool {
	key := caller{addr: prefix(addr)}
	if !pause(ctx, t.back.wait(key)) {
		return false
	}
	ok := t.Is(given)
	t.back.note(key, ok, time.Now())
	return ok
}

// pause holds an attempt; false where ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// prefix makes one caller of all the addresses that one machine may take.
func prefix(addr string) netip.Prefix {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		ap, err := netip.ParseAddrPort(addr)
		if err != nil {
			return netip.Prefix{} // all unreadable ones share a fate
		}
		a = ap.Addr()
	}
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// wait gives how long an attempt is held, in full from its own arrival, so that
// many at once gain nothing.
func (b *backoff) wait(key caller) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.seen[key]
	if f == nil || f.n < b.free || time.Since(f.last) > forgetAfter {
		return 0
	}
	pause := longestWait
	if over := f.n - b.free; over < 3 {
		pause = time.Second << over
	}
	return pause
}

func (b *backoff) note(key caller, ok bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, f := range b.seen {
		if now.Sub(f.last) > forgetAfter {
			delete(b.seen, k)
		}
	}
	if ok {
		delete(b.seen, key)
		return
	}
	f := b.seen[key]
	if f == nil {
		if len(b.seen) >= mostAddrs {
			b.forgetOldest()
		}
		f = &failures{}
		b.seen[key] = f
	}
	f.n++
	f.last = now
}

func (b *backoff) forgetOldest() {
	var oldest caller
	var at time.Time
	for k, f := range b.seen {
		if at.IsZero() || f.last.Before(at) {
			oldest, at = k, f.last
		}
	}
	delete(b.seen, oldest)
}
