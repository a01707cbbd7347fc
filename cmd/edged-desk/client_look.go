package main

import (
	"encoding/json"
	"runtime"
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/station"
)

// StatusCmd prints the box at a glance.
type StatusCmd struct {
	JSON bool `name:"json" help:"输出 JSON，一行一条 · Print JSON, one value a line"`
}

// Run prints.
func (c *StatusCmd) Run(g *Globals) error {
	if c.JSON {
		return g.raw("/status")
	}
	var st api.Status
	var now api.Soundings
	var faults []api.Fault
	for path, v := range map[string]any{"/status": &st, "/soundings": &now, "/faults": &faults} {
		if err := g.get(path, nil, v); err != nil {
			return err
		}
	}
	l := g.lang()
	name := st.Name.In(l)
	if name == "" {
		name = st.Site
	}
	level := g.text(st.LevelText)
	if st.Level == "" {
		level = phrase.M("serve.status_no_level").In(l)
	}
	t := table{
		{phrase.M("serve.status_box").In(l), name + " (" + st.Site + ")"},
		{phrase.M("serve.status_armed").In(l), g.armed(st)},
		{phrase.M("serve.status_level").In(l), level},
	}
	for _, n := range st.NotArmed {
		t = append(t, []string{"", g.text(n)})
	}
	if st.Blind {
		t = append(t, []string{phrase.M("serve.page_blind").In(l), phrase.M("serve.page_blind_text").In(l)})
	}
	t = append(t, []string{phrase.M("serve.status_clock").In(l), local(st.Now).Format(time.DateTime) + " " + clockTrust(st.Trust).In(l)},
		[]string{phrase.M("serve.status_journal").In(l), journalWord(st, g)},
		[]string{phrase.M("serve.status_since").In(l), local(st.Started).Format(time.DateTime)},
		[]string{phrase.M("serve.status_version").In(l), st.Version})
	for _, s := range now.Now {
		t = append(t, []string{phrase.M("serve.status_sounding").In(l), strings.Join(outputNames(s, l), ", ") + "  " + g.text(s.Why)})
	}
	for _, f := range faults {
		t = append(t, []string{phrase.M("serve.status_fault").In(l), faultName(f, l) + "  " + g.text(f.Why)})
	}
	return t.write(g.out(), -1)
}

func faultName(f api.Fault, l phrase.Lang) string {
	if n := (phrase.Text{ZH: f.Name.ZH, EN: f.Name.EN}).In(l); n != "" {
		return api.Clean(n, 96)
	}
	return f.Thing
}

func outputNames(s api.Sounding, l phrase.Lang) []string {
	if len(s.OutputTexts) != len(s.Outputs) {
		return s.Outputs
	}
	var all []string
	for _, t := range s.OutputTexts {
		all = append(all, api.Clean((phrase.Text{ZH: t.ZH, EN: t.EN}).In(l), 96))
	}
	return all
}

func journalWord(st api.Status, g *Globals) string {
	if st.JournalOK {
		return phrase.M("serve.status_journal_ok").In(g.lang())
	}
	return g.text(st.Journal)
}

func (g *Globals) armed(st api.Status) string {
	if !st.Armed {
		return phrase.M("serve.page_not_armed").In(g.lang())
	}
	return phrase.M("serve.status_armed_yes", "after", st.ArmedAfter.Round(time.Millisecond).String()).In(g.lang())
}

func clockTrust(code string) phrase.Message {
	switch code {
	case "set":
		return phrase.M("serve.trust_set")
	case "held":
		return phrase.M("serve.trust_held")
	}
	return phrase.M("serve.trust_free")
}

// raw prints one answer as the box wrote it, on one line.
func (g *Globals) raw(path string) error {
	var v json.RawMessage
	if err := g.get(path, nil, &v); err != nil {
		return err
	}
	return g.printLine(v)
}

// AlarmsCmd prints the alarms that stand and those of the last day.
type AlarmsCmd struct {
	JSON bool `name:"json" help:"输出 JSON，一行一条 · Print JSON, one value a line"`
}

// Run prints.
func (c *AlarmsCmd) Run(g *Globals) error {
	if c.JSON {
		return g.raw("/alarms")
	}
	var all []api.Alarm
	if err := g.get("/alarms", nil, &all); err != nil {
		return err
	}
	l := g.lang()
	if len(all) == 0 {
		g.say(phrase.M("serve.page_no_alarms"))
		return nil
	}
	t := table{{phrase.M("serve.col_alarm").In(l), phrase.M("serve.col_hazard").In(l), phrase.M("serve.col_level").In(l),
		phrase.M("serve.col_state").In(l), phrase.M("serve.col_by").In(l), phrase.M("serve.col_raised").In(l), phrase.M("serve.col_because").In(l)}}
	for _, a := range all {
		hazard, by := g.text(a.HazardText), ""
		if hazard == "" {
			hazard = a.Hazard
		}
		if a.By != nil {
			by = api.Clean(a.By.Name, 64)
		}
		level := a.LevelText
		if a.State == "subsided" || a.State == "released" || a.State == "lapsed" {
			level = a.PeakText // what people were told stands until it is released
		}
		row := []string{a.ID, hazard, g.text(level), alarmState(a.State).In(l), by, local(a.Raised).Format("01-02 15:04:05"), ""}
		for i, b := range a.Because {
			if i > 0 {
				t = append(t, row)
				row = make([]string, len(row))
			}
			row[len(row)-1] = g.text(b)
		}
		t = append(t, row)
	}
	return t.write(g.out(), -1)
}

func alarmState(code string) phrase.Message {
	switch code {
	case "raised":
		return phrase.M("serve.alarm_raised")
	case "acknowledged":
		return phrase.M("serve.alarm_acknowledged")
	case "subsided":
		return phrase.M("serve.alarm_subsided")
	case "released":
		return phrase.M("serve.alarm_released")
	case "lapsed":
		return phrase.M("serve.alarm_lapsed")
	}
	return phrase.M("error.plain", "text", code)
}

// VersionCmd prints the version of this binary, and that of the box that runs,
// where one does.
type VersionCmd struct{}

// Run prints.
func (c *VersionCmd) Run(g *Globals) error {
	g.say(phrase.M("serve.version", "version", station.Version, "go", runtime.Version(), "platform", runtime.GOOS+"/"+runtime.GOARCH))
	var st api.Status
	if g.get("/status", nil, &st) == nil && st.Version != station.Version {
		g.say(phrase.M("serve.version_running", "version", st.Version))
	}
	return nil
}
