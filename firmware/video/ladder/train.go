package ladder

import "time"

// trains are short bursts of padding that ask a link what it bears: how far apart their packets arrive
// says it, and costs the link no more than a tenth of a second of what is believed of it. Where stills go alone a
// probe is held only after a train that speaks for it: a second of padding on a link that does not bear it
// holds up the next still by what it left in the link's queue. (Packet trains: RFC 5136 section 2.3, C. Dovrolis, P.
// Ramanathan, D. Moore, Packet-dispersion techniques and a capacity-estimation methodology, 2004.)
type trains struct {
	number uint64
	bytes  int
	at     time.Duration // when the last left
	every  time.Duration // how long the next waits then
	told   uint64        // the last that was told of
	// misled: a probe failed that a train had spoken for, as on a link that lets bursts through faster than
	// it bears: trains do not shorten the wait any more.
	misled bool
	spoke  bool // the probe under way had a train that spoke for it
}

// A train's length: enough packets to be apart, few enough for a small queue. It takes no more than a
// share of what the last one told; one that never arrived makes the next wait longer.
const (
	trainFor   = 100 * time.Millisecond
	trainLeast = 900
	trainMost  = 8000
	trainShare = 10
	trainLost  = 3
)

// train says whether a train speaks for a probe now, and has one leave where it is time.
func (l *Ladder) train(now time.Duration, link Link, budget, want int) (speaks bool) {
	t := &l.trains
	every := l.r.Climb.Train.D()
	if link.Train == t.number && t.told != t.number {
		t.told, t.every = t.number, max(every, trainShare*lasts(t.bytes, min(budget, link.Told)))
		if link.Told == 0 {
			t.every = trainLost * every
		}
		return now-t.at < every && link.Told >= want
	}
	if t.number == 0 || now-t.at >= max(t.every, every) {
		t.number, t.at = t.number+1, now
		t.bytes = min(max(int(float64(l.trust.borne)*trainFor.Seconds()/8), trainLeast), trainMost)
	}
	return false
}
