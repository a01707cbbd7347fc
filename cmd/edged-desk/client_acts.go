package main

import (
	"net/url"
	"strings"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// StopCmd silences what sounds now. The level stands.
type StopCmd struct {
	Who string `help:"操作人姓名，记入日志 · Name of the acting person, kept in the journal" required:"" env:"EDGED_WHO" placeholder:"NAME"`
}

// Run asks the box; the exit code is 1 where it could not be silenced.
func (c *StopCmd) Run(g *Globals) error {
	var r api.Receipt
	if err := g.get("/stop", api.Named{Who: c.Who}, &r); err != nil {
		return err
	}
	switch r.State {
	case "stopped", "finished":
		g.say(phrase.M("serve.stopped"))
	case "failed":
		why := phrase.M("serve.no_reason_given")
		if r.Why != nil {
			why = phrase.M("error.plain", "text", g.text(*r.Why))
		}
		return &clientError{phrase.E("serve.stop_failed", "why", why), exitRefused}
	default:
		g.say(phrase.M("serve.stop_ordered"))
	}
	return nil
}

// AckCmd says that a named person has taken an alarm in hand.
type AckCmd struct {
	Alarm string `arg:"" help:"警报编号或其开头几位，或险情代码，见 edged alarms · The id or its first letters, or the hazard's code; see edged alarms"`
	Who   string `help:"操作人姓名，记入日志 · Name of the acting person, kept in the journal" required:"" env:"EDGED_WHO" placeholder:"NAME"`
}

// Run asks the box.
func (c *AckCmd) Run(g *Globals) error {
	if err := g.get("/alarms/"+url.PathEscape(g.alarm(c.Alarm))+"/acknowledge", api.Named{Who: c.Who}, nil); err != nil {
		return err
	}
	g.say(phrase.M("serve.acknowledged", "alarm", c.Alarm, "who", c.Who))
	return nil
}

// ReleaseCmd gives the all-clear of an alarm by a named person.
type ReleaseCmd struct {
	Alarm  string `arg:"" help:"警报编号或其开头几位，或险情代码，见 edged alarms · The id or its first letters, or the hazard's code; see edged alarms"`
	Who    string `help:"操作人姓名，记入日志 · Name of the acting person, kept in the journal" required:"" env:"EDGED_WHO" placeholder:"NAME"`
	Reason string `help:"原因，记入日志 · The reason, kept in the journal" required:"" placeholder:"TEXT"`
}

// Run asks the box.
func (c *ReleaseCmd) Run(g *Globals) error {
	if err := g.get("/alarms/"+url.PathEscape(g.alarm(c.Alarm))+"/release", api.Reasoned{Who: c.Who, Reason: c.Reason}, nil); err != nil {
		return err
	}
	g.say(phrase.M("serve.released", "alarm", c.Alarm, "who", c.Who))
	return nil
}

// RaiseCmd raises a level by hand.
type RaiseCmd struct {
	Level  string `arg:"" help:"级别代码，见 levels.yaml · Code of levels.yaml"`
	Who    string `help:"操作人姓名，记入日志 · Name of the acting person, kept in the journal" required:"" env:"EDGED_WHO" placeholder:"NAME"`
	Reason string `help:"原因，记入日志 · The reason, kept in the journal" required:"" placeholder:"TEXT"`
}

// Run asks the box.
func (c *RaiseCmd) Run(g *Globals) error {
	var r api.Raised
	if err := g.get("/raise", api.Raising{Level: c.Level, Who: c.Who, Reason: c.Reason}, &r); err != nil {
		return err
	}
	g.say(phrase.M("serve.raised", "alarm", r.Alarm))
	return nil
}

// alarm finds an alarm by the beginning of its id or by its hazard: nobody on a
// pole types seventeen letters. What is not one alarm stays as it was written, and
// the box says so.
func (g *Globals) alarm(s string) string {
	var all []api.Alarm
	if g.get("/alarms", nil, &all) != nil {
		return s
	}
	found := ""
	for _, a := range all {
		switch {
		case a.ID == s:
			return s
		case a.State == "released" || s == "":
		case a.Hazard == s || strings.HasPrefix(a.ID, s):
			if found != "" {
				return s
			}
			found = a.ID
		}
	}
	if found == "" {
		return s
	}
	return found
}
