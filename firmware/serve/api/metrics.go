package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tocsin/firmware/point"
)

// metrics makes the page that a collector of figures asks, on a registry of its
// own. Names follow the Prometheus naming guide: base units, _total for
// counters.
func (s *Server) metrics() (http.Handler, error) {
	r := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		boxCollector{s.box},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4, ErrorHandling: promhttp.ContinueOnError}), nil
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("tocsin_"+name, help, labels, nil)
}

var (
	descArmed       = desc("armed", "1 where the first crossing would sound")
	descArmedAfter  = desc("armed_after_seconds", "from the start of the process to armed")
	descBlind       = desc("blind", "1 where no good gauge is left")
	descLevel       = desc("level_standing", "1 for the worst level that stands", "level")
	descTrust       = desc("clock_trust", "1 for where the wall clock comes from", "trust")
	descJournal     = desc("journal_ok", "1 where the journal reaches the disk")
	descFaults      = desc("faults", "faults that stand")
	descAlarms      = desc("alarms", "alarms by state", "state")
	descSounding    = desc("soundings", "soundings that go on now", "kind")
	descValue       = desc("point_value", "the point's value, only while its quality is good", "point", "unit")
	descQuality     = desc("point_quality", "1 for the point's quality", "point", "quality")
	descAge         = desc("point_age_seconds", "how long ago the point was measured", "point")
	descLineUp      = desc("line_up", "1 where the line's port is open", "line")
	descLineAsked   = desc("line_requests_total", "requests on the line", "line")
	descLineOpened  = desc("line_opened_total", "how often the line's port was opened", "line")
	descUnitAsked   = desc("unit_requests_total", "requests to the unit", "line", "device", "unit")
	descUnitGood    = desc("unit_answers_total", "good answers of the unit", "line", "device", "unit")
	descUnitFaults  = desc("unit_failures_total", "failures by kind", "line", "device", "unit", "kind")
	descQuarantined = desc("unit_quarantined", "1 where the unit is asked in idle time only", "line", "device", "unit")
	descs           = []*prometheus.Desc{descArmed, descArmedAfter, descBlind, descLevel, descTrust, descJournal, descFaults,
		descAlarms, descSounding, descValue, descQuality, descAge, descLineUp, descLineAsked, descLineOpened, descUnitAsked,
		descUnitGood, descUnitFaults, descQuarantined}
)

// boxCollector reads the box when it is asked.
type boxCollector struct{ box Box }

// Describe is prometheus's.
func (c boxCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range slices.Concat(counterDescs, linkDescs, outsideDescs, peopleDescs, descs) {
		ch <- d
	}
}

// Collect is prometheus's.
func (c boxCollector) Collect(ch chan<- prometheus.Metric) {
	if c.box == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, clean(labels)...)
	}
	count := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), clean(labels)...)
	}
	st := c.box.Status()
	gauge(descArmed, truth(st.Armed))
	if st.Armed {
		gauge(descArmedAfter, st.ArmedAfter.Seconds())
	}
	gauge(descBlind, truth(st.Blind))
	gauge(descJournal, truth(st.JournalOK))
	gauge(descTrust, 1, st.Trust)
	if st.Level != "" {
		gauge(descLevel, 1, st.Level)
	}
	gauge(descFaults, float64(len(c.box.Faults())))
	states, kinds := map[string]int{}, map[string]int{}
	for _, a := range c.box.Alarms() {
		states[a.State]++
	}
	for k, n := range states {
		gauge(descAlarms, float64(n), k)
	}
	for _, x := range c.box.Soundings().Now {
		kinds[x.Kind]++
	}
	for k, n := range kinds {
		gauge(descSounding, float64(n), k)
	}
	for _, r := range c.box.Readings() {
		gauge(descQuality, 1, string(r.Point), r.Quality.String())
		if r.Quality != point.Unknown {
			gauge(descAge, r.Age.Seconds(), string(r.Point))
		}
		if r.Quality == point.Good && r.Value != nil {
			gauge(descValue, *r.Value, string(r.Point), r.Unit)
		}
	}
	sum := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, clean(labels)...)
	}
	c.lines(gauge, count)
	c.counters(gauge, sum)
	c.links(gauge, sum)
	c.outside(gauge, sum)
	c.people(gauge, sum)
}

func (c boxCollector) lines(gauge func(*prometheus.Desc, float64, ...string), count func(*prometheus.Desc, int64, ...string)) {
	for _, l := range c.box.Lines() {
		gauge(descLineUp, truth(l.Up), l.Name)
		count(descLineAsked, l.Asked, l.Name)
		count(descLineOpened, l.Opened, l.Name)
		for _, u := range l.Units {
			id := []string{l.Name, u.Device, itoa(u.Unit)}
			count(descUnitAsked, u.Asked, id...)
			count(descUnitGood, u.Good, id...)
			gauge(descQuarantined, truth(u.Quarantined), id...)
			for k, n := range u.Faults {
				count(descUnitFaults, n, l.Name, u.Device, itoa(u.Unit), k)
			}
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func itoa(n int) string { return strconv.Itoa(n) }

// clean keeps a label that is not UTF-8 from spoiling the whole page.
func clean(labels []string) []string {
	out := make([]string, len(labels))
	for i, l := range labels {
		out[i] = strings.ToValidUTF8(l, "?")
	}
	return out
}
