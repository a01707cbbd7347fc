package station

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/decide/plan"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
)

var outputKinds = []output.Kind{output.Electronic, output.Motor, output.Loudspeaker, output.Strobe}

// Defaults of an output's times; a site may set each.
const (
	failSafeDefault = 3 * time.Minute
	failSafeLeast   = 10 * time.Second
	failSafeMost    = 30 * time.Minute
	holdDefault     = 200 * time.Millisecond
	holdLevel       = time.Second
)

func (p *prover) output(name string, o config.Output) {
	p.named("outputs", name)
	at := func(key string) []any { return []any{"outputs", name, key} }
	plan := OutputPlan{Name: name, Kind: output.Kind(o.Kind), Config: o}
	if !slices.Contains(outputKinds, plan.Kind) {
		p.problem(phrase.M("site.output_kind", "kind", o.Kind), at("kind")...)
		return
	}
	if plan.Kind == output.Loudspeaker {
		if (o.Card == "") == (o.File == "") {
			p.problem(phrase.M("site.loudspeaker_way", "output", name), "outputs", name)
		}
	} else {
		switch {
		case (o.Relay == "") == (o.GPIO == ""):
			p.problem(phrase.M("site.output_way", "output", name), "outputs", name)
		case o.GPIO != "":
			plan.Relay = Ref{GPIO: o.GPIO}
		default:
			plan.Relay = p.write(o.Relay, at("relay")...)
		}
		if plan.Relay.Device != "" && !plan.Relay.Timed {
			p.warn(phrase.M("site.no_fail_safe", "output", name, "relay", o.Relay), at("relay")...)
		}
	}
	if o.SensedBy != "" {
		plan.Sensed = p.contact(o.SensedBy, at("sensed_by")...)
		if o.Sense != "" && o.Sense != "input" && o.Sense != "current" {
			p.problem(phrase.M("site.sense", "sense", o.Sense), at("sense")...)
		}
	} else if plan.Kind != output.Loudspeaker {
		p.warn(phrase.M("site.unsensed", "output", name), "outputs", name)
	}
	if o.CutBy != "" {
		plan.Cut = p.write(o.CutBy, at("cut_by")...)
		if o.SensedBy == "" {
			p.problem(phrase.M("site.cut_blind", "output", name), at("cut_by")...)
		}
	}
	if f := o.FailSafe.Duration(); f != 0 && (f < failSafeLeast || f > failSafeMost) {
		p.problem(phrase.M("site.fail_safe", "least", point.Span(failSafeLeast).String(), "most", point.Span(failSafeMost).String()), at("fail_safe")...)
	}
	if o.Volume != nil && (*o.Volume < 1 || *o.Volume > 100) {
		p.problem(phrase.M("site.volume", "volume", *o.Volume), at("volume")...)
	}
	p.takesOver(name, o)
	for _, other := range p.bp.Outputs {
		if o.Relay != "" && (other.Config.Relay == o.Relay || other.Config.CutBy == o.Relay) {
			p.problem(phrase.M("site.relay_twice", "relay", o.Relay, "other", other.Name), at("relay")...)
		}
	}
	if o.CutBy != "" && o.CutBy == o.Relay {
		p.problem(phrase.M("site.relay_twice", "relay", o.CutBy, "other", name), at("cut_by")...)
	}
	p.bp.Outputs = append(p.bp.Outputs, plan)
}

// takesOver follows next: from output to output and refuses a circle.
func (p *prover) takesOver(name string, o config.Output) {
	if o.Next == "" {
		return
	}
	seen := []string{name}
	for n := o.Next; n != ""; n = p.site.Outputs[n].Next {
		if _, ok := p.site.Outputs[n]; !ok {
			p.problem(phrase.M("site.no_output", "output", n, "outputs", strings.Join(slices.Sorted(maps.Keys(p.site.Outputs)), "、")), "outputs", name, "next")
			return
		}
		if slices.Contains(seen, n) {
			p.problem(phrase.M("site.next_circle", "output", n), "outputs", name, "next")
			return
		}
		seen = append(seen, n)
	}
}

func (p *prover) input(name string, in config.Input) {
	p.named("inputs", name)
	plan := InputPlan{Name: name, Config: in, Hold: in.Hold.Duration()}
	switch {
	case (in.Input == "") == (in.GPIO == ""):
		p.problem(phrase.M("site.input_way", "input", name), "inputs", name)
	case in.GPIO != "":
		plan.Input = Ref{GPIO: in.GPIO}
	default:
		plan.Input = p.contact(in.Input, "inputs", name, "input")
	}
	def := holdDefault
	if in.Means != "stop" && in.Means != "answer" {
		l, ok := p.bp.Levels.Level(in.Means)
		if !ok {
			p.problem(phrase.M("site.means", "means", in.Means, "levels", strings.Join(p.bp.Levels.Codes(), "、")), "inputs", name, "means")
		}
		plan.Level, def = l, holdLevel
	}
	if plan.Hold == 0 {
		plan.Hold = def
	}
	if plan.Hold > 10*time.Second {
		p.problem(phrase.M("site.hold"), "inputs", name, "hold")
	}
	p.bp.Inputs = append(p.bp.Inputs, plan)
}

// loadBounds reads order-bounds.yaml: what each source may order. Levels in it are
// codes; "" at the upper end means the highest.
func loadBounds(fsys fs.FS, levels *plan.Levels) (order.Bounds, error) {
	const name = "order-bounds.yaml"
	raw, err := fs.ReadFile(fsys, name)
	if err != nil {
		return order.Bounds{}, err
	}
	var f struct {
		Version int          `yaml:"version"`
		Bounds  order.Bounds `yaml:"bounds"`
	}
	if err := yaml.UnmarshalWithOptions(raw, &f, yaml.Strict()); err != nil {
		return order.Bounds{}, fmt.Errorf("%s: %s", name, yaml.FormatError(err, false, false))
	}
	if f.Version != 1 {
		return order.Bounds{}, fmt.Errorf("%s: version %d: this build reads version 1", name, f.Version)
	}
	top := point.Level(len(levels.Codes()))
	for k, s := range f.Bounds.Sources {
		if s.Most == 0 {
			s.Most = top
			f.Bounds.Sources[k] = s
		}
	}
	return f.Bounds, f.Bounds.Validate()
}
