package station

import (
	"crypto"
	"maps"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/decide/beacon"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/trust"
)

const (
	beaconNumberMost = 65535
	beaconLongest    = 48 * time.Hour
	beaconLastsMost  = 630 * time.Minute // the format's
)

// proveBeacons proves whom this station tells and whom it believes. It comes after
// the rules and the links, which it names.
func (p *prover) proveBeacons() {
	b := p.site.Beacons
	var err error
	if p.bp.Beacons, err = beacon.LoadTables(p.fsys); err != nil {
		p.problem(phrase.M("site.beacon_tables", "detail", err), "beacons")
		return
	}
	p.bp.BeaconKeys = map[string]crypto.PublicKey{}
	if b.Number < 0 || b.Number > beaconNumberMost || ownNumber(p.site) == 0 && len(b.Send) > 0 {
		p.problem(phrase.M("site.beacon_number", "number", b.Number, "most", beaconNumberMost), "beacons", "number")
	}
	for i, name := range b.By {
		if l, ok := p.site.Links[name]; !ok || !terminalKind(l.Kind) {
			p.problem(phrase.M("site.beacon_link", "link", name), "beacons", "by", i)
		}
	}
	for _, hazard := range slices.Sorted(maps.Keys(b.Send)) {
		p.proveBeaconOut(hazard, b.Send[hazard])
	}
	numbers := map[int]string{}
	for _, name := range slices.Sorted(maps.Keys(b.From)) {
		p.proveBeaconIn(name, b.From[name], numbers)
	}
}

func (p *prover) proveBeaconOut(hazard string, o config.BeaconOut) {
	at := []any{"beacons", "send", hazard}
	if _, ok := p.site.Rules[hazard]; !ok {
		p.problem(phrase.M("site.beacon_rule", "hazard", hazard), at...)
	}
	if _, ok := p.bp.Beacons.ByCode(o.As); !ok {
		p.problem(phrase.M("site.beacon_code", "code", o.As, "codes", strings.Join(p.bp.Beacons.Codes(), "、")), append(at, "as")...)
	}
	if o.Least != "" {
		p.beaconLevel(o.Least, append(at, "least")...)
	}
	if d := o.Lasts.Duration(); d != 0 && (d < 10*time.Minute || d > beaconLastsMost) {
		p.problem(phrase.M("site.beacon_lasts", "most", point.Span(beaconLastsMost).String()), append(at, "lasts")...)
	}
}

func (p *prover) proveBeaconIn(name string, f config.BeaconIn, numbers map[int]string) {
	p.named("beacons", name)
	at := func(more ...any) []any { return append([]any{"beacons", "from", name}, more...) }
	switch other, twice := numbers[f.Number]; {
	case f.Number < 1 || f.Number > beaconNumberMost:
		p.problem(phrase.M("site.beacon_number", "number", f.Number, "most", beaconNumberMost), at("number")...)
	case f.Number == ownNumber(p.site):
		p.problem(phrase.M("site.beacon_self", "number", f.Number), at("number")...)
	case twice:
		p.problem(phrase.M("site.beacon_twice", "number", f.Number, "other", other), at("number")...)
	}
	numbers[f.Number] = name
	key, err := trust.PublicKey(f.Key, p.fsys)
	if err == nil && !beacon.Signs(key.Public) {
		err = phrase.E("beacon.key")
	}
	if err != nil {
		p.problem(phrase.M("site.beacon_key", "station", name, "detail", err), at("key")...)
	} else {
		p.bp.BeaconKeys[name] = key.Public
	}
	if len(f.Hazards) == 0 {
		p.problem(phrase.M("site.beacon_nothing", "station", name), at("hazards")...)
	}
	for _, code := range slices.Sorted(maps.Keys(f.Hazards)) {
		e, here := f.Hazards[code], at("hazards", code)
		if _, ok := p.bp.Beacons.ByCode(code); !ok {
			p.problem(phrase.M("site.beacon_code", "code", code, "codes", strings.Join(p.bp.Beacons.Codes(), "、")), here...)
		}
		if _, ok := p.site.Rules[e.Hazard]; !ok {
			p.problem(phrase.M("site.beacon_rule", "hazard", e.Hazard), append(here, "hazard")...)
		}
		for from, to := range e.Levels {
			p.beaconLevel(from, append(here, "levels")...)
			p.beaconLevel(to, append(here, "levels", from)...)
		}
		for key, d := range map[string]time.Duration{"travel": e.Travel.Duration(), "lasts": e.Lasts.Duration()} {
			if d < 0 || d > beaconLongest {
				p.problem(phrase.M("site.beacon_span", "most", point.Span(beaconLongest).String()), append(here, key)...)
			}
		}
	}
}

func (p *prover) beaconLevel(code string, at ...any) {
	if p.bp.Levels != nil && !slices.Contains(p.bp.Levels.Codes(), code) {
		p.problem(phrase.M("site.beacon_level", "level", code, "levels", strings.Join(p.bp.Levels.Codes(), "、")), at...)
	}
}

// terminalKind tells whether a link is a terminal that everybody around hears.
func terminalKind(kind string) bool { return kind == kindBeidou || kind == kindMesh }
