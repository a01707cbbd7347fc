package main

import (
	"strconv"
	"strings"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// PeopleCmd prints who is told by telephone, and how far each roll-call is.
type PeopleCmd struct {
	JSON bool `name:"json" help:"输出 JSON，一行一条 · Print JSON, one value a line"`
}

// Run prints.
func (c *PeopleCmd) Run(g *Globals) error {
	if c.JSON {
		return g.raw("/people")
	}
	var all api.People
	if err := g.get("/people", nil, &all); err != nil {
		return err
	}
	l := g.lang()
	if len(all.People) == 0 {
		g.say(phrase.M("people.nobody"))
		return nil
	}
	in := func(t phrase.Text) string { return api.Clean(t.In(l), 96) }
	level := func(code string) string {
		if code == "" {
			return "—"
		}
		return code
	}
	t := table{{phrase.M("people.col_name").In(l), phrase.M("people.col_role").In(l), phrase.M("people.col_numbers").In(l), phrase.M("people.col_sms").In(l), phrase.M("people.col_call").In(l), phrase.M("people.col_deputies").In(l)}}
	for _, p := range all.People {
		t = append(t, []string{in(p.Name), in(p.Role), strings.Join(p.Numbers, " "), level(p.SMS), level(p.Call), strings.Join(p.Deputies, " ")})
	}
	if err := t.write(g.out(), -1); err != nil {
		return err
	}
	switch m := all.Modem; {
	case m == nil:
		g.say(phrase.M("people.no_modem"))
	case m.Barred != nil:
		g.say(phrase.M("people.modem_barred", "link", m.Link, "why", api.Clean(phrase.Text{ZH: m.Barred.ZH, EN: m.Barred.EN}.In(l), 200)))
	case m.Mute != nil:
		g.say(phrase.M("people.modem_mute", "link", m.Link, "bars", m.Bars, "why", api.Clean(phrase.Text{ZH: m.Mute.ZH, EN: m.Mute.EN}.In(l), 200)))
	default:
		g.say(phrase.M("people.modem", "link", m.Link, "bars", m.Bars, "made", m.Made, "answered", m.Answered, "refused", m.Refused))
	}
	for _, r := range all.Rounds {
		g.say(phrase.M("people.round", "hazard", g.text(r.Hazard), "level", g.text(r.LevelText), "phase", g.text(r.PhaseText), "alarm", r.Alarm))
		t := table{}
		for _, p := range r.People {
			wrote := phrase.M("people.cell_not_written").In(l)
			if p.Wrote {
				wrote = phrase.M("people.cell_written").In(l)
			}
			t = append(t, []string{"  " + in(p.Name), wrote, strconv.Itoa(p.Calls), g.text(p.Text)})
		}
		if err := t.write(g.out(), 2); err != nil {
			return err
		}
	}
	return nil
}
