package station

import (
	"maps"
	"slices"
	"strings"

	"tocsin/firmware/decide/rule"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

var data = []point.Datum{point.Datum1985, point.DatumPearlRiver, point.DatumLocal}

// waterLevel tells whether a point is a height of water: a length that profiles
// call level. Depths, distances and cracks have no datum.
func waterLevel(pt *profile.Point) bool {
	return pt.Unit.Quantity() == point.Unit("m").Quantity() && pt.Counter == nil && (pt.ID == "level" || strings.HasPrefix(pt.ID, "level_"))
}

// datumOf gives what a level is counted from: the device's own word, the site's
// datum where the device has a zero above it, and else the gauge's own zero; ""
// for what is no height.
func datumOf(site point.Datum, d config.Device, pt *profile.Point) point.Datum {
	length := pt.Unit.Quantity() == point.Unit("m").Quantity() && pt.Counter == nil
	switch {
	case !length || !waterLevel(pt) && d.Zero == nil:
		return ""
	case d.Datum != "":
		return d.Datum
	case d.Zero != nil:
		return site
	}
	return point.DatumLocal
}

// sameDatum refuses to hold a level against thresholds of another datum. There is
// no conversion: how far two data are apart differs from place to place and is
// a surveyor's word.
func (p *prover) sameDatum(id point.ID, info *PointInfo, bad func(string, phrase.Message)) {
	site, d := p.site.Site.Datum, p.site.Devices[id.Device()]
	if info.Datum == "" || site == "" && info.Datum == point.DatumLocal || info.Datum == site {
		return
	}
	switch {
	case site == "":
		bad("point", phrase.M("site.datum_unset", "point", string(id), "datum", datumName(info.Datum)))
	case d.Datum == "":
		bad("point", phrase.M("site.datum_no_zero", "point", string(id), "device", id.Device(), "datum", datumName(site)))
	default:
		bad("point", phrase.M("site.datum_mixed", "point", string(id), "device", id.Device(), "datum", datumName(info.Datum), "site", datumName(site)))
	}
}

func datumName(d point.Datum) phrase.Message {
	switch d {
	case point.Datum1985:
		return phrase.M("datum.1985")
	case point.DatumPearlRiver:
		return phrase.M("datum.pearl_river")
	}
	return phrase.M("datum.local")
}

// stepOf gives how far a water level can move, for surges.
func stepOf(pt *profile.Point) *rule.Step {
	if !waterLevel(pt) {
		return nil
	}
	switch {
	case pt.Rate != nil && pt.Jump > 0:
		return &rule.Step{Most: min(pt.Rate.Most, pt.Jump), Per: pt.Rate.Per}
	case pt.Rate != nil:
		return &rule.Step{Most: pt.Rate.Most, Per: pt.Rate.Per}
	}
	return nil
}

// neighbours finds which rain gauges are held against each other.
func (p *prover) neighbours() {
	rain := map[string][]point.ID{}
	for _, i := range p.bp.Points {
		if i.Counter != nil && i.Unit == "mm" {
			rain[i.ID.Device()] = append(rain[i.ID.Device()], i.ID)
		}
	}
	devices := p.site.Site.Neighbours
	for i, d := range devices {
		if len(rain[d]) == 0 && !p.told(d) {
			p.problem(phrase.M("site.no_rain", "device", d, "rain", strings.Join(slices.Sorted(maps.Keys(rain)), "、")), "site", "neighbours", i)
		}
	}
	if devices == nil {
		devices = slices.Sorted(maps.Keys(rain))
	}
	for _, d := range devices {
		for _, id := range rain[d] {
			s := p.bp.Sources[id]
			for _, o := range devices {
				if o != d && len(rain[o]) > 0 {
					s.Neighbours = append(s.Neighbours, rain[o][0])
				}
			}
			p.bp.Sources[id] = s
		}
	}
}
