package output

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/sound/order"
)

// House is every output of the box. Its methods are safe from any goroutine
// and never block. Use New.
//
// An output touches none of its devices until its first order: after a start
// the composition root either resumes what sounded (Do) or orders quiet
// (Silence), and until then a relay that an earlier life left on stays on.
type House struct {
	o     Opts
	units map[string]*unit
	names []string

	mu      sync.Mutex
	current map[string]*Running // what each output was last ordered
}

// New makes a House of outputs as they are wired, or says what is wrong with
// the wiring.
func New(specs []Spec, o Opts) (*House, error) {
	if o.Event == nil {
		o.Event = func(Event) {}
	}
	if o.Fault == nil {
		o.Fault = func(Fault) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	h := &House{o: o, units: map[string]*unit{}, current: map[string]*Running{}}
	for _, s := range specs {
		if err := s.Validate(); err != nil {
			return nil, err
		}
		if h.units[s.Name] != nil {
			return nil, phrase.E("sound.spec_twice", "output", s.Name)
		}
		h.units[s.Name] = h.newUnit(s.withDefaults())
		h.names = append(h.names, s.Name)
	}
	for _, s := range specs {
		if s.Next == s.Name || s.Next != "" && h.units[s.Next] == nil {
			return nil, phrase.E("sound.spec_next", "output", s.Name, "next", s.Next)
		}
	}
	return h, nil
}

// Names lists the outputs in the order of the specs.
func (h *House) Names() []string { return slices.Clone(h.names) }

func (h *House) now() time.Duration { return h.o.Clock.Now().Mono }

// Run owns the outputs until ctx ends, and then has switched off what sounded.
// Orders that came before Run are obeyed when it begins.
func (h *House) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, n := range h.names {
		wg.Add(1)
		h.units[n].start(ctx, sync.OnceFunc(wg.Done))
	}
	<-ctx.Done()
	wg.Wait()
	return ctx.Err()
}

// Do obeys an order to sound: its outputs do this now, whatever they did. p
// may be nil: relays are on, loudspeakers have nothing to play.
func (h *House) Do(o order.Order, p Programme) *Running {
	r := newRunning(o)
	if !o.Valid() || o.Action() == order.Silence {
		h.o.Log.Error("refused to sound without a valid order", "order", o.ID())
		r.refused = phrase.M("sound.no_order")
		close(r.done)
		return r
	}
	if p == nil {
		p = Bare{}
	}
	outs := o.Outputs()
	r.opened(len(outs) + 1)
	defer r.closed()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range outs {
		u := h.units[name]
		if u == nil {
			now := h.o.Clock.Now()
			e := Event{Cause: o.Cause(), OrderID: o.ID(), Order: o, Output: name, State: Failed,
				Why: phrase.M("sound.unknown_output", "output", name), At: now}
			r.add(e)
			h.o.Event(e)
			r.closed()
			continue
		}
		h.revoke(name)
		h.current[name] = r
		j := &job{o: o, p: p, run: r, primary: name, tried: []string{name}}
		u.post(func(now time.Duration) { u.m.direct(now, j) })
	}
	return r
}

// Silence obeys an order to be silent: its outputs, and those that took over
// from them, are switched off at once and that is verified.
func (h *House) Silence(o order.Order) {
	if !o.Valid() || o.Action() != order.Silence {
		h.o.Log.Error("refused to silence without a valid order", "order", o.ID())
		return
	}
	why := phrase.M("sound.end_silenced", "who", o.Who().Name)
	if o.Who().Name == "" {
		why = phrase.M("sound.end_ordered", "source", o.Source().Message())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range h.names {
		if o.Covers(name) {
			h.revoke(name)
		}
	}
	for _, name := range h.names {
		u := h.units[name]
		if o.Covers(name) {
			u.post(func(now time.Duration) { u.m.silence(now, why) })
		}
	}
}

// revoke ends the takeovers for what an output was doing.
func (h *House) revoke(name string) {
	r := h.current[name]
	if r == nil {
		return
	}
	delete(h.current, name)
	r.revoke(name)
	for _, u := range h.units {
		u.post(u.m.dropRevoked)
	}
}

// Repaired takes a person's word that an output's contact is free again, so
// that its contactor closes; if it still sounds, it is cut again.
func (h *House) Repaired(name string) {
	if u := h.units[name]; u != nil {
		u.post(u.m.repaired)
	}
}

// Status gives each output as it is now, in the order of the specs.
func (h *House) Status() []Status {
	var all []Status
	for _, n := range h.names {
		u := h.units[n]
		u.mu.Lock()
		s := u.status
		for _, f := range u.faults {
			s.Faults = append(s.Faults, f)
		}
		u.mu.Unlock()
		slices.SortFunc(s.Faults, func(a, b Fault) int { return slices.Compare([]byte(a.Code), []byte(b.Code)) })
		all = append(all, s)
	}
	return all
}

// takeover gives a job that failed at one output to the next that is not
// already doing it.
func (h *House) takeover(from *unit, j *job) {
	for u := from; ; {
		next := h.units[u.m.s.Next]
		if next == nil || slices.Contains(j.tried, next.m.s.Name) {
			return
		}
		u = next
		j.tried = append(slices.Clone(j.tried), next.m.s.Name)
		if j.o.Covers(next.m.s.Name) {
			continue
		}
		k := &job{o: j.o, p: j.p, run: j.run, primary: j.primary, tried: j.tried, until: j.until}
		j.run.opened(1)
		next.post(func(now time.Duration) { next.m.deputise(now, k) })
		return
	}
}
