package account

import (
	"encoding/json"
	"reflect"
	"slices"
	"time"

	"tocsin/firmware/phrase"
)

// Bounds of a state.
const (
	StateBytes = 64 << 10
	FaultsMost = 64
	LinksMost  = 32
	textMost   = 400
)

// Text is a text in both languages.
type Text struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// TextOf cuts both to what is told.
func TextOf(zh, en string) Text { return Text{cut(zh, textMost), cut(en, textMost)} }

// State is how a station stands: wire.StateContent and more, for who reads it.
type State struct {
	Version string `json:"version"`
	// Started is when the program began, At when this was said, in seconds since 1970 by the station's own clock, of
	// which Trust says what it is worth.
	Started int64  `json:"started"`
	At      int64  `json:"at"`
	Trust   string `json:"clock_trust"`
	// Ready: a crossing would sound. NotReady says what stands in the way.
	Ready    bool   `json:"ready"`
	NotReady []Text `json:"not_ready,omitempty"`
	// Level is the worst that stands, "" for none; Blind names the hazards without any good gauge.
	Level string   `json:"level,omitempty"`
	Blind []string `json:"blind,omitempty"`
	// Journal: what must outlive a power cut is on the disk.
	Journal bool    `json:"journal"`
	Faults  []Fault `json:"faults"`
	// More faults stand than are listed.
	More int `json:"more,omitempty"`
	// Points is how many points the site has, Told how many of them are in the telemetry.
	Points int     `json:"points"`
	Told   int     `json:"told"`
	Links  []Link  `json:"links"`
	Outbox *Outbox `json:"outbox,omitempty"`
	// Overrides are the county's settings that somebody at the station has changed for a while.
	Overrides []Override `json:"overrides,omitempty"`
	// Update is how the software stands, where it is updated from here.
	Update *Update `json:"update,omitempty"`
	// Said is why this was told now: an override began or ended, an update came to an end.
	Said *Text `json:"said,omitempty"`
}

// Update is wire.UpdateContent.
type Update struct {
	Number        uint64 `json:"number,omitempty"`
	Slot          string `json:"slot,omitempty"`
	Phase         string `json:"phase,omitempty"`
	Next          string `json:"next,omitempty"`
	NextNumber    uint64 `json:"next_number,omitempty"`
	Outcome       string `json:"outcome,omitempty"`
	OutcomeOf     string `json:"outcome_of,omitempty"`
	OutcomeNumber uint64 `json:"outcome_number,omitempty"`
	At            int64  `json:"at,omitempty"`
	Text
	Order *Order `json:"order,omitempty"`
}

// Order is wire.OrderContent.
type Order struct {
	Number uint64 `json:"number"`
	By     string `json:"by"`
	State  string `json:"state"`
	At     int64  `json:"at,omitempty"`
	Until  int64  `json:"until,omitempty"`
	Code   string `json:"code,omitempty"`
	Text
}

// Override is a county-managed setting, by its place in the station's document.
type Override struct {
	Path  string `json:"path"`
	Who   string `json:"who"`
	Why   string `json:"why"`
	Until int64  `json:"until"`
}

// Fault is one fault that stands.
type Fault struct {
	Thing string `json:"thing"`
	Since int64  `json:"since"`
	Text
}

// Link is how a way to the county stands.
type Link struct {
	Name  string `json:"name"`
	State string `json:"state"`
	// Delivery is the share that arrives and Latency how long a receipt takes, as measured.
	Delivery float64       `json:"delivery"`
	Latency  time.Duration `json:"latency_ns"`
	// Balance of Full yuan is left.
	Balance float64 `json:"balance,omitempty"`
	Full    float64 `json:"full,omitempty"`
	Text
}

// Outbox is what waits.
type Outbox struct {
	Waiting int `json:"waiting"`
	Late    int `json:"late"`
}

// Bytes is the state as it is told: JSON.
func (s State) Bytes() []byte {
	b, _ := json.Marshal(s) // strings, times, numbers that are
	return b
}

// ReadState reads one. It may say less than StateBytes.
func ReadState(b []byte) (State, error) {
	var s State
	if len(b) > StateBytes || json.Unmarshal(b, &s) != nil || len(s.Faults) > FaultsMost || len(s.Links) > LinksMost {
		return State{}, phrase.E("account.state", "bytes", len(b))
	}
	return s, nil
}

// News tells whether a state is worth saying before its hour: whatever changed but figures that always do.
func (s State) News(before State) bool { return !reflect.DeepEqual(s.still(), before.still()) }

func (s State) still() State {
	s.At, s.Outbox, s.More, s.Said = 0, nil, 0, nil
	s.Links = slices.Clone(s.Links)
	s.Faults = slices.Clone(s.Faults)
	for i := range s.Faults {
		s.Faults[i].Since, s.Faults[i].Text = 0, Text{} // what a fault says of itself may count seconds
	}
	for i := range s.Links {
		l := &s.Links[i]
		l.Delivery, l.Latency, l.Balance, l.Text = 0, 0, 0, Text{}
	}
	return s
}
