package line

import (
	"errors"
	"slices"
	"strings"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
)

// apartMayHelp tells whether an exception may come of a read's being shared: the
// unit lacks a register in between (2), or answers fewer at once (3; Modbus
// Application Protocol v1.1b3, section 7).
func apartMayHelp(err error) bool {
	var f *drivers.Fault
	return errors.As(err, &f) && f.Kind == drivers.FaultRefused && (f.Code == 2 || f.Code == 3)
}

// split takes a read that several points share and that the unit refuses apart
// into the points' own reads, for as long as the line runs: a register between
// them is missing that the profile does not name as a hole, or one of them is
// wrong. Those whose own read is refused are named; the others are blinded no
// more. It tells whether there was anything to split.
func (l *Line) split(j *job, now time.Time) bool {
	if len(j.req.Points) < 2 {
		return false
	}
	u := j.u
	// A cost that grows with the square makes each read as small as it can be:
	// only what must be read at once stays together.
	smallest := func(_ drivers.Table, n uint16) time.Duration { return time.Duration(n) * time.Duration(n) }
	var own []*job
	for _, r := range u.Profile.PlanFor(u.period, smallest) {
		if r.Table == j.req.Table && slices.Contains(j.req.Points, r.Points[0]) {
			own = append(own, &job{u: u, req: r, alarm: j.alarm, every: j.every, due: now, apart: true, failing: j.failing})
		}
	}
	if len(own) < 2 && (len(own) == 0 || own[0].req.Count == j.req.Count) {
		return false
	}
	replace := func(all []*job) []*job {
		i := slices.Index(all, j)
		return slices.Insert(slices.Delete(slices.Clone(all), i, i+1), i, own...)
	}
	u.jobs, l.jobs = replace(u.jobs), replace(l.jobs)
	l.reckon()
	if !j.asked {
		l.toAsk += len(own) - 1
	} else {
		for _, k := range own {
			k.asked = true
		}
	}
	j.asked = true // whoever still holds it counts it no more
	l.o.Log.Warn("a shared read is refused: its points are read apart", "line", l.cfg.Name, "device", u.Device,
		"table", j.req.Table.String(), "addr", j.req.Addr, "count", j.req.Count, "reads", len(own))
	return true
}

// refuses puts into words what a unit refuses: by name where it was found by
// asking apart.
func (l *Line) refuses(u *unit, err error) phrase.Message {
	var f *drivers.Fault
	var at, points []string
	var table drivers.Table
	for _, j := range u.jobs {
		if !j.refused || !j.apart {
			continue
		}
		table = j.req.Table
		at = append(at, hex(j.req.Addr))
		for _, i := range j.req.Points {
			points = append(points, u.Profile.Points[i].ID)
		}
	}
	if len(at) == 0 || !errors.As(err, &f) {
		return l.why(u, err)
	}
	return phrase.M("line.hole", "device", u.Device, "unit", u.Unit.Unit, "line", l.cfg.Name, "table", tableWord(table),
		"addr", strings.Join(at, ", "), "points", strings.Join(points, ", "), "code", f.Code, "meaning", exception(f.Code))
}
