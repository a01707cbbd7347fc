package trust

import (
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
	// links reorder; 0 takes only rising counters. At most 64.
	Window int
	// Most is how many counters are kept.
	Most int
	// Build is the time of this build: nothing is older.
	Build time.Time
	// Ahead is how far a signed time may lift a floor at once.
	Ahead time.Duration
}

// Counters remember which messages were seen and how late each issuer has
// signed. One goroutine uses them. They are kept by their owner: Snapshot
// goes to the journal before anything sounds.
type Counters struct{}

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
func NewCounters(o CounterOptions) *Counters { return &Counters{} }

// Reserve takes a counter, once: a second Reserve of the same is refused from now on, also
// on another link, and a Snapshot has it. Release gives it back where the
// message was refused for another reason.
func (c *Counters) Reserve(k CounterKey, n uint64) (*Reservation, error) {
	return nil, phrase.E("trust.counter_seen", "issuer", k.Issuer, "counter", n)
}

// Reservation is a counter that was taken and may be given back.
type Reservation struct{}

// Release gives the counter back.
func (r *Reservation) Release() {}

// Floor is the time before which nothing of an issuer can lie: its last signed
// time, at least the build's.
func (c *Counters) Floor(issuer string) time.Time { return time.Time{} }

// Lift raises an issuer's floor to the time of a message that was genuine and
// trusted. A time too far ahead is refused: it would expire all that follows.
func (c *Counters) Lift(issuer string, sent time.Time) error { return nil }

// Snapshot gives what must be kept.
func (c *Counters) Snapshot() CounterState { return CounterState{Version: 1} }

// Restore takes back what was kept.
func (c *Counters) Restore(s CounterState) error { return nil }
