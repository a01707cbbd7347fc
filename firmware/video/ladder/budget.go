package ladder

import "time"

// Link is the way to one viewer, or to the county, as it is at one moment.
type Link struct {
	Budget   int // bit/s that the courier allows; 0 where it says nothing
	Estimate int // bit/s that congestion control believes; 0 where it knows nothing
	Sent     int // bits sent in the last second, padding with them
	Acked    int // bits of which arrival was told in the last second
	Loss     float64
	RTT      time.Duration
	Up       bool
	// Train is the last of Decision.Train of which something is known, and Told what it told of the link,
	// bit/s: 0 where it did not arrive.
	Train uint64
	Told  int
}

// sample is what was told at one Step.
type sample struct {
	at          time.Duration
	sent, acked int
}

// trust is what a link is believed to bear, and why.
type trust struct {
	r *Rules

	past     [64]sample // a ring over a little more than a second
	next, n  int
	least    [2]time.Duration // of the RTT, in this half of rtt_for and in the one before
	half     time.Duration
	estimate int
	sank     time.Duration // since when the estimate alone speaks against the link; 0 where it does not
	doubted  bool          // it is not listened to yet

	borne  int // what arrived, until a sign speaks against it
	clean  int // what arrived in seconds without any sign
	signAt time.Duration
	signed bool
	heard  time.Duration // when something arrived last
	spoke  time.Duration // when something was sent first after that; 0 where nothing was
	dark   bool
	shadow time.Duration // until then what is told is of a probe that failed
	cut    time.Duration // when borne was cut last
	short  bool          // the last sign was that less arrived than was sent
}

// begin forgets what was known.
func (t *trust) begin(now time.Duration, believe int) {
	*t = trust{r: t.r, heard: now, borne: believe, half: now}
}

// hear takes what the link tells, and says whether it is a sign of congestion. steady says
// that pictures flow all the time: the estimate is of the last moments, and of bursts it knows little.
func (t *trust) hear(now time.Duration, l Link, steady, probing bool) (sign bool) {
	s := &t.r.Signs
	if now-t.half >= s.RTTFor.D()/2 {
		t.half, t.least[1], t.least[0] = now, t.least[0], 0
	}
	if l.RTT > 0 && (t.least[0] == 0 || l.RTT < t.least[0]) {
		t.least[0] = l.RTT
	}
	sent := t.lagged(now, l)
	before, told := t.before(now)
	if t.n == 0 || now-t.past[(t.next+len(t.past)-1)%len(t.past)].at >= 20*time.Millisecond {
		t.past[t.next] = sample{now, l.Sent, l.Acked}
		t.next, t.n = (t.next+1)%len(t.past), min(t.n+1, len(t.past))
	}

	if t.dark && l.Acked > 0 {
		t.shadow = max(t.shadow, now+time.Second+l.RTT+s.Lag.D()) // what was lost in the dark is still told
	}
	shadowed := now < t.shadow
	if shadowed {
		sent = min(sent, t.borne) // the padding is allowed to be lost
	}
	short := !t.dark && (sent > 0 && float64(t.told(now, l)) < s.Short*float64(sent) || !shadowed && !probing && l.Loss > 1-s.Short)
	sank := l.Estimate > 0 && l.Estimate < t.estimate && l.Estimate < l.Acked
	t.estimate = l.Estimate
	sign = short || !shadowed && !t.dark && (sank && (steady || probing) || l.Loss > s.Loss || l.RTT > t.base()+s.Queue.D())
	switch {
	case l.Acked > 0:
		t.heard, t.spoke, t.dark = now, 0, false
	case l.Sent > 0 && t.spoke == 0:
		t.spoke = now
	}
	t.doubt(now, l, sank && steady, sign && !sank || short || l.Loss > s.Loss)
	if sign {
		t.signAt, t.signed, t.short, t.clean = now, true, short, 0
	}
	switch {
	case short:
		// The second that is told was good at first: what arrives now shows in how fast it sinks.
		arrives := l.Acked
		if told && before.acked > l.Acked {
			arrives = min(arrives, before.acked-over(before.acked-l.Acked, now-before.at))
		}
		t.borne = min(max(t.borne, l.Acked), max(arrives, int(t.r.Budget.Floor)))
	case sign && !steady:
		if wait := time.Second + l.RTT; t.cut == 0 || now-t.cut >= wait {
			t.cut = now
			t.borne = max(int(t.r.Budget.Estimate*float64(t.borne)), int(t.r.Budget.Floor))
		}
	case sign || shadowed:
	default:
		t.borne = max(t.borne, l.Acked)
		if !t.signed || now-t.signAt >= time.Second+l.RTT {
			t.clean = max(t.clean, l.Acked)
		}
	}
	if t.spoke > 0 && now-t.spoke >= s.Silence.D() {
		t.dark, t.borne, t.clean = true, int(t.r.Budget.Floor), 0
	}
	return sign
}

// doubt gives an estimate that sinks in calm, with no other sign, a second: a key picture
// makes it sink by having been sent faster than the link is, and then it is of what was sent, and not of
// what the link bears. What arrives in that second shows which it was.
func (t *trust) doubt(now time.Duration, l Link, sank, other bool) {
	grace := time.Second + l.RTT + 2*t.r.Signs.Lag.D()
	switch {
	case t.doubted && (other || sank && now-t.sank > 2*t.r.Signs.Lag.D() || now-t.sank > grace):
		t.doubted = false
	case !t.doubted && sank && !other && t.calm(now):
		t.doubted, t.sank = true, now
		if n := t.peak(); n > 0 {
			t.borne = min(t.borne, n)
		}
	}
}

// peak is the most that arrived in any second of late.
func (t *trust) peak() (most int) {
	for i := range t.n {
		most = max(most, t.past[i].acked)
	}
	return most
}

// base is the least RTT of late.
func (t *trust) base() time.Duration {
	if t.least[1] > 0 {
		return min(t.least[0], t.least[1])
	}
	return t.least[0]
}

// lagged is the least that was sent in any second whose acknowledgements may be what is told now.
func (t *trust) lagged(now time.Duration, l Link) int {
	least, reach := l.Sent, l.RTT+t.r.Signs.Lag.D()
	covered := false
	for i := 1; i <= t.n; i++ {
		s := t.past[(t.next+len(t.past)-i)%len(t.past)]
		least = min(least, s.sent)
		if now-s.at >= reach {
			covered = true
			break
		}
	}
	if !covered && t.n < len(t.past) {
		return 0
	}
	return least
}

// told is the most of which arrival was told in any second that ended within the lag: a
// picture now and then is sent in a burst, and the word of one may come when that of the
// one before is a second old.
func (t *trust) told(now time.Duration, l Link) int {
	most := l.Acked
	for i := 1; i <= t.n; i++ {
		s := t.past[(t.next+len(t.past)-i)%len(t.past)]
		if now-s.at > t.r.Signs.Lag.D() {
			break
		}
		most = max(most, s.acked)
	}
	return most
}

// quiet says that nothing at all speaks against a link that is being tried.
func (t *trust) quiet(l Link) bool {
	return l.RTT > 0 && l.RTT <= t.base()+t.r.Signs.Queue.D()/4 && l.Loss <= t.r.Signs.Loss/2
}

// before is what was told a lag ago.
func (t *trust) before(now time.Duration) (sample, bool) {
	for i := 1; i <= t.n; i++ {
		if s := t.past[(t.next+len(t.past)-i)%len(t.past)]; now-s.at >= t.r.Signs.Lag.D() {
			return s, true
		}
	}
	return sample{}, false
}

// bound says what a budget ends at.
type bound uint8

const (
	byCap bound = iota
	byEstimate
	byAcked
)

// budget is bit/s that may go out, and by what it is bound.
func (t *trust) budget(l Link, steady bool) (int, bound) {
	b, by := int(t.r.Budget.Most), byCap
	if l.Budget > 0 {
		b = min(b, l.Budget)
	}
	least := func(v int, is bound) {
		if v < b {
			b, by = v, is
		}
	}
	if !steady {
		least(t.borne, byAcked)
	} else {
		if l.Estimate > 0 && !t.doubted {
			least(max(int(t.r.Budget.Estimate*float64(l.Estimate)), t.clean), byEstimate)
		}
		least(int(t.r.Budget.Acked*float64(t.borne)), byAcked)
	}
	return b, by
}

// keep is what is known before a probe, to go back to where it fails.
type keep struct{ borne, clean int }

func (t *trust) keep() keep { return keep{t.borne, t.clean} }

// restore forgets a probe that failed: it told only that the link does not bear that much.
func (t *trust) restore(now time.Duration, k keep, rtt time.Duration) {
	t.borne, t.clean, t.dark = k.borne, k.clean, false
	t.shadow = now + time.Second + rtt + t.r.Signs.Lag.D()
}

// calm says that no sign was there for a while.
func (t *trust) calm(now time.Duration) bool {
	return !t.dark && (!t.signed || now-t.signAt >= t.r.Climb.Calm.D())
}
