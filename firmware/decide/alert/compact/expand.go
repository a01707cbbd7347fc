package compact

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/decide/alert"
	"tocsin/firmware/phrase"
)

// chainDay gives the day on which a chain began: of those with its three bits the latest that is not after
// the day on which the message was issued.
func (w Warning) chainDay(issued Day) Day { return issued - (issued-Day(w.Chain.DayBits))&7 }

// ref names a message of a chain. Everything in it follows from issuer, day, serial and sequence, so that a cancel can
// name what never came here: the instant is nominal (the chain's day, and a second for each update), not a time at which anybody sent.
func (w Warning) ref(sender string, day Day, sequence uint8) alert.Ref {
	id := fmt.Sprintf("compact-%d-%s-%d", w.Issuer, day.At(0).Format("20060102"), w.Chain.Serial)
	switch w.Type {
	case Test, AllClear:
		id += map[Type]string{Test: "-test", AllClear: "-clear"}[w.Type]
	case Drill, DrillCancel:
		id += "-drill"
	}
	if sequence > 0 {
		id += fmt.Sprintf("-u%d", sequence)
	}
	return alert.Ref{Sender: sender, Identifier: id, Sent: day.At(0).Add(time.Duration(sequence) * time.Second)}
}

// Name is what names a warning in a receipt: what both who signed it and who took it know.
type Name struct {
	Type   Type
	Issuer uint8
	// Day is that on which its chain began.
	Day Day
	// Number is 14 bits: the chain's three of the day, its serial, the sequence.
	Number uint16
}

// Name names a warning that was issued on a day.
func (w Warning) Name(issued Day) Name {
	return Name{w.Type, w.Issuer, w.chainDay(issued), w.Number()}
}

var namePattern = regexp.MustCompile(`^compact-(\d{1,3})-(\d{8})-(\d{1,3})(-test|-clear|-drill)?(?:-u([1-7]))?(-end)?$`)

// Named gives the name of the warning that an alert with this identifier came of; false
// where it came of none.
func Named(identifier string) (Name, bool) {
	m := namePattern.FindStringSubmatch(identifier)
	if m == nil {
		return Name{}, false
	}
	issuer, err := strconv.ParseUint(m[1], 10, 8)
	at, err2 := time.Parse("20060102", m[2])
	serial, err3 := strconv.ParseUint(m[3], 10, 8)
	if err != nil || err2 != nil || err3 != nil {
		return Name{}, false
	}
	w := Warning{Issuer: uint8(issuer), Chain: Chain{uint8(DayOf(at) & 7), uint8(serial)}}
	if m[5] != "" {
		w.Type, w.Sequence = Update, m[5][0]-'0'
	}
	switch m[4] + m[6] {
	case "-test":
		w.Type = Test
	case "-clear":
		w.Type = AllClear
	case "-drill":
		w.Type = Drill
	case "-end":
		w.Type = Cancel
	case "-drill-end":
		w.Type = DrillCancel
	}
	return w.Name(DayOf(at)), true
}

// sequences is how many messages a chain may have: an alert and seven updates.
const sequences = 8

// expand makes the canonical alert of a warning that was issued on a day. It tells what it could not read; none of that
// is fatal: the level and the event act also where the words are not known.
func (t *Tables) expand(w Warning, issued Day, region, sender string, issuer phrase.Text, zone *time.Location) (*alert.Alert, []alert.Finding) {
	day := w.chainDay(issued)
	ref := w.ref(sender, day, w.Sequence)
	a := &alert.Alert{Identifier: ref.Identifier, Sender: ref.Sender, Sent: ref.Sent, Status: "Actual", MsgType: "Alert", Source: "compact", Scope: "Public", Profile: "cap"}
	switch w.Type {
	case Test:
		a.Status = "Test"
	case Drill, DrillCancel:
		a.Status = "Exercise"
	}
	start := issued.At(w.Start)
	switch {
	case w.Type == Update:
		a.MsgType = "Update"
		for s := range w.Sequence {
			a.References = append(a.References, w.ref(sender, day, s))
		}
	case w.Type.cancels():
		// Nobody names a cancel, so its time may be the true one. Eight seconds keep it after every update of the same minute.
		a.MsgType, a.Identifier, a.Sent = "Cancel", ref.Identifier+"-end", start.Add(sequences*time.Second)
		for s := range uint8(sequences) {
			a.References = append(a.References, w.ref(sender, day, s))
		}
		return a, nil
	}
	var found []alert.Finding
	odd := func(path string, what phrase.Message) {
		found = append(found, alert.Finding{Path: path, What: what, Part: alert.Form})
	}
	event, known := t.Events[int(w.Event)]
	if !known {
		event = eventRow{Name: phrase.Text{ZH: phrase.M("compact.some_event", "number", int(w.Event)).In(phrase.ZH), EN: phrase.M("compact.some_event", "number", int(w.Event)).In(phrase.EN)}, Category: "Other"}
		odd("/alert/info[1]/event", phrase.M("compact.unknown_event", "number", int(w.Event)))
	}
	template, known := t.Templates[int(w.Template)]
	if !known {
		template = t.Templates[0]
		odd("/alert/info[1]/description", phrase.M("compact.unknown_template", "number", int(w.Template)))
	}
	severity := t.Severities[w.Severity]
	area, name, why := t.area(w.Area, region)
	if !why.IsZero() {
		odd("/alert/info[1]/area[1]", why)
	}
	until := start.Add(t.durations[w.Duration])
	for _, l := range phrase.Languages {
		level := ""
		if event.Coloured {
			level = severity.Word.In(l)
		}
		fill := strings.NewReplacer("{issuer}", issuer.In(l), "{event}", event.Name.In(l), "{level}", level, "{area}", name.In(l),
			"{from}", clockOf(start, zone, l), "{until}", clockOf(until, zone, l),
			"{p}", t.say(template.P, w.P, region, l), "{q}", t.say(template.Q, w.Q, region, l))
		words := func(text phrase.Text) string { // an event without a colour leaves a blank too many in English
			return strings.ReplaceAll(fill.Replace(text.In(l)), "  ", " ")
		}
		in := alert.Info{
			Language: map[phrase.Lang]string{phrase.ZH: "zh-CN", phrase.EN: "en-US"}[l], Categories: []string{event.Category}, Event: event.Name.In(l),
			Urgency: t.Urgencies[w.Urgency], Severity: severity.Severity, Certainty: t.Certainties[w.Certainty],
			Effective: start, Onset: start, Expires: until, SenderName: issuer.In(l),
			Headline: words(template.Headline), Description: words(template.Description), Instruction: words(template.Instruction),
		}
		if w.Type == Update {
			// It takes over when it comes. What it ends has ended then, and no gap may be left.
			in.Effective = a.Sent
		}
		switch {
		case w.Type == AllClear:
			in.Responses = []string{"AllClear"}
		case template.Response != "":
			in.Responses = []string{template.Response}
		}
		if event.Coloured {
			in.Colour = severity.Colour
		}
		if event.Code != "" {
			in.EventCodes = []alert.Named{{Name: t.EventCode, Value: event.Code}}
		}
		one := area
		one.Desc = name.In(l)
		in.Areas = []alert.Area{one}
		a.Infos = append(a.Infos, in)
	}
	return a, found
}

// area gives what the bits cover, and what it is called. An area that cannot be read counts as
// unreadable: configs/alerts/areas.yaml says what then.
func (t *Tables) area(a Area, region string) (alert.Area, phrase.Text, phrase.Message) {
	codes := func(list ...string) (all []alert.Named) {
		for _, c := range list {
			all = append(all, alert.Named{Name: t.AreaCode, Value: c})
		}
		return all
	}
	switch a.Mode {
	case Circle:
		g, ok := t.Grids[region]
		if !ok {
			return alert.Area{Unreadable: 1}, t.called(region), phrase.M("compact.no_grid", "region", region)
		}
		// The middle of the cell; its half diagonal is added so that nothing of the cell is left out.
		at := alert.Point{Lat: g.Lat + (float64(a.North)+0.5)*t.Cell, Lon: g.Lon + (float64(a.East)+0.5)*t.Cell}
		km := t.Radii[a.Radius]
		name := phrase.Text{ZH: fmt.Sprintf("北纬%.2f度、东经%.2f度周围%s公里", at.Lat, at.Lon, amount(km, 1)), EN: fmt.Sprintf("within %s km of %.2f N %.2f E", amount(km, 1), at.Lat, at.Lon)}
		return alert.Area{Circles: []alert.Circle{{Centre: at, Km: km + t.Cell*111.2*0.7072}}}, name, phrase.Message{}
	case Listed:
		row, ok := t.Areas[int(a.Row)]
		if !ok {
			return alert.Area{Unreadable: 1}, t.called(region), phrase.M("compact.unknown_area", "number", int(a.Row))
		}
		return alert.Area{Geocodes: codes(row.Codes...)}, row.Name, phrase.Message{}
	case Division:
		code := division12(region, a.Digits)
		return alert.Area{Geocodes: codes(code)}, t.called(code), phrase.Message{}
	}
	return alert.Area{Geocodes: codes(division12(region, 0))}, t.called(region), phrase.Message{}
}

func division12(region string, digits uint32) string {
	return (region + fmt.Sprintf("%06d", digits) + "000000")[:12]
}

// called gives a division's name: its own, else that of the smallest that holds it and has one, with the code.
func (t *Tables) called(code string) phrase.Text {
	trimmed := code
	for _, step := range []int{12, 9, 6, 4, 2} {
		if len(trimmed) < step {
			continue
		}
		trimmed = trimmed[:step]
		if n, ok := t.Divisions[trimmed]; ok {
			if strings.Trim(code[step:], "0") != "" {
				return phrase.Text{ZH: n.ZH + "（" + code + "）", EN: n.EN + " (" + code + ")"}
			}
			return n.Text
		}
	}
	return phrase.Text{ZH: code, EN: code}
}

// say gives a parameter's words.
func (t *Tables) say(p *parameter, v uint8, region string, l phrase.Lang) string {
	switch {
	case p == nil:
		return ""
	case !p.Place:
		return amount(p.Offset+p.Scale*float64(v), p.Digits)
	}
	if n, _, ok := t.place(region, v); ok {
		return n.In(l)
	}
	return phrase.M("compact.some_place").In(l)
}

// place looks a number up in the list of the region, or of who holds it, and gives whose list that was.
func (t *Tables) place(region string, v uint8) (namedRow, string, bool) {
	for r := region; len(r) >= 2; r = r[:len(r)-2] {
		if n, ok := t.Places[r][int(v)]; ok {
			return n, r, true
		}
	}
	return namedRow{}, "", false
}

func amount(v float64, digits int) string {
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s
}

func clockOf(at time.Time, zone *time.Location, l phrase.Lang) string {
	at = at.In(zone)
	if l == phrase.EN {
		return at.Format("15:04 on 2 January")
	}
	return fmt.Sprintf("%d日%d时%02d分", at.Day(), at.Hour(), at.Minute())
}
