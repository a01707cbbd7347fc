package station

import (
	"encoding/json"
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/order"
)

// maintenance says that a named person works here. It is a STOP that they give before the
// fact: a level that this box's own rules raise meanwhile begins silent, as one that
// was stopped, and so sounds again within its plan's time unless somebody acknowledges it,
// and at once when it rises to an evacuation or the work is over. The evacuation's level,
// what the county warns of and what a person raises are never silenced by it (design,
// "What never gives way" 1 and 3).
//
// It ends by itself. Where no clock can tell how long ago it began, it is over.
type maintenance struct {
	By    order.Who     `json:"by"`
	Why   string        `json:"why"`
	Begun clock.Stamp   `json:"begun"`
	For   time.Duration `json:"for"`
	Muted []string      `json:"muted,omitempty"` // alarms that began silent
}

// keyMaintenance is where the journal keeps it.
const keyMaintenance = "maintenance"

// left is how long it still lasts.
func (m *maintenance) left(now clock.Stamp) time.Duration {
	d, known := now.Since(m.Begun)
	if !known {
		return 0
	}
	return m.For - d
}

// maintained gives the maintenance that stands; nil for none.
func (h *House) maintained() *maintenance {
	m := h.maintenance.Load()
	if m == nil || m.left(h.clock.Now()) <= 0 {
		return nil
	}
	return m
}

func (h *House) maintenanceView() *api.Maintenance {
	m := h.maintained()
	if m == nil {
		return nil
	}
	return &api.Maintenance{By: api.Who(m.By), Why: m.Why, Since: m.Begun.Wall, Left: m.left(h.clock.Now()), Muted: append([]string{}, m.Muted...)}
}

// Maintain begins maintenance in a person's name. It is refused while a level stands: what
// sounds is stopped by STOP.
func (h *House) Maintain(a api.MaintenanceAsk, who api.Who) (out api.Maintenance, err error) {
	err = h.act(func() error {
		if h.alarms.Worst() > point.Calm {
			return phrase.E("station.maintenance_level")
		}
		if !h.recalls {
			return phrase.E("station.busy") // what an earlier run kept has not been read yet
		}
		m := &maintenance{By: order.Who(who), Why: a.Why, Begun: h.clock.Now(), For: min(time.Duration(a.Minutes)*time.Minute, h.bp.ByHand.Maintenance)}
		h.maintenance.Store(m)
		h.keepMaintenance(m, journal.Record{Kind: "maintenance.began", Who: who.Name, Via: who.Via, At: m.Begun,
			Message: phrase.M("station.maintenance_began", "who", who.Name, "for", point.Span(m.For).String(), "why", a.Why)})
		out = *h.maintenanceView()
		return nil
	})
	return out, err
}

// EndMaintenance ends it before its time. Where there is none it has ended.
func (h *House) EndMaintenance(who api.Who) error {
	return h.act(func() error {
		if m := h.maintenance.Load(); m != nil {
			h.endMaintenance(m, order.Who(who), phrase.M("station.maintenance_ended", "who", who.Name))
		}
		return nil
	})
}

// passMaintenance ends it in its time. On the decide goroutine.
func (h *House) passMaintenance() {
	if m := h.maintenance.Load(); m != nil && h.maintained() == nil {
		h.endMaintenance(m, m.By, phrase.M("station.maintenance_over", "who", m.By.Name))
	}
}

// endMaintenance lets what began silent sound, where nobody has taken it in hand. On the
// decide goroutine.
func (h *House) endMaintenance(m *maintenance, who order.Who, why phrase.Message) {
	h.maintenance.Store(nil)
	for _, a := range h.alarms.Open() {
		if !slices.Contains(m.Muted, a.ID) || !a.Stands() || a.State == alarm.Acknowledged {
			continue
		}
		if _, silent := h.halted[a.ID]; !silent {
			continue // it sounds already
		}
		delete(h.halted, a.ID)
		h.announcer.Withdraw(a.ID, why)
		h.sound(a, false)
	}
	h.keepMaintenance(nil, journal.Record{Kind: "maintenance.ended", Who: who.Name, Via: who.Via, At: h.clock.Now(), Message: why})
}

func (h *House) keepMaintenance(m *maintenance, r journal.Record) {
	b, _ := json.Marshal(m)
	state := h.stateOfHalts()
	if state == nil {
		state = map[string][]byte{}
	}
	state[keyMaintenance] = b
	h.write(r, state)
}

// recallMaintenance takes back what an earlier run kept; what has ended meanwhile leaves no
// silence behind.
func (h *House) recallMaintenance(b []byte) error {
	var m *maintenance
	if err := json.Unmarshal(b, &m); err != nil || m == nil {
		return err
	}
	h.maintenance.Store(m)
	if h.maintained() != nil {
		return nil
	}
	for _, id := range m.Muted {
		delete(h.halted, id)
	}
	h.maintenance.Store(nil)
	h.keepMaintenance(nil, journal.Record{Kind: "maintenance.ended", Who: m.By.Name, Via: m.By.Via, At: h.clock.Now(), Message: phrase.M("station.maintenance_over", "who", m.By.Name)})
	return nil
}

// muted tells whether what a rule raises now begins silent, and keeps that it did. On the
// decide goroutine.
func (h *House) muted(a alarm.Alarm, level point.Level, src order.Source) bool {
	m := h.maintained()
	if m == nil || src != order.Rule || level >= h.bp.ByHand.Evacuate {
		return false
	}
	now := h.clock.Now()
	h.halted[a.ID] = halt{a.Level, m.By, now}
	if !slices.Contains(m.Muted, a.ID) {
		c := *m
		c.Muted = append(slices.Clone(m.Muted), a.ID)
		h.maintenance.Store(&c)
		h.keepMaintenance(&c, journal.Record{Kind: "maintenance.muted", Cause: a.ID, Who: m.By.Name, Via: m.By.Via, At: now,
			Message: phrase.M("station.maintenance_muted", "hazard", a.Hazard, "level", h.bp.Levels.Rank(level).Name, "who", m.By.Name)})
	}
	return true
}
