package page

import (
	"strings"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// people is the panel of those who are told by telephone. Numbers are masked: whoever
// opens the page on the village's network sees no more.
type people struct {
	Any bool
	// Modem says how the modem does; Bad, that nobody can be told by it now.
	Modem  string
	Bad    bool
	Rounds []rollcall
	List   []listed
}

type rollcall struct {
	Title, Phase string
	People       []reached
}

type reached struct {
	Name, Text, Wrote, Icon string
	Bad                     bool
}

type listed struct{ Name, Role, Numbers string }

// reachIcons differ in shape, so that colour is never the only sign.
var reachIcons = map[string]string{"confirmed": "ok", "heard": "doubt", "answered": "doubt", "rang": "wait", "dialled": "wait", "": "wait"}

func (p *page) people(l phrase.Lang) people {
	x := p.box.People(false)
	v := people{Any: len(x.People) > 0}
	if !v.Any {
		return v
	}
	numbers := map[string]string{}
	for _, q := range x.People {
		numbers[q.ID] = strings.Join(q.Numbers, " ")
		v.List = append(v.List, listed{orElse(q.Name.In(l), q.ID), q.Role.In(l), numbers[q.ID]})
	}
	switch m := x.Modem; {
	case m == nil:
		v.Modem, v.Bad = phrase.M("people.no_modem").In(l), true
	case m.Barred != nil:
		v.Modem, v.Bad = phrase.M("people.modem_barred", "link", m.Link, "why", in(*m.Barred, l)).In(l), true
	case m.Mute != nil:
		v.Modem = phrase.M("people.modem_mute", "link", m.Link, "bars", m.Bars, "why", in(*m.Mute, l)).In(l)
	default:
		v.Modem = phrase.M("people.modem", "link", m.Link, "bars", m.Bars, "made", m.Made, "answered", m.Answered, "refused", m.Refused).In(l)
	}
	for _, r := range x.Rounds {
		title := in(r.Hazard, l) + " " + in(r.LevelText, l)
		if r.Drill {
			title = phrase.M("people.drill", "title", title).In(l)
		}
		o := rollcall{Title: title, Phase: in(r.PhaseText, l)}
		for _, q := range r.People {
			o.People = append(o.People, reachedOf(q, numbers[q.Person], l))
		}
		v.Rounds = append(v.Rounds, o)
	}
	return v
}

func reachedOf(q api.Reach, numbers string, l phrase.Lang) reached {
	x := reached{Name: orElse(q.Name.In(l), q.Person), Text: in(q.Text, l), Icon: reachIcons[q.Known], Bad: q.Missed}
	if numbers != "" {
		x.Name += " " + numbers
	}
	if q.Missed {
		x.Icon = "cross"
	}
	if q.Wrote {
		x.Wrote = phrase.M("people.cell_written").In(l)
	}
	if q.Wrote && !q.Turn && q.Calls == 0 { // a message was all that this level asks for
		x.Icon, x.Text, x.Wrote = "ok", x.Wrote, ""
	}
	return x
}
