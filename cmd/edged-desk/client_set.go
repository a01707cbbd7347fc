package main

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// SetCmd sets a value on a device by a named person; without arguments it shows
// what can be set.
type SetCmd struct {
	Item  string `arg:"" optional:"" help:"设备.量，如 gate.opening；不写则列出全部 · Device and write, such as gate.opening; all are listed without it"`
	Value string `arg:"" optional:"" help:"数值，可带单位，如 12.5 或 \"45 cm\"；开关写 on、off；负数写在 -- 之后 · A number, with its unit if you like; on or off for a switch; write a negative one after --"`
	Who   string `help:"操作人姓名，记入日志 · Name of the acting person, kept in the journal" env:"EDGED_WHO" placeholder:"NAME"`
}

// Run asks the box; the exit code is 1 where the device did not take the value.
func (c *SetCmd) Run(g *Globals) error {
	if c.Item == "" || c.Value == "" {
		return c.list(g)
	}
	a, err := asking(c.Value)
	if err != nil {
		return &clientError{err, exitUsage}
	}
	if a.Who = strings.TrimSpace(c.Who); a.Who == "" {
		return &clientError{phrase.E("serve.needs_name"), exitUsage}
	}
	var s api.Set
	if err := g.get("/setpoints/"+url.PathEscape(c.Item), a, &s); err != nil {
		return err
	}
	old := any(phrase.M("setpoint.unknown_old"))
	if s.Old != nil {
		old = g.amount(*s.Old, s.Unit)
	}
	g.say(phrase.M("serve.set", "item", s.ID, "old", old, "new", g.amount(s.New, s.Unit)))
	return nil
}

// asking reads "12.5", "45 cm", "on", "开".
func asking(s string) (api.Asking, *phrase.Error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "on", "开":
		return api.Asking{Value: 1, Unit: "on/off"}, nil
	case "off", "关":
		return api.Asking{Unit: "on/off"}, nil
	}
	if v, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil {
		return api.Asking{Value: v}, nil
	}
	a, err := point.ParseAmount(s)
	if err != nil {
		return api.Asking{}, phrase.E("serve.bad_value", "value", s)
	}
	return api.Asking{Value: a.Value, Unit: string(a.Unit)}, nil
}

// list shows what can be set, or the one item.
func (c *SetCmd) list(g *Globals) error {
	var all []api.Setpoint
	if err := g.get("/setpoints", nil, &all); err != nil {
		return err
	}
	l := g.lang()
	t := table{{
		phrase.M("serve.col_item").In(l), phrase.M("serve.col_name").In(l), phrase.M("serve.col_allowed").In(l), phrase.M("serve.col_asked").In(l),
		phrase.M("serve.col_who").In(l), phrase.M("serve.col_fail_safe").In(l), phrase.M("serve.col_why").In(l),
	}}
	found := c.Item == ""
	for _, s := range all {
		if c.Item != "" && c.Item != s.ID {
			continue
		}
		found = true
		allowed := phrase.M("serve.on_off").In(l)
		if s.Unit != "on/off" {
			allowed = exact(s.Min) + "～" + g.amount(s.Max, s.Unit)
		}
		asked, who, safe := "", "", ""
		if s.Asked != nil {
			asked, who = g.amount(s.Asked.Value, s.Unit), s.Asked.Who.Name
		}
		if s.FailSafe != nil {
			safe = phrase.M("serve.fail_safe_after", "value", g.amount(*s.FailSafe, s.Unit), "span", point.Span(s.After).String()).In(l)
		}
		t = append(t, []string{s.ID, s.Name.In(l), allowed, asked, who, safe, g.why(cmp.Or(s.Failing, s.Refused))})
	}
	if !found {
		return &clientError{phrase.E("setpoint.unknown", "id", c.Item, "known", strings.Join(ids(all), "、")), exitRefused}
	}
	return t.write(g.out(), -1)
}

func ids(all []api.Setpoint) (out []string) {
	for _, s := range all {
		out = append(out, s.ID)
	}
	return out
}

func exact(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// amount writes a value with its unit, every digit kept.
func (g *Globals) amount(v float64, unit string) string {
	switch {
	case unit == "on/off" && v == 0:
		return phrase.M("setpoint.off").In(g.lang())
	case unit == "on/off":
		return phrase.M("setpoint.on").In(g.lang())
	case unit == "1":
		return exact(v)
	}
	return exact(v) + " " + unit
}
