package line

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

// act is what somebody outside wants done on the bus now.
type act struct {
	ctx  context.Context
	u    *unit
	do   func(context.Context) error
	done chan error // holds one
	// notBefore is set where an owed answer holds the act back.
	notBefore time.Time
}

// post hands an act to the owner and waits for its end or the caller's.
func (l *Line) post(ctx context.Context, u *unit, do func(context.Context) error) error {
	a := &act{ctx: ctx, u: u, do: do, done: make(chan error, 1)}
	if ctx.Err() != nil {
		return l.late(u, ctx)
	}
	select {
	case l.acts <- a:
	case <-ctx.Done():
		return l.late(u, ctx)
	case <-l.ended:
		return l.over(u)
	}
	l.wakeMu.Lock()
	if l.wake != nil {
		l.wake()
	}
	l.wakeMu.Unlock()
	select {
	case err := <-a.done:
		return err
	case <-ctx.Done():
		return l.late(u, ctx)
	case <-l.ended:
		select {
		case err := <-a.done:
			return err
		default:
			return l.over(u)
		}
	}
}

func (l *Line) late(u *unit, ctx context.Context) error {
	return phrase.Wrap(&drivers.Fault{Kind: drivers.FaultCancelled, Err: ctx.Err()}, "line.late", "device", u.Device, "line", l.cfg.Name)
}

func (l *Line) over(u *unit) error {
	return phrase.Wrap(&drivers.Fault{Kind: drivers.FaultGone, Detail: "line closed"}, "line.closed", "device", u.Device, "line", l.cfg.Name)
}

// serveActs does what is posted, in order, and tells whether there was any. What
// is for a unit that does not answer comes after the rest, and takes no more of
// the line than the due reads do, unless free says that none is due: whoever
// goes on switching a dead board must not starve the gauges beside it.
func (l *Line) serveActs(ctx context.Context, free bool) bool {
	served := false
	for {
		l.drainActs()
		i := slices.IndexFunc(l.deferred, func(a *act) bool { return a.ready() && (a.ctx.Err() != nil || !a.u.mute()) })
		if i < 0 && (free || !time.Now().Before(l.muteUntil)) {
			i = slices.IndexFunc(l.deferred, (*act).ready)
			free = false
		}
		if i < 0 {
			return served
		}
		a := l.deferred[i]
		l.deferred = slices.Delete(l.deferred, i, i+1)
		l.serve(ctx, a)
		served = true
	}
}

// drainActs takes over what was posted.
func (l *Line) drainActs() {
	for {
		select {
		case a := <-l.acts:
			l.deferred = append(l.deferred, a)
		default:
			return
		}
	}
}

// ready tells whether an act may be done now, or need not be done at all.
func (a *act) ready() bool { return a.ctx.Err() != nil || !time.Now().Before(a.notBefore) }

// mute tells whether a unit did not answer when it was last asked or switched.
func (u *unit) mute() bool { return u.quiet || u.timeouts > 0 || u.unheard > 0 }

func (l *Line) serve(ctx context.Context, a *act) {
	l.o.Proof.Alive()
	if a.ctx.Err() != nil {
		a.done <- l.late(a.u, a.ctx)
		return
	}
	sub, cancel := context.WithCancel(a.ctx)
	stop := context.AfterFunc(ctx, cancel)
	began := time.Now()
	err := a.do(sub)
	stop()
	cancel()
	now := time.Now()
	var f *drivers.Fault
	if errors.As(err, &f) && f.Kind == drivers.FaultOwed && a.ctx.Err() == nil && ctx.Err() == nil {
		a.notBefore = holdBack(f.Until)
		l.deferred = append(l.deferred, a)
		return
	}
	l.countAct(a.u, err, now.Sub(began))
	switch drivers.KindOf(err) {
	case drivers.FaultTimeout, drivers.FaultCancelled, drivers.FaultGarbled, drivers.FaultForeign:
		a.u.unheard++
		l.muteUntil = now.Add(now.Sub(began))
	case drivers.FaultGone:
		l.portGone(ctx, err, now)
	case drivers.FaultOther:
		if err == nil {
			l.portBack()
			a.u.timeouts, a.u.silent, a.u.unheard = 0, 0, 0
			l.release(a.u, now)
		}
	}
	a.done <- err
}

// refuseAll answers whoever waits when the owner ends.
func (l *Line) refuseAll() {
	l.drainActs()
	for _, a := range l.deferred {
		a.done <- l.over(a.u)
	}
	l.deferred = nil
}

// Output gives a write of a device by its id, e.g. ("relay", "1"). It is a
// drivers.Timed too where the device can switch off by itself. Errors of its
// methods are phrase.Errors around a *drivers.Fault.
func (l *Line) Output(device, write string) (drivers.Output, error) {
	u, ok := l.byID[device]
	if !ok {
		return nil, phrase.E("line.no_device", "device", device, "line", l.cfg.Name)
	}
	w, ok := u.Profile.Write(write)
	if !ok {
		return nil, phrase.E("line.no_write", "device", device, "write", write, "profile", u.Profile.Name)
	}
	if w.Setting != nil {
		return nil, phrase.E("line.output_holding", "output", device+"."+write)
	}
	o := &output{l: l, u: u, w: w}
	if w.Timed != nil {
		return &timedOutput{o}, nil
	}
	return o, nil
}

// Sense gives an on/off point of a device by its id, e.g. ("relay", "in1"). Its
// Read asks the device now, before any due read.
func (l *Line) Sense(device, input string) (drivers.Sense, error) {
	u, ok := l.byID[device]
	if !ok {
		return nil, phrase.E("line.no_device", "device", device, "line", l.cfg.Name)
	}
	for i := range u.Profile.Points {
		pt := &u.Profile.Points[i]
		if pt.ID == input && pt.Type == profile.Bool {
			return &sense{l: l, u: u, req: profile.Request{Table: pt.Table, Addr: pt.Addr, Count: 1, Points: []int{i}}}, nil
		}
	}
	return nil, phrase.E("line.no_input", "device", device, "input", input, "profile", u.Profile.Name)
}

type output struct {
	l *Line
	u *unit
	w *profile.Write
}

// Set switches; nil only where the device echoed it and, where the profile
// asks for it, the state read back is the one wanted.
func (o *output) Set(ctx context.Context, on bool) error {
	return o.act(ctx, on, func(ctx context.Context) error {
		return o.l.bus.WriteCoil(ctx, o.u.Unit.Unit, o.w.Addr, on)
	})
}

// String names the output as the site file does.
func (o *output) String() string { return o.u.Device + "." + o.w.ID }

func (o *output) act(ctx context.Context, on bool, write func(context.Context) error) error {
	return o.l.post(ctx, o.u, func(ctx context.Context) error {
		retry := 0
		if o.w.Confirm != nil && !o.u.mute() {
			retry = o.w.Confirm.Retry
		}
		var err error
		for n := 0; n <= retry; n++ {
			err = o.once(ctx, on, write)
			if k := drivers.KindOf(err); err == nil || k == drivers.FaultOwed || k == drivers.FaultGone || ctx.Err() != nil {
				break
			}
		}
		if err == nil {
			return nil
		}
		var said *phrase.Error
		if errors.As(err, &said) {
			return err
		}
		return &phrase.Error{Message: o.l.why(o.u, err), Err: err}
	})
}

func (o *output) once(ctx context.Context, on bool, write func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, o.l.bound(drivers.Coil, 1))
	err := write(bounded)
	err = o.l.timedOut(ctx, bounded, err)
	cancel()
	if err != nil || o.w.Confirm == nil {
		return err
	}
	c := o.w.Confirm
	for end := time.Now().Add(c.Within); ; {
		a, err := o.l.readNow(ctx, o.u, c.Table, c.Addr)
		if drivers.KindOf(err) == drivers.FaultOwed {
			return nil // the echo must do: nothing can be read back for a while
		}
		if err != nil {
			return err
		}
		if len(a.Data) == 1 && (a.Data[0]&1 == 1) == on && !a.Doubt {
			return nil
		}
		if !time.Now().Before(end) {
			return phrase.E("line.not_taken", "output", o.String(), "on", on)
		}
		pause(ctx, min(20*time.Millisecond, c.Within))
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// readNow reads one bit or register within the line's timeout.
func (l *Line) readNow(ctx context.Context, u *unit, t drivers.Table, addr uint16) (drivers.Answer, error) {
	bounded, cancel := context.WithTimeout(ctx, l.bound(t, 1))
	defer cancel()
	a, err := l.bus.Read(bounded, u.Unit.Unit, t, addr, 1)
	return a, l.timedOut(ctx, bounded, err)
}

// timedOut calls the end of our own bound a timeout, whatever the bus calls it.
func (l *Line) timedOut(ctx, bounded context.Context, err error) error {
	if err == nil || ctx.Err() != nil || bounded.Err() == nil {
		return err
	}
	if k := drivers.KindOf(err); k == drivers.FaultCancelled || k == drivers.FaultOther {
		return &drivers.Fault{Kind: drivers.FaultTimeout, Err: err}
	}
	return err
}

// timedOutput is an output whose device ends it by itself.
type timedOutput struct{ *output }

// SetFor switches on for at least d, in the device's own steps.
func (o *timedOutput) SetFor(ctx context.Context, d time.Duration) error {
	if d <= 0 || d > o.w.Timed.Longest {
		return phrase.E("line.too_long", "output", o.String(), "longest", point.Span(o.w.Timed.Longest).String())
	}
	value, _ := o.w.Timed.Value(d)
	return o.act(ctx, true, func(ctx context.Context) error {
		return o.l.bus.WriteSingle(ctx, o.u.Unit.Unit, o.w.Timed.Table, o.w.Timed.Addr, value)
	})
}

// Longest is the most that the device can count.
func (o *timedOutput) Longest() time.Duration { return o.w.Timed.Longest }

type sense struct {
	l   *Line
	u   *unit
	req profile.Request
}

// Read asks the device now.
func (s *sense) Read(ctx context.Context) (bool, error) {
	var on bool
	err := s.l.post(ctx, s.u, func(ctx context.Context) error {
		a, err := s.l.readNow(ctx, s.u, s.req.Table, s.req.Addr)
		if err == nil && a.Doubt {
			// The answer to an earlier question is not the state now: once more.
			a, err = s.l.readNow(ctx, s.u, s.req.Table, s.req.Addr)
		}
		if err != nil {
			return &phrase.Error{Message: s.l.why(s.u, err), Err: err}
		}
		vs := s.u.Profile.Decode(s.req, a.Data)
		if len(vs) != 1 || vs[0].Quality != point.Good || a.Doubt {
			return phrase.E("line.no_state", "input", s.String())
		}
		on = vs[0].Value != 0
		return nil
	})
	// on is written before the owner answers; after an error it is not read.
	if err != nil {
		return false, err
	}
	return on, nil
}

// String names the input as the site file does.
func (s *sense) String() string {
	return fmt.Sprintf("%s.%s", s.u.Device, s.u.Profile.Points[s.req.Points[0]].ID)
}

// Interface guards.
var (
	_ drivers.Output = (*output)(nil)
	_ drivers.Timed  = (*timedOutput)(nil)
	_ drivers.Sense  = (*sense)(nil)
)
