package line

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

// PolledConfig says what hangs on a bus of instruments with named values: I2C,
// 1-Wire, SDI-12, counted contacts.
type PolledConfig struct {
	// Name is the line's name in the site file.
	Name  string
	Units []PolledUnit
	// Quarantine is after how many consecutive failures a unit is asked only now
	// and then; 3 unless told.
	Quarantine int
}

// PolledUnit is one instrument of such a bus.
type PolledUnit struct {
	Device string
	// Address is the unit's address as people write it: "0x76", "0", "28-0316…".
	Address string
	Source  drivers.Values
	Profile *profile.Profile
	// Every, Zero and Stale are as in Unit.
	Every map[string]time.Duration
	Zero  map[string]float64
	Stale map[string]time.Duration
	// Timeout bounds one measurement of all channels; 5 s unless told. An SDI-12
	// probe may say that it needs minutes.
	Timeout time.Duration
}

// Polled is the owner of a bus of drivers.Values: one goroutine asks the
// instruments at their times. It promises what Line does: every failure is a
// reading, a value that grew old is stale, a dead instrument does not slow the
// others, and one that comes back is heard within 10 s. Use NewPolled, then Run
// in one goroutine; every other method may be called from any.
type Polled struct {
	cfg   PolledConfig
	o     Opts
	first chan struct{}

	// The owner's own.
	units     []*polled
	toAsk     int
	down      downState
	staleScan time.Time

	mu   sync.Mutex
	snap Snapshot
}

// polled is a unit with what is known of it.
type polled struct {
	PolledUnit
	points []pointState
	every  time.Duration
	alarm  bool
	due    time.Time
	asked  bool
	failed int // consecutive
	probes int
	quiet  bool
}

// The pauses of a quarantined instrument; lastPolled bounds how late one that is
// back is heard.
const (
	firstPolled = time.Second
	lastPolled  = 10 * time.Second
)

// NewPolled makes the owner of a bus.
func NewPolled(cfg PolledConfig, o Opts) *Polled {
	o.fill()
	if cfg.Quarantine <= 0 {
		cfg.Quarantine = 3
	}
	p := &Polled{cfg: cfg, o: o, first: make(chan struct{}), toAsk: len(cfg.Units)}
	p.snap = Snapshot{Line: cfg.Name, Up: true, Readings: map[point.ID]point.Reading{}}
	for _, cu := range cfg.Units {
		if cu.Timeout <= 0 {
			cu.Timeout = 5 * time.Second
		}
		u := &polled{PolledUnit: cu}
		for i := range cu.Profile.Points {
			pt := &cu.Profile.Points[i]
			every := pt.Every
			if d, ok := cu.Every[""]; ok {
				every = d
			}
			if d, ok := cu.Every[pt.ID]; ok {
				every = d
			}
			if i == 0 || every < u.every {
				u.every = every
			}
			u.alarm = u.alarm || pt.Alarm
			ps := newPoint(cu.Device, pt, max(every, cu.Timeout/3), cu.Zero, cu.Stale)
			u.points = append(u.points, ps)
		}
		p.units = append(p.units, u)
		p.snap.Units = append(p.snap.Units, UnitState{Device: cu.Device, Faults: map[string]uint64{}})
	}
	if p.toAsk == 0 {
		close(p.first)
	}
	return p
}

// FirstRound is closed when every instrument was asked once, answered or not.
func (p *Polled) FirstRound() <-chan struct{} { return p.first }

// String names the line.
func (p *Polled) String() string { return "line " + p.cfg.Name }

// Snapshot gives a copy.
func (p *Polled) Snapshot() Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.snap
	s.Units = slices.Clone(s.Units)
	for i := range s.Units {
		s.Units[i].Faults = maps.Clone(s.Units[i].Faults)
	}
	s.Readings = maps.Clone(s.Readings)
	return s
}

// Run asks until ctx ends, and then gives nil. Call it once.
func (p *Polled) Run(ctx context.Context) error {
	now := time.Now()
	for _, u := range p.units {
		u.due = now
	}
	for ctx.Err() == nil {
		p.o.Proof.Alive()
		now := time.Now()
		p.age(now)
		u := p.next(now)
		if u == nil {
			pause(ctx, min(turn, max(time.Millisecond, p.idle(now))))
			continue
		}
		p.ask(ctx, u)
	}
	return nil
}

// next gives the unit whose measurement is due longest, alarm points first.
func (p *Polled) next(now time.Time) *polled {
	if p.down.yes && now.Before(p.down.until) {
		return nil
	}
	var best *polled
	for _, u := range p.units {
		if u.due.After(now) {
			continue
		}
		// A unit that does not answer comes after those that do.
		if best == nil || u.quiet != best.quiet && best.quiet || u.quiet == best.quiet && (u.alarm && !best.alarm || u.alarm == best.alarm && u.due.Before(best.due)) {
			best = u
		}
	}
	return best
}

// idle gives how long nothing is due.
func (p *Polled) idle(now time.Time) time.Duration {
	d := turn
	if p.down.yes && now.Before(p.down.until) {
		return p.down.until.Sub(now)
	}
	for _, u := range p.units {
		d = min(d, u.due.Sub(now))
	}
	return d
}

// measure asks one instrument. It proves the owner's life while that takes, but
// no longer than it may take: a driver that hangs is for the watchdog. What grows
// old meanwhile is told; the owner itself stands still, so nothing is shared.
func (p *Polled) measure(ctx context.Context, u *polled) ([]drivers.Sample, error) {
	sub, cancel := context.WithTimeout(ctx, u.Timeout)
	defer cancel()
	end := time.Now().Add(u.Timeout)
	var beat *time.Timer
	var mu sync.Mutex
	mu.Lock()
	beat = time.AfterFunc(turn, func() {
		mu.Lock()
		defer mu.Unlock()
		if end.IsZero() {
			return
		}
		now := time.Now()
		if now.Before(end) {
			p.o.Proof.Alive()
		}
		p.age(now)
		beat.Reset(turn)
	})
	mu.Unlock()
	s, err := u.Source.Measure(sub)
	mu.Lock()
	beat.Stop()
	end = time.Time{}
	mu.Unlock()
	if k := drivers.KindOf(err); err != nil && ctx.Err() == nil && sub.Err() != nil && (k == drivers.FaultCancelled || k == drivers.FaultOther) {
		err = &drivers.Fault{Kind: drivers.FaultTimeout, Err: err}
	}
	return s, err
}

func (p *Polled) ask(ctx context.Context, u *polled) {
	began := time.Now()
	samples, err := p.measure(ctx, u)
	if err != nil && len(samples) == 0 && u.failed == 0 && again(err) && ctx.Err() == nil {
		p.count(u, err, time.Since(began))
		began = time.Now()
		samples, err = p.measure(ctx, u)
	}
	if ctx.Err() != nil {
		return
	}
	now := time.Now()
	took := now.Sub(began)
	p.count(u, err, took)
	if drivers.KindOf(err) == drivers.FaultGone {
		p.gone(u, err, now)
		p.askedOnce(u)
		return
	}
	p.back()
	// In step with the first, so that a period stays one; never twice at once.
	if u.due = u.due.Add(u.every); !u.due.After(now) {
		u.due = now.Add(u.every)
	}
	if err != nil && len(samples) == 0 {
		p.emit(p.faulty(u, p.why(u, err), now))
		p.fails(u, err, took, now)
	} else {
		p.answers(u)
		p.emit(p.decoded(u, samples, err))
	}
	p.askedOnce(u)
}

func (p *Polled) askedOnce(u *polled) {
	if !u.asked {
		u.asked = true
		if p.toAsk--; p.toAsk == 0 {
			close(p.first)
		}
	}
}

// decoded gives the readings of what was measured. err is why a part is missing.
func (p *Polled) decoded(u *polled, samples []drivers.Sample, err error) []point.Reading {
	at := time.Now()
	seen, doubt := map[string]bool{}, map[string]bool{}
	for _, s := range samples {
		seen[s.Channel] = true
		doubt[s.Channel] = doubt[s.Channel] || s.Doubt
		if !s.At.IsZero() && s.At.Before(at) {
			at = s.At
		}
	}
	stamp := p.o.Clock.StampAt(at)
	vs := u.Profile.DecodeSamples(samples, nil)
	out := make([]point.Reading, 0, len(vs))
	for _, v := range vs {
		ps, pt := &u.points[v.Index], &u.Profile.Points[v.Index]
		if err != nil && !seen[pt.Channel] {
			v.Value, v.Quality, v.Why = math.NaN(), point.CommFault, p.why(u, err)
		}
		if doubt[pt.Channel] && v.Quality == point.Good {
			v.Quality, v.Why = point.Suspect, phrase.M("line.surge")
		}
		v = ps.judge.Look(v, stamp)
		if v.Quality == point.Good {
			ps.lastGood = at
		}
		ps.quality = v.Quality
		out = append(out, point.Reading{Point: ps.id, Value: v.Value + ps.zero, Unit: pt.Unit, Quality: v.Quality, Why: aboveDatum(v.Why, ps.zero), At: stamp})
	}
	return out
}

func (p *Polled) faulty(u *polled, why phrase.Message, now time.Time) []point.Reading {
	stamp := p.o.Clock.StampAt(now)
	out := make([]point.Reading, 0, len(u.points))
	for i := range u.points {
		u.points[i].quality = point.CommFault
		out = append(out, point.Reading{Point: u.points[i].id, Value: math.NaN(), Unit: u.Profile.Points[i].Unit, Quality: point.CommFault, Why: why, At: stamp})
	}
	return out
}

// fails notes a failure, and quarantines the instrument after enough of them.
func (p *Polled) fails(u *polled, err error, took time.Duration, now time.Time) {
	if u.failed++; u.failed < p.cfg.Quarantine {
		return
	}
	wait := min(firstPolled<<min(u.probes, 10), lastPolled)
	u.probes++
	u.due = now.Add(max(wait, min((share-1)*took, lastPolled-took)))
	if u.quiet {
		return
	}
	u.quiet = true
	p.state(u, func(s *UnitState) { s.Quarantined = true })
	p.o.Log.Warn("instrument quarantined", "line", p.cfg.Name, "device", u.Device, "err", err)
	p.o.Fault("device "+u.Device, p.why(u, err))
}

func (p *Polled) answers(u *polled) {
	u.failed, u.probes = 0, 0
	if !u.quiet {
		return
	}
	u.quiet = false
	p.state(u, func(s *UnitState) { s.Quarantined = false })
	p.o.Log.Info("instrument answers again", "line", p.cfg.Name, "device", u.Device)
	p.o.Cleared("device " + u.Device)
}

// gone takes the whole bus down; it is tried again with growing pauses.
func (p *Polled) gone(u *polled, err error, now time.Time) {
	p.down.pause = min(max(2*p.down.pause, firstReopen), lastReopen)
	p.down.until = now.Add(p.down.pause)
	if p.down.yes {
		return
	}
	p.down.yes = true
	p.mu.Lock()
	p.snap.Up = false
	p.mu.Unlock()
	why := p.why(u, err)
	p.o.Log.Error("bus gone", "line", p.cfg.Name, "err", err)
	p.o.Fault("line "+p.cfg.Name, why)
	for _, x := range p.units {
		p.emit(p.faulty(x, why, now))
		p.askedOnce(x)
	}
}

func (p *Polled) back() {
	if !p.down.yes {
		return
	}
	p.down = downState{}
	p.mu.Lock()
	p.snap.Up = true
	p.mu.Unlock()
	p.o.Log.Info("bus is back", "line", p.cfg.Name)
	p.o.Cleared("line " + p.cfg.Name)
	now := time.Now()
	for _, u := range p.units {
		u.due = now
	}
}

// why puts a failure into words, with its mend.
func (p *Polled) why(u *polled, err error) phrase.Message {
	switch drivers.KindOf(err) {
	case drivers.FaultTimeout:
		return phrase.M("line.no_instrument", "device", u.Device, "address", u.Address, "line", p.cfg.Name)
	case drivers.FaultGarbled:
		return phrase.M("line.instrument_garbled", "device", u.Device, "address", u.Address, "line", p.cfg.Name, "text", err.Error())
	case drivers.FaultForeign:
		return phrase.M("line.instrument_foreign", "device", u.Device, "address", u.Address, "line", p.cfg.Name)
	case drivers.FaultGone:
		cause := err
		if c := errors.Unwrap(err); c != nil {
			cause = c
		}
		return phrase.M("line.bus_gone", "line", p.cfg.Name, "text", inBoth(cause))
	}
	return phrase.M("line.other", "device", u.Device, "line", p.cfg.Name, "text", err.Error())
}

func (p *Polled) state(u *polled, f func(*UnitState)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.snap.Units {
		if p.snap.Units[i].Device == u.Device {
			f(&p.snap.Units[i])
		}
	}
}

func (p *Polled) count(u *polled, err error, took time.Duration) {
	p.state(u, func(s *UnitState) {
		s.Asked++
		s.Cost += took
		if err != nil {
			s.Faults[drivers.KindOf(err).String()]++
			s.Wasted += took
			return
		}
		s.Good++
		s.Last = time.Now()
	})
}

func (p *Polled) age(now time.Time) {
	if now.Before(p.staleScan) {
		return
	}
	p.staleScan = now.Add(200 * time.Millisecond)
	for _, u := range p.units {
		var out []point.Reading
		for i := range u.points {
			ps := &u.points[i]
			if r, ok := stale(ps, now, p.o.Clock); ok {
				r.Unit = u.Profile.Points[i].Unit
				p.mu.Lock()
				r.Value = p.snap.Readings[ps.id].Value
				p.mu.Unlock()
				out = append(out, r)
			}
		}
		p.emit(out)
	}
}

func (p *Polled) emit(rs []point.Reading) {
	if len(rs) == 0 {
		return
	}
	p.mu.Lock()
	for _, r := range rs {
		p.snap.Readings[r.Point] = r
	}
	p.mu.Unlock()
	p.o.Sink(rs)
}
