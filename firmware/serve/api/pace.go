package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
)

// The page's share of the processor. Who warns people runs in the same process, and whoever asks as fast as a
// machine can would have it wait in a queue behind answers. So answering has a share of one core, of all
// callers and of each address; what is asked beyond it is not refused but waits, so that an asker is slowed
// and nobody else is. Who has signed in to act, STOP and the box's own socket wait for nobody, but who asks
// for STOP as fast as a machine can waits a moment behind themselves. Whoever has asked for nothing in freshFor
// has a share of its own, so that one who comes to the page meanwhile sees it at once.
const (
	shareOfAll  = 0.10
	shareOfAddr = 0.05
	shareOfNew  = 0.03
	freshFor    = 20 * time.Second
	stopMost    = time.Second
	// paceBurst is how much may be answered at once: a console and all that it loads, for a dozen people.
	paceBurst = 100 * time.Millisecond
	// paceMost is how long one may wait; beyond it there is a refusal.
	paceMost = 5 * time.Second
	// paceCost is what an answer takes beside its handler, and paceCap the most that a handler counts for: a longer one waits for
	// something, and that is not the processor.
	paceCost = 150 * time.Microsecond
	paceCap  = 10 * time.Millisecond
	// paceAddrs is how many addresses are known at once.
	paceAddrs = 512
)

// debt is processor time that was taken and not yet earned.
type debt struct {
	owed  time.Duration
	at    time.Time
	asked time.Time // when it was last asked for, of an address
}

func (d *debt) earn(now time.Time, share float64) {
	if !d.at.IsZero() {
		d.owed = max(0, d.owed-time.Duration(float64(now.Sub(d.at))*share))
	}
	d.at = now
}

// late is how long who comes now has to wait.
func (d *debt) late(share float64) time.Duration {
	return max(0, time.Duration(float64(d.owed-paceBurst)/share))
}

// pace is that share. The zero value is ready.
type pace struct {
	mu   sync.Mutex
	all  debt
	news debt // of those who came anew
	from map[string]*debt
	mean time.Duration // what an answer took of late
}

// enter takes an answer's share in advance and says how long it waits; false where that is too long.
func (p *pace) enter(now time.Time, addr string) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.of(now, addr)
	p.all.earn(now, shareOfAll)
	d.earn(now, shareOfAddr)
	wait := max(p.all.late(shareOfAll), d.late(shareOfAddr))
	if wait > 0 && now.Sub(d.asked) > freshFor && len(p.from) < paceAddrs {
		// Where more addresses come than are known, nobody can be told to be new.
		if p.news.earn(now, shareOfNew); p.news.late(shareOfNew) == 0 {
			p.news.owed += p.mean + paceCost
			wait = d.late(shareOfAddr)
		}
	}
	d.asked = now
	if wait > paceMost {
		return 0, false
	}
	p.all.owed += p.mean + paceCost
	d.owed += p.mean + paceCost
	return wait, true
}

// stop takes what a STOP costs, which waits for its own address alone, is never refused and
// keeps nobody else waiting.
func (p *pace) stop(now time.Time, addr string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.of(now, addr)
	d.earn(now, shareOfAddr)
	d.owed += p.mean + paceCost
	return min(d.late(shareOfAddr), stopMost)
}

// leave gives back what was taken too much.
func (p *pace) leave(now time.Time, addr string, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	took = min(max(took, 0), paceCap)
	more := took - p.mean
	p.mean += (took - p.mean) / 16
	p.all.owed = max(0, p.all.owed+more)
	if d := p.from[addr]; d != nil {
		d.owed = max(0, d.owed+more)
	}
}

// of is an address' debt; who owes nothing any more is forgotten.
func (p *pace) of(now time.Time, addr string) *debt {
	if d := p.from[addr]; d != nil {
		return d
	}
	if p.from == nil {
		p.from = map[string]*debt{}
	}
	if len(p.from) >= paceAddrs {
		for a, d := range p.from {
			if d.earn(now, shareOfAddr); d.owed == 0 {
				delete(p.from, a)
			}
		}
		if len(p.from) >= paceAddrs {
			return &debt{} // all of it is known by the share of all
		}
	}
	d := &debt{}
	p.from[addr] = d
	return d
}

// paced lets who may wait wait for the page's share.
func (s *Server) paced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := GrantOf(r.Context())
		if g.Via != ViaPage || g.Role.Allows(access.Cadre) {
			next.ServeHTTP(w, r)
			return
		}
		if s.stops(r) {
			if wait := s.pace.stop(time.Now(), g.Addr); wait == 0 || rests(r.Context(), wait) {
				next.ServeHTTP(w, r)
			}
			return
		}
		wait, ok := s.pace.enter(time.Now(), g.Addr)
		if !ok || wait > 0 && !rests(r.Context(), wait) {
			w.Header().Set("Retry-After", "5")
			writeProblem(w, problem(http.StatusServiceUnavailable, phrase.M("serve.asked_too_much")))
			return
		}
		began := time.Now()
		answered := sync.OnceFunc(func() { s.pace.leave(time.Now(), g.Addr, time.Since(began)) })
		defer answered()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), pacedKey{}, answered)))
	})
}

// stops tells whether a request is for STOP: the operation, or one of the pages' forms that
// are open to everybody and without TLS, which are those of STOP alone.
func (s *Server) stops(r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	x, ok := s.o.Pages.of(r)
	return r.URL.Path == stopPath || ok && x.Plain
}

type pacedKey struct{}

// follows says that a request is answered and what comes now is a stream: the share is for answers.
func follows(ctx context.Context) {
	if answered, ok := ctx.Value(pacedKey{}).(func()); ok {
		answered()
	}
}

func rests(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
