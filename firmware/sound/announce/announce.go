package announce

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
)

// Desk makes orders; *order.Desk is one.
type Desk interface {
	Make(order.Ask) (order.Order, error)
}

// House obeys orders; *output.House is one. Neither method may block.
type House interface {
	Do(order.Order, output.Programme) *output.Running
	Silence(order.Order)
}

// Opts is what an Announcer needs.
type Opts struct {
	Desk  Desk
	House House
	// Compose makes the programme of a content, from clips and tones that are
	// held in memory: it must not wait for anything. Where it fails, the tone
	// alone is tried, and then the outputs sound without a programme.
	Compose func(order.Content) (output.Programme, error)
	Clock   clock.Clock
	// Event is told what happens. It must not block; it may be nil.
	Event func(Event)
	// Proof is told each turn that the announcer is alive; it may be nil.
	Proof *guard.Proof
	// Limit bounds how many requests are held; 0 takes 64.
	Limit int
	Log   *slog.Logger
}

// Announcer decides who speaks. Its methods are safe from any goroutine and do
// not wait. Use New.
type Announcer struct {
	o    Opts
	wake chan struct{}

	mu      sync.Mutex // held for short, never while composing
	m       *machine
	running map[*item]running
	starts  []start // turns that Run has yet to compose
	pending []Event // in the order in which they happened
	telling bool
}

type running struct {
	turn uint64
	r    *output.Running
}

// New makes an Announcer. Nothing sounds until Run.
func New(o Opts) *Announcer {
	if o.Event == nil {
		o.Event = func(Event) {}
	}
	if o.Limit <= 0 {
		o.Limit = 64
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return &Announcer{o: o, wake: make(chan struct{}, 1), m: newMachine(o.Limit), running: map[*item]running{}}
}

// The longest sleeps: while something sounds, its end is looked for; otherwise
// only life is proved.
const (
	lookEvery = 200 * time.Millisecond
	wakeEvery = time.Second
)

// Run gives the outputs to who ranks highest until ctx ends. It silences
// nothing when it ends: the house does.
func (a *Announcer) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(a.turn())
		a.o.Proof.Alive()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.wake:
		case <-timer.C:
		}
	}
}

// do changes the machine under the lock, carries out what must be silenced, and
// tells the events afterwards.
func (a *Announcer) do(f func(e *effects, now clock.Stamp)) {
	a.mu.Lock()
	var e effects
	now := a.o.Clock.Now()
	f(&e, now)
	a.advance(&e, now)
	a.mu.Unlock()
	a.flush()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// advance gives the outputs to who ranks highest and silences what nobody
// holds any more: what passes from one to the other is not switched off in
// between, since a motor would have to rest. The turns that begin are composed
// by Run. Called under the lock.
func (a *Announcer) advance(e *effects, now clock.Stamp) {
	a.m.step(e, now, a.grant)
	a.silence(e.silence)
	a.starts = slices.DeleteFunc(append(a.starts, e.starts...), func(s start) bool { return s.it.turn != s.turn })
	a.pending = append(a.pending, e.events...)
	for it := range a.running {
		if !slices.Contains(a.m.items, it) {
			delete(a.running, it)
		}
	}
}

// flush tells what happened, in order and outside the lock. Whoever is telling
// already, tells this too: a teller may ask the announcer for something.
func (a *Announcer) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.telling {
		return
	}
	a.telling = true
	defer func() { a.telling = false }()
	for len(a.pending) > 0 {
		p := a.pending
		a.pending = nil
		a.tell(p)
	}
}

// tell calls out without the lock and comes back with it.
func (a *Announcer) tell(p []Event) {
	a.mu.Unlock()
	defer a.mu.Lock()
	for _, e := range p {
		a.o.Event(e)
	}
}

// silence silences outputs that nobody holds. Called under the lock, so that
// it comes before whatever is started next.
func (a *Announcer) silence(outs []string) {
	if len(outs) == 0 {
		return
	}
	slices.Sort(outs)
	o, err := a.o.Desk.Make(order.Ask{Action: order.Silence, Source: order.Rule, Outputs: slices.Compact(outs)})
	if err != nil {
		a.o.Log.Error("no order to silence", "err", err)
		return
	}
	a.o.House.Silence(o)
}

// turn is one turn of Run. It gives how long to sleep.
func (a *Announcer) turn() time.Duration {
	a.mu.Lock()
	now := a.o.Clock.Now()
	var e effects
	for it, r := range a.running {
		select {
		case <-r.r.Done():
			a.m.over(&e, it, r.turn, now)
			delete(a.running, it)
		default:
		}
	}
	a.advance(&e, now)
	a.mu.Unlock()
	a.flush()

	for {
		a.mu.Lock()
		if len(a.starts) == 0 {
			a.mu.Unlock()
			break
		}
		s := a.starts[0]
		a.starts = a.starts[1:]
		a.mu.Unlock()
		a.start(s)
	}
	a.flush()

	a.mu.Lock()
	defer a.mu.Unlock()
	sleep := wakeEvery
	if len(a.running) > 0 {
		sleep = lookEvery
	}
	now = a.o.Clock.Now()
	if next := a.m.next(now.Mono); next > 0 {
		sleep = min(sleep, max(0, next-now.Mono))
	}
	return sleep
}

// grant asks the desk for a turn.
func (a *Announcer) grant(it *item, outs []string) (order.Order, error) {
	if it.ready.Valid() && len(outs) == len(it.r.Outputs) {
		return it.ready, nil
	}
	return a.o.Desk.Make(ask(it, outs))
}

func ask(it *item, outs []string) order.Ask {
	k := order.Ask{
		Cause: it.r.Cause, Kind: it.r.Kind, Source: it.r.Source, Action: it.act, Hazard: it.r.Hazard, Level: it.r.Level,
		Outputs: outs, Content: it.r.Content, For: it.r.For, Who: it.r.Who,
	}
	if it.standing() {
		k.Standing, k.For, k.Off = true, it.r.Duty.On, it.r.Duty.Off
	}
	return k
}

// start composes a turn and hands it to the house, unless it was called off
// while it was being composed.
func (a *Announcer) start(s start) {
	p, why := a.compose(s.order.Content())
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.o.Clock.Now()
	if !why.IsZero() {
		var e effects
		a.m.event(&e, s.it, Degraded, why, now)
		a.pending = append(a.pending, e.events...)
	}
	if s.it.turn != s.turn || s.it.phase != Speaking {
		return
	}
	a.running[s.it] = running{s.turn, a.o.House.Do(s.order, p)}
}

func (a *Announcer) compose(c order.Content) (output.Programme, phrase.Message) {
	p, err := a.tryCompose(c)
	if err == nil && p != nil {
		return p, phrase.Message{}
	}
	if c.Live != "" {
		// A voice that is not there is not replaced by an alarm's tone.
		return output.Unspoken{}, phrase.M("sound.degraded_live", "cause", phrase.Of(err))
	}
	why := phrase.M("sound.degraded_tone", "tone", c.Tone, "cause", phrase.Of(err))
	p, err = a.tryCompose(order.Content{Tone: c.Tone, Volume: c.Volume})
	if err == nil && p != nil {
		return p, why
	}
	return output.Bare{}, phrase.M("sound.degraded_bare", "cause", phrase.Of(err))
}

// tryCompose lets no fault of the composer end the announcer.
func (a *Announcer) tryCompose(c order.Content) (p output.Programme, err error) {
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, phrase.E("sound.compose_broke", "cause", r)
		}
	}()
	if a.o.Compose == nil {
		return nil, phrase.E("sound.compose_none")
	}
	return a.o.Compose(c)
}

// Announce takes a request. What became of it comes by Event.
func (a *Announcer) Announce(r Request) {
	r.Outputs = slices.Clone(r.Outputs)
	a.do(func(e *effects, now clock.Stamp) { a.m.announce(e, r, order.Sound, order.Order{}, now) })
}

// AllClear says 解除 of the request's cause and ends its level here. It gives
// the desk's *order.Refusal, and then the level stands as before.
func (a *Announcer) AllClear(r Request) error {
	r.Outputs = slices.Clone(r.Outputs)
	r.Duty = Duty{}
	r.Level = 0
	o, err := a.o.Desk.Make(ask(&item{r: r, act: order.AllClear}, r.Outputs))
	if err != nil {
		return err
	}
	a.do(func(e *effects, now clock.Stamp) { a.m.announce(e, r, order.AllClear, o, now) })
	return nil
}

// Stop silences all that sounds here, at once. The levels stand: a higher one
// sounds at once, one that nobody has acknowledged sounds again within its
// time. The outputs are told before it returns.
func (a *Announcer) Stop(who order.Who) []Stopped {
	var all []Stopped
	a.do(func(e *effects, now clock.Stamp) {
		all = a.m.stop(e, who, now)
		e.silence = nil
		// Everything, also what nobody here believes to sound.
		o, err := a.o.Desk.Make(order.Ask{Action: order.Silence, Source: order.Hand, Who: who})
		if err != nil {
			a.o.Log.Error("no order to silence", "err", err)
			return
		}
		a.o.House.Silence(o)
	})
	return all
}

// Acknowledged says that a named person has taken a cause in hand: stopped, it
// stays silent until it is escalated.
func (a *Announcer) Acknowledged(cause string) {
	a.do(func(*effects, clock.Stamp) { a.m.acknowledged(cause) })
}

// Withdraw ends a cause's sounding, since its level fell or it was cancelled.
func (a *Announcer) Withdraw(cause string, why phrase.Message) {
	a.do(func(e *effects, now clock.Stamp) {
		if it := a.m.find(cause); it != nil {
			a.m.remove(e, it, Ended, why, now)
		}
	})
}

// Sounding gives what stands or sounds, the highest first.
func (a *Announcer) Sounding() []Sounding {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.o.Clock.Now()
	items := slices.Clone(a.m.items)
	slices.SortStableFunc(items, rank)
	var all []Sounding
	for _, it := range items {
		s := Sounding{
			Cause: it.r.Cause, Hazard: it.r.Hazard, Level: it.r.Level, Kind: it.r.Kind, Source: it.r.Source, Why: it.r.Why,
			Outputs: slices.Clone(it.r.Outputs), Since: it.since, Phase: it.phase, OrderID: it.orderID,
			Acknowledged: it.acked, StoppedBy: it.by,
		}
		if it.phase == Speaking {
			s.Outputs = slices.Clone(it.held)
		}
		if it.due > now.Mono && !(it.phase == Halted && it.forever) {
			s.Until = now.Add(it.due - now.Mono)
		}
		all = append(all, s)
	}
	return all
}
