package gauge

import (
	"sync"
	"time"
)

// SirenConfig is how a siren is wired.
type SirenConfig struct {
	Feed       Contact       // the relay contact that switches it on
	Contactor  Contact       // the relay that cuts it off: energised opens the contactor, off lets it close; the zero value is none
	Motor      bool          // a motor siren: the sound comes and goes with its speed
	SpinUp     time.Duration // motor: standstill to full speed; 3 s if 0
	SpinDown   time.Duration // motor: full speed to standstill; 6 s if 0
	Sense      *Board        // where the current relay is wired to; nil is nowhere
	SenseInput int
	SenseDelay time.Duration // 50 ms if 0
}

// Siren is a load: it has current when its contact and its contactor are
// closed and there is power. An electronic siren sounds while it has current,
// a motor siren while it turns at half its speed or more.
type Siren struct {
	cfg SirenConfig

	mu        sync.Mutex
	feed      bool
	cutting   bool // the contactor's relay is energised
	stuck     bool // the contactor does not open
	noMains   bool
	broken    bool
	jammed    bool
	power     Trace
	current   Trace
	driven    Trace
	onCurrent []func(on bool, at time.Time)
}

// NewSiren wires a siren up.
func NewSiren(cfg SirenConfig) *Siren {
	if cfg.SpinUp == 0 {
		cfg.SpinUp = 3 * time.Second
	}
	if cfg.SpinDown == 0 {
		cfg.SpinDown = 6 * time.Second
	}
	if cfg.SenseDelay == 0 {
		cfg.SenseDelay = 50 * time.Millisecond
	}
	s := &Siren{cfg: cfg}
	cfg.Feed.follow(func(closed bool, at time.Time) { s.with(at, func() { s.feed = closed }) })
	cfg.Contactor.follow(func(closed bool, at time.Time) { s.with(at, func() { s.cutting = closed }) })
	if cfg.Sense != nil {
		cfg.Sense.Wire(cfg.SenseInput, func(at time.Time) bool { return s.current.At(at.Add(-cfg.SenseDelay)) })
	}
	return s
}

// with changes something and has the load follow.
func (s *Siren) with(at time.Time, change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	power := s.feed && (!s.cutting || s.stuck) && !s.noMains
	s.power.set(at, power)
	s.driven.set(at, power && !s.broken && !s.jammed)
	if s.current.set(at, power && !s.broken) {
		for _, h := range s.onCurrent {
			h(power && !s.broken, at)
		}
	}
}

func (s *Siren) change(f func()) {
	s.settle()
	s.with(time.Now(), f)
}

// Mains false takes the siren's supply away.
func (s *Siren) Mains(on bool) { s.change(func() { s.noMains = !on }) }

// Break true cuts the wire to the horn: no current, no sound.
func (s *Siren) Break(on bool) { s.change(func() { s.broken = on }) }

// Jam true stops the sound while the current flows on: a torn membrane, a nest
// in the rotor.
func (s *Siren) Jam(on bool) { s.change(func() { s.jammed = on }) }

// StickContactor true keeps the contactor from opening.
func (s *Siren) StickContactor(on bool) { s.change(func() { s.stuck = on }) }

// OnCurrent adds a hook for the load's current. It must be quick and must not
// call the siren or its boards.
func (s *Siren) OnCurrent(h func(on bool, at time.Time)) {
	s.mu.Lock()
	s.onCurrent = append(s.onCurrent, h)
	s.mu.Unlock()
}

// settle has the boards bring their flashes up to now.
func (s *Siren) settle() {
	for _, c := range []Contact{s.cfg.Feed, s.cfg.Contactor} {
		if c.board != nil {
			c.board.settle()
		}
	}
}

// Power is when voltage stood at the siren.
func (s *Siren) Power() *Trace { s.settle(); return &s.power }

// Current is when current flowed.
func (s *Siren) Current() *Trace { s.settle(); return &s.current }

// Sound is when it could be heard, up to now.
func (s *Siren) Sound() *Trace {
	s.settle()
	if !s.cfg.Motor {
		return &s.driven
	}
	return spin(s.driven.Events(), s.cfg.SpinUp, s.cfg.SpinDown, time.Now())
}

// Sounding tells whether it can be heard now.
func (s *Siren) Sounding() bool { return s.Sound().On() }

// SoundingBetween is for how long it could be heard within t0 to t1.
func (s *Siren) SoundingBetween(t0, t1 time.Time) time.Duration { return s.Sound().OnBetween(t0, t1) }

// LongestSilence is the longest stretch within t0 to t1 in which it could not
// be heard.
func (s *Siren) LongestSilence(t0, t1 time.Time) time.Duration { return s.Sound().LongestOff(t0, t1) }

// ShortestRun and ShortestRest are the least times for which the load had
// current, and had none between two runs, within t0 to t1: for a motor's
// minimum on and off times. Stretches cut by t0 or t1 do not count; 0 is none.
func (s *Siren) ShortestRun(t0, t1 time.Time) time.Duration {
	return shortest(s.Current().Ons(t0, t1), t0, t1)
}

// ShortestRest, see ShortestRun.
func (s *Siren) ShortestRest(t0, t1 time.Time) time.Duration {
	return shortest(s.Current().Offs(t0, t1), t0, t1)
}

func shortest(spans []Span, t0, t1 time.Time) (d time.Duration) {
	for _, x := range spans {
		if x.From.After(t0) && x.To.Before(t1) && (d == 0 || x.Long() < d) {
			d = x.Long()
		}
	}
	return d
}

// spin turns a motor after its drive, straight up and straight down, and gives
// when it was at half speed or more, up to now.
func spin(drive []Event, up, down time.Duration, now time.Time) *Trace {
	out := &Trace{}
	speed, on := 0.0, false
	var at time.Time
	run := func(to time.Time) {
		if at.IsZero() || !to.After(at) {
			return
		}
		d := to.Sub(at)
		switch {
		case on:
			if cross := at.Add(time.Duration((0.5 - speed) * float64(up))); speed < 0.5 && !cross.After(to) {
				out.set(cross, true)
			}
			speed = min(1, speed+float64(d)/float64(up))
		default:
			if cross := at.Add(time.Duration((speed - 0.5) * float64(down))); speed >= 0.5 && !cross.After(to) {
				out.set(cross, false)
			}
			speed = max(0, speed-float64(d)/float64(down))
		}
	}
	for _, e := range drive {
		run(e.At)
		at, on = e.At, e.On
	}
	run(now)
	return out
}
