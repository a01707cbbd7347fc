package station

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/nmea"
	"tocsin/drivers/serial"
	"tocsin/drivers/text"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/line"
	"tocsin/firmware/sense/profile"
)

// running is one line that runs.
type running struct {
	plan LinePlan
	regs *line.Line // nil for text
	text *line.Text
	many *line.Polled // instruments whose values have names
	stop context.CancelFunc
	done chan struct{}
	bus  interface{ Close() error }
	port *keptPort
}

func (r *running) firstRound() <-chan struct{} {
	if r.text != nil {
		return r.text.FirstRound()
	}
	if r.many != nil {
		return r.many.FirstRound()
	}
	return r.regs.FirstRound()
}

func (r *running) snapshot() line.Snapshot {
	if r.text != nil {
		return r.text.Snapshot()
	}
	if r.many != nil {
		return r.many.Snapshot()
	}
	return r.regs.Snapshot()
}

// same tells whether a line needs no restart for another plan.
func (l LinePlan) same(o LinePlan) bool { return reflect.DeepEqual(l, o) }

// timeoutDefault is how long a unit may take to begin its answer, unless the
// site or the profile says otherwise.
const timeoutDefault = 300 * time.Millisecond

func (l LinePlan) timeout() time.Duration {
	if t := l.Config.Timeout.Duration(); t > 0 {
		return t
	}
	t := timeoutDefault
	for _, u := range l.Units {
		t = max(t, u.Profile.Line.Timeout)
	}
	return t
}

func (l LinePlan) turnaround() time.Duration {
	if t := l.Config.Turnaround.Duration(); t > 0 {
		return t
	}
	var t time.Duration
	for _, u := range l.Units {
		t = max(t, u.Profile.Line.Turnaround)
	}
	return t
}

// startLine opens a line's driver by hand and starts its owner. A port that is
// not there is not an error: the owner keeps trying and calls the fault.
func (h *House) startLine(ctx context.Context, p LinePlan) (*running, error) {
	ctx, cancel := context.WithCancel(ctx)
	r := &running{plan: p, stop: cancel, done: make(chan struct{}), port: &keptPort{}}
	proof := h.dog.Proof("line "+p.Name, h.o.proof)
	defer func() {
		if r.regs == nil && r.text == nil && r.many == nil {
			h.dog.Retire(proof) // what does not run must not starve the watchdog
		}
	}()
	o := line.Opts{Clock: h.clock, Sink: h.sink, Room: h.shelf.take, Proof: proof, Log: h.log.With("line", p.Name), Fault: h.setFault, Cleared: h.clearFault}
	port := r.port.keeps(h.portOf(ctx, p))
	if p.Text() {
		src, err := h.openText(p, port)
		if err != nil {
			cancel()
			return nil, err
		}
		u := p.Units[0]
		stale := map[string]time.Duration{}
		if u.Every != nil {
			stale[""] = max(3**u.Every, 5*time.Second)
		}
		r.bus, r.text = src, line.NewText(line.TextConfig{Name: p.Name, Device: u.Device, Profile: u.Profile, Zero: u.Offset, Stale: stale}, src, o)
	} else if p.many() {
		var err error
		if r.bus, r.many, err = h.startMany(p, port, o); err != nil {
			cancel()
			return nil, err
		}
	} else {
		bus, err := openRegisters(p, port)
		if err != nil {
			cancel()
			return nil, err
		}
		c := line.Config{Name: p.Name, Timeout: p.timeout()}
		for _, u := range p.Units {
			lu := line.Unit{Device: u.Device, Unit: u.Unit, Profile: u.Profile, Zero: u.Offset}
			if u.Every != nil {
				lu.Every = map[string]time.Duration{"": *u.Every}
			}
			c.Units = append(c.Units, lu)
		}
		if err := c.Check(); err != nil {
			cancel()
			return nil, err
		}
		r.bus, r.regs = bus, line.New(c, bus, o)
	}
	h.guard.GoIn(ctx, "sense", "line "+p.Name, guard.Restart, func(ctx context.Context) error {
		if r.text != nil {
			return r.text.Run(ctx)
		}
		if r.many != nil {
			return r.many.Run(ctx)
		}
		return r.regs.Run(ctx)
	})
	h.guard.Go("sense", "closer "+p.Name, guard.Once, func(context.Context) error {
		<-ctx.Done()
		h.dog.Retire(proof)
		err := r.bus.Close()
		close(r.done)
		return err
	})
	return r, nil
}

// portProblem says in both languages why a port does not open, where a
// technician can do something about it.
func portProblem(err error) error {
	var (
		missing *serial.Missing
		denied  *serial.Denied
		held    *serial.Held
		other   *serial.NotSerial
		said    *phrase.Error
	)
	switch {
	case errors.As(err, &missing) && len(missing.Have) == 0:
		said = phrase.E("station.port_none", "port", missing.Path)
	case errors.As(err, &missing):
		said = phrase.E("station.port_missing", "port", missing.Path, "have", strings.Join(missing.Have, "、"))
	case errors.As(err, &denied):
		said = phrase.E("station.port_denied", "port", denied.Path, "user", denied.User, "group", denied.Group)
	case errors.As(err, &held) && len(held.By) == 0:
		said = phrase.E("station.port_held_unseen", "port", held.Path)
	case errors.As(err, &held):
		var by []string
		for _, x := range held.By {
			by = append(by, x.String())
		}
		said = phrase.E("station.port_held", "port", held.Path, "by", strings.Join(by, "、"))
	case errors.As(err, &other):
		said = phrase.E("station.port_not_serial", "port", other.Path)
	default:
		return err
	}
	return &drivers.Fault{Kind: drivers.FaultGone, Err: said}
}

func (h *House) openText(p LinePlan, port func() (drivers.Port, error)) (drivers.Fields, error) {
	if p.Units[0].Profile.Via == profile.NMEA {
		return nmea.New(port, nmea.Opts{Tell: h.times.sky(p.Name)}), nil
	}
	rec := p.Units[0].Profile.Record
	if rec == nil {
		return nil, fmt.Errorf("profile %s has no record", p.Units[0].Profile.Name)
	}
	return text.New(port, text.Opts{Start: rec.Start, Separator: rec.Separator, Checksum: rec.Checksum})
}

// sink hands a line's readings to the decide goroutine. The channel holds some
// seconds of every line; should it be full, the alarm path itself hangs, and the
// line waits with it so that the watchdog sees both.
func (h *House) sink(rs []point.Reading) { h.readings <- rs }

// relay is a drivers.Output of a device that may be reached over another line
// after a reload.
type relay struct {
	h   *House
	ref Ref
}

// timedRelay is a relay whose device counts a time by itself.
type timedRelay struct{ relay }

func (r relay) now() (drivers.Output, error) {
	l := r.h.lineOf(r.ref.Line)
	if l == nil || l.regs == nil {
		return nil, &drivers.Fault{Kind: drivers.FaultGone, Detail: "line " + r.ref.Line + " does not run"}
	}
	return l.regs.Output(r.ref.Device, r.ref.Part)
}

// Set switches through the line's owner.
func (r relay) Set(ctx context.Context, on bool) error {
	o, err := r.now()
	if err != nil {
		return err
	}
	return o.Set(ctx, on)
}

// String names device and write.
func (r relay) String() string { return r.ref.Device + "." + r.ref.Part }

// SetFor switches on for a time that the device counts.
func (r timedRelay) SetFor(ctx context.Context, d time.Duration) error {
	o, err := r.now()
	if err != nil {
		return err
	}
	t, ok := o.(drivers.Timed)
	if !ok {
		return &drivers.Fault{Kind: drivers.FaultOther, Detail: r.String() + " does not count a time"}
	}
	return t.SetFor(ctx, d)
}

// Longest is what the device can count.
func (r timedRelay) Longest() time.Duration {
	if o, err := r.now(); err == nil {
		if t, ok := o.(drivers.Timed); ok {
			return t.Longest()
		}
	}
	return failSafeMost
}

// contact is a drivers.Sense over the line of the moment.
type contact struct {
	h   *House
	ref Ref
}

// Read asks the device now.
func (c contact) Read(ctx context.Context) (bool, error) {
	l := c.h.lineOf(c.ref.Line)
	if l == nil || l.regs == nil {
		return false, &drivers.Fault{Kind: drivers.FaultGone, Detail: "line " + c.ref.Line + " does not run"}
	}
	s, err := l.regs.Sense(c.ref.Device, c.ref.Part)
	if err != nil {
		return false, err
	}
	return s.Read(ctx)
}

// String names device and point.
func (c contact) String() string { return c.ref.Device + "." + c.ref.Part }

// lineSet holds the lines that run, for use from any goroutine.
type lineSet struct {
	mu    sync.RWMutex
	lines map[string]*running
}

func (h *House) lineOf(name string) *running {
	h.lines.mu.RLock()
	defer h.lines.mu.RUnlock()
	return h.lines.lines[name]
}

// startLines starts what is planned and not running, stops what runs and is not
// planned or is planned otherwise, and leaves the rest alone.
func (h *House) startLines(ctx context.Context, plans []LinePlan) (started, stopped []string) {
	want := map[string]LinePlan{}
	for _, p := range plans {
		if len(p.Units) > 0 {
			want[p.Name] = p
		}
	}
	h.lines.mu.Lock()
	var ending []*running
	for name, r := range h.lines.lines {
		if p, ok := want[name]; !ok || !p.same(r.plan) {
			r.stop()
			ending = append(ending, r)
			delete(h.lines.lines, name)
			stopped = append(stopped, name)
		} else {
			delete(want, name)
		}
	}
	h.lines.mu.Unlock()
	for _, r := range ending {
		// The port must be free before it is opened again.
		select {
		case <-r.done:
		case <-time.After(2 * time.Second):
		}
		// Its successor calls what is still wrong.
		h.clearFault("line " + r.plan.Name)
	}
	for name, p := range want {
		r, err := h.startLine(ctx, p)
		if err != nil {
			h.setFault("line "+name, phrase.M("station.line_failed", "line", name, "err", err))
			continue
		}
		h.lines.mu.Lock()
		h.lines.lines[name] = r
		h.lines.mu.Unlock()
		started = append(started, name)
	}
	return started, stopped
}
