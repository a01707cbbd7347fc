package line

import (
	"maps"
	"slices"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/point"
)

// Snapshot is the state of a line as the page and `edged read` show it.
type Snapshot struct {
	Line string `json:"line"`
	// Up: the port could be used at the last try.
	Up    bool        `json:"up"`
	Units []UnitState `json:"units"`
	// Readings are the latest by point, but for lines of registers: theirs are
	// with whoever takes them.
	Readings map[point.ID]point.Reading `json:"-"`
}

// UnitState is what a line knows of a unit.
type UnitState struct {
	Device      string `json:"device"`
	Unit        uint8  `json:"unit"`
	Quarantined bool   `json:"quarantined"`
	// Asked and Good count reads; Acts and ActsGood what was posted.
	Asked    uint64 `json:"asked"`
	Good     uint64 `json:"good"`
	Acts     uint64 `json:"acts"`
	ActsGood uint64 `json:"acts_good"`
	// Faults counts by drivers.FaultKind.
	Faults map[string]uint64 `json:"faults"`
	// Cost is the time that the unit has held the line; Wasted the part of it
	// that brought nothing.
	Cost   time.Duration `json:"cost"`
	Wasted time.Duration `json:"wasted"`
	// Last is when it last answered.
	Last time.Time `json:"last"`
}

// Snapshot gives a copy.
func (l *Line) Snapshot() Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.snap
	s.Units = slices.Clone(s.Units)
	for i := range s.Units {
		s.Units[i].Faults = maps.Clone(s.Units[i].Faults)
	}
	return s
}

func (l *Line) state(u *unit) *UnitState {
	for i := range l.snap.Units {
		if l.snap.Units[i].Device == u.Device {
			return &l.snap.Units[i]
		}
	}
	return &UnitState{Faults: map[string]uint64{}}
}

func (l *Line) count(u *unit, err error, took time.Duration) {
	l.noteMissing(u, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.state(u)
	if err != nil {
		k := drivers.KindOf(err)
		s.Faults[k.String()]++
		if k == drivers.FaultOwed {
			return // not asked
		}
		s.Wasted += took
	} else {
		s.Good++
		s.Last = time.Now()
	}
	s.Asked++
	s.Cost += took
}

// noteMissing enters into the frames what no frame shows.
func (l *Line) noteMissing(u *unit, err error) {
	if err == nil {
		return
	}
	switch k := drivers.KindOf(err); k {
	case drivers.FaultOwed, drivers.FaultRefused, drivers.FaultCancelled:
	default:
		l.frames.missing(time.Now(), u.Unit.Unit, k)
	}
}

func (l *Line) countAct(u *unit, err error, took time.Duration) {
	l.noteMissing(u, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.state(u)
	s.Acts++
	s.Cost += took
	if err != nil {
		s.Faults[drivers.KindOf(err).String()]++
		s.Wasted += took
		return
	}
	s.ActsGood++
	s.Last = time.Now()
}

func (l *Line) setQuiet(u *unit, quiet bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state(u).Quarantined = quiet
}

func (l *Line) setUp(up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.snap.Up = up
}
