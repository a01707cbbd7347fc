package ladder

import (
	"time"

	"tocsin/firmware/phrase"
)

// Decision says what goes out now.
type Decision struct {
	Rung Rung
	// KeyEveryNth: of key pictures each n-th goes out (Keys) or is made a still of (Stills, Thumbs
	// of a source whose stills are made of key pictures).
	KeyEveryNth int
	// StillEvery, Width and Height are of Stills and Thumbs, and of the stills that go beside a
	// rung of video whose first key picture has not come yet; 0 where none are due.
	StillEvery    time.Duration
	Width, Height int
	// Rate is the pacer's, in bit/s: no burst goes faster.
	Rate int
	// Probe, where it is not 0, is bit/s that shall leave now: padding fills what pictures
	// leave free of it.
	Probe int
	// Train, where it grows, has TrainBytes of padding leave at once; Link.Train and Told say what
	// became of it.
	Train      uint64
	TrainBytes int
	// Budget is bit/s that the link is trusted to bear.
	Budget int
	// Reason says why it is this rung, since when.
	Reason phrase.Message
	Since  time.Duration
}

// Opts is what a ladder needs.
type Opts struct{ Rules *Rules }

// A Ladder decides for one link. It is used by one goroutine.
type Ladder struct {
	r     *Rules
	trust trust

	begun   bool
	up      bool
	at      choice
	since   time.Duration
	reason  phrase.Message
	cap     int
	probe   probe
	trains  trains
	wait    time.Duration // before the next probe after one that failed
	nextTry time.Duration
	missed  int           // bit/s that failed last
	stepped time.Duration // when it last stepped up
	rose    bool          // and no step down since
	moved   time.Duration // when it last stepped either way

	beside choice        // stills that go until the new rung's first key picture is there
	till   time.Duration // until when
}

// probe is padding that is being tried.
type probe struct {
	on    bool
	down  bool // it proves a rung that was stepped down to
	rate  int
	top   int // what it may grow to while the link stays calm
	began time.Duration
	best  int
	keep  keep
}

// New makes a ladder that stands nowhere until its first Step.
func New(o Opts) *Ladder {
	return &Ladder{r: o.Rules, trust: trust{r: o.Rules}, at: choice{tier: tNone, nth: 1}, wait: o.Rules.Climb.First.D()}
}

// Step takes what link and source are like now, and says what goes out. It is called some
// ten times a second; now never runs back.
func (l *Ladder) Step(now time.Duration, link Link, s Supply) Decision {
	switch {
	case !link.Up:
		if l.up || !l.begun {
			l.move(now, l.r.choose(tNone, &s, 0), phrase.M("ladder.down"))
		}
		l.begun, l.up, l.probe = true, false, probe{}
		return l.decision(now, link, 0)
	case !l.up:
		l.arrive(now, link, &s)
	}
	dark := l.trust.dark
	sign := l.trust.hear(now, link, l.at.tier.steady(), l.probe.on)
	if link.Budget > 2*l.cap && l.cap > 0 || dark && !l.trust.dark {
		// another link, or one that is back: what failed before says nothing
		l.wait, l.nextTry, l.trains.misled, l.trains.every = l.r.Climb.First.D(), min(l.nextTry, now), false, 0
	}
	l.cap = link.Budget
	l.prove(now, link, &s, sign)
	budget, by := l.trust.budget(link, l.at.tier.steady())
	l.fall(now, link, &s, budget, by)
	l.climb(now, link, &s, budget, sign)
	return l.decision(now, link, budget)
}

// arrive is the link's coming, at first or again. A link that was down has to show first what
// it bears: what it was is no more.
func (l *Ladder) arrive(now time.Duration, link Link, s *Supply) {
	believe := int(l.r.Budget.Floor)
	if !l.begun {
		believe = int(l.r.Budget.Start)
		if link.Budget > 0 {
			believe = link.Budget
		}
	}
	l.trust.begin(now, believe)
	l.wait, l.nextTry, l.rose, l.trains.misled = l.r.Climb.First.D(), now, false, false
	budget, _ := l.trust.budget(link, !l.begun)
	why, first := phrase.M("ladder.back"), !l.begun
	if first {
		why = phrase.M("ladder.start", "kbit", kbit(budget))
	}
	l.begun, l.up = true, true
	l.move(now, l.r.best(tMain, s, budget, 1), why)
	if first {
		l.bridge(now, s)
	}
}

// prove looks after the probe that is under way, and steps up where it held.
func (l *Ladder) prove(now time.Duration, link Link, s *Supply, sign bool) {
	p, c := &l.probe, &l.r.Climb
	if !p.on {
		return
	}
	p.best = max(p.best, link.Acked)
	late := p.began + c.For.D() + 2*link.RTT + 2*l.r.Signs.Lag.D()
	switch {
	case p.down:
		if now >= late { // a sign that speaks against the rung makes fall end it
			l.probe = probe{}
		}
	case sign || now >= late:
		l.trust.restore(now, p.keep, link.RTT)
		l.failed(now, p.rate)
		l.probe = probe{}
	case p.rate < p.top && now-p.began >= max(c.For.D()/2, 2*link.RTT+l.r.Signs.Lag.D()) && l.trust.quiet(link):
		// What was tried so far is borne as it seems, and a train told that more is: no need to prove each step.
		p.rate, p.began, p.keep = min(int(c.Ramp*float64(p.rate)), p.top), now, l.trust.keep()
	case now-p.began >= c.For.D() && float64(p.best) >= c.Held*float64(p.rate):
		rate := p.rate
		l.probe, l.nextTry, l.trains.misled = probe{}, now+l.r.Signs.Lag.D(), false
		if rate >= l.missed {
			l.wait = c.First.D() // the link bears what it did not when it was tried last
		}
		if to := l.r.best(tMain, s, rate, c.Need); to.tier < l.at.tier {
			l.stepped, l.rose = now, true
			l.move(now, to, phrase.M("ladder.held", "kbit", kbit(rate)))
			l.bridge(now, s)
		}
	}
}

// failed makes the next probe wait, and the one after it twice as long.
func (l *Ladder) failed(now time.Duration, rate int) {
	l.missed = rate
	l.trains.misled = l.trains.misled || l.probe.on && l.trains.spoke
	l.nextTry = now + l.wait
	l.wait = min(2*l.wait, l.r.Climb.Most.D())
}

// fall steps down where the budget does not pay the rung any more.
func (l *Ladder) fall(now time.Duration, link Link, s *Supply, budget int, by bound) {
	c := l.r.choose(l.at.tier, s, budget)
	if c.offers && int(l.r.Climb.Stay*float64(c.need)) <= budget || c.tier >= tText {
		l.at = c
		return
	}
	var why phrase.Message
	switch {
	case !c.offers:
		why = phrase.M("ladder.gone")
	case l.trust.dark:
		why = phrase.M("ladder.dark", "seconds", int(l.r.Signs.Silence.D()/time.Second))
	case budget >= l.at.need:
		why = phrase.M("ladder.source", "need", kbit(c.need), "kbit", kbit(budget))
	case by == byCap:
		why = phrase.M("ladder.cap", "kbit", kbit(budget))
	case l.trust.short:
		why = phrase.M("ladder.short", "sent", kbit(link.Sent), "kbit", kbit(link.Acked))
	default:
		why = phrase.M("ladder.estimate", "kbit", kbit(budget))
	}
	if l.rose && now-l.stepped <= l.r.Climb.Within.D() {
		l.failed(now, never) // its probe had held: the next does not say more
	} else if l.rose && now-l.stepped >= l.r.Climb.Most.D() {
		l.wait = l.r.Climb.First.D()
	}
	l.rose = false
	if l.probe.on && !l.probe.down {
		l.failed(now, l.probe.rate)
	}
	l.probe = probe{}
	steady := l.at.tier.steady()
	l.move(now, l.r.best(l.at.tier+1, s, budget, 1), why)
	if steady && tierRung[l.at.tier].Video() {
		// Nothing goes out until the next key picture, and that is big: what the link bears by
		// now shows in padding, before that picture has to find out.
		l.bridge(now, s)
		l.probe = probe{on: true, down: true, rate: min(int(l.r.Climb.Need*float64(l.at.need)), budget), began: now, keep: l.trust.keep()}
	}
}

// bridge has stills go beside video that waits for its first key picture.
func (l *Ladder) bridge(now time.Duration, s *Supply) {
	if !tierRung[l.at.tier].Video() {
		return
	}
	wait := l.r.Fresh.Gap.D()
	if s.KeyEvery > 0 {
		wait = s.KeyEvery + lasts(s.KeyBytes, max(l.at.need, 1)) + l.r.Signs.Lag.D()
	}
	l.till = now + wait
	if l.beside.every == 0 {
		l.beside = l.r.best(tStills, s, int(l.r.Fresh.From), 1) // nothing is known: small enough for the thinnest
	}
}

// climb begins a probe where a better rung could be had.
func (l *Ladder) climb(now time.Duration, link Link, s *Supply, budget int, sign bool) {
	c := &l.r.Climb
	// Where stills go alone a train may speak for a probe, whatever failed before, and must.
	asks := !tierRung[l.at.tier].Video()
	if l.probe.on || sign || now < l.nextTry && (!asks || l.trains.misled) || !l.rose && now-l.moved < c.Hold.D() || l.trust.signed && now-l.trust.signAt < time.Second+link.RTT+l.r.Signs.Lag.D() {
		return
	}
	allowed := int(l.r.Budget.Most)
	if link.Budget > 0 {
		allowed = min(allowed, link.Budget)
	}
	reach := min(allowed, int(c.Ramp*float64(min(budget, l.trust.borne))))
	for t := tMain; t < l.at.tier; t++ {
		to := l.r.choose(t, s, allowed)
		want := int(c.Need*float64(to.need)) + 1
		if !to.offers || want > allowed {
			continue
		}
		// What the best rung needs is tried where it is in reach, else as much as is: the next probe reaches further.
		if t2 := l.r.best(tMain, s, reach, c.Need); t2.tier < l.at.tier {
			want = int(c.Need*float64(t2.need)) + 1
		}
		p := probe{on: true, rate: min(want, reach), began: now, keep: l.trust.keep()}
		if asks {
			if !l.train(now, link, budget, p.rate) {
				return
			}
			p.top = min(int(c.Need*float64(to.need))+1, int(l.r.Budget.Estimate*float64(link.Told)))
		}
		l.probe, l.trains.spoke = p, asks
		return
	}
}

func (l *Ladder) move(now time.Duration, to choice, why phrase.Message) {
	if !tierRung[l.at.tier].Video() {
		l.beside = l.at
	} else {
		l.beside = choice{tier: tNone}
	}
	l.till = 0
	l.at, l.since, l.moved, l.reason = to, now, now, why
}

func (l *Ladder) decision(now time.Duration, link Link, budget int) Decision {
	d := Decision{
		Rung: tierRung[l.at.tier], KeyEveryNth: max(1, l.at.nth), Budget: budget, Rate: budget,
		Reason: l.reason, Since: l.since, Train: l.trains.number, TrainBytes: l.trains.bytes,
	}
	stills := l.at
	if now < l.till {
		stills = l.beside
	}
	if r := tierRung[stills.tier]; r == Stills || r == Thumbs {
		d.StillEvery, d.Width, d.Height = stills.every, stills.size.Width, stills.size.Height
	}
	if d.Rung == Main && l.trust.calm(now) {
		// The stream itself bounds what is sent: only its bursts go faster.
		free := min(int(l.r.Budget.Most), int(l.r.Pace.Over*float64(l.at.need)))
		if link.Estimate > 0 {
			free = min(free, int(l.r.Budget.Estimate*float64(link.Estimate)))
		}
		if link.Budget > 0 {
			free = min(free, link.Budget)
		}
		d.Rate = max(budget, free)
	}
	if p := &l.probe; p.on && now-p.began < l.r.Climb.For.D()+l.r.Signs.Lag.D()/3 {
		d.Probe, d.Rate = p.rate, max(d.Rate, p.rate)
	}
	return d
}

func kbit(rate int) int { return (rate + 500) / 1000 }
