package station

import (
	"maps"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/output"
)

// Readiness tells whether the box could sound its worst level now. It looks at what is
// known at this moment: whether the lines were all asked, whether a rule can come to a level,
// which outputs have a fault that stands, and what the points say of the supply.
func (h *House) Readiness() api.Readiness {
	s := h.seen()
	st := h.Status()
	top := point.Level(len(s.bp.Levels.Codes()))
	_, word := s.level(top)
	level := phrase.Text{ZH: word.ZH, EN: word.EN}
	r := api.Readiness{Sounds: "yes"}
	for _, code := range s.bp.Levels.Codes() {
		l, _ := s.bp.Levels.Level(code)
		k := s.bp.Levels.Rank(l)
		r.Levels = append(r.Levels, api.LevelInfo{Code: code, Text: words(k.Name, code), Colour: k.Colour})
	}
	able := 0
	for _, o := range s.bp.Outputs {
		name, _ := s.bp.outputText(o.Name)
		x := api.OutputReady{Output: o.Name, Name: words(name, o.Name), Kind: string(o.Kind), Able: true, Sensed: !o.Sensed.None()}
		if why, ok := h.disabled(s, o); ok {
			x.Able, x.Why = false, &why
			r.Why = append(r.Why, api.TextOf(phrase.M("ready.output", "output", phrase.Text{ZH: x.Name.ZH, EN: x.Name.EN}, "why", phrase.Text{ZH: why.ZH, EN: why.EN})))
		} else {
			able++
		}
		r.Outputs = append(r.Outputs, x)
	}
	switch {
	case len(s.bp.Outputs) == 0:
		r.Sounds = "no"
		r.Why = append(r.Why, api.TextOf(phrase.M("ready.no_outputs")))
	case able == 0:
		r.Sounds = "no"
	case able < len(s.bp.Outputs):
		r.Sounds = "partly"
	}
	if len(st.NotArmed) > 0 || !st.Armed {
		// Orders of people and of the county still sound; what the box measures does not.
		if r.Sounds == "yes" {
			r.Sounds = "partly"
		}
		r.Why = append(r.Why, st.NotArmed...)
	}
	if m := h.maintained(); m != nil {
		// The worst level sounds all the same; those below begin silent, and so does what can be said with a button.
		var silent []phrase.Text
		for _, code := range s.bp.Levels.Codes() {
			if l, _ := s.bp.Levels.Level(code); l < s.bp.ByHand.Evacuate {
				silent = append(silent, s.bp.Levels.Rank(l).Name)
			}
		}
		if r.Sounds == "yes" {
			r.Sounds = "partly"
		}
		r.Why = append(r.Why, api.TextOf(phrase.M("ready.maintenance", "who", m.By.Name, "why", m.Why, "levels", both(silent), "left", spanText((m.left(h.clock.Now())+time.Minute-1).Truncate(time.Minute)))))
	}
	if s.blind && h.ready.Load() {
		if r.Sounds == "yes" {
			r.Sounds = "partly"
		}
		r.Why = append(r.Why, api.TextOf(phrase.M("ready.blind")))
	}
	switch r.Sounds {
	case "yes":
		r.Line = api.TextOf(phrase.M("ready.yes", "level", level, "n", able))
	case "partly":
		if able == len(s.bp.Outputs) {
			r.Line = api.TextOf(phrase.M("ready.but", "level", level, "n", able))
			break
		}
		r.Line = api.TextOf(phrase.M("ready.partly", "level", level, "n", able, "of", len(s.bp.Outputs)))
	default:
		r.Line = api.TextOf(phrase.M("ready.no", "level", level))
	}
	r.Power = h.power(s)
	return r
}

// disabled tells what keeps an output from sounding: a fault of its own, of the device that
// switches it, or of that one's line. That it cannot be measured does not keep it silent.
func (h *House) disabled(s shown, o OutputPlan) (api.Text, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	things := []string{"output " + o.Name}
	if o.Relay.Device != "" {
		things = append(things, "line "+o.Relay.Line, "device "+o.Relay.Device)
	}
	for _, thing := range slices.Sorted(maps.Keys(h.faults)) {
		code, of := strings.CutPrefix(thing, "output "+o.Name+" ")
		if slices.Contains(things, thing) || of && !slices.Contains(soundsStill, output.FaultCode(code)) {
			return s.faultText(s.bp.thingText(thing), h.faults[thing].why), true
		}
	}
	return api.Text{}, false
}

// soundsStill are faults with which an output can be heard all the same.
var soundsStill = []output.FaultCode{output.SenseLost, output.CutFailed, output.Unordered}

// Recent gives the newest records, those that are not yet durable with number 0.
func (h *House) Recent(limit int) []api.Record {
	var out []api.Record
	for _, r := range h.journal.Recent(limit) {
		out = append(out, h.seen().record(r))
	}
	return out
}

// both joins names for a sentence.
func both(names []phrase.Text) phrase.Text {
	var zh, en []string
	for _, n := range names {
		zh, en = append(zh, n.ZH), append(en, n.EN)
	}
	return phrase.Text{ZH: strings.Join(zh, "、"), EN: strings.Join(en, ", ")}
}
