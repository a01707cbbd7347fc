package compact

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A warning is spoken from clips: a row's speech lists them, with what is filled in.

// Comma stands in a row's speech, and in what Speech gives, for a short pause.
const Comma = ","

// Or stands in what Speech gives between clips of which the first that the box has is said. Nothing behind the last one means
// that it may be left out.
const Or = "|"

// unit is said behind a number. A counted one counts (两米, 一米 with yì); a force of wind does not (二级).
type unit struct {
	Clip    string `yaml:"clip"`
	ZH      string `yaml:"zh"`
	Counted bool   `yaml:"counted"`
}

type clockRow struct {
	Day    unit `yaml:"day"`
	Hour   unit `yaml:"hour"`
	Minute unit `yaml:"minute"`
}

var spokenHoles = []string{"{event}", "{level}", "{area}", "{from}", "{until}", "{p}", "{q}"}

const speechMost = 60 // clips and pauses of one row

func (t *Tables) proveSpeech() error {
	spoken := false
	for n, row := range t.Templates {
		if row.SpeechFor != "" && (row.SpeechFor != "drill" || row.Speech == "") {
			return fmt.Errorf("templates: %d: speech_for: is drill, beside a speech", n)
		}
		words := strings.Fields(row.Speech)
		spoken = spoken || len(words) > 0
		if len(words) > speechMost {
			return fmt.Errorf("templates: %d: speech: %d clips and pauses, at most %d", n, len(words), speechMost)
		}
		for _, word := range words {
			switch {
			case word == Comma || clipName.MatchString(word):
			case !slices.Contains(spokenHoles, word):
				return fmt.Errorf("templates: %d: speech: %q is neither a clip's name nor , nor one of %s", n, word, strings.Join(spokenHoles, " "))
			case word == "{p}" && !t.readable(row.P) || word == "{q}" && !t.readable(row.Q):
				return fmt.Errorf("templates: %d: speech: %s needs its row, a place or a number with a unit of units", n, word)
			}
		}
	}
	if !spoken {
		return nil
	}
	num := t.Numbers
	if len(num.Digits) != 10 || len(num.Languages) == 0 || num.Ten == "" || num.Hundred == "" || num.Thousand == "" || num.Wan == "" || num.Point == "" {
		return fmt.Errorf("numbers: ten digits, ten, hundred, thousand, ten_thousand, point and languages are needed to speak")
	}
	for l, r := range num.Languages {
		for _, o := range []*other{r.Two, r.One} {
			if o != nil && (o.Clip == "" || slices.ContainsFunc(o.Before, func(s string) bool { return !slices.Contains(befores, s) })) {
				return fmt.Errorf("numbers: languages: %s: two and one have a clip, and before what of %v it is said", l, befores)
			}
		}
	}
	if t.GenericPlace == "" || t.Clock.Day.Clip == "" || t.Clock.Hour.Clip == "" || t.Clock.Minute.Clip == "" {
		return fmt.Errorf("generic_place and the clips of clock are needed to speak")
	}
	for _, id := range t.pieces() {
		if !clipName.MatchString(id) {
			return fmt.Errorf("%q is no clip's name: small letters, digits and -, at most 40", id)
		}
	}
	return nil
}

func (t *Tables) readable(p *parameter) bool {
	if p == nil || p.Place {
		return p != nil
	}
	u, ok := t.Units[p.Unit]
	return ok && u.Clip != ""
}

// Speech gives what a loudspeaker says of a warning, in each language that numbers are read in: clips, Comma and alternatives
// with Or. Nothing for what says nothing, for a row without speech, for a drill's words in a real warning, and where a
// number cannot be read.
func (t *Tables) Speech(w Warning, issued Day, region string, zone *time.Location) map[string][]string {
	row, ok := t.Templates[int(w.Template)]
	if !ok {
		row = t.Templates[0]
	}
	if row.Speech == "" || w.Type.cancels() || w.Type == Test || row.SpeechFor == "drill" && w.Type != Drill {
		return nil
	}
	all := map[string][]string{}
	for _, l := range slices.Sorted(maps.Keys(t.Numbers.Languages)) {
		s, ok := t.speechIn(l, row, w, issued, region, zone)
		if !ok {
			return nil
		}
		all[l] = s
	}
	return all
}

func (t *Tables) speechIn(lang string, row templateRow, w Warning, issued Day, region string, zone *time.Location) (said []string, ok bool) {
	start := issued.At(w.Start)
	event, known := t.Events[int(w.Event)]
	for _, word := range strings.Fields(row.Speech) {
		var more []string
		ok = true
		switch word {
		case "{event}":
			more = []string{event.Clip}
			if event.Clip == "" { // a row that the box does not have, or has no clip for: the plan's words are said
				more = []string{fmt.Sprintf("say-event-%d", w.Event)}
			}
		case "{level}":
			if known && event.Coloured {
				more = []string{t.Severities[w.Severity].Clip}
			}
		case "{area}":
			if a := t.areaClip(w.Area, region); a != "" {
				more = []string{a + Or}
			}
		case "{from}":
			more, ok = t.timeIn(lang, start.In(zone))
		case "{until}":
			more, ok = t.timeIn(lang, start.Add(t.durations[w.Duration]).In(zone))
		case "{p}":
			more, ok = t.valueIn(lang, row.P, w.P, region)
		case "{q}":
			more, ok = t.valueIn(lang, row.Q, w.Q, region)
		default:
			more = []string{word}
		}
		if !ok {
			return nil, false
		}
		said = append(said, more...)
	}
	return said, true
}

// areaClip names the clip of exactly this area; "" for a circle, which no clip says.
func (t *Tables) areaClip(a Area, region string) string {
	switch a.Mode {
	case Circle:
		return ""
	case Listed:
		if row, ok := t.Areas[int(a.Row)]; ok && row.Clip != "" {
			return row.Clip
		}
		return fmt.Sprintf("say-area-%d", a.Row)
	}
	code := division12(region, a.Digits)
	for _, step := range []int{12, 9, 6, 4, 2} {
		if n, ok := t.Divisions[code[:step]]; ok && n.Clip != "" && strings.Trim(code[step:], "0") == "" {
			return n.Clip
		}
	}
	return "say-area-" + code
}

func (t *Tables) valueIn(lang string, p *parameter, v uint8, region string) ([]string, bool) {
	if p.Place {
		row, of, known := t.place(region, v)
		switch {
		case !known: // never the name of another place
			return []string{t.GenericPlace}, true
		case row.Clip != "":
			return []string{row.Clip + Or + t.GenericPlace}, true
		}
		return []string{fmt.Sprintf("say-place-%s-%d", of, v) + Or + t.GenericPlace}, true
	}
	return t.Numbers.with(lang, amount(p.Offset+p.Scale*float64(v), p.Digits), t.Units[p.Unit])
}

// timeIn says a time as clockOf writes it; a full hour without its minutes.
func (t *Tables) timeIn(lang string, at time.Time) (said []string, ok bool) {
	day, ok1 := t.Numbers.with(lang, fmt.Sprint(at.Day()), t.Clock.Day)
	hour, ok2 := t.Numbers.with(lang, fmt.Sprint(at.Hour()), t.Clock.Hour)
	said = append(day, hour...)
	if at.Minute() == 0 {
		return said, ok1 && ok2
	}
	if at.Minute() < 10 {
		said = append(said, t.Numbers.Digits[0])
	}
	minute, ok3 := t.Numbers.with(lang, fmt.Sprint(at.Minute()), t.Clock.Minute)
	return append(said, minute...), ok1 && ok2 && ok3
}

// Needs lists the clips without which some row cannot be said in a language; false where no numbers are read in it.
func (t *Tables) Needs(lang string) ([]string, bool) {
	need := t.pieces()
	r, ok := t.Numbers.Languages[lang]
	for _, o := range []*other{r.Two, r.One} {
		if o != nil {
			need = append(need, o.Clip)
		}
	}
	return need, ok
}

// Names lists the clips of places and areas: what is said where they are there.
func (t *Tables) Names() (also []string) {
	for _, list := range t.Places {
		for _, p := range list {
			also = append(also, p.Clip)
		}
	}
	for _, d := range t.Divisions {
		also = append(also, d.Clip)
	}
	for _, a := range t.Areas {
		also = append(also, a.Clip)
	}
	slices.Sort(also)
	return slices.DeleteFunc(slices.Compact(also), func(id string) bool { return id == "" })
}

func (t *Tables) pieces() []string {
	ids := map[string]bool{t.GenericPlace: true}
	add := func(list ...string) {
		for _, id := range list {
			ids[id] = true
		}
	}
	add(t.Numbers.Digits...)
	add(t.Numbers.Ten, t.Numbers.Hundred, t.Numbers.Thousand, t.Numbers.Wan, t.Numbers.Point, t.Clock.Day.Clip, t.Clock.Hour.Clip, t.Clock.Minute.Clip)
	for _, s := range t.Severities {
		add(s.Clip)
	}
	for _, e := range t.Events {
		add(e.Clip)
	}
	for _, u := range t.Units {
		add(u.Clip)
	}
	for _, row := range t.Templates {
		for _, word := range strings.Fields(row.Speech) {
			if word != Comma && word[0] != '{' {
				add(word)
			}
		}
	}
	delete(ids, "")
	return slices.Sorted(maps.Keys(ids))
}

// Spoken lists the templates that have a speech.
func (t *Tables) Spoken() (all []uint16) {
	for n, row := range t.Templates {
		if row.Speech != "" {
			all = append(all, uint16(n))
		}
	}
	slices.Sort(all)
	return all
}
