package line

import (
	"context"
	"errors"
	"maps"
	"math"
	"sync"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

// TextConfig says what sends lines of text.
type TextConfig struct {
	// Name is the line's name in the site file.
	Name    string
	Device  string
	Profile *profile.Profile
	Zero    map[string]float64
	// Stale is as Unit.Stale; a point's period is how often the device sends.
	Stale map[string]time.Duration
}

// Text is the owner of a device that sends lines of text by itself. Use
// NewText, then Run in one goroutine.
type Text struct {
	cfg    TextConfig
	src    drivers.Fields
	o      Opts
	points []pointState
	first  chan struct{}

	// The owner's own.
	down    bool
	silent  bool
	pause   time.Duration
	heardAt time.Time
	said    []time.Time // when a sentence last spoke of each point (NMEA)

	mu   sync.Mutex
	snap Snapshot
}

// NewText makes the owner of a text device. The source reopens its port by
// itself when asked again after FaultGone, as a Registers does.
func NewText(cfg TextConfig, src drivers.Fields, o Opts) *Text {
	o.fill()
	t := &Text{cfg: cfg, src: src, o: o, first: make(chan struct{})}
	t.snap = Snapshot{Line: cfg.Name, Up: true, Readings: map[point.ID]point.Reading{},
		Units: []UnitState{{Device: cfg.Device, Faults: map[string]uint64{}}}}
	for i := range cfg.Profile.Points {
		pt := &cfg.Profile.Points[i]
		t.points = append(t.points, newPoint(cfg.Device, pt, pt.Every, cfg.Zero, cfg.Stale))
	}
	return t
}

// FirstRound is closed when the first line came, or none did for as long as
// the points may be old.
func (t *Text) FirstRound() <-chan struct{} { return t.first }

// String names the line and its source.
func (t *Text) String() string { return "line " + t.cfg.Name + " (" + t.src.String() + ")" }

// Snapshot gives a copy.
func (t *Text) Snapshot() Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.snap
	u := s.Units[0]
	u.Faults = maps.Clone(u.Faults)
	s.Units = []UnitState{u}
	s.Readings = maps.Clone(s.Readings)
	return s
}

// Run listens until ctx ends, and then gives nil. Call it once.
func (t *Text) Run(ctx context.Context) error {
	t.heardAt = time.Now()
	t.said = make([]time.Time, len(t.points))
	for i := range t.said {
		t.said[i] = t.heardAt
	}
	for ctx.Err() == nil {
		t.o.Proof.Alive()
		sub, cancel := context.WithTimeout(ctx, turn)
		rec, err := t.src.Next(sub)
		late := sub.Err() != nil
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		now := time.Now()
		switch {
		case err == nil && t.cfg.Profile.Record != nil && len(rec.Fields) != t.cfg.Profile.Record.Fields:
			// A field too few or too many may have moved all of them.
			t.garbled(&drivers.Fault{Kind: drivers.FaultGarbled, Detail: rec.Raw})
		case err == nil:
			t.heard(rec)
		case late && drivers.KindOf(err) != drivers.FaultGone:
			// Nothing within a turn: the usual for a device that sends each minute.
		case drivers.KindOf(err) == drivers.FaultGone:
			t.gone(err, now)
			t.wait(ctx)
		default:
			t.garbled(err)
			pause(ctx, 10*time.Millisecond) // noise must not take the processor
		}
		t.age(time.Now())
	}
	return nil
}

func (t *Text) heard(rec drivers.Record) {
	at := rec.At
	if at.IsZero() {
		at = time.Now()
	}
	t.heardAt, t.pause = at, 0
	stamp := t.o.Clock.StampAt(at)
	var out []point.Reading
	for _, v := range t.decode(rec.Fields) {
		ps := &t.points[v.Index]
		t.said[v.Index] = at
		v = ps.judge.Look(v, stamp)
		if v.Quality == point.Good {
			ps.lastGood = at
		}
		ps.quality = v.Quality
		out = append(out, point.Reading{Point: ps.id, Value: v.Value + ps.zero, Unit: t.cfg.Profile.Points[v.Index].Unit,
			Quality: v.Quality, Why: aboveDatum(v.Why, ps.zero), At: stamp})
	}
	t.mu.Lock()
	t.snap.Up = true
	u := &t.snap.Units[0]
	u.Asked++
	u.Good++
	u.Last = at
	t.mu.Unlock()
	if t.down {
		t.down = false
		t.o.Cleared("line " + t.cfg.Name)
	}
	if t.silent {
		t.silent = false
		t.o.Cleared("device " + t.cfg.Device)
	}
	t.emit(out)
	if t.whole() {
		t.round()
	}
}

func (t *Text) round() {
	select {
	case <-t.first:
	default:
		close(t.first)
	}
}

func (t *Text) garbled(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.snap.Units[0].Asked++
	t.snap.Units[0].Faults[drivers.KindOf(err).String()]++
}

func (t *Text) gone(err error, now time.Time) {
	t.pause = min(max(2*t.pause, firstReopen), lastReopen)
	if t.down {
		return
	}
	t.down = true
	t.mu.Lock()
	t.snap.Up = false
	t.mu.Unlock()
	why := phrase.M("line.gone", "line", t.cfg.Name, "port", t.src.String(), "text", inBoth(errors.Unwrap(wrapped(err))))
	t.o.Log.Error("port gone", "line", t.cfg.Name, "err", err)
	t.o.Fault("line "+t.cfg.Name, why)
	t.emit(t.faulty(why, now))
	t.round()
}

// wrapped makes sure that there is a cause to name.
func wrapped(err error) error {
	if errors.Unwrap(err) != nil {
		return err
	}
	return &drivers.Fault{Kind: drivers.FaultGone, Err: err}
}

// wait pauses before the port is tried again, proving life meanwhile.
func (t *Text) wait(ctx context.Context) {
	for end := time.Now().Add(t.pause); ctx.Err() == nil && time.Now().Before(end); {
		t.o.Proof.Alive()
		pause(ctx, min(turn, time.Until(end)))
	}
}

// age turns good values stale; a device that has said nothing at all for as
// long as its points may be old is a CommFault.
func (t *Text) age(now time.Time) {
	var out []point.Reading
	limit := time.Duration(0)
	for i := range t.points {
		ps := &t.points[i]
		limit = max(limit, ps.limit)
		if r, ok := stale(ps, now, t.o.Clock); ok {
			r.Unit = t.cfg.Profile.Points[i].Unit
			t.mu.Lock()
			r.Value = t.snap.Readings[ps.id].Value
			t.mu.Unlock()
			out = append(out, r)
		}
	}
	t.emit(append(out, t.unsaid(now)...))
	if !t.silent && !t.down && limit > 0 && now.Sub(t.heardAt) > limit {
		t.silent = true
		why := phrase.M("line.silent", "device", t.cfg.Device, "line", t.cfg.Name, "age", point.Span(now.Sub(t.heardAt).Truncate(time.Second)).String())
		t.o.Fault("device "+t.cfg.Device, why)
		t.emit(t.faulty(why, now))
		t.round()
	}
}

func (t *Text) faulty(why phrase.Message, now time.Time) []point.Reading {
	var out []point.Reading
	for i := range t.points {
		t.points[i].quality = point.CommFault
		out = append(out, point.Reading{Point: t.points[i].id, Value: math.NaN(), Unit: t.cfg.Profile.Points[i].Unit,
			Quality: point.CommFault, Why: why, At: t.o.Clock.StampAt(now)})
	}
	return out
}

func (t *Text) emit(rs []point.Reading) {
	if len(rs) == 0 {
		return
	}
	t.mu.Lock()
	for _, r := range rs {
		t.snap.Readings[r.Point] = r
	}
	t.mu.Unlock()
	t.o.Sink(rs)
}
