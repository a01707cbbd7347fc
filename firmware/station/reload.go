package station

import (
	"context"
	"reflect"
	"slices"

	"tocsin/firmware/decide/rule"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// refused calls the first problem of a site file that is not in force.
func (h *House) refused(ps []config.Problem) {
	first := ps[0]
	for _, p := range ps {
		if !p.Warning {
			first = p
			break
		}
	}
	h.setFault("site file", phrase.M("station.reload_refused", "problem", phrase.Text{ZH: first.In(phrase.ZH), EN: first.In(phrase.EN)}))
}

// reload proves the site's file anew and takes over what changed: lines that
// differ are restarted, rules and plans are exchanged with their memory kept. A
// file with problems changes nothing. Nor does one with other outputs, keys,
// levels or sounds, which a restart exchanges (it resumes what sounds): half of
// such a file would leave plans that name outputs which the desk does not know,
// or relays whose board is gone, and so a siren that is silent.
func (h *House) reload(ctx context.Context) {
	bp, ps := Load(h.bp.Doc.File)
	for _, p := range ps {
		h.log.Warn("site file", "problem", p.In(phrase.EN))
	}
	if config.Fatal(ps) {
		h.refused(ps)
		return
	}
	if blank(bp.Doc) && (!blank(h.bp.Doc) || h.lostSite()) { // nobody means to leave a village without a watch
		h.refused([]config.Problem{lost(h.bp.Doc.File)})
		return
	}
	if !h.calm() && h.nameless() {
		h.waiting.Store(true)
		h.setFault("site file", phrase.M("station.reload_level"))
		return
	}
	h.waiting.Store(false)
	h.clearFault("site file")
	if needsRestart(h.bp, bp) {
		h.setFault("site file", phrase.M("station.reload_restart"))
		return
	}
	var kept []string
	err := h.do(func() {
		now := h.clock.Now()
		kept = h.alarms.Keep(remeasured(h.bp, bp))
		h.take(h.engine.Held())
		memory, _ := h.engine.State(now)
		e, err := rule.New(bp.Rules, bp.Sources, now)
		if err != nil {
			h.log.Error("reload", "err", err)
			return
		}
		e.Doubt(bp.Doubts)
		if err := e.Restore(memory, now); err != nil {
			h.log.Warn("rules' memory not carried over", "err", err)
		}
		for _, a := range h.alarms.Open() {
			if a.Stands() {
				e.Hold(a.Hazard, a.Level) // a condition that is no more has measured nothing
			}
		}
		h.engine, h.bp = e, bp
		h.ruled()
		h.forget(bp)
	})
	if err != nil {
		h.log.Error("reload", "err", err)
		return
	}
	h.county.reload(bp)
	h.applyNetwork(bp)
	h.beacons.renew(bp)
	h.roll.renew(bp)
	started, stopped := h.startLines(ctx, bp.Lines)
	h.setpoints.Plan(bp.setpoints())
	h.startProxies(ctx, bp.Doc.Site.Proxies)
	h.video.renew(bp.Doc.Site.Video)
	if err := keepLastGood(h.o.Data, bp.Doc); err != nil {
		h.log.Warn("the site file was not put away as the last good one", "err", err)
	}
	for _, hz := range kept {
		h.record("alarm.kept", phrase.M("station.level_kept", "hazard", phrase.Text{ZH: h.seen().hazard(hz).ZH, EN: h.seen().hazard(hz).EN}), map[string]any{"hazard": hz})
	}
	h.log.Info("reloaded", "lines_started", started, "lines_stopped", stopped)
	h.record("system.reloaded", phrase.M("station.reloaded"), map[string]any{"lines_started": started, "lines_stopped": stopped})
}

// remeasured gives the hazards of old that are measured otherwise now: another threshold, another
// gauge, or a gauge that is read otherwise. What cannot be compared counts as changed.
func remeasured(old, now *Blueprint) (all []string) {
	read := reflect.DeepEqual(unnamed(old.Points), unnamed(now.Points)) && reflect.DeepEqual(units(old.Lines), units(now.Lines)) && reflect.DeepEqual(old.Sources, now.Sources) && reflect.DeepEqual(old.Doubts, now.Doubts)
	for _, r := range old.Rules {
		i := slices.IndexFunc(now.Rules, func(n rule.Spec) bool { return n.Hazard == r.Hazard })
		if !read || i < 0 || !reflect.DeepEqual(now.Rules[i], r) {
			all = append(all, r.Hazard)
		}
	}
	return all
}

// unnamed are points without what they are called.
func unnamed(all []PointInfo) []PointInfo {
	out := slices.Clone(all)
	for i := range out {
		out[i].Name, out[i].Quantity, out[i].Every, out[i].Limit = phrase.Text{}, phrase.Text{}, 0, 0
	}
	return out
}

// units are the devices of lines, and how they are read.
func units(all []LinePlan) (out []UnitPlan) {
	for _, l := range all {
		out = append(out, l.Units...)
	}
	return out
}

// needsRestart tells whether what the running desk, outputs and announcer were
// built from has changed.
func needsRestart(old, bp *Blueprint) bool {
	same := func(a, b any) bool { return reflect.DeepEqual(a, b) }
	if !same(bp.Outputs, old.Outputs) || !same(bp.Inputs, old.Inputs) || !same(bp.Levels, old.Levels) ||
		!same(bp.Doc.Site.History, old.Doc.Site.History) || !same(bp.Bounds, old.Bounds) || !same(bp.Tones, old.Tones) || !same(bp.Langs, old.Langs) || !same(bp.Time, old.Time) || !same(bp.Guard, old.Guard) {
		return true
	}
	was, now := old.Doc.Site.Page, bp.Doc.Site.Page
	was.Viewers, now.Viewers = "", "" // asked at every request
	if !same(was, now) {
		return true
	}
	held := map[string]bool{}
	for _, p := range old.Plans {
		for _, id := range p.Clips() {
			held[id] = true
		}
	}
	for _, id := range old.ByHand.heldClips() {
		held[id] = true
	}
	for _, p := range bp.Plans {
		if slices.ContainsFunc(p.Clips(), func(id string) bool { return !held[id] }) {
			return true
		}
	}
	return slices.ContainsFunc(bp.ByHand.heldClips(), func(id string) bool { return !held[id] })
}

// forget drops readings and faults of points and devices that are no more.
func (h *House) forget(bp *Blueprint) {
	there, device := map[point.ID]bool{}, map[string]bool{}
	for _, p := range bp.Points {
		there[p.ID], device[p.ID.Device()] = true, true
	}
	h.mu.Lock()
	var gone []point.ID
	for id, s := range h.latest {
		s.next = nil // it may be of those that go
		if !there[id] && id.Device() != "gpio" {
			gone = append(gone, id)
			delete(h.latest, id)
		}
	}
	h.mu.Unlock()
	for _, id := range gone {
		things := []string{"point " + string(id)}
		if !device[id.Device()] {
			things = append(things, "device "+id.Device())
		}
		for _, thing := range things {
			delete(h.badAt, thing)
			h.clearFault(thing)
		}
	}
}
