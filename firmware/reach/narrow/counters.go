package narrow

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
)

// Counters reserve the numbers of messages in blocks, on the disk before they are used. The ends of one pair share one over all
// their links: the key of what is hidden is the pair's, so that a number that came on two links would lay it open.
//
// Where nothing is kept they begin at 1 without a Clock, else by it (wire.CountersFrom), since a disk may have been lost and its numbers
// been used. By a clock that nobody set they begin at random after what it says, and go on from the right time once that is known.
type Counters struct {
	// Clock is the time, and whether it may be believed. Set it before use.
	Clock func() (t time.Time, ok bool)
	keep  Keep
	mu    sync.Mutex
	upTo  map[string]uint64
	// failed is what could not be reserved. It is asked for again, not what follows: a disk that is dead for a day
	// would else lead counters away from where the peer looks for them.
	failed map[string]uint64
	free   map[string]bool // begun by a clock that nobody set
}

// NewCounters makes one over what keeps them.
func NewCounters(k Keep) *Counters {
	return &Counters{keep: k, upTo: map[string]uint64{}, failed: map[string]uint64{}, free: map[string]bool{}}
}

// load reads what is kept, so that what cannot be read is found before anything is sent.
func (c *Counters) load(key string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read(key)
}

// read takes up what is kept. It never goes back.
func (c *Counters) read(key string) error {
	b, ok := c.keep.Get(key)
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(string(b[:min(len(b), 20)]), 10, 48)
	if err != nil {
		return phrase.Wrap(err, "narrow.counter_unread")
	}
	if n != c.failed[key] {
		c.upTo[key] = max(c.upTo[key], n)
	}
	return nil
}

// freeMost is how far after its beginning by a clock that nobody set a counter may begin: 18 hours.
const freeMost = 1 << 21

// right tells whether a counter that began by a clock that nobody set can go on by one that was.
func (c *Counters) right() bool {
	if c.Clock == nil {
		return false
	}
	_, ok := c.Clock()
	return ok
}

// isFree tells whether blocks of a key are of a clock that nobody set.
func (c *Counters) isFree(key string) bool { c.mu.Lock(); defer c.mu.Unlock(); return c.free[key] }

// take reserves the next block and gives the number before its first.
func (c *Counters) take(ctx context.Context, key string) (after uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.read(key); err != nil {
		return 0, err
	}
	n := c.upTo[key]
	if c.Clock != nil && (n == 0 || c.free[key]) {
		t, ok := c.Clock()
		switch from := wire.CountersFrom(t.Unix()); {
		case ok:
			n = max(n, from)
		case n == 0:
			n = from + rand.Uint64N(freeMost)
		}
		c.free[key] = !ok
	}
	want := n + wire.CounterBlock
	if err := c.keep.Put(ctx, key, strconv.AppendUint(nil, want, 10)); err != nil {
		c.failed[key] = want
		return 0, err
	}
	delete(c.failed, key)
	c.upTo[key] = want
	return n, nil
}

// Merge gives what to keep under a name of Keep's where it was kept in two places: the higher number, or the
// messages that either has heard. nil: own stays as it is.
func Merge(key string, own, other []byte) []byte {
	if strings.HasSuffix(key, "/sent") {
		return Higher(own, other)
	}
	var a, b wire.WindowState
	if len(other) > windowMost || json.Unmarshal(other, &b) != nil {
		return nil
	}
	var w wire.Window
	if w.Restore(b) != nil {
		return nil
	}
	if len(own) > 0 {
		if len(own) > windowMost || json.Unmarshal(own, &a) != nil || w.Restore(a) != nil {
			return nil
		}
	}
	c, err := json.Marshal(w.Snapshot())
	if err != nil {
		return nil
	}
	return c
}

// Higher gives other where it is a higher number than own; nil: own stays as it is.
func Higher(own, other []byte) []byte {
	n, err := strconv.ParseUint(string(other[:min(len(other), 20)]), 10, 48)
	if err != nil {
		return nil
	}
	if m, err := strconv.ParseUint(string(own[:min(len(own), 20)]), 10, 48); len(own) > 0 && (err != nil || m >= n) {
		return nil
	}
	return strconv.AppendUint(nil, n, 10)
}
