package page

import (
	"math"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
)

// view is what the templates show: every text already in the reader's language.
type view struct {
	Lang, Other phrase.Lang
	Tag         string // BCP 47, for the lang attribute
	OtherName   string

	Site, Version, Now string
	Tone               string // calm, unsure, blue, yellow, orange, red
	Icon               string
	Headline, Subline  string
	Notices            []notice
	Ready              ready
	Sounding           []sounding
	SoundKey           string
	HasSound           bool
	Alarms             []alarm
	Warnings           []warning
	Readings           []reading
	// Switches are contacts and codes that are good: a board has sixteen, and
	// they must not bury the gauges.
	Switches    []reading
	BadReadings int
	Faults      []fault
	Lines       []line
	Times       times
	Links       links
	People      people
	Receipts    []receipt
	Cameras     []camera
	Search      bool // cameras can be searched for
	// Words are those of the script of live pictures.
	Words map[string]string

	// Sign is of the pages of sign-in.
	Sign *signing
	// Install helps a phone to trust the box.
	Install *installing
	// Stranger is not signed in where that is wanted, and sees nothing of the box.
	Stranger bool

	// Said and Done are set on the answer to STOP.
	Said string
	Done bool
	Name string
}

// ready is whether the box could sound its worst level now, in one line.
type ready struct{ Icon, Line, Power string }

var readyIcons = map[string]string{"yes": "ok", "partly": "doubt", "no": "warn"}

type notice struct{ Icon, Title, Text string }

type sounding struct{ Kind, KindClass, What, Why, Outputs, Since string }

type alarm struct {
	Tone, Level, Hazard, State, By, Raised string
	// County says by which links the county has heard of it.
	County       string
	Because      []string
	Blind, Ended bool
}

type reading struct {
	Name, ID, Value, Unit, Quality, Icon, Class, Why, Age string
	Good                                                  bool
}

type fault struct{ Thing, Why, Since string }

type line struct {
	Name, Port, State, Why, Asked string
	Up                            bool
	Units                         []unit
}

type unit struct {
	Device, Unit, Share, Failed, Note string
}

type receipt struct {
	Output, State, Icon, Kind, Measured, Why, When string
	Bad                                            bool
}

// plain is a view of nothing but the language.
func (p *page) plain(l phrase.Lang) *view {
	v := &view{Lang: l, Other: phrase.EN, Tag: "zh-CN", OtherName: "English"}
	if l == phrase.EN {
		v.Other, v.Tag, v.OtherName = phrase.ZH, "en", "中文"
	}
	return v
}

func in(t api.Text, l phrase.Lang) string { return phrase.Text{ZH: t.ZH, EN: t.EN}.In(l) }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// look takes one look at the box.
func (p *page) look(l phrase.Lang) *view {
	v := p.plain(l)
	st := p.box.Status()
	v.Site, v.Version = orElse(st.Name.In(l), st.Site), st.Version
	v.Now = p.when(st.Now, time.Time{}, l)
	names := map[string]string{}
	for _, r := range p.box.Readings() {
		x := readingOf(r, l)
		names[x.ID] = x.Name
		if !x.Good {
			v.BadReadings++
		}
		if r.Quality == point.CommFault {
			x.Why = "" // the fault of its device or line says it, once
		}
		if dead := r.Quality == point.CommFault || r.Quality == point.Unknown; (x.Good || dead) && (r.Unit == "on/off" || r.Unit == "1") {
			if dead {
				x.Value = x.Quality
			}
			v.Switches = append(v.Switches, x)
			continue
		}
		v.Readings = append(v.Readings, x)
	}
	p.sounds(v, st.Now)
	for _, a := range p.box.Alarms() {
		v.Alarms = append(v.Alarms, p.alarm(a, st.Now, l))
	}
	v.Warnings = p.warnings(st.Now, l)
	v.Times = p.times(l)
	for _, f := range p.box.Faults() {
		v.Faults = append(v.Faults, fault{Thing: orElse(in(f.Name, l), thing(f.Thing, names, l)), Why: in(f.Why, l), Since: p.when(f.Since, st.Now, l)})
	}
	p.banner(v, st)
	v.Links = p.links(st.Now, l)
	v.People = p.people(l)
	v.Cameras = p.cameras(l)
	for _, x := range p.box.Lines() {
		v.Lines = append(v.Lines, lineOf(x, l))
	}
	return v
}

func (p *page) banner(v *view, st api.Status) {
	l := v.Lang
	r := p.box.Readiness()
	v.Ready = ready{readyIcons[r.Sounds], in(r.Line, l), in(r.Power.Line, l)}
	switch {
	case st.Level != "":
		v.Tone, v.Icon, v.Headline = p.tone(st.Level), "warn", orElse(in(st.LevelText, l), st.Level)
		v.Subline = phrase.M("serve.page_level_stands").In(l)
	case st.Blind:
		v.Tone, v.Icon, v.Headline = "unsure", "blind", phrase.M("serve.page_blind").In(l)
		v.Subline = phrase.M("serve.page_blind_text").In(l)
	case !st.Armed:
		v.Tone, v.Icon, v.Headline = "unsure", "wait", phrase.M("serve.page_not_armed").In(l)
		v.Subline = phrase.M("serve.page_not_armed_text").In(l)
	case v.BadReadings > 0:
		v.Tone, v.Icon, v.Headline = "calm", "ok", phrase.M("serve.page_calm").In(l)
		v.Subline = phrase.M("serve.page_calm_but", "n", v.BadReadings).In(l)
	case len(v.Faults) > 0:
		v.Tone, v.Icon, v.Headline = "calm", "warn", phrase.M("serve.page_calm").In(l)
		v.Subline = phrase.M("serve.page_calm_faults", "n", len(v.Faults)).In(l)
	default:
		v.Tone, v.Icon, v.Headline = "calm", "ok", phrase.M("serve.page_calm").In(l)
		v.Subline = phrase.M("serve.page_calm_text").In(l)
	}
	add := func(icon string, title phrase.Message, text string) {
		v.Notices = append(v.Notices, notice{icon, title.In(l), text})
	}
	if st.Blind && st.Level != "" {
		add("blind", phrase.M("serve.page_blind"), phrase.M("serve.page_blind_text").In(l))
	}
	if !st.Armed {
		text := phrase.M("serve.page_not_armed_text").In(l)
		var missing []string
		for _, t := range st.NotArmed {
			missing = append(missing, in(t, l))
		}
		switch whole := st.Level != "" || st.Blind; {
		case len(missing) > 0:
			semicolon := map[phrase.Lang]string{phrase.ZH: "；", phrase.EN: "; "}[l]
			title := phrase.M("serve.page_in_the_way")
			if whole {
				title = phrase.M("serve.page_not_armed")
			}
			add("wait", title, strings.Join(missing, semicolon))
		case whole:
			add("wait", phrase.M("serve.page_not_armed"), text)
		}
	}
	if m := st.Maintenance; m != nil {
		add("warn", phrase.M("serve.page_maintenance_title"), phrase.M("serve.page_maintenance", "who", m.By.Name, "minutes", int((m.Left+time.Minute-1)/time.Minute), "why", m.Why).In(l))
	}
	if st.Trust != "held" && st.Trust != "set" {
		add("clock", phrase.M("serve.page_clock"), phrase.M("serve.page_clock_text").In(l))
	}
	if !st.JournalOK {
		add("disk", phrase.M("serve.page_journal"), in(st.Journal, l))
	}
}

func (p *page) tone(level string) string {
	switch c := p.o.Colours[level]; c {
	case "blue", "yellow", "orange", "red":
		return c
	}
	return "red"
}

func (p *page) alarm(a api.Alarm, now time.Time, l phrase.Lang) alarm {
	// What people were told stands until somebody releases it: an alarm whose
	// measurements have fallen is shown by the level that it reached.
	level, text := a.Level, a.LevelText
	if a.State == "subsided" || a.State == "released" || a.State == "lapsed" {
		level, text = a.Peak, a.PeakText
	}
	x := alarm{
		Tone: p.tone(level), Level: in(text, l), Hazard: in(a.HazardText, l), Blind: a.Blind,
		State: word(alarmStates, a.State, l), Ended: a.State == "released" || a.State == "lapsed",
		Raised: phrase.M("serve.page_raised", "when", p.when(a.Raised, now, l)).In(l), County: heard(a.County, l),
	}
	if a.By != nil {
		x.By = phrase.M("serve.page_by", "name", a.By.Name, "via", word(vias, a.By.Via, l)).In(l)
	}
	for _, b := range a.Because {
		x.Because = append(x.Because, in(b, l))
	}
	return x
}

func readingOf(r api.Reading, l phrase.Lang) reading {
	x := reading{
		ID: string(r.Point), Name: orElse(r.Name.In(l), string(r.Point)), Value: "—",
		Good: r.Quality == point.Good, Quality: quality(r.Quality, l), Class: r.Quality.String(), Icon: qualityIcons[r.Quality],
	}
	if r.Quality != point.Unknown {
		x.Age = age(r.Age, l)
	}
	if r.Value != nil && !math.IsNaN(*r.Value) && !math.IsInf(*r.Value, 0) {
		x.Value, x.Unit = point.Unit(r.Unit).Write(*r.Value), r.Unit
	}
	if r.Unit == "on/off" && r.Value != nil {
		x.Unit, x.Value = "", word(switches, number(*r.Value), l)
	}
	if r.Unit == "1" {
		x.Unit = ""
	}
	if r.Text != "" {
		x.Value = r.Text
	}
	if r.Why != nil {
		x.Why = in(*r.Why, l)
	}
	return x
}

func number(f float64) string {
	s := strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64)
	if s == "-0" {
		return "0"
	}
	return s
}

func lineOf(x api.Line, l phrase.Lang) line {
	y := line{Name: x.Name, Port: x.Port, Up: x.Up, Asked: strconv.FormatInt(x.Asked, 10), State: phrase.M("serve.page_line_up").In(l)}
	if !x.Up {
		y.State = phrase.M("serve.page_line_down").In(l)
	}
	if x.Fault != nil {
		y.Why = in(*x.Fault, l)
	}
	for _, u := range x.Units {
		z := unit{Device: u.Device, Unit: strconv.Itoa(u.Unit), Failed: strconv.FormatInt(max(0, u.Asked-u.Good), 10), Share: "—"}
		if u.Asked > 0 {
			z.Share = strconv.FormatFloat(math.Floor(1000*float64(u.Good)/float64(u.Asked))/10, 'f', 1, 64) + "%"
		}
		if u.Quarantined {
			z.Note = phrase.M("serve.page_quarantined").In(l)
		}
		y.Units = append(y.Units, z)
	}
	return y
}
