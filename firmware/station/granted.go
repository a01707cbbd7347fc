package station

import (
	"maps"
	"slices"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/decide/plan"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/order"
)

// granted asks a desk of this site for every sounding that its rules and keys can
// lead to, before anything is armed: what the desk refuses then (a tone that is
// reserved, an output that a source may not use) would be found out by a silent
// siren.
func (p *prover) granted() {
	if len(p.bp.Outputs) == 0 {
		return // warned of already
	}
	for _, r := range p.bp.Rules {
		p.grantedAll(r.Hazard, p.bp.PlanOf[r.Hazard], order.Rule, "rules", r.Hazard)
	}
	for _, name := range slices.Sorted(maps.Keys(p.site.Beacons.From)) {
		for code, e := range p.site.Beacons.From[name].Hazards {
			p.grantedAll(beaconPrefix+e.Hazard, p.bp.PlanOf[e.Hazard], order.Alert, "beacons", "from", name, "hazards", code)
		}
	}
	if p.bp.Warned != nil {
		p.grantedAll(alarm.WarnedPrefix, p.bp.Warned, order.Alert, "alerts", "plan")
		p.grantedSpeech()
	}
	if len(p.bp.Inputs) > 0 {
		p.grantedAll(alarm.ByHand, p.bp.Default, order.Hand, "plan")
	}
}

func (p *prover) grantedAll(hazard string, pl *plan.Plan, src order.Source, path ...any) {
	if pl == nil {
		return // a problem already
	}
	var all, langs []string
	for _, o := range p.bp.Outputs {
		all = append(all, o.Name)
	}
	for _, l := range p.bp.Langs {
		langs = append(langs, string(l))
	}
	for i, code := range p.bp.Levels.Codes() {
		step := pl.At(point.Level(i+1), p.bp.Levels)
		outs := slices.Clone(step.Outputs)
		if len(outs) == 0 {
			outs = all
		}
		// A desk for each: the rate is for what happens, not for proofs.
		desk := order.NewDesk(p.bp.Bounds, clock.Func(func() clock.Stamp { return clock.Stamp{Boot: "proof"} }), nil)
		_, err := desk.Make(order.Ask{
			Cause: "proof", Kind: order.Real, Source: src, Action: order.Sound, Hazard: hazard, Level: point.Level(i + 1), Outputs: outs,
			Content: order.Content{Tone: step.Tone, Clips: step.Clips, Langs: langs},
			For:     step.Duty.On.Duration(), Standing: true, Off: step.Duty.Off.Duration(), Who: order.Who{Name: "proof", Via: "check"},
		})
		if err != nil {
			p.problem(phrase.M("site.plan_tone", "plan", pl.Plan, "step", code, "detail", err), path...)
		}
	}
}
