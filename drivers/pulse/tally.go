package pulse

import "time"

const (
	// instant is how close closings of two contacts are one event: lightning and
	// the switching of a pump reach all cables at once, buckets do not tip so.
	instant = 30 * time.Millisecond
	// settle is how long a closing waits for others of its instant.
	settle = 2 * instant
	// doubted is how long a count is in doubt after a surge.
	doubted = 10 * time.Second
)

// tally tells closings that count from surges. It knows no pins and no clock, and is
// used under its board's lock.
type tally struct {
	contacts map[string]*tallied
}

type tallied struct {
	count   uint64
	closest time.Duration
	last    time.Time // the last closing, counted or not
	pending time.Time // one that waits for its instant to pass
	surge   time.Time // when a surge was last seen
}

// closes takes a closing.
func (t *tally) closes(name string, at time.Time) {
	c := t.contacts[name]
	tooSoon := !c.last.IsZero() && at.Sub(c.last) < c.closest
	c.last = at
	if tooSoon {
		c.surge = at
		return
	}
	t.settle(at)
	together := false
	for n, o := range t.contacts {
		if n == name || o.last.IsZero() || at.Sub(o.last) > instant {
			continue
		}
		together = true
		o.pending, o.surge = time.Time{}, at
	}
	if together {
		c.surge = at
		return
	}
	c.pending = at
}

// settle counts the closings whose instant has passed alone.
func (t *tally) settle(now time.Time) (changed bool) {
	for _, c := range t.contacts {
		if !c.pending.IsZero() && now.Sub(c.pending) >= settle {
			c.pending = time.Time{}
			c.count++
			changed = true
		}
	}
	return changed
}

// doubt tells whether a contact's count is in doubt.
func (c *tallied) doubt(now time.Time) bool {
	return !c.surge.IsZero() && now.Sub(c.surge) < doubted
}
