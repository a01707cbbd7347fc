package api

import (
	"context"
	"net/http"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/access"
)

// HistoryMost is the largest number of rows in one answer, HistoryDefault what
// is given to one who does not say.
const (
	HistoryMost    = 5000
	HistoryDefault = 1000
)

// HistoryQuery asks for what was measured at one point between two instants of
// the wall clock.
type HistoryQuery struct {
	Point point.ID
	// From and To bound the span: From <= t < To.
	From, To time.Time
	// Most bounds the rows of the answer, 1 to HistoryMost.
	Most int
	// Raw asks for each value as it was kept rather than for buckets; what does
	// not fit follows under Next.
	Raw bool
}

// History is what was measured at one point. The rows follow one another without
// a hole: what is not known between two values is a row of its own, with a
// quality that is not good, no value, and why.
type History struct {
	Point point.ID    `json:"point"`
	Name  phrase.Text `json:"name"`
	Unit  string      `json:"unit"`
	// Period is how often the point is read, 0 where that is not known.
	Period time.Duration `json:"period_ns"`
	From   time.Time     `json:"from"`
	To     time.Time     `json:"to"`
	// Source: raw (each value as it was kept), buckets (made from raw values),
	// hours (made from the hourly roll-ups, where raw values are no more or
	// too many).
	Source string `json:"source" enum:"raw,buckets,hours"`
	// Step is the length of a bucket, 0 for raw.
	Step time.Duration `json:"step_ns"`
	Rows []HistoryRow  `json:"rows"`
	// Next, where set, is the From that asks for the rest.
	Next *time.Time `json:"next,omitempty"`
	// Trouble says what is wrong with the store, such as a dead disk.
	Trouble *Text `json:"trouble,omitempty"`
}

// HistoryRow is one value that held, one bucket, or one gap.
type HistoryRow struct {
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	// Value is what was measured, of a bucket the mean over time; Min and Max are
	// the extremes of a bucket, so that peaks survive. All are absent in a gap.
	Value *float64 `json:"value"`
	Min   *float64 `json:"min,omitempty"`
	Max   *float64 `json:"max,omitempty"`
	// Good is the share of the row's time that good values cover, 0 to 1.
	Good float64 `json:"good"`
	// Quality of a bucket is good where anything in it was; else what lasted
	// longest.
	Quality point.Quality `json:"quality"`
	Why     *Text         `json:"why,omitempty"`
	// Trust says how far the clock was to be believed when this was measured.
	Trust string `json:"clock_trust"`
	// Unit is set where it differs from the answer's: the point was measured in
	// another unit then.
	Unit string `json:"unit,omitempty"`
}

type historyQuery struct {
	ID   string    `path:"id" maxLength:"128" doc:"the point, such as river.level"`
	From time.Time `query:"from" doc:"begin, RFC 3339; 24 hours before the end by default"`
	To   time.Time `query:"to" doc:"end, RFC 3339; now by default"`
	Most int       `query:"most" minimum:"1" maximum:"5000" default:"1000" doc:"rows of the answer at most"`
	Raw  bool      `query:"raw" doc:"each value as it was kept rather than buckets"`
}

func (s *Server) registerHistory() {
	add(s, access.Viewer, http.MethodGet, "/history/{id}", "history", "What was measured at one point, with gaps as gaps", s.history)
}

func (s *Server) history(ctx context.Context, q *historyQuery) (*body[History], error) {
	to, from := q.To, q.From
	if to.IsZero() {
		to = s.box.Status().Now
	}
	if from.IsZero() {
		from = to.Add(-24 * time.Hour)
	}
	if !from.Before(to) || from.Year() < 1970 || to.Year() > 9998 {
		return nil, problem(http.StatusUnprocessableEntity, phrase.M("serve.history_span"))
	}
	h, err := s.box.History(ctx, HistoryQuery{Point: point.ID(q.ID), From: from, To: to, Most: q.Most, Raw: q.Raw})
	if err != nil {
		return nil, s.refused(http.StatusServiceUnavailable, err)
	}
	h.Rows = full(h.Rows)
	return &body[History]{h}, nil
}
