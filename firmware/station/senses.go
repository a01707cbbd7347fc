package station

import (
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
	"tocsin/firmware/serve/audit"
	"tocsin/firmware/sound/output"
)

// SensePlan is what one point says of the box itself.
type SensePlan struct {
	Role   profile.Role
	Point  point.ID
	Limit  time.Duration // age at which it says nothing any more
	Most   float64       // of an angle; 0 for a contact
	Output string        // of a loop
}

const (
	// loopOpen is the code of an output's fault that its loop is open.
	loopOpen = "loop_open"
)

var boxRoles = []profile.Role{profile.Door, profile.DoorShut, profile.Water, profile.Tilt, profile.Loop}

// proveBox finds the points that say how the box itself stands: those that the site names, and
// those that profiles give a role. No rule may judge by what they mean here, and they sound nothing.
func (p *prover) proveBox() {
	c := p.site.Box
	angle := c.TiltMost
	if angle == 0 && p.bp.Guard != nil {
		angle = p.bp.Guard.Senses.Lean
	}
	if angle < 0 || angle > guard.LeanMost || math.IsNaN(angle) {
		p.problem(phrase.M("site.box_tilt", "most", guard.LeanMost), "box", "tilt_most")
	}
	taken := map[point.ID]bool{}
	add := func(r profile.Role, pt *PointInfo, out string, path ...any) {
		s := SensePlan{Role: r, Point: pt.ID, Limit: pt.Limit, Output: out}
		switch {
		case r == profile.Tilt && pt.Unit == "°":
			s.Most = angle
		case pt.Unit != "on/off" && pt.Unit != "" || pt.Type == profile.String:
			p.problem(phrase.M("site.box_contact", "point", string(pt.ID), "unit", string(pt.Unit)), path...)
			return
		}
		if taken[pt.ID] {
			p.problem(phrase.M("site.box_twice", "point", string(pt.ID)), path...)
			return
		}
		taken[pt.ID] = true
		p.bp.Senses = append(p.bp.Senses, s)
	}
	find := func(id string, path ...any) *PointInfo {
		i := slices.IndexFunc(p.bp.Points, func(i PointInfo) bool { return string(i.ID) == id })
		if i < 0 {
			p.problem(p.noPoint(id), path...)
			return nil
		}
		return &p.bp.Points[i]
	}
	told := map[profile.Role]bool{}
	for _, k := range []struct {
		role   profile.Role
		key    string
		points []string
	}{{profile.Door, "door", c.Door}, {profile.DoorShut, "door_shut", c.DoorShut}, {profile.Water, "water", c.Water}, {profile.Tilt, "tilt", c.Tilt}} {
		for i, id := range k.points {
			told[k.role] = true
			if pt := find(id, "box", k.key, i); pt != nil {
				add(k.role, pt, "", "box", k.key, i)
			}
		}
	}
	var speakers []string
	for _, o := range p.bp.Outputs {
		if o.Kind == output.Loudspeaker {
			speakers = append(speakers, o.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Loop)) {
		told[profile.Loop] = true
		if !slices.Contains(speakers, name) {
			p.problem(phrase.M("site.no_output", "output", name, "outputs", strings.Join(speakers, "、")), "box", "loop", name)
		} else if pt := find(c.Loop[name], "box", "loop", name); pt != nil {
			add(profile.Loop, pt, name, "box", "loop", name)
		}
	}
	for i := range p.bp.Points {
		pt := &p.bp.Points[i]
		if !slices.Contains(boxRoles, pt.Role) || told[pt.Role] || taken[pt.ID] {
			continue
		}
		out := ""
		if pt.Role == profile.Loop && len(speakers) == 1 {
			out = speakers[0]
		}
		add(pt.Role, pt, out, "devices", pt.ID.Device())
	}
}

// senses watches the box itself. It is beside the alarm path, raises no alarm and sounds nothing.
type senses struct {
	h     *House
	watch map[SensePlan]*guard.Watch
}

// sensesLook is how often the box's own points are looked at.
const sensesLook = 500 * time.Millisecond

func (x *senses) run(ctx context.Context) error {
	t := time.NewTicker(sensesLook)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			x.look(x.h.clock.Now())
		}
	}
}

// look takes what the points say now.
func (x *senses) look(now clock.Stamp) {
	bp := x.h.seen().bp
	if x.watch == nil {
		x.watch = map[SensePlan]*guard.Watch{}
	}
	for s, w := range x.watch {
		if !slices.Contains(bp.Senses, s) { // a reload took it out
			if delete(x.watch, s); w.On() {
				x.h.clearFault(s.thing())
			}
		}
	}
	for _, s := range bp.Senses {
		w := x.watch[s]
		if w == nil {
			w = &guard.Watch{}
			x.watch[s] = w
		}
		v, known := x.h.says(s.Point, s.Limit, now)
		is := v != 0
		if s.Most > 0 {
			is = math.Abs(v) > s.Most
		}
		if s.Role == profile.DoorShut {
			is = v == 0
		}
		if !w.See(now.Mono, debounce(bp.Guard.Senses, s), is, known) {
			continue
		}
		if w.On() {
			x.began(s, v, now)
		} else {
			x.ended(s, now)
		}
	}
}

// says gives a point's good and fresh value.
func (h *House) says(id point.ID, limit time.Duration, now clock.Stamp) (float64, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.latest[id].fresh(limit, now)
}

// thing names the fault.
func (s SensePlan) thing() string {
	if s.Output != "" {
		return "output " + s.Output + " " + loopOpen
	}
	return "box " + s.kind() + " " + string(s.Point)
}

func (s SensePlan) kind() string {
	if s.Role == profile.DoorShut {
		return string(profile.Door)
	}
	return string(s.Role)
}

func (x *senses) began(s SensePlan, v float64, now clock.Stamp) {
	why, kind := phrase.Message{}, "box."+s.kind()
	switch s.kind() {
	case string(profile.Door):
		why = phrase.M("guard.door_open", "point", string(s.Point))
		if m := x.h.maintained(); m != nil {
			why = phrase.M("guard.door_work", "point", string(s.Point), "who", m.By.Name)
		} else {
			kind = "box.tamper"
		}
	case string(profile.Water):
		why = phrase.M("guard.water", "point", string(s.Point))
	case string(profile.Tilt):
		if why = phrase.M("guard.tilt", "point", string(s.Point)); s.Most > 0 {
			why = phrase.M("guard.tilt_by", "point", string(s.Point), "degrees", strconv.FormatFloat(v, 'f', 1, 64))
		}
	default:
		if why = phrase.M("guard.loop", "point", string(s.Point)); s.Output != "" {
			why = phrase.M("guard.loop_of", "output", s.Output)
		}
	}
	x.h.setFault(s.thing(), why)
	x.h.record(kind, why, map[string]any{"point": string(s.Point)})
	x.audit(kind, s)
}

func (x *senses) ended(s SensePlan, now clock.Stamp) {
	x.h.clearFault(s.thing())
	if s.kind() == string(profile.Door) {
		x.h.record("box.shut", phrase.M("guard.door_shut", "point", string(s.Point)), map[string]any{"point": string(s.Point)})
		x.audit("box.shut", s)
	}
}

// audit keeps who may have touched the box: what hands do to it belongs beside what they do on the page.
func (x *senses) audit(kind string, s SensePlan) {
	if x.h.audit == nil || s.kind() != string(profile.Door) {
		return
	}
	who := ""
	if m := x.h.maintained(); m != nil {
		who = m.By.Name
	}
	x.h.audit.Note(audit.Entry{Op: kind, Status: 200, Via: "box", Who: who, Target: string(s.Point)})
}

func debounce(r guard.Senses, s SensePlan) guard.Debounce {
	switch s.Role {
	case profile.Water:
		return r.Water
	case profile.Tilt:
		return r.Tilt
	case profile.Loop:
		return r.Loop
	}
	return r.Door
}
