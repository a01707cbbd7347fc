package output

import (
	"context"
	"errors"
	"sync"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
)

// unit is the shell of one output: its goroutine owns the machine, its hands
// call the devices, one goroutine for each.
type unit struct {
	h    *House
	m    *machine
	wake chan struct{}

	relay, cut, sense, voice chan func()
	relayStop, voiceStop     context.CancelFunc // of the call that runs; the owner's

	proof *guard.Proof

	mu     sync.Mutex
	box    []func(now time.Duration)
	status Status
	faults map[FaultCode]Fault
}

func (h *House) newUnit(s Spec) *unit {
	u := &unit{h: h, wake: make(chan struct{}, 1), faults: map[FaultCode]Fault{}}
	u.status = Status{Name: s.Name, Kind: s.Kind, Zones: s.Zones}
	u.m = &machine{s: s, emit: u.emit, hand: u.hand, close: func(j *job) { j.run.closed() }, fault: u.fault}
	u.m.relay.mayRun = true
	if h.o.Proof != nil {
		u.proof = h.o.Proof(s.Name)
	}
	return u
}

// post hands the owner something to do. It never blocks.
func (u *unit) post(f func(now time.Duration)) {
	u.mu.Lock()
	u.box = append(u.box, f)
	u.mu.Unlock()
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

func (u *unit) take() []func(time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b := u.box
	u.box = nil
	return b
}

func (u *unit) start(ctx context.Context, done func()) {
	g, name := u.h.o.Guard, u.m.s.Name
	handle := func(what string, c *chan func()) {
		ch := make(chan func(), 1)
		*c = ch
		g.GoIn(ctx, "output", name+" "+what, guard.Restart, func(ctx context.Context) error {
			for {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case f := <-ch:
					f()
				}
			}
		})
	}
	if u.m.s.Relay != nil {
		handle("relay", &u.relay)
	}
	if u.m.s.Cut != nil {
		handle("contactor", &u.cut)
	}
	if u.m.s.Sensed != nil {
		handle("sense", &u.sense)
	}
	if u.m.s.Player != nil {
		handle("voice", &u.voice)
	}
	g.GoIn(ctx, "output", name, guard.Restart, func(ctx context.Context) error {
		defer func() {
			if ctx.Err() != nil {
				done()
			}
		}()
		return u.run(ctx)
	})
}

// turn is the longest that an owner waits without proving that it lives.
const turn = 2 * time.Second

func (u *unit) run(ctx context.Context) error {
	timer := time.NewTimer(turn)
	defer timer.Stop()
	for {
		u.proof.Alive()
		now := u.h.now()
		for _, f := range u.take() {
			f(now)
		}
		a := u.m.step(now)
		u.perform(ctx, a)
		u.publish()
		wait := turn
		if a.next > 0 {
			wait = min(wait, max(0, a.next-u.h.now()))
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			u.leave()
			return ctx.Err()
		case <-u.wake:
		case <-timer.C:
		}
	}
}

var errBroke = errors.New("the driver panicked")

// perform hands acts to the hands. Each is idle when the machine acts.
func (u *unit) perform(ctx context.Context, a acts) {
	s := u.m.s
	if a.dropRelay && u.relayStop != nil {
		u.relayStop()
	}
	if act := a.relay; act != nil {
		c, stop := context.WithTimeout(ctx, s.Patience)
		u.relayStop = stop
		u.relay <- func() {
			err := errBroke
			defer func() {
				stop()
				u.post(func(now time.Duration) { u.m.relayDone(now, act.on, err) })
			}()
			if t, ok := s.Relay.(drivers.Timed); ok && act.on && act.dur > 0 {
				err = t.SetFor(c, act.dur)
			} else {
				err = s.Relay.Set(c, act.on)
			}
		}
	}
	if a.cut != nil {
		open := *a.cut
		u.cut <- func() {
			c, stop := context.WithTimeout(ctx, s.Patience)
			err := errBroke
			defer func() {
				stop()
				u.post(func(now time.Duration) { u.m.cutDone(now, open, err) })
			}()
			err = s.Cut.Set(c, open)
		}
	}
	if a.sense {
		u.sense <- func() {
			c, stop := context.WithTimeout(ctx, s.Patience)
			on, err := false, errBroke
			defer func() {
				stop()
				u.post(func(now time.Duration) { u.m.sensed(now, on, err) })
			}()
			on, err = s.Sensed.Read(c)
		}
	}
	if a.cancelVoice && u.voiceStop != nil {
		u.voiceStop()
	}
	if j := a.play; j != nil {
		c, stop := context.WithCancel(ctx)
		u.voiceStop = stop
		u.voice <- func() {
			over, err := false, errBroke
			defer func() {
				stop()
				u.post(func(now time.Duration) { u.m.voiceDone(now, j, over, err) })
			}()
			over, err = u.play(c, j)
		}
	}
}

func (u *unit) emit(j *job, st State, by Measure, why phrase.Message, at time.Duration) {
	now := u.h.o.Clock.Now()
	e := Event{
		Cause: j.o.Cause(), OrderID: j.o.ID(), Order: j.o, Output: u.m.s.Name,
		State: st, Measured: by, Why: why, At: now.Add(at - now.Mono),
	}
	if j.primary != e.Output {
		e.For = j.primary
	}
	j.run.add(e)
	u.h.o.Event(e)
}

func (u *unit) fault(code FaultCode, standing bool, why phrase.Message) {
	u.mu.Lock()
	old, had := u.faults[code]
	f := Fault{Output: u.m.s.Name, Code: code, Standing: standing, Why: why, At: u.h.o.Clock.Now()}
	switch {
	case standing && !had:
		u.faults[code] = f
	case !standing && had:
		f.Why = old.Why
		delete(u.faults, code)
	default:
		u.mu.Unlock()
		return
	}
	u.mu.Unlock()
	u.h.o.Fault(f)
}

func (u *unit) hand(j *job) { u.h.takeover(u, j) }

func (u *unit) publish() {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := Status{Name: u.status.Name, Kind: u.status.Kind, Zones: u.status.Zones}
	if j := u.m.job; j != nil {
		s.Order = j.o
		if j.heard {
			s.Measured = u.m.s.SensedBy
		}
	}
	s.Confirmed = u.m.relay.confirmed
	if u.m.sense.valid {
		s.MeasuredAt, s.MeasuredOn = u.m.sense.lastAsked, u.m.sense.on
	}
	u.status = s
}

// leave is the end of the process: what sounds is switched off, since nobody
// would be left to end it. A process that is killed leaves that to the relay's
// own fail-safe time.
func (u *unit) leave() {
	m := u.m
	if !m.touched {
		return
	}
	why := phrase.M("sound.end_leaving")
	// The hands' calls end with the context; wait for what they were told.
	for late := time.NewTimer(leaveFor / 2); ; {
		now := u.h.now()
		for _, f := range u.take() {
			f(now)
		}
		if !m.relay.busy && !m.voice.busy {
			late.Stop()
			break
		}
		select {
		case <-u.wake:
			continue
		case <-late.C:
		}
		break
	}
	now := u.h.now()
	if m.job != nil {
		m.over(now, Stopped, why)
	}
	if m.s.Relay != nil && m.relay.told != toldOff {
		ctx, stop := context.WithTimeout(context.Background(), leaveFor)
		m.relayDone(now, false, m.s.Relay.Set(ctx, false))
		stop()
	}
	m.finish(u.h.now(), m.ending)
	m.ending = nil
	u.publish()
}

// leaveFor bounds the last command of a process that ends.
const leaveFor = 500 * time.Millisecond
