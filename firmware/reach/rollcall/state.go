package rollcall

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tocsin/firmware/point"
)

// kept is a snapshot: times count from Now.
type kept struct {
	Version int           `json:"version"`
	Now     time.Duration `json:"now"`
	Rounds  []*round      `json:"rounds"`
	Flying  *Task         `json:"flying,omitempty"`
}

// Snapshot gives all that a later run must know.
func (m *Machine) Snapshot(now time.Duration) ([]byte, error) {
	return json.Marshal(kept{1, now, m.rounds, m.flying})
}

// Restore takes a snapshot back. The time without power does not count. What was under
// way is told as not known: it may have been done, and counts as a try.
func (m *Machine) Restore(b []byte, now time.Duration) (ev []Event, err error) {
	var k kept
	if err := json.Unmarshal(b, &k); err != nil {
		return nil, err
	}
	if k.Version != 1 {
		return nil, fmt.Errorf("version %d", k.Version)
	}
	shift := func(at *time.Duration) { *at = min(max(*at-k.Now, -farthest), farthest) + now }
	var rounds []*round
	for _, r := range k.Rounds {
		if r == nil || r.Cause == "" || r.Level <= point.Calm || !slices.Contains([]Phase{Calling, Spent, Still, Clear}, r.Phase) || len(rounds) >= roundsMost {
			continue
		}
		shift(&r.Began)
		shift(&r.Quiet)
		shift(&r.Eased)
		for id, x := range r.Told {
			if x == nil || len(r.Told) > 4*PeopleMost {
				delete(r.Told, id)
				continue
			}
			shift(&x.Write)
			shift(&x.At)
			shift(&x.Next)
			x.Calls, x.Writes = max(0, x.Calls), max(0, x.Writes)
		}
		rounds = append(rounds, r)
	}
	// What was told while the past was read is newer.
	for _, r := range m.rounds {
		old := slices.IndexFunc(rounds, func(o *round) bool { return o.Cause == r.Cause })
		if old < 0 {
			rounds = append(rounds, r)
			continue
		}
		newer := r.Round
		r = rounds[old]
		r.follow(newer, now, m.t.Afresh)
		if r.Phase == Still || r.Phase == Clear {
			r.Phase = Calling
		}
	}
	m.rounds = rounds
	if k.Flying != nil && m.flying == nil {
		ev = append(ev, Event{What: Unknown, Task: *k.Flying})
		if r, p := m.find(k.Flying.Cause), m.byID(k.Flying.Person); k.Flying.Kind == Call && r != nil && p != nil && m.exhausted(r, p) && !r.person(p.ID).Missed {
			r.person(p.ID).Missed = true
			ev = append(ev, Event{What: Missed, Task: *k.Flying, Out: Outcome{Known: r.person(p.ID).Best}})
		}
	}
	return ev, nil
}

// farthest bounds times of a snapshot that is damaged.
const farthest = 30 * 24 * time.Hour

// Causes gives the rounds that are not over, so that whoever runs the machine can
// tell of alarms that ended while nobody looked.
func (m *Machine) Causes() (all []string) {
	for _, r := range m.rounds {
		if r.Phase != Clear {
			all = append(all, r.Cause)
		}
	}
	return all
}

// RoundView is a round as it may be shown.
type RoundView struct {
	Round
	Phase  Phase
	People []PersonView
	// Done: nobody is left to write to or to call. Missing: somebody who was to confirm
	// has not, nor a deputy.
	Done, Missing bool
}

// PersonView is how far one person is.
type PersonView struct {
	ID    string
	Wrote bool
	// Known is the most that is known; Called how often they were called at this
	// level; Key what confirmed.
	Known  Known
	Called int
	Key    string
	// Turn: they are called, in their own turn or as a deputy. Now: in this moment.
	Turn, Now bool
	// Missed: they were tried as often as may be.
	Missed bool
}

// View gives all rounds, the newest first.
func (m *Machine) View() (out []RoundView) {
	for _, r := range slices.Backward(m.rounds) {
		v := RoundView{Round: r.Round, Phase: r.Phase, Done: m.over(r) && !slices.ContainsFunc(m.people, func(p Person) bool { return m.writes(r, &p) }), Missing: m.missing(r)}
		for i := range m.people {
			p := &m.people[i]
			if !p.of(r) {
				continue
			}
			x := r.Told[p.ID]
			if x == nil {
				x = &told{}
			}
			pv := PersonView{ID: p.ID, Wrote: x.Wrote >= r.Level, Known: x.Best, Called: x.Calls, Missed: x.Missed}
			if m.confirmed(r, p.ID) {
				pv.Known, pv.Key = Confirmed, x.Key
			}
			pv.Turn = m.listed(r, p) && (m.turn(r, p) || x.Calls > 0)
			pv.Now = m.flying != nil && m.flying.Cause == r.Cause && m.flying.Person == p.ID
			v.People = append(v.People, pv)
		}
		out = append(out, v)
	}
	return out
}
