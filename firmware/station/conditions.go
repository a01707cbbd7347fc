package station

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"tocsin/firmware/decide/plan"
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

// Windows of sums and rises that a rule may name: 1 minute so that a bench can be
// quick, 72 hours since rules for wet ground look that far back.
const (
	windowLeast = time.Minute
	windowMost  = 72 * time.Hour
)

// defaultOff is where a sum's level goes off again when the rule does not say:
// four fifths of its threshold. `edged check --explain` prints it.
const defaultOff = 0.8

// condition reads one condition of a rule. It gives false where the condition
// does not count (another soil) or has problems.
func (p *prover) condition(hazard string, i int, m map[string]any) (rule.Condition, bool) {
	path := []any{"rules", hazard, "any_of", i}
	bad := func(key string, msg phrase.Message) {
		p.problem(msg, append(slices.Clone(path), key)...)
	}
	before := len(p.problems)
	c := rule.Condition{}

	known := append([]string{"point", "over", "rises", "soil", "for", "after", "when", "clear_below", "clear_above"}, p.bp.Levels.Codes()...)
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		if !slices.Contains(known, k) {
			bad(k, phrase.M("site.condition_key", "key", k, "known", strings.Join(known, " ")))
		}
	}
	id, _ := m["point"].(string)
	c.Point = point.ID(id)
	info, ok := p.points[c.Point]
	if p.told(c.Point.Device()) {
		return c, false
	}
	if !ok {
		bad("point", p.noPoint(id))
		return c, false
	}
	c.Unit = info.Unit

	span := func(key string) time.Duration {
		v, there := m[key]
		if !there {
			return 0
		}
		s, err := point.ParseSpan(fmt.Sprint(v))
		if err != nil {
			bad(key, phrase.M("site.bad_value", "key", key, "detail", err))
		}
		return s.Duration()
	}
	amount := func(key string) (float64, bool) {
		v, there := m[key]
		if !there {
			return 0, false
		}
		a, err := point.ParseAmount(fmt.Sprint(v))
		if err != nil {
			bad(key, phrase.M("site.bad_value", "key", key, "detail", err))
			return 0, false
		}
		x, err := a.In(info.Unit)
		if err != nil {
			bad(key, phrase.M("site.wrong_unit", "point", id, "unit", string(info.Unit), "value", a.String()))
			return 0, false
		}
		return x, true
	}

	c.Window, c.ClearDwell, c.Dwell = span("over"), span("for"), span("after")
	_, rises := m["rises"]
	switch {
	case rises:
		c.Kind = rule.Rise
	case c.Window > 0:
		c.Kind = rule.Sum
	}
	if c.Kind != rule.Value && (c.Window < windowLeast || c.Window > windowMost) {
		bad("over", phrase.M("site.window", "least", point.Span(windowLeast).String(), "most", point.Span(windowMost).String()))
	}
	if info.Type == profile.String {
		bad("point", phrase.M("site.text_point", "point", id))
	}
	if c.Kind == rule.Value {
		p.sameDatum(c.Point, info, bad)
	}
	if c.Kind == rule.Sum && info.Counter == nil {
		bad("point", phrase.M("site.not_counter", "point", id))
	}
	switch w := m["when"]; w {
	case nil, "above":
	case "below":
		c.Below = true
	default:
		bad("when", phrase.M("site.when", "value", fmt.Sprint(w)))
	}

	p.thresholds(&c, m, amount, bad)
	if len(c.Levels) == 0 && len(p.problems) == before {
		bad("point", phrase.M("site.no_threshold", "levels", strings.Join(p.bp.Levels.Codes(), "、")))
	}
	if soil, there := m["soil"]; there {
		s := fmt.Sprint(soil)
		if !slices.Contains([]string{"dry", "medium", "wet"}, s) {
			bad("soil", phrase.M("site.soil", "value", s))
		}
		site := p.site.Site.Soil
		if site == "" {
			site = "wet"
		}
		if s != site {
			return c, false
		}
	}
	return c, len(p.problems) == before
}

func (p *prover) thresholds(c *rule.Condition, m map[string]any, amount func(string) (float64, bool), bad func(string, phrase.Message)) {
	rise, _ := amount2(m, "rises", amount)
	for _, code := range p.bp.Levels.Codes() {
		v, there := m[code]
		if !there {
			continue
		}
		l, _ := p.bp.Levels.Level(code)
		if c.Kind == rule.Rise {
			if v != true {
				bad(code, phrase.M("site.rise_level", "level", code))
				continue
			}
			c.Levels = append(c.Levels, rule.Threshold{Level: l, On: rise, Off: rise * defaultOff})
			continue
		}
		if x, ok := amount(code); ok {
			c.Levels = append(c.Levels, rule.Threshold{Level: l, On: x})
		}
	}
	for i := 1; i < len(c.Levels); i++ {
		if up := c.Levels[i].On > c.Levels[i-1].On; up == c.Below {
			bad(p.bp.Levels.Rank(c.Levels[i].Level).Code, phrase.M("site.threshold_order",
				"higher", p.bp.Levels.Rank(c.Levels[i].Level).Code, "lower", p.bp.Levels.Rank(c.Levels[i-1].Level).Code))
		}
	}
	if len(c.Levels) == 0 || c.Kind == rule.Rise {
		return
	}
	key, sign := "clear_below", 1.0
	if c.Below {
		key, sign = "clear_above", -1.0
	}
	off, told := amount(key)
	first := c.Levels[0].On
	switch {
	case told && (first-off)*sign <= 0:
		bad(key, phrase.M("site.clear_side", "key", key, "threshold", first, "unit", string(c.Unit)))
	case told:
		for i := range c.Levels {
			c.Levels[i].Off = c.Levels[i].On - (first - off)
		}
	case c.Kind == rule.Sum:
		for i := range c.Levels {
			c.Levels[i].Off = c.Levels[i].On * defaultOff
		}
	default:
		if _, there := m[key]; !there {
			bad("point", phrase.M("site.needs_clear", "key", key))
		}
	}
}

// amount2 reads an amount that must be above zero.
func amount2(m map[string]any, key string, amount func(string) (float64, bool)) (float64, bool) {
	if _, there := m[key]; !there {
		return 0, false
	}
	v, ok := amount(key)
	return v, ok && v > 0
}

// hazard reads one rule.
func (p *prover) hazard(name string, r config.Rule) {
	if r.SetBy == nil || strings.TrimSpace(r.SetBy.Name) == "" || strings.TrimSpace(r.SetBy.Date) == "" {
		p.warn(phrase.M("site.not_armed", "rule", name), "rules", name)
		return
	}
	if len(r.AnyOf) == 0 {
		p.problem(phrase.M("site.no_conditions", "rule", name), "rules", name)
		return
	}
	s := rule.Spec{Hazard: name}
	for i, m := range r.AnyOf {
		if c, ok := p.condition(name, i, m); ok {
			s.AnyOf = append(s.AnyOf, c)
		}
	}
	if o := r.OnLoss; o != nil {
		s.LossAfter = o.After.Duration()
		switch o.Act {
		case "", "call":
		case "raise":
			s.LossTo = 1
			if o.To != "" {
				l, ok := p.bp.Levels.Level(o.To)
				if !ok {
					p.problem(phrase.M("site.no_level", "level", o.To, "levels", strings.Join(p.bp.Levels.Codes(), "、")), "rules", name, "on_loss", "to")
				}
				s.LossTo = l
			}
			if s.LossAfter < time.Minute {
				p.problem(phrase.M("site.loss_after"), "rules", name, "on_loss", "after")
			}
		default:
			p.problem(phrase.M("site.loss_act", "act", o.Act), "rules", name, "on_loss", "act")
		}
	}
	planName := r.Plan
	path := []any{"rules", name, "plan"}
	if planName == "" {
		planName, path = p.site.Plan, []any{"plan"}
	}
	if pl := p.plan(planName, path...); pl != nil {
		p.bp.PlanOf[name] = pl
	}
	if len(s.AnyOf) > 0 {
		p.bp.Rules = append(p.bp.Rules, s)
	}
}

func (p *prover) plan(name string, path ...any) *plan.Plan {
	if name == "" {
		p.problem(phrase.M("site.no_plan"), path...)
		return nil
	}
	if pl, ok := p.bp.Plans[name]; ok {
		return pl
	}
	if own, ok := p.site.Plans[name]; ok {
		pl := p.ownPlan(name, own)
		if pl != nil {
			p.bp.Plans[name] = pl
		}
		return pl
	}
	pl, err := plan.Load(p.fsys, "plans/"+name+".yaml", p.bp.Levels)
	if err != nil {
		p.problem(phrase.M("site.bad_plan", "plan", name, "detail", err), path...)
		return nil
	}
	p.bp.Plans[name] = pl
	return pl
}
