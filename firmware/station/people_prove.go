package station

import (
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tocsin/drivers/modem"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/rollcall"
	"tocsin/firmware/sound/speech"
)

// What an alarm is of, for whom it is told, where no rule measures it.
const (
	hazardCounty = "county"
	hazardByHand = alarm.ByHand
)

// phoneNumber has at least five digits: the box never calls the emergency services.
var phoneNumber = regexp.MustCompile(`^\+?[0-9]{5,16}$`)

const deputiesMost = 8

// provePeople proves who is told of levels, and by what.
func (p *prover) provePeople() {
	if len(p.site.People) == 0 {
		if p.site.Rollcall != (config.Rollcall{}) {
			p.warn(phrase.M("site.rollcall_nobody"), "rollcall")
		}
		return
	}
	t, err := rollcall.Load(p.fsys)
	if err != nil {
		p.problem(phrase.M("site.bad_rollcall", "detail", err), "people")
		return
	}
	level := func(code string, path ...any) point.Level {
		if code == rollcall.Off {
			return point.Calm
		}
		l, ok := p.bp.Levels.Level(code)
		if !ok {
			p.problem(phrase.M("site.person_level", "level", code, "levels", strings.Join(p.bp.Levels.Codes(), "、")), path...)
		}
		return l
	}
	sms, call := level(t.SMS, "people"), level(t.Call, "people")
	if len(p.site.People) > rollcall.PeopleMost {
		p.problem(phrase.M("site.people_many", "most", rollcall.PeopleMost), "people")
		return
	}
	hazards := append(slices.Sorted(maps.Keys(p.site.Rules)), hazardCounty, hazardByHand)
	ids, calls := map[string]int{}, false
	for i, x := range p.site.People {
		ids[x.ID]++
		if !plainName.MatchString(x.ID) || ids[x.ID] > 1 {
			p.problem(phrase.M("site.person_id", "id", x.ID), "people", i, "id")
		}
	}
	for i, x := range p.site.People {
		at := func(m phrase.Message, key string) { p.problem(m, "people", i, key) }
		who := rollcall.Person{ID: x.ID, Name: named(x.Name, x.ID), Role: x.Role, Lang: x.Language, Hazards: x.Hazards, Deputies: x.Deputies, SMS: sms, Call: call}
		if x.SMS != "" {
			who.SMS = level(x.SMS, "people", i, "sms")
		}
		if x.Call != "" {
			who.Call = level(x.Call, "people", i, "call")
		}
		calls = calls || who.Call > point.Calm
		if len(x.Numbers) == 0 || len(x.Numbers) > rollcall.NumbersMost {
			at(phrase.M("site.person_numbers", "person", x.ID, "most", rollcall.NumbersMost), "numbers")
		}
		for j, n := range x.Numbers {
			if !phoneNumber.MatchString(n) {
				// The message does not repeat it: what is wrong may be a digit too many.
				p.problem(phrase.M("site.person_number", "person", x.ID), "people", i, "numbers", j)
			}
			who.Numbers = append(who.Numbers, n)
		}
		if who.Lang == "" && len(p.bp.Langs) > 0 {
			who.Lang = string(p.bp.Langs[0])
		}
		if !slices.Contains([]string{"cmn", "yue", "en"}, who.Lang) {
			at(phrase.M("site.language", "language", who.Lang), "language")
		}
		for j, h := range x.Hazards {
			if !slices.Contains(hazards, h) {
				p.problem(phrase.M("site.person_hazard", "hazard", h, "hazards", strings.Join(hazards, "、")), "people", i, "hazards", j)
			}
		}
		if len(x.Deputies) > deputiesMost {
			at(phrase.M("site.person_deputies", "most", deputiesMost), "deputies")
		}
		for j, d := range x.Deputies {
			if ids[d] == 0 || d == x.ID {
				p.problem(phrase.M("site.person_deputy", "deputy", d), "people", i, "deputies", j)
			}
		}
		p.bp.People = append(p.bp.People, who)
	}
	if who := circle(p.bp.People); who != "" {
		p.problem(phrase.M("site.person_circle", "person", who), "people")
	}
	p.bp.Roll, p.bp.Drilled = t, p.site.Rollcall.Drills
	p.rollModem(calls)
}

// circle gives somebody who, over deputies, comes after themselves: nobody would begin.
func circle(people []rollcall.Person) string {
	after := map[string][]string{}
	for _, x := range people {
		after[x.ID] = x.Deputies
	}
	for _, x := range people {
		seen, open := map[string]bool{}, slices.Clone(x.Deputies)
		for len(open) > 0 {
			d := open[0]
			open = open[1:]
			if d == x.ID {
				return x.ID
			}
			if !seen[d] {
				seen[d] = true
				open = append(open, after[d]...)
			}
		}
	}
	return ""
}

// rollModem finds the modem by which people are told.
func (p *prover) rollModem(calls bool) {
	name := p.site.Rollcall.Modem
	if name == "" {
		for _, n := range slices.Sorted(maps.Keys(p.site.Links)) {
			if p.site.Links[n].Kind == kindModem {
				name = n
				break
			}
		}
	}
	l, there := p.site.Links[name]
	switch {
	case name == "":
		p.warn(phrase.M("site.rollcall_no_modem"), "people")
		return
	case !there || l.Kind != kindModem:
		p.problem(phrase.M("site.rollcall_modem", "modem", name), "rollcall", "modem")
		return
	case l.Transmit == nil:
		p.warn(phrase.M("site.rollcall_mute", "modem", name), "links", name)
	case calls && (l.Profile == "" || l.Sound == ""):
		p.warn(phrase.M("site.rollcall_voiceless", "modem", name), "links", name)
	}
	p.bp.Phone = name
}

// forPeople tells whether a link is a modem that carries nothing to the county, but
// messages and calls to people.
func forPeople(l config.Link) bool { return l.Kind == kindModem && l.To == "" }

// modemProfile gives how a modem calls; nil where the link names none.
func modemProfile(fsys fs.FS, l config.Link) (*modem.Profile, error) {
	if l.Profile == "" {
		return nil, nil
	}
	if strings.ContainsAny(l.Profile, "/.") {
		return nil, fmt.Errorf("%q", l.Profile)
	}
	b, err := fs.ReadFile(fsys, "terminals/"+l.Profile+".yaml")
	if err != nil {
		return nil, err
	}
	return modem.ParseProfile(b)
}

// proveModem proves what a modem's link says of calls.
func (p *prover) proveModem(name string, l config.Link) {
	prof, err := modemProfile(p.fsys, l)
	if err != nil {
		p.problem(phrase.M("site.link_profile", "profile", l.Profile, "detail", err), "links", name, "profile")
		return
	}
	if l.Sound == "" {
		return
	}
	if prof == nil || prof.Call == nil || prof.Call.Audio == nil {
		p.problem(phrase.M("site.link_soundless", "link", name, "profile", l.Profile), "links", name, "sound")
	}
	if l.Sound == l.Port {
		p.problem(phrase.M("site.line_twice", "line", name, "other", name), "links", name, "sound")
	}
	for other, o := range p.site.Links {
		if other != name && (o.Port == l.Sound || o.Sound == l.Sound) {
			p.problem(phrase.M("site.line_twice", "line", name, "other", other), "links", name, "sound")
		}
	}
	for other, o := range p.site.Lines {
		if o.Port == l.Sound {
			p.problem(phrase.M("site.line_twice", "line", name, "other", other), "links", name, "sound")
		}
	}
}

// spoken gives the languages that the clips are needed in: the site's and its people's.
func (bp *Blueprint) spoken() []speech.Lang {
	all := slices.Clone(bp.Langs)
	for _, x := range bp.People {
		if l := speech.Lang(x.Lang); !slices.Contains(all, l) && (l == speech.Mandarin || l == speech.Cantonese) {
			all = append(all, l)
		}
	}
	return all
}
