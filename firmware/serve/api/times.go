package api

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Outside is what the box has of others besides the county: the time, and platforms that it tells.
type Outside interface {
	// Times gives where the time comes from.
	Times() Times
	// Platforms gives how other platforms are told over MQTT.
	Platforms() []Platform
}

// Times is where the box's time comes from.
type Times struct {
	// Source holds the clock now; "" for none: it runs on by itself. KindText says what it is, or what set it last.
	Source   string `json:"source,omitempty"`
	Kind     string `json:"kind,omitempty"`
	KindText Text   `json:"kind_text"`
	// Trust is set, held (by a battery, not set since the start) or free.
	Trust string `json:"trust"`
	// Bound is how far the clock may be off; absent where nobody knows.
	Bound *time.Duration `json:"bound_ns,omitempty"`
	// Sure: two sources agree on it, or one has held for long.
	Sure    bool         `json:"sure"`
	Sources []TimeSource `json:"sources"`
}

// TimeSource is one of them, in the order of trust.
type TimeSource struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	KindText Text   `json:"kind_text"`
	// Live: heard lately enough to count. Holds: the clock goes by it.
	Live  bool `json:"live"`
	Holds bool `json:"holds"`
	// Heard is how long ago that was.
	Heard time.Duration `json:"heard_ns"`
	Bound time.Duration `json:"bound_ns"`
	// Ahead is by how much it is ahead of the box's clock.
	Ahead time.Duration `json:"ahead_ns"`
	// Why it is not believed.
	Why *Text `json:"why,omitempty"`
}

// Platform is how another platform is told over MQTT.
type Platform struct {
	Name  string    `json:"name"`
	Up    bool      `json:"up"`
	Since time.Time `json:"since,omitzero"`
	// Waiting is what the broker has not acknowledged; Told counts what it has, Dropped what found no room, Refused what it
	// will not have.
	Waiting int   `json:"waiting"`
	Told    int64 `json:"told"`
	Dropped int64 `json:"dropped"`
	Refused int64 `json:"refused"`
	Why     *Text `json:"why,omitempty"`
}

func (s *Server) registerOutside() {
	get(s, "/time", "time", "Where the time comes from, and what each source says", func() Times {
		x := s.box.Times()
		x.Sources = full(x.Sources)
		return x
	})
	get(s, "/platforms", "platforms", "How other platforms are told over MQTT", func() []Platform { return full(s.box.Platforms()) })
}

var (
	descTimeBound    = desc("clock_bound_seconds", "how far the wall clock may be off")
	descTimeSure     = desc("clock_sure", "1 where the time is borne out")
	descTimeHolds    = desc("time_source_holds", "1 for the source that holds the clock", "source", "kind")
	descTimeLive     = desc("time_source_live", "1 where the source counts", "source", "kind")
	descTimeHeard    = desc("time_source_age_seconds", "how long ago the source was heard", "source", "kind")
	descTimeAhead    = desc("time_source_ahead_seconds", "by how much the source is ahead of the clock", "source", "kind")
	descTimeWrong    = desc("time_source_refused", "1 where the source is not believed", "source", "kind")
	descPlatformUp   = desc("platform_up", "1 where the platform's broker is connected", "platform")
	descPlatformWait = desc("platform_waiting", "messages that the broker has not acknowledged", "platform")
	descPlatformEnds = desc("platform_messages_total", "messages by what became of them", "platform", "end")
	outsideDescs     = []*prometheus.Desc{descTimeBound, descTimeSure, descTimeHolds, descTimeLive, descTimeHeard, descTimeAhead, descTimeWrong, descPlatformUp, descPlatformWait, descPlatformEnds}
)

func (c boxCollector) outside(gauge, sum func(*prometheus.Desc, float64, ...string)) {
	x := c.box.Times()
	if x.Bound != nil {
		gauge(descTimeBound, x.Bound.Seconds())
	}
	gauge(descTimeSure, truth(x.Sure))
	for _, s := range x.Sources {
		gauge(descTimeHolds, truth(s.Holds), s.Name, s.Kind)
		gauge(descTimeLive, truth(s.Live), s.Name, s.Kind)
		gauge(descTimeHeard, s.Heard.Seconds(), s.Name, s.Kind)
		gauge(descTimeAhead, s.Ahead.Seconds(), s.Name, s.Kind)
		gauge(descTimeWrong, truth(s.Why != nil), s.Name, s.Kind)
	}
	for _, p := range c.box.Platforms() {
		gauge(descPlatformUp, truth(p.Up), p.Name)
		gauge(descPlatformWait, float64(p.Waiting), p.Name)
		for end, n := range map[string]int64{"told": p.Told, "dropped": p.Dropped, "refused": p.Refused} {
			sum(descPlatformEnds, float64(n), p.Name, end)
		}
	}
}
