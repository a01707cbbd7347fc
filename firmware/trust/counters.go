package trust

import (
	"cmp"
	"slices"
	"time"

	"tocsin/firmware/phrase"
)

// CounterKey is what a counter counts: the messages of one key of one issuer to one
// group.
type CounterKey struct {
	Issuer string `json:"issuer"`
	Key    KeyID  `json:"key"`
	Group  string `json:"group"`
}

// CounterOptions bound Counters.
type CounterOptions struct {
	// Window is how many below the highest counter may still come, since several
	// links reorder; 0 takes only rising counters. At most 63.
	Window int
	// Most is how many counters are kept, and how many floors (0: 1024).
	Most int
	// Build is the time of this build: nothing is older.
	Build time.Time
	// Ahead is how far a signed time may lift a floor at once (0: without bound).
	Ahead time.Duration
}

// Counters remember which messages were seen and how late each issuer has
// signed. One goroutine uses them. They are kept by their owner: Snapshot
// goes to the journal before anything sounds.
type Counters struct {
	o      CounterOptions
	counts map[CounterKey]*count
	floors map[string]time.Time
}

type count struct {
	highest uint64
	seen    uint64 // bit n: highest-n was taken
	turn    uint64 // reservations so far
}

// CounterState is what is kept of Counters.
type CounterState struct {
	Version int            `json:"version"`
	Counts  []CounterCount `json:"counts"`
	Floors  []IssuerFloor  `json:"floors"`
}

// CounterCount is one counter: the highest that was taken, and by bits which below
// it were (bit 0 is the highest itself).
type CounterCount struct {
	CounterKey
	Highest uint64 `json:"highest"`
	Seen    uint64 `json:"seen"`
}

// IssuerFloor is the latest time that an issuer has signed.
type IssuerFloor struct {
	Issuer string    `json:"issuer"`
	At     time.Time `json:"at"`
}

// NewCounters makes empty Counters.
func NewCounters(o CounterOptions) *Counters {
	o.Window = min(max(o.Window, 0), 63)
	if o.Most <= 0 {
		o.Most = 1024
	}
	return &Counters{o: o, counts: map[CounterKey]*count{}, floors: map[string]time.Time{}}
}

// Reserve takes a counter, once: a second Reserve of the same is refused from now on, also
// on another link, and a Snapshot has it. Release gives it back where the
// message was refused for another reason. Call it only for a message whose
// signature holds: who cannot sign must not be able to use counters up.
func (c *Counters) Reserve(k CounterKey, n uint64) (*Reservation, error) {
	e := c.counts[k]
	switch {
	case n == 0:
		return nil, phrase.E("trust.counter_zero", "issuer", k.Issuer)
	case e == nil && len(c.counts) >= c.o.Most:
		return nil, phrase.E("trust.counter_full", "most", c.o.Most)
	case e == nil:
		e = &count{}
		c.counts[k] = e
	}
	before := *e
	switch {
	case n > e.highest:
		if d := n - e.highest; d > 63 {
			e.seen = 1
		} else {
			e.seen = e.seen<<d | 1
		}
		e.highest = n
	case e.highest-n > uint64(c.o.Window):
		return nil, phrase.E("trust.counter_old", "issuer", k.Issuer, "counter", n, "highest", e.highest)
	case e.seen>>(e.highest-n)&1 == 1:
		return nil, phrase.E("trust.counter_seen", "issuer", k.Issuer, "counter", n)
	default:
		e.seen |= 1 << (e.highest - n)
	}
	e.turn = before.turn + 1
	return &Reservation{e: e, n: n, before: before}, nil
}

// Reservation is a counter that was taken and may be given back.
type Reservation struct {
	e      *count
	n      uint64
	before count
}

// Release gives the counter back, once; on nil it does nothing.
func (r *Reservation) Release() {
	if r == nil || r.e == nil {
		return
	}
	e := r.e
	if e.turn == r.before.turn+1 { // nothing was taken since
		turn := e.turn + 1
		*e = r.before
		e.turn = turn
	} else if d := e.highest - r.n; d <= 63 {
		e.seen &^= 1 << d
	}
	r.e = nil
}

// Floor is the time before which nothing of an issuer can lie: its last signed
// time, at least the build's.
func (c *Counters) Floor(issuer string) time.Time {
	if f := c.floors[issuer]; f.After(c.o.Build) {
		return f
	}
	return c.o.Build
}

// Lift raises an issuer's floor to the time of a message that was genuine and
// trusted. A time too far ahead is refused: it would expire all that follows.
// Where the clock is trusted, do not Lift to what lies ahead of it.
func (c *Counters) Lift(issuer string, sent time.Time) error {
	floor := c.Floor(issuer)
	switch {
	case !sent.After(floor):
		return nil
	case c.o.Ahead > 0 && !floor.IsZero() && sent.Sub(floor) > c.o.Ahead:
		return phrase.E("trust.floor_ahead", "issuer", issuer, "sent", sent.Format(time.RFC3339), "floor", floor.Format(time.RFC3339))
	case len(c.floors) >= c.o.Most && c.floors[issuer].IsZero():
		return phrase.E("trust.counter_full", "most", c.o.Most)
	}
	c.floors[issuer] = sent
	return nil
}

// Correct brings an issuer's floor down to now, a trusted clock's, where it lies further than ahead after that: who
// signed it had a wrong clock while this box had none, and all that follows would count as expired. What
// lies nearer is left, and so are the counters.
func (c *Counters) Correct(issuer string, now time.Time, ahead time.Duration) {
	if f, ok := c.floors[issuer]; ok && f.After(now.Add(ahead)) {
		c.floors[issuer] = now
	}
}

// Snapshot gives what must be kept, in a fixed order. What was given back and
// never taken is not in it.
func (c *Counters) Snapshot() CounterState {
	s := CounterState{Version: 1, Counts: []CounterCount{}, Floors: []IssuerFloor{}}
	for k, e := range c.counts {
		if e.highest > 0 {
			s.Counts = append(s.Counts, CounterCount{k, e.highest, e.seen})
		}
	}
	for i, t := range c.floors {
		s.Floors = append(s.Floors, IssuerFloor{i, t})
	}
	slices.SortFunc(s.Counts, func(a, b CounterCount) int {
		return cmp.Or(cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Group, b.Group))
	})
	slices.SortFunc(s.Floors, func(a, b IssuerFloor) int { return cmp.Compare(a.Issuer, b.Issuer) })
	return s
}

// Restore takes back what was kept. It never lowers anything: what was taken since
// stays taken.
func (c *Counters) Restore(s CounterState) error {
	if s.Version != 1 {
		return phrase.E("trust.counter_version", "version", s.Version)
	}
	if len(s.Counts) > c.o.Most || len(s.Floors) > c.o.Most {
		return phrase.E("trust.counter_full", "most", c.o.Most)
	}
	for _, k := range s.Counts {
		e := c.counts[k.CounterKey]
		switch {
		case e == nil && k.Highest > 0:
			c.counts[k.CounterKey] = &count{highest: k.Highest, seen: k.Seen}
		case e == nil:
		case k.Highest >= e.highest:
			old := uint64(0)
			if d := k.Highest - e.highest; d <= 63 {
				old = e.seen << d
			}
			*e = count{highest: k.Highest, seen: k.Seen | old, turn: e.turn + 2}
		default:
			if d := e.highest - k.Highest; d <= 63 {
				e.seen |= k.Seen << d
			}
			e.turn += 2
		}
	}
	for _, f := range s.Floors {
		if f.At.After(c.Floor(f.Issuer)) {
			c.floors[f.Issuer] = f.At
		}
	}
	return nil
}
