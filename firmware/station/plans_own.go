package station

import (
	"io/fs"
	"maps"
	"slices"
	"strings"

	"tocsin/firmware/decide/plan"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/speech"
)

// plansMost bounds a site's own plans, stepMost the clips of a step.
const (
	plansMost = 16
	stepMost  = 12
)

// provePlans proves every plan of the document's own, used or not: one that nobody can follow is
// found when it is written, not when it is needed.
func (p *prover) provePlans() {
	if len(p.site.Plans) > plansMost {
		p.problem(phrase.M("site.plans_many", "most", plansMost), "plans")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(p.site.Plans)) {
		if !plainName.MatchString(name) {
			p.problem(phrase.M("site.plan_name", "plan", name), "plans", name)
			continue
		}
		p.plan(name, "plans", name)
	}
}

// ownPlan gives a plan that stands in the document itself.
func (p *prover) ownPlan(name string, c config.Plan) *plan.Plan {
	pl := &plan.Plan{Version: 1, Plan: name, Name: c.Name, Levels: map[string]plan.Step{}}
	good := true
	step := func(s config.PlanStep, path ...any) plan.Step {
		x := plan.Step{Tone: s.Tone, Clips: s.Clips, Outputs: slices.Clone(s.Outputs), Resound: point.Span(s.Resound.Duration()), For: point.Span(s.For.Duration()),
			Duty: plan.Duty{On: point.Span(s.Duty.On.Duration()), Off: point.Span(s.Duty.Off.Duration())}}
		for by, clips := range s.ClipsBy {
			if x.ClipsBy == nil {
				x.ClipsBy = map[plan.By][]string{}
			}
			x.ClipsBy[plan.By(by)] = clips
		}
		if len(s.Outputs) == 0 {
			x.Zones = s.Zones
		}
		if len(x.AllClips()) > stepMost {
			p.problem(phrase.M("site.plan_clips", "most", stepMost), path...)
			good = false
		}
		for _, z := range s.Zones {
			found := false
			for _, o := range slices.Sorted(maps.Keys(p.site.Outputs)) {
				if slices.Contains(p.site.Outputs[o].Zones, z) {
					if found = true; !slices.Contains(x.Outputs, o) {
						x.Outputs = append(x.Outputs, o)
					}
				}
			}
			if !found { // without it the step would sound everywhere, or nowhere
				p.problem(phrase.M("site.plan_zone", "zone", z), append(path, "zones")...)
				good = false
			}
		}
		return x
	}
	for code, s := range c.Levels {
		pl.Levels[code] = step(s, "plans", name, "levels", code)
	}
	pl.AllClear, pl.Drill = step(c.AllClear, "plans", name, "all_clear"), step(c.Drill, "plans", name, "drill")
	pl.Test, pl.Notice = step(c.Test, "plans", name, "test"), step(c.Notice, "plans", name, "notice")
	if err := pl.Prove("plans."+name, p.bp.Levels); err != nil {
		p.problem(phrase.M("site.bad_plan", "plan", name, "detail", err), "plans", name)
		good = false
	}
	if !good {
		return nil
	}
	return pl
}

// planChoices are what steps can be made of here.
func (bp *Blueprint) planChoices() *api.PlanChoices {
	c := &api.PlanChoices{Tones: []string{}, Clips: []api.PlanChoice{}, Outputs: []api.PlanChoice{}, Zones: []string{}, ResoundMost: plan.ResoundMost}
	if bp.Tones != nil {
		c.Tones = append(c.Tones, bp.Tones.Names()...)
		slices.Sort(c.Tones)
	}
	script, _ := speech.LoadScript(bp.FS, "clips/clips.yaml") // without it they have no words
	files, _ := fs.ReadDir(bp.FS, "clips")
	seen := map[string]bool{}
	for _, f := range files {
		id, wav := strings.CutSuffix(f.Name(), ".wav")
		if i := strings.LastIndexByte(id, '.'); i > 0 {
			id = id[:i]
		}
		if !wav || seen[id] || strings.HasPrefix(id, speech.PiecePrefix) {
			continue
		}
		seen[id] = true
		w := script.Clips[id]
		c.Clips = append(c.Clips, api.PlanChoice{ID: id, Text: words(phrase.Text{ZH: w.ZH, EN: w.EN}, id)})
	}
	for _, o := range bp.Outputs {
		t, _ := bp.outputText(o.Name)
		c.Outputs = append(c.Outputs, api.PlanChoice{ID: o.Name, Text: words(t, o.Name)})
		for _, z := range o.Config.Zones {
			if !slices.Contains(c.Zones, z) {
				c.Zones = append(c.Zones, z)
			}
		}
	}
	slices.Sort(c.Zones)
	return c
}
