package alert

import (
	"fmt"
	"slices"
	"strings"

	"tocsin/firmware/phrase"
)

type areaTable struct {
	Version     int        `yaml:"version"`
	Codes       []codeRule `yaml:"codes"`
	WithoutArea string     `yaml:"without_area"`
	Unreadable  string     `yaml:"unreadable"`
}

type codeRule struct {
	Match      string   `yaml:"match"`
	Names      []string `yaml:"names"`
	AnyNameIn  []string `yaml:"any_name_in"`
	Everywhere []string `yaml:"everywhere"`
	Recalled   bool     `yaml:"recalled"`
}

func (t *Tables) proveAreas() error {
	const file = "alerts/areas.yaml"
	for i, c := range t.areas.Codes {
		if !has([]string{"division", "same", "prefix", "exact"}, c.Match) || len(c.Names) == 0 {
			return fmt.Errorf("%s: codes: row %d needs names, and match: division, same, prefix or exact", file, i+1)
		}
	}
	for _, v := range []string{t.areas.WithoutArea, t.areas.Unreadable} {
		if !has([]string{"publisher", "yes", "no"}, v) {
			return fmt.Errorf("%s: without_area and unreadable are publisher, yes or no, not %q", file, v)
		}
	}
	return nil
}

// judged is what an area, or all of them, say of a place.
type judged int

const (
	elsewhere judged = iota
	unread           // nothing covers the place, but something could not be read
	here
)

// Concerns tells whether an alert is for a place, and why. Any polygon, circle or
// code that covers the place is enough, in any block. What cannot be read, and an
// alert without any area, are decided by configs/alerts/areas.yaml.
func (a *Alert) Concerns(p Place, t *Tables) (yes bool, why phrase.Message) {
	yes, why, _ = a.concerns(p, t)
	return yes, why
}

// concerns also gives the blocks that are for the place. Where no block names
// an area, or policy decides, those are all.
func (a *Alert) concerns(p Place, t *Tables) (bool, phrase.Message, []int) {
	if warns(a) && len(a.Infos) == 0 {
		return false, phrase.M("alert.place.empty"), nil
	}
	if !warns(a) && len(a.Infos) == 0 {
		// It speaks of another message: where that one was for, this one is.
		return true, phrase.M("alert.place.about"), nil
	}
	var blocks, doubtful []int
	var why, doubt phrase.Message
	without := 0
	for i := range a.Infos {
		in := &a.Infos[i]
		if len(in.Areas) == 0 {
			without++
			continue
		}
		block := elsewhere
		for j := range in.Areas {
			v, m := t.judge(&in.Areas[j], p, a.Profile)
			if v == here && block != here && why.IsZero() {
				why = m
			}
			if v == unread && doubt.IsZero() {
				doubt = m
			}
			block = max(block, v)
		}
		switch block {
		case here:
			blocks = append(blocks, i)
		case unread:
			doubtful = append(doubtful, i)
		}
	}
	switch {
	case len(blocks) > 0:
		return true, why, blocks
	case without == len(a.Infos):
		yes, m := t.policy(t.areas.WithoutArea, a, p)
		return yes, phrase.M("alert.place.no_area", "decided", m), nil
	case len(doubtful) > 0:
		yes, m := t.policy(t.areas.Unreadable, a, p)
		return yes, phrase.M("alert.place.unreadable", "what", doubt, "decided", m), doubtful
	}
	return false, phrase.M("alert.place.elsewhere", "areas", a.areaNames()), nil
}

// policy answers by data what the alert left open.
func (t *Tables) policy(rule string, a *Alert, p Place) (bool, phrase.Message) {
	switch rule {
	case "yes":
		return true, phrase.M("alert.place.policy_yes")
	case "no":
		return false, phrase.M("alert.place.policy_no")
	}
	code := t.PublisherOf(a)
	switch {
	case code == "":
		return false, phrase.M("alert.place.no_publisher")
	case covers(code, p.Code):
		return true, phrase.M("alert.place.publisher", "code", code)
	}
	return false, phrase.M("alert.place.publisher_elsewhere", "code", code)
}

// PublisherOf gives the publisher's division code where the profile's identifiers
// carry one.
func (t *Tables) PublisherOf(a *Alert) string {
	p := t.Profile(a.Profile)
	if p.publisher == nil {
		return ""
	}
	if m := p.publisher.FindStringSubmatch(a.Identifier); len(m) > 1 {
		return m[1]
	}
	return ""
}

func (a *Alert) areaNames() string {
	var names []string
	for i := range a.Infos {
		for j := range a.Infos[i].Areas {
			n := clip(a.Infos[i].Areas[j].Desc)
			if n == "" || has(names, n) {
				continue
			}
			if len(names) == 5 {
				return strings.Join(names, "、") + "…"
			}
			names = append(names, n)
		}
	}
	return strings.Join(names, "、")
}

// judge says of one area whether it covers the place.
func (t *Tables) judge(a *Area, p Place, profile string) (judged, phrase.Message) {
	name := clip(a.Desc)
	readable := 0
	var strange string
	for _, g := range a.Geocodes {
		v, match := t.judgeCode(g, p, profile)
		switch v {
		case here:
			return here, phrase.M("alert.place.code", "area", name, "code", clip(g.Value), "match", match)
		case unread:
			if strange == "" {
				strange = g.Name + "=" + g.Value
			}
		default:
			readable++
		}
	}
	at := Point{p.Lat, p.Lon}
	for _, ring := range a.Polygons {
		if ring.Contains(at) {
			return here, phrase.M("alert.place.polygon", "area", name)
		}
		readable++
	}
	for _, c := range a.Circles {
		if c.Contains(at) {
			return here, phrase.M("alert.place.circle", "area", name, "km", distanceKm(c.Centre, at), "radius", c.Km)
		}
		readable++
	}
	switch {
	case a.Unreadable > 0:
		return unread, phrase.M("alert.place.broken", "area", name)
	case readable == 0 && strange != "":
		return unread, phrase.M("alert.place.strange_code", "area", name, "code", clip(strange))
	case readable == 0:
		return unread, phrase.M("alert.place.words_only", "area", name)
	}
	// Beside a polygon or a code that we know, a code of another table says the same again.
	return elsewhere, phrase.Message{}
}

// judgeCode says of one geocode whether it covers the place; unread where no table
// knows its name and the site's file does not list it.
func (t *Tables) judgeCode(g Named, p Place, profile string) (judged, string) {
	for _, also := range p.Also {
		name, value, named := strings.Cut(also, "=")
		if !named {
			name, value = "", also
		}
		if value == g.Value && (name == "" || strings.EqualFold(name, g.Name)) {
			return here, also
		}
	}
	for _, c := range t.areas.Codes {
		known := slices.ContainsFunc(c.Names, func(n string) bool { return strings.EqualFold(n, g.Name) })
		if !known && !has(c.AnyNameIn, profile) {
			continue
		}
		switch c.Match {
		case "division":
			v, match := judgeDivisions(g.Value, p.Code, c.Everywhere)
			if v == unread && !known {
				continue
			}
			return v, match
		case "same", "prefix":
			mine, ok := alsoCode(p, c.Names)
			if !ok {
				return unread, ""
			}
			if c.Match == "same" && sameCovers(g.Value, mine) || c.Match == "prefix" && g.Value != "" && strings.HasPrefix(mine, g.Value) {
				return here, mine
			}
			return elsewhere, ""
		case "exact":
			if _, ok := alsoCode(p, []string{g.Name}); !ok {
				return unread, ""
			}
			return elsewhere, ""
		}
	}
	return unread, ""
}

// alsoCode finds the place's own code of a table.
func alsoCode(p Place, names []string) (string, bool) {
	for _, also := range p.Also {
		name, value, ok := strings.Cut(also, "=")
		if ok && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			return value, true
		}
	}
	return "", false
}

// sameCovers reads PSSCCC codes (47 CFR 11.31): a part of a county may be the
// place's part, so the first digit never excludes.
func sameCovers(code, mine string) bool {
	if len(code) != 6 || len(mine) != 6 {
		return false
	}
	return code == "000000" || code[1:3] == mine[1:3] && (code[3:] == "000" || code[3:] == mine[3:])
}

// judgeDivisions reads one or more division codes.
func judgeDivisions(value, mine string, everywhere []string) (judged, string) {
	v := elsewhere
	for _, code := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(",;|、，； \t\n", r) }) {
		switch {
		case has(everywhere, code):
			return here, code
		case !isDivision(code):
			v = max(v, unread)
		case covers(code, mine) || covers(mine, code):
			return here, code
		}
	}
	if strings.TrimSpace(value) == "" {
		return unread, ""
	}
	return v, ""
}

func isDivision(code string) bool {
	switch len(code) {
	case 2, 4, 6, 9, 12, 14:
	default:
		return false
	}
	return strings.Trim(code, "0123456789") == "" && code[:2] >= "10" && code[:2] <= "91"
}

// covers tells whether division a holds division b: the same beginning once the zeros
// that stand for "all below" are gone, at the steps of the code: province 2, city
// 4, county 6, town 9, village 12 digits.
func covers(a, b string) bool {
	if !isDivision(a) || !isDivision(b) {
		return false
	}
	return strings.HasPrefix(b, division(a))
}

// division takes the zeros of empty steps off a code.
func division(code string) string {
	for _, step := range []struct{ from, to int }{{12, 14}, {9, 12}, {6, 9}, {4, 6}, {2, 4}} {
		if len(code) != step.to {
			continue
		}
		if strings.Trim(code[step.from:], "0") != "" {
			break
		}
		code = code[:step.from]
	}
	return code
}
