package alert

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tocsin/firmware/phrase"
)

// Profile is one row of configs/alerts/profiles.yaml: how an alert shows that it
// follows a body's rules, and what those rules ask beyond CAP.
type Profile struct {
	ID     string      `yaml:"id"`
	Name   phrase.Text `yaml:"name"`
	Source string      `yaml:"source"`
	// Recalled marks rows that were not held against the paper.
	Recalled bool `yaml:"recalled"`
	// Detect: any of these shows the profile.
	Detect struct {
		Codes      []string `yaml:"codes"`      // values of code; a * at the end takes any ending
		Identifier string   `yaml:"identifier"` // regular expression
	} `yaml:"detect"`
	// Namespaces are taken besides CAP 1.2's own.
	Namespaces []string `yaml:"namespaces"`
	Times      struct {
		// Blank takes a blank for the T, and Offset then stands in for an offset
		// that was left out.
		Blank  bool   `yaml:"blank"`
		Offset string `yaml:"offset"`
	} `yaml:"times"`
	// Publisher finds the division code of the publisher in the identifier: its
	// first group. Seconds finds the time of making: its second group.
	Publisher string `yaml:"publisher"`
	// Colours are the names of parameters that carry the colour.
	Colours []string `yaml:"colours"`
	// SeverityColours takes a colour in the place of the severity.
	SeverityColours bool `yaml:"severity_colours"`
	// Must and Should name checks (see checks). What fails a Must is fatal.
	Must   []string `yaml:"must"`
	Should []string `yaml:"should"`
	// EventCode is the code that the event_code checks look for.
	EventCode struct {
		Name    string `yaml:"name"`
		Pattern string `yaml:"pattern"`
	} `yaml:"event_code"`
	// Geocode is the code that the geocode checks look for.
	Geocode struct {
		Name    string `yaml:"name"`
		Pattern string `yaml:"pattern"`
	} `yaml:"geocode"`
	// Warn and Refuse move single findings of Parse, by code.
	Warn   []string `yaml:"warn"`
	Refuse []string `yaml:"refuse"`

	identifier, publisher, eventCode, geocode *regexp.Regexp
	soft, hard                                map[string]bool
}

// generic is what an alert is read under that shows no profile.
var generic = &Profile{ID: "cap", Name: phrase.Text{ZH: "通用 CAP 1.2", EN: "plain CAP 1.2"}}

// checks are what a profile may ask, by name. Each adds its findings by add.
var checks = map[string]func(r *reader, p *Profile, add func(path string, what phrase.Message)){
	// An Alert or Update says something.
	"info": func(r *reader, _ *Profile, add func(string, phrase.Message)) {
		if len(r.raw.a.Infos) == 0 && warns(&r.raw.a) {
			add("/alert", phrase.M("alert.profile.info"))
		}
	},
	"expires": func(r *reader, _ *Profile, add func(string, phrase.Message)) {
		for i, in := range r.raw.a.Infos {
			if r.raw.infos[i].expires == "" && in.Expires.IsZero() {
				add(infoPath(i)+"/expires", phrase.M("alert.profile.lacks", "element", "expires"))
			}
		}
	},
	"sender_name": func(r *reader, _ *Profile, add func(string, phrase.Message)) {
		for i, in := range r.raw.a.Infos {
			if in.SenderName == "" {
				add(infoPath(i)+"/senderName", phrase.M("alert.profile.lacks", "element", "senderName"))
			}
		}
	},
	"response": func(r *reader, _ *Profile, add func(string, phrase.Message)) {
		for i, in := range r.raw.a.Infos {
			if len(in.Responses) == 0 {
				add(infoPath(i)+"/responseType", phrase.M("alert.profile.lacks", "element", "responseType"))
			}
		}
	},
	"area": func(r *reader, _ *Profile, add func(string, phrase.Message)) {
		for i, in := range r.raw.a.Infos {
			if len(in.Areas) == 0 {
				add(infoPath(i)+"/area", phrase.M("alert.profile.lacks", "element", "area"))
			}
		}
	},
	"geocode": func(r *reader, p *Profile, add func(string, phrase.Message)) {
		for i, in := range r.raw.a.Infos {
			for j := range in.Areas {
				if !slices.ContainsFunc(in.Areas[j].Geocodes, func(n Named) bool { return p.isGeocode(n.Name) }) {
					add(areaPath(i, j), phrase.M("alert.profile.geocode", "name", p.Geocode.Name))
				}
			}
		}
	},
	"geocode_form": func(r *reader, p *Profile, add func(string, phrase.Message)) {
		for i, in := range r.raw.a.Infos {
			for j := range in.Areas {
				for k, n := range in.Areas[j].Geocodes {
					if p.isGeocode(n.Name) && !p.geocode.MatchString(n.Value) {
						add(areaPath(i, j)+"/geocode["+strconv.Itoa(k+1)+"]", phrase.M("alert.profile.geocode_form", "value", clip(n.Value)))
					}
				}
			}
		}
	},
	// Exactly one code of the profile's own table in each block.
	"event_code": func(r *reader, p *Profile, add func(string, phrase.Message)) {
		for i, in := range r.raw.a.Infos {
			n := 0
			for _, c := range in.EventCodes {
				if p.isEventCode(c.Name) {
					n++
				}
			}
			if n != 1 {
				add(infoPath(i)+"/eventCode", phrase.M("alert.profile.event_code", "name", p.EventCode.Name, "count", n))
			}
		}
	},
	"event_code_form": func(r *reader, p *Profile, add func(string, phrase.Message)) {
		for i, in := range r.raw.a.Infos {
			for j, c := range in.EventCodes {
				if p.isEventCode(c.Name) && !p.eventCode.MatchString(c.Value) {
					add(infoPath(i)+"/eventCode["+strconv.Itoa(j+1)+"]", phrase.M("alert.profile.event_code_form", "value", clip(c.Value)))
				}
			}
		}
	},
	"one_event": func(r *reader, p *Profile, add func(string, phrase.Message)) {
		infos := r.raw.a.Infos
		for i := 1; i < len(infos); i++ {
			if p.eventOf(&infos[i]) != p.eventOf(&infos[0]) {
				add(infoPath(i)+"/eventCode", phrase.M("alert.profile.one_event"))
			}
		}
	},
	"one_category": func(r *reader, _ *Profile, add func(string, phrase.Message)) {
		infos := r.raw.a.Infos
		for i := 1; i < len(infos); i++ {
			if !sameSet(infos[i].Categories, infos[0].Categories) {
				add(infoPath(i)+"/category", phrase.M("alert.profile.one_category"))
			}
		}
	},
	"references": func(r *reader, _ *Profile, add func(string, phrase.Message)) {
		if r.raw.a.MsgType == "Update" && len(r.raw.a.References) == 0 {
			add("/alert/references", phrase.M("alert.profile.lacks", "element", "references"))
		}
	},
	"colour": func(r *reader, _ *Profile, add func(string, phrase.Message)) {
		for i, in := range r.raw.a.Infos {
			if in.Colour == "" {
				add(infoPath(i)+"/parameter", phrase.M("alert.profile.colour"))
			}
		}
	},
	"identifier": func(r *reader, p *Profile, add func(string, phrase.Message)) {
		if p.identifier != nil && !p.identifier.MatchString(r.raw.a.Identifier) {
			add("/alert/identifier", phrase.M("alert.profile.identifier", "value", clip(r.raw.a.Identifier)))
		}
	},
}

// warns tells whether a message is one that warns, not one about another.
func warns(a *Alert) bool { return a.MsgType == "Alert" || a.MsgType == "Update" }

func (r *reader) profile(p *Profile) {
	for _, name := range p.Must {
		checks[name](r, p, func(path string, what phrase.Message) { r.f.wrong(path, what) })
	}
	for _, name := range p.Should {
		checks[name](r, p, func(path string, what phrase.Message) { r.f.odd(path, what) })
	}
}

func (p *Profile) isEventCode(name string) bool { return strings.EqualFold(name, p.EventCode.Name) }

func (p *Profile) isGeocode(name string) bool { return strings.EqualFold(name, p.Geocode.Name) }

func (p *Profile) eventOf(in *Info) string {
	for _, c := range in.EventCodes {
		if p.isEventCode(c.Name) {
			return c.Value
		}
	}
	return ""
}

// colourOf gives the colour that the sender said in a parameter of the profile.
func (p *Profile) colourOf(in *Info, t *Tables) string {
	for _, n := range in.Parameters {
		if slices.ContainsFunc(p.Colours, func(c string) bool { return strings.EqualFold(c, n.Name) }) {
			if c := t.colour(n.Value); c != "" {
				return c
			}
		}
	}
	return ""
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
