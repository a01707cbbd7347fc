// Package line owns a bus: one goroutine asks the units on it, at their
// times, and hands what came of it to a sink as readings with their quality.
//
// One owner for a line settles what libraries fail at: two askers on one wire,
// a dead unit that slows the others, a late answer taken for the next one, an
// actuation that waits for a poll. Whoever wants to switch or to ask now posts
// to the owner with a deadline and is served before any due read.
//
// It never decides what a value means (sense/profile does), never drops a
// failure (each failed read gives its points as CommFault), and never raises
// an alarm. Its goroutine is started by whoever composes the box; Run does not
// return while its context lives.
package line

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

// Clock stamps instants that a driver took with time.Now.
type Clock interface {
	Now() clock.Stamp
	StampAt(time.Time) clock.Stamp
}

// Listener is a bus that can listen for answers that are owed while nothing is
// asked. Listen returns at until, when ctx ends, or when nothing is owed any
// more.
type Listener interface {
	Listen(ctx context.Context, until time.Time) error
}

// Config says what hangs on a line. Zero values have the defaults named.
type Config struct {
	// Name is the line's name in the site file.
	Name  string
	Units []Unit
	// Retries is how often a garbled or missing answer is asked for again at
	// once; a negative number is none, 0 is the default of 1.
	Retries int
	// Quarantine is after how many consecutive timeouts a unit is asked only
	// in idle time; 3 unless told.
	Quarantine int
	// Timeout is how long a unit may take until its answer begins: the bus's
	// own. 500 ms unless told.
	Timeout time.Duration
}

// Unit is one device on a line.
type Unit struct {
	// Device is the device's name in the site file; its points are
	// "<device>.<point>".
	Device string
	// Unit is the Modbus address, 1 to 247.
	Unit    uint8
	Profile *profile.Profile
	// Every overrides the period of points by id; the entry "" is for all.
	Every map[string]time.Duration
	// Zero is added to points by id, in the point's unit: the gauge's zero.
	Zero map[string]float64
	// Stale is when a point's last good value is too old, by id; the entry ""
	// is for all. Unless told, three periods, at least 5 s.
	Stale map[string]time.Duration
}

// Opts is what a line needs from the house.
type Opts struct {
	Clock Clock
	// Sink takes the readings of one answer or failure, in order, from the
	// owner's goroutine: bounded work only. It must not call an Output or a
	// Sense of this line, which would wait for this very goroutine.
	Sink func([]point.Reading)
	// Room gives room for so many readings, which is the Sink's with what is in
	// it: who takes readings may so use it again. Unless told, it is made anew.
	Room func(n int) []point.Reading
	// Proof is told at each turn that the owner lives; nil is ignored.
	Proof *guard.Proof
	// Log takes what a technician needs; nil discards.
	Log *slog.Logger
	// Fault says that a thing ("line west", "device rain") does not work, with
	// the mend; Cleared that it does again. Both may be nil.
	Fault   func(thing string, m phrase.Message)
	Cleared func(thing string)
}

func (o *Opts) fill() {
	if o.Sink == nil {
		o.Sink = func([]point.Reading) {}
	}
	if o.Room == nil {
		o.Room = func(n int) []point.Reading { return make([]point.Reading, 0, n) }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Fault == nil {
		o.Fault = func(string, phrase.Message) {}
	}
	if o.Cleared == nil {
		o.Cleared = func(string) {}
	}
}

// Line is the owner of a bus. Use New, then Run in one goroutine; every other
// method may be called from any.
type Line struct {
	cfg  Config
	bus  drivers.Registers
	o    Opts
	jobs []*job
	byID map[string]*unit

	acts  chan *act
	lends chan *lending
	// guests are outside requests; nudge ends an idle wait for them.
	guests chan *guest
	nudge  chan struct{}
	lent   atomic.Bool
	ended  chan struct{}
	first  chan struct{}

	// wake ends a listening or a probe when somebody posts.
	wakeMu sync.Mutex
	wake   context.CancelFunc

	// The owner's own; no other goroutine touches it.
	units     []*unit
	deferred  []*act
	guestNext time.Time // before it no guest is served where nothing is due,
	guestLean time.Time // and before it none beside due reads
	toAsk     int       // jobs never asked
	alarmRun  int       // consecutive alarm jobs
	down      downState
	forcedAt  time.Time // before it no probe may take time from due reads
	muteUntil time.Time // before it no act for a unit that does not answer may
	staleScan time.Time // when the first good value may have grown too old
	decodes   []profile.Value
	alarm     *time.Timer // ends an idle wait

	frames  ring
	longest time.Duration // as planned; never changes

	mu    sync.Mutex
	snap  Snapshot
	round time.Duration
}

// job is one read that repeats.
type job struct {
	u     *unit
	req   profile.Request
	alarm bool
	every time.Duration
	due   time.Time
	// notBefore holds back a read that an owed answer could be taken for.
	notBefore time.Time
	owedUntil time.Time
	asked     bool
	failing   bool
	refused   bool
	apart     bool // it came of a read that was refused: see split
}

// unit is a device with what is known of it.
type unit struct {
	Unit
	period func(*profile.Point) time.Duration
	points []pointState // by index of the profile's points
	jobs   []*job

	timeouts int // consecutive
	silent   int // consecutive failures of any kind without an answer
	unheard  int // consecutive acts without an answer
	quiet    bool
	probes   int
	probeAt  time.Time
	slowest  time.Duration // of its answers
}

type pointState struct {
	id       point.ID
	judge    *profile.Judge
	zero     float64
	limit    time.Duration
	lastGood time.Time
	quality  point.Quality
	value    float64 // the latest, for when it grows too old
}

// New makes the owner of a bus. It panics on nothing: what is wrong with a
// configuration is refused by Check.
func New(cfg Config, bus drivers.Registers, o Opts) *Line {
	o.fill()
	if cfg.Retries == 0 {
		cfg.Retries = 1
	}
	if cfg.Quarantine <= 0 {
		cfg.Quarantine = 3
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 500 * time.Millisecond
	}
	l := &Line{cfg: cfg, bus: bus, o: o, byID: map[string]*unit{},
		acts: make(chan *act, 64), lends: make(chan *lending, 1), guests: make(chan *guest, 8), nudge: make(chan struct{}, 1), ended: make(chan struct{}), first: make(chan struct{})}
	l.snap = Snapshot{Line: cfg.Name, Up: true}
	for _, cu := range cfg.Units {
		u := newUnit(cu, bus.Cost)
		l.units = append(l.units, u)
		l.byID[cu.Device] = u
		l.jobs = append(l.jobs, u.jobs...)
		l.snap.Units = append(l.snap.Units, UnitState{Device: cu.Device, Unit: cu.Unit, Faults: map[string]uint64{}})
	}
	if w, ok := bus.(drivers.Watched); ok {
		w.Watch(l.frames.put)
	}
	slices.SortStableFunc(l.jobs, func(a, b *job) int { return cmp.Compare(b2i(b.alarm), b2i(a.alarm)) })
	l.longest = l.reckon()
	l.toAsk = len(l.jobs)
	if l.toAsk == 0 {
		close(l.first)
	}
	return l
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func newUnit(cu Unit, cost func(drivers.Table, uint16) time.Duration) *unit {
	u := &unit{Unit: cu}
	u.period = func(pt *profile.Point) time.Duration {
		if d, ok := cu.Every[pt.ID]; ok {
			return d
		}
		if d, ok := cu.Every[""]; ok {
			return d
		}
		return pt.Every
	}
	u.points = make([]pointState, 0, len(cu.Profile.Points))
	for i := range cu.Profile.Points {
		pt := &cu.Profile.Points[i]
		u.points = append(u.points, newPoint(cu.Device, pt, u.period(pt), cu.Zero, cu.Stale))
	}
	for _, r := range cu.Profile.PlanFor(u.period, cost) {
		u.jobs = append(u.jobs, &job{u: u, req: r, alarm: r.Alarm, every: r.Every})
	}
	return u
}

func newPoint(device string, pt *profile.Point, every time.Duration, zero map[string]float64, stale map[string]time.Duration) pointState {
	limit := max(3*every, 5*time.Second)
	if d, ok := stale[""]; ok {
		limit = d
	}
	if d, ok := stale[pt.ID]; ok {
		limit = d
	}
	return pointState{id: point.ID(device + "." + pt.ID), judge: pt.NewJudge(), zero: zero[pt.ID], limit: limit}
}

// Longest gives the time that the longest planned read holds the line when the
// unit answers: the most that a switching waits behind a read. Behind a unit
// that does not answer it waits for Config.Timeout instead, until that unit is
// quarantined.
func (l *Line) Longest() time.Duration { return l.longest }

// Timeout gives the bound of one request.
func (l *Line) Timeout() time.Duration { return l.cfg.Timeout }

// Round gives the time that one round of all reads holds the line.
func (l *Line) Round() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.round
}

// reckon finds how long the planned reads take, all and the longest.
func (l *Line) reckon() (longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.round = 0
	for _, j := range l.jobs {
		d := l.bus.Cost(j.req.Table, j.req.Count)
		l.round += d
		longest = max(longest, d)
	}
	return longest
}

// FirstRound is closed when every read was asked once, answered or not.
func (l *Line) FirstRound() <-chan struct{} { return l.first }

// String names the line and its bus.
func (l *Line) String() string { return fmt.Sprintf("line %s (%s)", l.cfg.Name, l.bus) }

// Check finds what is wrong with a configuration: two devices on one unit, a
// unit out of range, a profile that is not for a line.
func (c *Config) Check() error {
	var errs []error
	seen, names := map[uint8]string{}, map[string]bool{}
	for _, u := range c.Units {
		switch {
		case u.Profile == nil || u.Profile.Via != profile.Modbus:
			errs = append(errs, phrase.E("line.not_modbus", "device", u.Device))
		case u.Unit < 1 || u.Unit > 247:
			errs = append(errs, phrase.E("line.bad_unit", "device", u.Device, "unit", u.Unit))
		case seen[u.Unit] != "":
			errs = append(errs, phrase.E("line.same_unit", "a", seen[u.Unit], "b", u.Device, "unit", u.Unit, "line", c.Name))
		case names[u.Device]:
			errs = append(errs, phrase.E("line.same_name", "device", u.Device))
		}
		seen[u.Unit], names[u.Device] = u.Device, true
	}
	return errors.Join(errs...)
}
