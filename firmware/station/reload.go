package station

import (
	"context"
	"reflect"

	"tocsin/firmware/decide/rule"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// reload proves the site's file anew and takes over what changed: lines that
// differ are restarted, rules and plans are exchanged with their memory kept. A
// file with problems changes nothing. Outputs and keys are exchanged by a
// restart only, which resumes what sounds; the reload says so.
func (h *House) reload(ctx context.Context) {
	bp, ps := Load(h.bp.Doc.File)
	for _, p := range ps {
		h.log.Warn("site file", "problem", p.In(phrase.EN))
	}
	if config.Fatal(ps) {
		first := ps[0]
		for _, p := range ps {
			if !p.Warning {
				first = p
				break
			}
		}
		h.setFault("site file", phrase.M("station.reload_refused", "problem", phrase.Text{ZH: first.In(phrase.ZH), EN: first.In(phrase.EN)}))
		return
	}
	h.clearFault("site file")
	if !reflect.DeepEqual(bp.Outputs, h.bp.Outputs) || !reflect.DeepEqual(bp.Inputs, h.bp.Inputs) {
		h.setFault("site file", phrase.M("station.reload_restart"))
		bp.Outputs, bp.Inputs = h.bp.Outputs, h.bp.Inputs
	}
	err := h.do(func() {
		now := h.clock.Now()
		memory, _ := h.engine.State(now)
		e, err := rule.New(bp.Rules, bp.Sources, now)
		if err != nil {
			h.log.Error("reload", "err", err)
			return
		}
		if err := e.Restore(memory, now); err != nil {
			h.log.Warn("rules' memory not carried over", "err", err)
		}
		h.engine, h.bp = e, bp
		h.forget(bp)
	})
	if err != nil {
		h.log.Error("reload", "err", err)
		return
	}
	started, stopped := h.startLines(ctx, bp.Lines)
	h.log.Info("reloaded", "lines_started", started, "lines_stopped", stopped)
	h.record("system.reloaded", phrase.M("station.reloaded"), map[string]any{"lines_started": started, "lines_stopped": stopped})
}

// forget drops readings and faults of points and devices that are no more.
func (h *House) forget(bp *Blueprint) {
	there, device := map[point.ID]bool{}, map[string]bool{}
	for _, p := range bp.Points {
		there[p.ID], device[p.ID.Device()] = true, true
	}
	h.mu.Lock()
	var gone []point.ID
	for id := range h.latest {
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
