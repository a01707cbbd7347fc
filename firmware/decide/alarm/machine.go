package alarm

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// State is where an alarm is in its life.
type State string

// The states.
const (
	// Raised: a level stands and nobody has taken it in hand.
	Raised State = "raised"
	// Acknowledged: a named person has.
	Acknowledged State = "acknowledged"
	// Subsided: the measurements have fallen; the all-clear was not given.
	Subsided State = "subsided"
	// Released: a named person gave the all-clear, or whoever warned did so by a
	// signed cancel. The end.
	Released State = "released"
	// Lapsed: a warning from outside ended long ago by its own time, and nobody
	// gave the all-clear. The end; nothing is said.
	Lapsed State = "lapsed"
)

// ByHand is the hazard of alarms that a person raised.
const ByHand = "by-hand"

// WarnedPrefix begins the hazard of an alarm that a signed warning or command
// raised; the rest names the warning, from its first message to its last update.
const WarnedPrefix = "warned:"

// Warned tells whether a signed warning or command raised the alarm.
func (a Alarm) Warned() bool { return strings.HasPrefix(a.Hazard, WarnedPrefix) }

// Who is a person or thing with a name, and the way by which the act came.
type Who struct {
	Name string `json:"name"`
	Via  string `json:"via"`
}

// Alarm is one alarm.
type Alarm struct {
	ID      string           `json:"id"`
	Hazard  string           `json:"hazard"`
	Level   point.Level      `json:"level"`
	Peak    point.Level      `json:"peak"`
	State   State            `json:"state"`
	Blind   bool             `json:"blind"`
	Because []phrase.Message `json:"because"`
	Raised  clock.Stamp      `json:"raised"`
	Changed clock.Stamp      `json:"changed"`
	By      *Who             `json:"by,omitempty"`
	Reason  string           `json:"reason,omitempty"`
	// Kept is a level that stands although what measures it was changed meanwhile; see Keep.
	Kept point.Level `json:"kept,omitempty"`
}

// Stands tells whether the alarm still holds a level above calm.
func (a Alarm) Stands() bool {
	return a.Level > point.Calm && (a.State == Raised || a.State == Acknowledged)
}

// Kind is what happened to an alarm.
type Kind string

// What happens.
const (
	EventRaised       Kind = "alarm.raised"
	EventEscalated    Kind = "alarm.escalated"
	EventEased        Kind = "alarm.eased"
	EventSubsided     Kind = "alarm.subsided"
	EventAgain        Kind = "alarm.again"
	EventAcknowledged Kind = "alarm.acknowledged"
	EventReleased     Kind = "alarm.released"
	EventLapsed       Kind = "alarm.lapsed"
	EventBlind        Kind = "hazard.blind"
	EventSighted      Kind = "hazard.sighted"
)

// Event is one change. Alarm is a copy as it is after the change; for Blind and
// Sighted without an alarm only its Hazard is set.
type Event struct {
	Kind  Kind
	Alarm Alarm
	At    clock.Stamp
}

// Machine holds the alarms of the box, one for each hazard at most. It is used
// by one goroutine.
type Machine struct {
	open  map[string]*Alarm // by hazard
	blind map[string]bool
	ended []Alarm
	newID func() string
	// ruled are the hazards that rules measure; nil: all are.
	ruled map[string]bool
	// inForce are the hazards of warnings that stand by their own time.
	inForce map[string]bool
	// said is what the rules say now, by hazard.
	said map[string]point.Level
}

// keepEnded bounds the alarms that are kept for showing after their end.
const keepEnded = 64

// New makes a machine without alarms.
func New() *Machine {
	return &Machine{open: map[string]*Alarm{}, blind: map[string]bool{}, said: map[string]point.Level{}, newID: randomID}
}

func randomID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return "a" + hex.EncodeToString(b[:])
}

// Apply takes a verdict and gives what changed by it.
func (m *Machine) Apply(v rule.Verdict) []Event {
	var ev []Event
	a := m.open[v.Hazard]
	m.said[v.Hazard] = v.Level
	if a != nil && a.Kept > point.Calm {
		if v.Level > a.Kept {
			a.Kept = point.Calm // reached by what measures now: it falls by that, too
		} else if v.Level < a.Kept {
			v.Level, v.Because = a.Kept, append(slices.Clone(v.Because), phrase.M("alarm.kept"))
		}
	}
	if v.Blind != m.blind[v.Hazard] {
		m.blind[v.Hazard] = v.Blind
		k, shown := EventBlind, Alarm{Hazard: v.Hazard, Blind: v.Blind}
		if !v.Blind {
			k = EventSighted
		}
		if a != nil {
			a.Blind = v.Blind
			shown = *a
		}
		ev = append(ev, Event{k, shown, v.At})
	}
	switch {
	case a == nil && v.Level > point.Calm:
		a = &Alarm{ID: m.nameOf(v.Hazard), Hazard: v.Hazard, Level: v.Level, Peak: v.Level, State: Raised, Blind: v.Blind,
			Because: v.Because, Raised: v.At, Changed: v.At}
		m.open[v.Hazard] = a
		ev = append(ev, Event{EventRaised, a.copy(), v.At})
	case a == nil:
	case a.State == Subsided && v.Level > point.Calm:
		a.Level, a.State, a.By = v.Level, Raised, nil
		a.Peak = max(a.Peak, v.Level)
		ev = append(ev, a.change(EventAgain, v.Because, v.At))
	case v.Level > a.Level:
		a.Level, a.State, a.By = v.Level, Raised, nil
		a.Peak = max(a.Peak, v.Level)
		ev = append(ev, a.change(EventEscalated, v.Because, v.At))
	case v.Level < a.Level && a.Hazard != ByHand && a.State != Subsided:
		a.Level = v.Level
		k := EventEased
		if v.Level == point.Calm {
			a.State, k = Subsided, EventSubsided
		}
		ev = append(ev, a.change(k, v.Because, v.At))
	case v.Level == a.Level && len(v.Because) > 0:
		a.Because = v.Because
	}
	return ev
}

// nameOf gives a new alarm its id: a warning's alarm is called by the warning, so
// that one name runs from its first message to the last receipt.
func (m *Machine) nameOf(hazard string) string {
	if strings.HasPrefix(hazard, WarnedPrefix) {
		return WarnedID(hazard)
	}
	return m.newID()
}

// WarnedID is the name of the alarm of a warning's hazard.
func WarnedID(hazard string) string { return "w-" + strings.TrimPrefix(hazard, WarnedPrefix) }

func (a *Alarm) copy() Alarm {
	c := *a
	c.Because = slices.Clone(a.Because)
	return c
}

func (a *Alarm) change(k Kind, because []phrase.Message, at clock.Stamp) Event {
	a.Changed = at
	if len(because) > 0 {
		a.Because = because
	}
	return Event{k, a.copy(), at}
}

func (m *Machine) byID(id string) (*Alarm, error) {
	for _, a := range m.open {
		if a.ID == id {
			return a, nil
		}
	}
	return nil, phrase.E("alarm.no_such", "id", id)
}

// Acknowledge says that a named person has taken the alarm in hand.
func (m *Machine) Acknowledge(id string, who Who, at clock.Stamp) (Event, error) {
	if strings.TrimSpace(who.Name) == "" {
		return Event{}, phrase.E("alarm.needs_name")
	}
	a, err := m.byID(id)
	if err != nil {
		return Event{}, err
	}
	if a.State != Raised {
		return Event{}, phrase.E("alarm.not_raised", "id", id, "state", phrase.Message{Code: "alarm.state_" + string(a.State)})
	}
	a.State, a.By = Acknowledged, &who
	return a.change(EventAcknowledged, nil, at), nil
}

// Ruled says which hazards rules measure from now on. An alarm of any other stands
// until a named person releases it, since no reading ever will ease it.
func (m *Machine) Ruled(hazards []string) {
	m.ruled = map[string]bool{}
	for _, h := range hazards {
		m.ruled[h] = true
	}
}

// Keep has the levels of hazards stand although what measures them has changed: no change of
// a configuration lowers a level. It ends when what measures now reaches a higher one by
// itself, or when it measures none and a named person gives the all-clear.
func (m *Machine) Keep(hazards []string) (kept []string) {
	for _, h := range hazards {
		if a := m.open[h]; a != nil && a.Stands() && m.measured(h) {
			a.Kept = max(a.Kept, a.Level)
			kept = append(kept, h)
		}
	}
	return kept
}

// Orphans gives the hazards that have an alarm and no rule.
func (m *Machine) Orphans() []string {
	var out []string
	for h := range m.open {
		if !m.measured(h) && h != ByHand && !strings.HasPrefix(h, WarnedPrefix) {
			out = append(out, h)
		}
	}
	slices.Sort(out)
	return out
}

// InForce says which warnings from outside stand now, by hazard. One that does
// not, since it ended or since nobody remembers it, a named person may release.
func (m *Machine) InForce(hazards []string) {
	m.inForce = map[string]bool{}
	for _, h := range hazards {
		m.inForce[h] = true
	}
}

func (m *Machine) measured(hazard string) bool {
	return hazard != ByHand && !strings.HasPrefix(hazard, WarnedPrefix) && (m.ruled == nil || m.ruled[hazard])
}

// Release gives the all-clear by a named person. While measurements still hold
// the level it is refused, unless the alarm was raised by hand: a person cannot
// talk a river down. Nor can one here lift what the county ordered while that is
// in force: it ends by its own time or by the county's cancel.
func (m *Machine) Release(id string, who Who, reason string, at clock.Stamp) (Event, error) {
	if strings.TrimSpace(who.Name) == "" {
		return Event{}, phrase.E("alarm.needs_name")
	}
	a, err := m.byID(id)
	if err != nil {
		return Event{}, err
	}
	now, told := m.said[a.Hazard]
	calm := a.Kept > point.Calm && told && now == point.Calm
	if a.Stands() && m.measured(a.Hazard) && !calm {
		return Event{}, phrase.E("alarm.still_stands", "id", id)
	}
	if a.Stands() && m.inForce[a.Hazard] {
		return Event{}, phrase.E("alarm.warning_stands", "id", id)
	}
	return m.end(a, EventReleased, Released, who, reason, at), nil
}

// Lift gives the all-clear of a warning in the name of whoever warned, by their
// signed cancel. False where no such alarm is open.
func (m *Machine) Lift(hazard string, who Who, reason string, at clock.Stamp) (Event, bool) {
	a := m.open[hazard]
	if a == nil {
		return Event{}, false
	}
	return m.end(a, EventReleased, Released, who, reason, at), true
}

func (m *Machine) end(a *Alarm, k Kind, s State, who Who, reason string, at clock.Stamp) Event {
	a.State, a.Level, a.Reason, a.Kept = s, point.Calm, reason, point.Calm
	if a.By = &who; who == (Who{}) {
		a.By = nil
	}
	e := a.change(k, nil, at)
	delete(m.open, a.Hazard)
	m.ended = append(m.ended, e.Alarm)
	if len(m.ended) > keepEnded {
		m.ended = slices.Delete(m.ended, 0, len(m.ended)-keepEnded)
	}
	return e
}

// Lapse ends the alarms of warnings that ended by their own time longer ago than
// after, and that nobody released: the list must not grow for ever.
func (m *Machine) Lapse(after time.Duration, at clock.Stamp) []Event {
	var ev []Event
	for _, h := range slices.Sorted(maps.Keys(m.open)) {
		a := m.open[h]
		if !a.Warned() || a.State != Subsided {
			continue
		}
		if d, _ := at.Since(a.Changed); d > after {
			ev = append(ev, m.end(a, EventLapsed, Lapsed, Who{}, "", at))
		}
	}
	return ev
}

// RaiseByHand raises a level by a person on the spot (key, page). It is its own
// hazard, is held until it is released, and only ever rises before that.
func (m *Machine) RaiseByHand(l point.Level, who Who, reason string, at clock.Stamp) (Event, error) {
	if l == point.Calm {
		return Event{}, phrase.E("alarm.no_level")
	}
	if a := m.open[ByHand]; a != nil && a.Level >= l {
		return Event{}, phrase.E("alarm.already", "id", a.ID)
	}
	v := rule.Verdict{Hazard: ByHand, Level: l, At: at,
		Because: []phrase.Message{phrase.M("alarm.by_hand", "who", who.Name, "via", phrase.Message{Code: "via." + who.Via}, "reason", reason)}}
	ev := m.Apply(v)
	a := m.open[ByHand]
	a.By = &who
	e := ev[len(ev)-1]
	e.Alarm.By = &who
	return e, nil
}

// Has tells whether an alarm of a hazard is open.
func (m *Machine) Has(hazard string) bool { return m.open[hazard] != nil }

// Open gives the alarms that are not released, worst and oldest first.
func (m *Machine) Open() []Alarm {
	out := make([]Alarm, 0, len(m.open))
	for _, a := range m.open {
		out = append(out, a.copy())
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Level != out[j].Level {
			return out[i].Level > out[j].Level
		}
		return out[i].ID < out[j].ID
	})
	return out
}

// Ended gives the released alarms that are still remembered, newest first.
func (m *Machine) Ended() []Alarm {
	out := slices.Clone(m.ended)
	slices.Reverse(out)
	return out
}

// Worst gives the highest level that stands.
func (m *Machine) Worst() point.Level {
	l := point.Calm
	for _, a := range m.open {
		if a.Stands() {
			l = max(l, a.Level)
		}
	}
	return l
}

// AnyBlind tells whether some hazard has no good gauge.
func (m *Machine) AnyBlind() bool {
	for _, b := range m.blind {
		if b {
			return true
		}
	}
	return false
}

type saved struct {
	Version int     `json:"version"`
	Open    []Alarm `json:"open"`
	Ended   []Alarm `json:"ended"`
}

// Snapshot gives the alarms for the journal: version 1.
func (m *Machine) Snapshot() ([]byte, error) {
	return json.Marshal(saved{1, m.Open(), m.ended})
}

// Restore brings alarms back after a restart, under their ids and in their
// states. What the rules say now then raises or eases them as if nothing had
// happened. An alarm keeps the time it was raised. What is damaged is left out and
// told by the error; it takes no other alarm with it.
func (m *Machine) Restore(b []byte) ([]Alarm, error) {
	var s struct {
		Version int               `json:"version"`
		Open    []json.RawMessage `json:"open"`
		Ended   []json.RawMessage `json:"ended"`
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return m.Open(), fmt.Errorf("the alarms' memory: %w", err)
	}
	if s.Version != 1 {
		return m.Open(), fmt.Errorf("the alarms' memory has version %d", s.Version)
	}
	var damaged error
	for _, raw := range s.Open {
		var a Alarm
		if err := json.Unmarshal(raw, &a); err != nil || a.ID == "" || a.Hazard == "" {
			damaged = fmt.Errorf("the alarms' memory: an alarm that cannot be read: %w", cmp.Or(err, errNameless))
			continue
		}
		if m.open[a.Hazard] != nil {
			continue // raised anew since
		}
		switch a.State {
		case Raised, Acknowledged, Subsided:
		default: // a later release's, or damaged: what may stand, stands
			a.State = Raised
		}
		m.open[a.Hazard] = &a
	}
	m.ended = nil
	for _, raw := range s.Ended[max(0, len(s.Ended)-keepEnded):] {
		var a Alarm
		if json.Unmarshal(raw, &a) == nil {
			m.ended = append(m.ended, a)
		}
	}
	return m.Open(), damaged
}

var errNameless = errors.New("it has no id or no hazard")

// Prune forgets ended alarms that are older than a day.
func (m *Machine) Prune(now clock.Stamp) {
	m.ended = slices.DeleteFunc(m.ended, func(a Alarm) bool {
		d, _ := now.Since(a.Changed)
		return d > 24*time.Hour
	})
}
