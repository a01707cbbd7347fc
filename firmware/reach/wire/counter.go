package wire

import "tocsin/firmware/phrase"

const (
	counterMost = 1<<48 - 1
	// CounterBlock is how many counters are reserved at once.
	CounterBlock = 1000

	year2020 = 1_577_836_800 // in seconds since 1970
	anewBits = 5
)

// CountersFrom is where a sender's counters begin that may have lost what it kept: 32 for each second from the year 2020 to
// seconds since 1970. No earlier life can have passed it that reserved less than one block in 31 s.
func CountersFrom(seconds int64) uint64 { return uint64(max(0, seconds-year2020)) << anewBits }

// Counter gives each message of a direction a number of its own, for ever. It reserves
// them in blocks, so that a power cut costs a block and never gives a number twice. One goroutine uses it.
type Counter struct {
	next, upTo uint64
	reserve    func(upTo uint64) error
	take       func() (after uint64, err error)
	spare      uint64 // the first of the block after this one, 0 where there is none yet
}

// NewCounter begins after what was reserved before; 0 is the beginning. reserve must have kept its argument for
// good, over a power cut, when it returns nil: it is the next NewCounter's reserved.
func NewCounter(reserved uint64, reserve func(upTo uint64) error) *Counter {
	return &Counter{next: reserved + 1, upTo: reserved, reserve: reserve}
}

// NewCounterOf shares a direction's numbers among several: keys serve all links of a pair, and no number may come twice on two of
// them. take reserves a block for this Counter alone, CounterBlock numbers after the one that it gives, and has kept that for good when its
// error is nil.
func NewCounterOf(take func() (after uint64, err error)) *Counter {
	return &Counter{next: 1, take: take}
}

// Next gives the next number. When half a block is used it reserves the next one, so that a disk that
// dies leaves five hundred messages that can still go; only when there are none left does it err.
func (c *Counter) Next() (uint64, error) {
	if c.take != nil {
		return c.nextOfMany()
	}
	if c.next+CounterBlock/2 > c.upTo {
		want := max(c.upTo, c.next-1) + CounterBlock
		if want > counterMost {
			want = counterMost
		}
		switch err := c.reserve(want); {
		case err == nil:
			c.upTo = want
		case c.next > c.upTo:
			return 0, phrase.Wrap(err, "wire.counter_unkept")
		}
	}
	if c.next > c.upTo {
		return 0, phrase.E("wire.counter_spent")
	}
	c.next++
	return c.next - 1, nil
}

func (c *Counter) nextOfMany() (uint64, error) {
	if c.spare == 0 && c.next+CounterBlock/2 > c.upTo {
		switch after, err := c.take(); {
		case err == nil:
			c.spare = after + 1
		case c.next > c.upTo:
			return 0, phrase.Wrap(err, "wire.counter_unkept")
		}
	}
	if c.next > c.upTo {
		c.next, c.upTo, c.spare = c.spare, c.spare+CounterBlock-1, 0
	}
	if c.next > counterMost {
		return 0, phrase.E("wire.counter_spent")
	}
	c.next++
	return c.next - 1, nil
}
