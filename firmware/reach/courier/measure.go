package courier

import "time"

// measured is what a link is seen to do: the share of parcels whose receipt came, and how
// long that took. It starts from what the rules believe.
type measured struct {
	delivery float64
	latency  time.Duration
	// rtt and spread are what the wait for receipts is reckoned from: a round trip smoothed and
	// how far from it they are (RFC 6298, section 2). 0: none was seen yet.
	rtt, spread time.Duration
}

const (
	deliveryGain = 1.0 / 16
	latencyGain  = 1.0 / 8
	// deliveryLeast keeps a link that delivered nothing for long worth a try.
	deliveryLeast = 0.02
)

func (m *measured) arrived(after time.Duration) {
	m.delivery += (1 - m.delivery) * deliveryGain
	m.latency += time.Duration(float64(after-m.latency) * latencyGain)
}

// trip takes a round trip: a receipt's, or a probe's before there was any.
func (m *measured) trip(after time.Duration) {
	if m.rtt == 0 {
		m.rtt, m.spread = max(1, after), after/2
		return
	}
	off := after - m.rtt
	if off < 0 {
		off = -off
	}
	m.spread += (off - m.spread) / 4
	m.rtt = max(1, m.rtt+(after-m.rtt)/8)
}

// patience is how long a receipt is worth waiting for.
func (m *measured) patience() time.Duration {
	if m.rtt == 0 {
		return 4 * m.latency
	}
	return m.rtt + max(4*m.spread, m.rtt/2)
}

func (m *measured) lost() { m.delivery = max(deliveryLeast, m.delivery*(1-deliveryGain)) }
