package commission

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// State is how a step stands.
type State string

// The states.
const (
	Open   State = "open"
	Passed State = "passed"
	Failed State = "failed"
	// Skipped: it does not apply, for the reason that is written beside it.
	Skipped State = "not-applicable"
)

// Mark is who did something and when.
type Mark struct {
	Who string      `json:"who,omitempty"`
	At  clock.Stamp `json:"at"`
}

// Entry is what the sheet has of one step.
type Entry struct {
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`
	Mark
	Answers map[string]string `json:"answers,omitempty"`
	// Takes are what the box measured, the last of each thing; Runs what is being measured.
	Takes  map[string]Take `json:"takes,omitempty"`
	Runs   map[string]Run  `json:"runs,omitempty"`
	Photos []Photo         `json:"photos,omitempty"`
}

// Take is one thing that the box measured.
type Take struct {
	Mark
	Good bool             `json:"good"`
	Text phrase.Message   `json:"text"`
	More []phrase.Message `json:"more,omitempty"`
}

// Run is a measurement that has begun.
type Run struct {
	Mark
	// Base is the value at the beginning, Peak the largest since, Given what a person says
	// to be true (metres moved, the bottle's concentration).
	Base  float64 `json:"base"`
	Peak  float64 `json:"peak"`
	Given float64 `json:"given,omitempty"`
	// Seq is the journal's newest record at the beginning, Began when the process did.
	Seq   int64       `json:"seq,omitempty"`
	Began clock.Stamp `json:"began"`
}

// Photo is one that is kept.
type Photo struct {
	Mark
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	Size   int64  `json:"size"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

// Sheet is all of it.
type Sheet struct {
	Version int `json:"version"`
	// Number counts the sheets of this box.
	Number  int              `json:"number"`
	Begun   Mark             `json:"begun"`
	Entries map[string]Entry `json:"entries"`
	// Next numbers photos.
	Next int `json:"next"`
}

const sheetVersion = 1

func (e Entry) clone() Entry {
	e.Answers, e.Takes, e.Runs = copied(e.Answers), copied(e.Takes), copied(e.Runs)
	e.Photos = slices.Clone(e.Photos)
	if e.State == "" {
		e.State = Open
	}
	return e
}

func copied[V any](m map[string]V) map[string]V {
	out := make(map[string]V, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// Missing tells what a step lacks to pass, things being what is measured for it.
func Missing(s Step, e Entry, things []string) []phrase.Message {
	var out []phrase.Message
	for _, id := range things {
		switch t, ok := e.Takes[id]; {
		case e.Runs[id].At.IsZero() && !ok:
			out = append(out, phrase.M("commission.not_measured", "thing", id))
		case !e.Runs[id].At.IsZero():
			out = append(out, phrase.M("commission.running", "thing", id))
		case !t.Good:
			out = append(out, phrase.M("commission.measured_bad", "thing", id, "why", t.Text))
		}
	}
	for _, q := range s.Ask {
		a := e.Answers[q.ID]
		if a == "" || q.Kind == "tick" && a != "yes" {
			if !q.Optional {
				out = append(out, phrase.M("commission.not_answered", "what", q.Name))
			}
			continue
		}
		if q.Kind == "number" {
			v, _ := strconv.ParseFloat(a, 64)
			if q.Least != nil && v < *q.Least || q.Most != nil && v > *q.Most {
				out = append(out, phrase.M("commission.beyond", "what", q.Name, "value", a, "unit", q.Unit, "limits", q.limits()))
			}
		}
	}
	if n := s.Photos - len(e.Photos); n > 0 {
		out = append(out, phrase.M("commission.photos_missing", "count", n))
	}
	return out
}

func (q Question) limits() string {
	n := func(f *float64) string { return strconv.FormatFloat(*f, 'g', -1, 64) }
	switch {
	case q.Least != nil && q.Most != nil:
		return n(q.Least) + "–" + n(q.Most)
	case q.Least != nil:
		return "≥ " + n(q.Least)
	case q.Most != nil:
		return "≤ " + n(q.Most)
	}
	return ""
}

const mostText = 300

// Answer reads what a person entered; "" clears it.
func (q Question) Answer(a string) (string, error) {
	a = strings.TrimSpace(a)
	if a == "" {
		return "", nil
	}
	switch q.Kind {
	case "number":
		v, err := strconv.ParseFloat(strings.ReplaceAll(a, ",", "."), 64)
		if err != nil || v != v || v > 1e9 || v < -1e9 {
			return "", phrase.E("commission.no_number", "what", q.Name)
		}
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case "tick":
		if a != "yes" && a != "no" {
			return "", phrase.E("commission.no_choice", "what", q.Name, "of", "yes, no")
		}
	case "choice":
		if !slices.Contains(q.Of, a) {
			return "", phrase.E("commission.no_choice", "what", q.Name, "of", strings.Join(q.Of, ", "))
		}
	default:
		if utf8.RuneCountInString(a) > mostText || !utf8.ValidString(a) {
			return "", phrase.E("commission.long", "what", q.Name, "most", mostText)
		}
	}
	return a, nil
}
