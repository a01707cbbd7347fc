package managed

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/keep/config"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Watch counts how long overrides have stood. It is not safe for use by several goroutines.
type Watch struct {
	// Begun are the overrides that the last look saw for the first time, Ended the places of
	// those that it saw no more, for whatever reason.
	Begun []config.Override
	Ended []string

	stood map[string]time.Duration
	last  time.Duration // monotonic, of the last look
	began bool
}

// name tells overrides apart, whatever their order.
func name(o config.Override) string { return o.Path + " " + o.From.UTC().Format(time.RFC3339) }

// Look gives which overrides are over, by their index.
func (w *Watch) Look(m *config.Managed, now clock.Stamp, floor time.Time) (over []int) {
	passed := now.Mono - w.last
	if !w.began || passed < 0 {
		passed = 0
	}
	w.last, w.began = now.Mono, true
	next := map[string]time.Duration{}
	w.Begun, w.Ended = nil, nil
	if m == nil {
		m = &config.Managed{}
	}
	for i, o := range m.Overrides {
		n := name(o)
		stood, known := w.stood[n]
		if known {
			stood += passed
		} else {
			w.Begun = append(w.Begun, o)
		}
		next[n] = stood
		if stood >= o.Until.Sub(o.From.Time) || clock.Expired(o.Until.Time, now, floor) {
			over = append(over, i)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(w.stood)) {
		if _, stands := next[n]; !stands {
			path, _, _ := strings.Cut(n, " ")
			w.Ended = append(w.Ended, path)
		}
	}
	w.stood = next
	return over
}

// Left gives how long an override stands yet, as far as can be told.
func (w *Watch) Left(o config.Override, now clock.Stamp) time.Duration {
	left := o.Until.Sub(o.From.Time) - w.stood[name(o)]
	if now.Trust > clock.Free {
		left = min(left, o.Until.Sub(now.Wall))
	}
	return max(left, 0)
}

// Snapshot is what must outlive a restart.
func (w *Watch) Snapshot() []byte {
	b, _ := json.Marshal(w.stood) // numbers by strings
	return b
}

// Restore takes a snapshot back. What cannot be read counts as nothing: the wall clock is left.
func (w *Watch) Restore(b []byte) {
	var old map[string]time.Duration
	if json.Unmarshal(b, &old) != nil || len(old) > MostOverrides {
		return
	}
	if w.stood == nil {
		w.stood = map[string]time.Duration{}
	}
	for n, d := range old {
		if d >= 0 {
			w.stood[n] = max(w.stood[n], d)
		}
	}
}

// Over is Look without counting: whether a document holds an override whose time is over by
// the clock alone. Such a one cannot be proposed again.
func Over(m *config.Managed, now clock.Stamp, floor time.Time) bool {
	return m != nil && slices.ContainsFunc(m.Overrides, func(o config.Override) bool { return clock.Expired(o.Until.Time, now, floor) })
}
