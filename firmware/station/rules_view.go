package station

import (
	"maps"
	"slices"
	"strings"

	"tocsin/firmware/decide/plan"
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

var _ api.Ruled = (*House)(nil)

var kindNames = map[rule.Kind]string{rule.Value: "value", rule.Sum: "sum", rule.Rise: "rise"}

// Rules gives every rule as people say it, armed or not.
func (h *House) Rules() []api.RuleView {
	return h.seen().bp.rules()
}

func (bp *Blueprint) rules() []api.RuleView {
	var out []api.RuleView
	for _, name := range slices.Sorted(maps.Keys(bp.Doc.Site.Rules)) {
		out = append(out, bp.ruleView(name))
	}
	return out
}

func (bp *Blueprint) ruleView(name string) api.RuleView {
	r := bp.Doc.Site.Rules[name]
	v := api.RuleView{Hazard: name, Name: named(r.Name, name), Managed: bp.managerOf("/rules/" + name), Conditions: []api.RuleCondition{}, OnLoss: api.TextOf(phrase.M("rules.loss_none"))}
	if r.SetBy != nil {
		v.SetBy, v.SetOn = r.SetBy.Name, r.SetBy.Date
	}
	if p := bp.PlanOf[name]; p != nil {
		v.Plan, v.PlanName = p.Plan, p.Name
	}
	i := slices.IndexFunc(bp.Rules, func(s rule.Spec) bool { return s.Hazard == name })
	if i < 0 {
		return v
	}
	v.Armed = true
	spec := bp.Rules[i]
	switch {
	case spec.LossTo > point.Calm:
		v.OnLoss = api.TextOf(phrase.M("rules.loss_raises", "after", spanText(spec.LossAfter), "level", bp.Levels.Rank(spec.LossTo).Name))
	case r.OnLoss != nil:
		v.OnLoss = api.TextOf(phrase.M("rules.loss_calls"))
	}
	for n, c := range spec.AnyOf {
		x := api.RuleCondition{Index: n, Point: c.Point, Kind: kindNames[c.Kind], Unit: string(c.Unit), Window: c.Window, Below: c.Below, Dwell: c.Dwell, ClearDwell: c.ClearDwell, Levels: []api.RuleThreshold{}}
		if len(spec.AnyOf) != len(r.AnyOf) {
			x.Index = -1 // some of the file's do not count, such as for another soil
		}
		for _, t := range c.Levels {
			rank := bp.Levels.Rank(t.Level)
			x.Levels = append(x.Levels, api.RuleThreshold{Level: rank.Code, LevelText: words(rank.Name, rank.Code), On: t.On, Off: t.Off, Sentence: api.TextOf(bp.spell(sentence(c, t, rank)))})
		}
		v.Conditions = append(v.Conditions, x)
	}
	return v
}

// sentence says a threshold as people do: when … for … then ….
func sentence(c rule.Condition, t rule.Threshold, rank plan.Rank) phrase.Message {
	held := phrase.Text{}
	if c.Dwell > 0 {
		held = inBoth(phrase.M("rules.held", "span", spanText(c.Dwell)))
	}
	stays := phrase.Text{}
	if c.ClearDwell > 0 {
		stays = inBoth(phrase.M("rules.held_back", "span", spanText(c.ClearDwell)))
	}
	back := phrase.M("rules.back_under", "off", c.Unit.Write(t.Off), "unit", string(c.Unit), "held", stays)
	if c.Below {
		back = phrase.M("rules.back_over", "off", c.Unit.Write(t.Off), "unit", string(c.Unit), "held", stays)
	}
	p := []any{"point", string(c.Point), "on", c.Unit.Write(t.On), "unit", string(c.Unit), "held", held, "then", rank.Name, "back", back}
	switch {
	case c.Kind == rule.Sum:
		return phrase.M("rules.sum", append(p, "window", spanText(c.Window))...)
	case c.Kind == rule.Rise:
		return phrase.M("rules.rise", append(p, "window", spanText(c.Window))...)
	case c.Below:
		return phrase.M("rules.below", p...)
	}
	return phrase.M("rules.value", p...)
}

// Plans gives the plans that this site works by.
func (h *House) Plans() []api.PlanView {
	s := h.seen()
	out := s.plans()
	if len(out) > 0 {
		out[0].Choices = s.bp.planChoices()
	}
	return out
}

func (s shown) plans() []api.PlanView {
	var out []api.PlanView
	for _, name := range slices.Sorted(maps.Keys(s.bp.Plans)) {
		p := s.bp.Plans[name]
		_, own := s.bp.Doc.Site.Plans[name]
		v := api.PlanView{Plan: p.Plan, Name: p.Name, Hazards: []api.Text{}, Own: own, Managed: s.bp.managerOf("/plans/" + name)}
		for _, hazard := range slices.Sorted(maps.Keys(s.bp.PlanOf)) {
			if s.bp.PlanOf[hazard] == p {
				v.Hazards = append(v.Hazards, s.hazard(hazard))
			}
		}
		for _, code := range s.bp.Levels.Codes() {
			l, _ := s.bp.Levels.Level(code)
			v.Steps = append(v.Steps, s.bp.planStep(code, s.bp.Levels.Rank(l).Name, p.At(l, s.bp.Levels)))
		}
		for _, x := range []struct {
			code string
			name phrase.Message
			step plan.Step
		}{{"all_clear", phrase.M("rules.all_clear"), p.AllClear}, {"drill", phrase.M("rules.drill"), p.Drill}, {"test", phrase.M("rules.test"), p.Test}, {"notice", phrase.M("rules.notice"), p.Notice}} {
			if x.step.Tone != "" || len(x.step.Clips) > 0 {
				v.Steps = append(v.Steps, s.bp.planStep(x.code, inBoth(x.name), x.step))
			}
		}
		out = append(out, v)
	}
	return out
}

func (bp *Blueprint) planStep(code string, name phrase.Text, st plan.Step) api.PlanStep {
	x := api.PlanStep{Step: code, Name: words(name, code), Sentence: api.TextOf(bp.does(st)), Tone: st.Tone, ByHand: st.ClipsBy[plan.Hand], Zones: st.Zones, Clips: st.Clips, Outputs: st.Outputs,
		On: st.Duty.On.Duration(), Off: st.Duty.Off.Duration(), Resound: st.Resound.Duration(), For: st.For.Duration()}
	for by, clips := range st.ClipsBy {
		if x.ClipsBy == nil {
			x.ClipsBy = map[string][]string{}
		}
		x.ClipsBy[string(by)] = clips
	}
	if x.Everywhere = len(x.Outputs) == 0; x.Everywhere {
		for _, o := range bp.Outputs {
			x.Outputs = append(x.Outputs, o.Name)
		}
	}
	if x.Outputs == nil {
		x.Outputs = []string{}
	}
	return x
}

// does says what a step does, by what.
func (bp *Blueprint) does(st plan.Step) phrase.Message {
	names := st.Outputs
	if len(names) == 0 {
		for _, o := range bp.Outputs {
			names = append(names, o.Name)
		}
	}
	var zh, en []string
	for _, n := range names {
		t, _ := bp.outputText(n)
		zh, en = append(zh, t.ZH), append(en, t.EN)
	}
	by := phrase.Text{ZH: strings.Join(zh, "、"), EN: strings.Join(en, ", ")}
	said := phrase.M("rules.says_tone")
	switch {
	case len(st.Clips) > 0 && st.Tone != "":
		said = phrase.M("rules.says_both", "clips", strings.Join(st.Clips, "、"))
	case len(st.Clips) > 0:
		said = phrase.M("rules.says_clips", "clips", strings.Join(st.Clips, "、"))
	}
	switch {
	case st.Duty.On > 0:
		return phrase.M("rules.does_stands", "outputs", by, "said", said, "on", spanText(st.Duty.On.Duration()), "off", spanText(st.Duty.Off.Duration()), "resound", spanText(st.Resound.Duration()))
	case st.For > 0:
		return phrase.M("rules.does_once", "outputs", by, "said", said, "for", spanText(st.For.Duration()))
	}
	return phrase.M("rules.does_plain", "outputs", by, "said", said)
}
