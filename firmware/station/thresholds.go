package station

import (
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

var compares = map[rule.Kind]string{rule.Value: "value", rule.Sum: "sum", rule.Rise: "rise"}

// Thresholds gives what the rules in force compare of a point.
func (h *House) Thresholds(id point.ID) []api.Threshold {
	s := h.seen()
	var out []api.Threshold
	for _, r := range s.bp.Rules {
		for _, c := range r.AnyOf {
			if c.Point != id {
				continue
			}
			for _, l := range c.Levels {
				k := s.bp.Levels.Rank(l.Level)
				out = append(out, api.Threshold{
					Hazard: r.Hazard, HazardText: s.hazard(r.Hazard), Level: k.Code, LevelText: words(k.Name, k.Code), Colour: k.Colour,
					Compares: compares[c.Kind], Window: c.Window, Below: c.Below, On: l.On, Off: l.Off, Unit: string(c.Unit),
				})
			}
		}
	}
	return out
}
