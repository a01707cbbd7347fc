package station

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/decide/command"
	"tocsin/firmware/decide/plan"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/speech"
	"tocsin/firmware/trust"
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
		if p.commanded() {
			p.grantedAll(commandPrefix, p.bp.Warned, order.Command, "alerts", "plan")
		}
		p.grantedSpeech()
	}
	if len(p.bp.Inputs) > 0 {
		p.grantedAll(alarm.ByHand, p.bp.Default, order.Hand, "plan")
	}
	p.unmeasured()
}

// commanded tells whether an officer may raise a level here by a signed command.
func (p *prover) commanded() bool {
	return slices.ContainsFunc(p.bp.Trust.Issuers(), func(i *trust.Issuer) bool {
		return slices.Contains(i.Grant.Scopes, string(command.Sound)) && i.Grant.MostLevel != ""
	})
}

// unmeasured warns where the words for a level that nobody measured here are missing: the plan's own may
// say that something was measured. And where the site recorded its own words for a measured level alone:
// what a person raises would speak with another voice, or say less than the village agreed upon.
func (p *prover) unmeasured() {
	type said struct {
		pl *plan.Plan
		by plan.By
	}
	need := []said{{p.bp.own(), plan.Hand}}
	if p.bp.Warned != nil && p.commanded() {
		need = append(need, said{p.bp.Warned, plan.Command})
	}
	for _, name := range slices.Sorted(maps.Keys(p.site.Beacons.From)) {
		hazards := p.site.Beacons.From[name].Hazards
		for _, code := range slices.Sorted(maps.Keys(hazards)) {
			if x := (said{p.bp.PlanOf[hazards[code].Hazard], plan.Beacon}); !slices.Contains(need, x) {
				need = append(need, x)
			}
		}
	}
	for _, x := range need {
		if x.pl == nil {
			continue
		}
		for _, code := range p.bp.Levels.Codes() {
			step := x.pl.Levels[code]
			by := step.ClipsBy[x.by]
			if len(by) == 0 && len(step.Clips) > 0 {
				p.warn(phrase.M("site.clips_by", "plan", x.pl.Plan, "step", code, "by", string(x.by), "who", phrase.Message{Code: "site.by_" + string(x.by)}, "clips", strings.Join(step.Clips, "、")), "plan")
				continue
			}
			for _, lang := range p.bp.Langs {
				if shipped := p.shippedClips(by, lang); len(shipped) > 0 && len(p.shippedClips(step.Clips, lang)) == 0 && !slices.Equal(by, step.Clips) {
					p.warn(phrase.M("site.clips_own", "plan", x.pl.Plan, "step", code, "who", phrase.Message{Code: "site.by_" + string(x.by)}, "clips", strings.Join(step.Clips, "、"), "file", "clips/"+shipped[0]+"."+string(lang)+".wav"), "plan")
				}
			}
		}
	}
}

// shippedClips gives those of clips that come with the program: the site has no file of its own.
func (p *prover) shippedClips(clips []string, lang speech.Lang) (shipped []string) {
	for _, id := range clips {
		if _, err := fs.Stat(p.beside, fmt.Sprintf("clips/%s.%s.wav", id, lang)); err != nil {
			shipped = append(shipped, id)
		}
	}
	return shipped
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
		step := pl.At(point.Level(i+1), p.bp.Levels).Says(raisedBy(hazard))
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
