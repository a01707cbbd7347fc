package api

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/firmware/point"
)

// Counters is a box that tells a collector of figures more than the page shows.
type Counters interface {
	// UnitCounters gives each unit of each line, PointCounters each point that
	// was measured; there are as many as the site's file has.
	UnitCounters() []UnitCounters
	PointCounters() []PointCounters
}

// UnitCounters is what a unit has cost its line since the line began.
type UnitCounters struct {
	Line, Device string
	Unit         int
	// Acts are writes and reads that somebody waited for, Done those of them
	// that were answered.
	Acts, Done uint64
	// Held is the time that the unit had the line, Wasted the part of it that
	// brought nothing.
	Held, Wasted time.Duration
	// Last is when it last answered; zero: never.
	Last time.Time
}

// PointCounters counts a point's readings by quality.
type PointCounters struct {
	Point     point.ID
	ByQuality map[point.Quality]uint64
}

var (
	descUnitActs   = desc("unit_acts_total", "writes to the unit, and reads that somebody waited for", "line", "device", "unit")
	descUnitDone   = desc("unit_acts_done_total", "those of them that were answered", "line", "device", "unit")
	descUnitHeld   = desc("unit_line_seconds_total", "time that the unit had its line", "line", "device", "unit")
	descUnitWasted = desc("unit_wasted_seconds_total", "the part of it that brought nothing", "line", "device", "unit")
	descUnitAge    = desc("unit_answer_age_seconds", "how long ago the unit last answered", "line", "device", "unit")
	descReadings   = desc("point_readings_total", "readings of the point by quality", "point", "quality")
	counterDescs   = []*prometheus.Desc{descUnitActs, descUnitDone, descUnitHeld, descUnitWasted, descUnitAge, descReadings}
)

// counters tells what a box of Counters counts.
func (c boxCollector) counters(gauge func(*prometheus.Desc, float64, ...string), sum func(*prometheus.Desc, float64, ...string)) {
	b, ok := c.box.(Counters)
	if !ok {
		return
	}
	for _, u := range b.UnitCounters() {
		id := []string{u.Line, u.Device, itoa(u.Unit)}
		sum(descUnitActs, float64(u.Acts), id...)
		sum(descUnitDone, float64(u.Done), id...)
		sum(descUnitHeld, u.Held.Seconds(), id...)
		sum(descUnitWasted, u.Wasted.Seconds(), id...)
		if !u.Last.IsZero() {
			gauge(descUnitAge, max(0, time.Since(u.Last).Seconds()), id...)
		}
	}
	for _, p := range b.PointCounters() {
		for q, n := range p.ByQuality {
			sum(descReadings, float64(n), string(p.Point), q.String())
		}
	}
}
