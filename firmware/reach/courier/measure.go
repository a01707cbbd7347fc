package courier

import "time"

// measured is what a link is seen to do: the share of parcels whose receipt came, and how
// long that took. It starts from what the rules believe.
type measured struct {
	delivery float64
	latency  time.Duration
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

func (m *measured) lost() { m.delivery = max(deliveryLeast, m.delivery*(1-deliveryGain)) }
