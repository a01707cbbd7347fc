package courier

import "time"

// month is the span of a budget.
const month = 30 * 24 * time.Hour

// bucket is the money of a link that costs. It holds half the month's budget and gains
// the other half in a month, so that no month's span spends more than the budget.
type bucket struct {
	full    float64 // 0: the link costs nothing
	balance float64
	at      time.Duration // when balance held
}

func newBucket(budget float64) bucket { return bucket{full: budget / 2, balance: budget / 2} }

// fill brings the balance to now.
func (b *bucket) fill(now time.Duration) {
	if now > b.at {
		b.balance = min(b.full, b.balance+b.full*float64(now-b.at)/float64(month))
		b.at = now
	}
}

// allows tells whether a class may spend cost now: classes 3 and up leave the reserve, the
// others use it, and a warning may go below nothing.
func (b *bucket) allows(now time.Duration, m *Message, cost float64, r *Rules) bool {
	if cost == 0 {
		return true
	}
	b.fill(now)
	floor := 0.0
	switch {
	case m.everywhere():
		floor = -r.Overdraft * b.full
	case m.Class >= Alarm:
		floor = r.Reserve * b.full
	}
	return b.balance-cost >= floor
}

func (b *bucket) spend(cost float64) { b.balance -= cost }
