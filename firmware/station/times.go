package station

import (
	"context"
	"errors"
	"sync"
	"time"

	"tocsin/drivers"
	"tocsin/drivers/beidou"
	"tocsin/drivers/pps"
	"tocsin/drivers/rtc"
	"tocsin/firmware/clock"
	"tocsin/firmware/clock/source"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/ntp"
	"tocsin/firmware/reach/wire"
)

const (
	// timesEvery is how often the sources are weighed although none was heard.
	timesEvery = time.Second
	// sentenceHalf is half of how late a receiver's time may be heard: it is that of the fix.
	sentenceHalf = 500 * time.Millisecond
	// kernelName is the kernel's clock as a source, where chrony or ntpd discipline it.
	kernelName = "kernel"
)

// times owns the sources of time and the clock that goes by them.
type times struct {
	h     *House
	rules *source.Rules

	mu      sync.Mutex
	keeper  *source.Keeper
	verdict source.Verdict
	faults  map[string]bool // sources that are called
	trust   clockWatch
	// bound asks the kernel for its own bound; set gives it the time. Tests replace them.
	bound func() (time.Duration, bool)
	set   func(time.Time) error
}

func newTimes(h *House, r *source.Rules) *times {
	return &times{h: h, rules: r, keeper: source.New(source.Opts{Rules: r, Build: BuildTime()}), faults: map[string]bool{}, bound: clock.KernelBound, set: clock.SetKernel}
}

// run weighs the sources as time passes.
func (x *times) run(ctx context.Context) error {
	t := time.NewTicker(timesEvery)
	defer t.Stop()
	for {
		x.judge()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// hear takes a source's word.
func (x *times) hear(s source.Sample) {
	x.mu.Lock()
	x.keeper.Hear(s)
	x.mu.Unlock()
	x.judge()
}

func (x *times) forget(name string) {
	x.mu.Lock()
	x.keeper.Forget(name)
	x.mu.Unlock()
}

// judge lets the clock go by what the sources say.
func (x *times) judge() {
	x.mu.Lock()
	b, kept := x.bound()
	if kept {
		x.keeper.Hear(source.Sample{Name: kernelName, Kind: source.NTP, At: clock.Mono(), UTC: time.Now(), Bound: b})
	} else {
		x.keeper.Forget(kernelName)
	}
	now := x.h.clock.Now()
	v := x.keeper.Judge(source.Now{Mono: now.Mono, Wall: now.Wall, Trust: now.Trust, Floor: x.h.clock.Floor()})
	moved := v.Set && x.h.clock.Discipline(v.UTC.Add(clock.Mono()-now.Mono), v.Trust)
	if !v.Set && v.Trust < now.Trust {
		x.h.clock.Doubt(v.Trust)
	}
	x.verdict = v
	var cleared []string
	for name := range x.faults {
		cleared = append(cleared, name)
	}
	called := map[string]bool{}
	for _, f := range v.Faults {
		called[f.Source] = true
	}
	x.faults = called
	x.mu.Unlock()

	if moved && now.Wall.Sub(v.UTC).Abs() > sentenceHalf || v.Trust != now.Trust {
		x.h.log.Info("clock", "source", v.Holder, "by", v.UTC.Sub(now.Wall).String(), "set", moved, "bound", v.Bound.String(), "trust", v.Trust.String())
	}
	by := time.Duration(0)
	if moved {
		by = v.UTC.Sub(now.Wall)
	}
	x.watch(by)
	for _, f := range v.Faults {
		x.h.setFault("clock "+f.Source, f.Why)
	}
	for _, name := range cleared {
		if !called[name] {
			x.h.clearFault("clock " + name)
		}
	}
	if bp := x.h.seen().bp; bp != nil && bp.Doc != nil && bp.Doc.Site.Time.Set && !kept {
		if err := x.h.clock.MoveKernel(x.set); err != nil {
			x.h.setFault("clock "+kernelName, phrase.M("time.kernel", "why", err))
		}
	}
}

// raise raises and keeps the floor, where the clock is borne out: one that lies must not expire every alert to come.
func (x *times) raise() {
	now, v := x.h.clock.Now(), x.state()
	if now.Trust < clock.Set || v.Top.IsZero() {
		return
	}
	if v.Top.After(now.Wall) {
		v.Top = now.Wall
	}
	x.h.clock.RaiseFloor(v.Top)
	if err := clock.SaveFloor(x.h.o.Data, x.h.clock.Floor()); err != nil {
		x.h.log.Warn("clock floor not kept", "err", err)
	}
}

// state gives the last verdict.
func (x *times) state() source.Verdict {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.verdict
}

// at gives when something was heard on the monotonic clock.
func at(heard time.Time) time.Duration { return clock.Mono() - time.Since(heard) }

// sky gives what takes the time of a receiver on a line, whose driver has seen a fix and several sentences
// that agree.
func (x *times) sky(name string) func(utc, heard time.Time) {
	return func(utc, heard time.Time) {
		x.hear(source.Sample{Name: name, Kind: source.GNSS, At: at(heard), UTC: utc.Add(sentenceHalf)})
	}
}

// terminal gives what takes the time of a BeiDou terminal.
func (x *times) terminal(name string) func(beidou.Told) {
	return func(t beidou.Told) {
		x.hear(source.Sample{Name: name, Kind: source.BeiDou, At: at(t.Heard), UTC: t.UTC.Add(sentenceHalf), TimeOfDay: !t.Dated})
	}
}

// downlink takes the county's time as it came in a sealed message by a narrow link: whoever calls has
// checked the seal and that it was not heard before.
func (x *times) downlink(link string, item []byte) error {
	c, err := wire.ReadClock(item)
	if err != nil {
		return err
	}
	const most = 22 // 2^22 ms are an hour: what knows less says nothing
	if c.Within <= most {
		x.hear(source.Sample{Name: "county " + link, Kind: source.Downlink, At: clock.Mono(), UTC: time.UnixMilli(c.UnixMilli), Bound: time.Millisecond << c.Within})
	}
	return nil
}

// timeServers, timePulse and timeChip are the site's own sources, as ways that a reload restarts.
type (
	timeServers []string
	timePulse   string
	timeChip    string
)

// servers asks time servers.
func (x *times) servers(list timeServers) func(context.Context) error {
	a := x.rules.NTP
	c := ntp.New(ntp.Opts{
		Servers: list, First: time.Duration(a.First), Every: time.Duration(a.Every), Within: time.Duration(a.Within), Mono: clock.Mono,
		Tell: func(n ntp.Answer) {
			x.hear(source.Sample{Name: "ntp", Kind: source.NTP, At: n.At, UTC: n.UTC, Bound: n.Bound})
		},
		Fault: func(server string, why phrase.Message) {
			if why.IsZero() {
				x.h.clearFault("time server " + server)
			} else {
				x.h.setFault("time server "+server, why)
			}
		},
	})
	return func(ctx context.Context) error {
		defer x.forget("ntp")
		defer func() {
			for _, s := range list {
				x.h.clearFault("time server " + s)
			}
		}()
		return c.Run(ctx)
	}
}

// deviceAgain is how long a device that is not there is let alone.
const deviceAgain = 30 * time.Second

// pulse takes a receiver's pulses.
func (x *times) pulse(path string, open func() (drivers.Pulses, error)) func(context.Context) error {
	return func(ctx context.Context) error {
		defer x.forget(path)
		thing := "clock " + path
		for ctx.Err() == nil {
			d, err := open()
			if err != nil {
				x.h.setFault(thing, phrase.M("time.no_device", "device", path, "why", err))
				rest(ctx, deviceAgain)
				continue
			}
			x.h.clearFault(thing)
			for gone := false; ctx.Err() == nil && !gone; {
				ago, err := d.Next(ctx)
				switch {
				case err == nil:
					x.mu.Lock()
					x.keeper.Pulse(path, clock.Mono()-ago)
					x.mu.Unlock()
					x.judge()
				case drivers.KindOf(err) == drivers.FaultGone:
					x.h.setFault(thing, phrase.M("time.no_device", "device", path, "why", err))
					gone = true
				}
			}
			d.Close()
			rest(ctx, time.Second)
		}
		return ctx.Err()
	}
}

func openPulse(path string) func() (drivers.Pulses, error) {
	return func() (drivers.Pulses, error) { return pps.Open(path) }
}

// chip asks a clock chip of the kernel's and keeps it right.
func (x *times) chip(path string) func(context.Context) error {
	k := &kept{x: x, name: path, piece: rtc.New(path)}
	return func(ctx context.Context) error {
		defer x.forget(path)
		for ctx.Err() == nil {
			if err := k.step(ctx); err != nil {
				x.h.setFault("clock "+path, phrase.M("time.no_device", "device", path, "why", err))
			}
			rest(ctx, deviceAgain)
		}
		return ctx.Err()
	}
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// rtcEvery is how often a clock chip is set while the box knows the time.
const rtcEvery = time.Hour

// kept is a timepiece with a cell: a source while nothing better has set the clock in this boot, and then set by it. From then on its word is
// the box's own and counts no more.
type kept struct {
	x     *times
	name  string
	piece drivers.Timepiece
	wrote time.Time
	stood bool
}

// step gives or takes the time. An error is the device's.
func (k *kept) step(ctx context.Context) error {
	s := k.x.h.clock.Now()
	if s.Trust == clock.Set {
		if !k.wrote.IsZero() && time.Since(k.wrote) < rtcEvery {
			return nil
		}
		if err := k.piece.SetTime(ctx, s.Wall); err != nil {
			return err
		}
		k.wrote = time.Now()
		k.x.forget(k.name)
		k.x.h.clearFault("clock " + k.name)
		return nil
	}
	t, err := k.piece.Time(ctx)
	if drivers.KindOf(err) == drivers.FaultOther && err != nil && !errors.Is(err, drivers.ErrAbsent) {
		if !k.stood { // the box is no worse off than without it, but told once
			k.stood = true
			k.x.h.setFault("clock "+k.name, phrase.M("station.rtc_stood", "line", k.name))
		}
		return nil
	}
	if err != nil {
		return err
	}
	k.x.hear(source.Sample{Name: k.name, Kind: source.RTC, At: clock.Mono(), UTC: t})
	return nil
}
