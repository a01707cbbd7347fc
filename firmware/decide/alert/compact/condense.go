package compact

import (
	"math"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/decide/alert"
	"tocsin/firmware/phrase"
)

// Issue is what a signer decides beside the alert.
type Issue struct {
	Issuer uint8
	Region string
	// At is when it is issued; Sign takes the same day.
	At time.Time
	// Serial is the issuer's own of the day; for an update or a cancel Chain is that of the alert, and Sequence the update's.
	Serial   uint8
	Chain    Chain
	Sequence uint8
	// Template, P and Q are the words: they are chosen, not found.
	Template uint16
	P, Q     uint8
}

// Condense makes the 14 bytes of an alert that is in full elsewhere. What is not said exactly is told: it is always more than the
// alert says (a wider area, a longer time), never less. It errs where the form cannot say it.
func (t *Tables) Condense(a *alert.Alert, i Issue) (Warning, []phrase.Message, error) {
	w := Warning{Issuer: i.Issuer, Chain: Chain{uint8(DayOf(i.At) & 7), i.Serial}, Template: i.Template, P: i.P, Q: i.Q}
	drill := a.Status == "Exercise"
	switch {
	case a.Status == "Test" && a.MsgType == "Alert":
		w.Type = Test
	case a.Status != "Actual" && !drill:
		return Warning{}, nil, phrase.E("compact.cannot_status", "status", a.Status)
	case a.MsgType == "Cancel":
		w = Warning{Type: Cancel, Issuer: i.Issuer, Chain: i.Chain, Template: i.Template, Start: minuteOf(i.At)}
		if drill {
			w.Type = DrillCancel
		}
		return w, nil, nil
	case a.MsgType == "Update" && !drill:
		w.Type, w.Chain, w.Sequence = Update, i.Chain, i.Sequence
	case a.MsgType == "Alert" && drill:
		w.Type = Drill
	case a.MsgType != "Alert":
		return Warning{}, nil, phrase.E("compact.cannot_type", "type", a.MsgType, "status", a.Status)
	}
	if len(a.Infos) == 0 {
		return Warning{}, nil, phrase.E("compact.cannot_empty")
	}
	in := a.Info("zh-CN")
	if w.Type == Alert && slices.Contains(in.Responses, "AllClear") {
		w.Type = AllClear
	}
	var told []phrase.Message
	tell := func(m phrase.Message) { told = append(told, m) }
	for n, e := range t.Events {
		if e.Code != "" && slices.ContainsFunc(in.EventCodes, func(c alert.Named) bool { return c.Value == e.Code }) && (w.Event == 0 || n < int(w.Event)) {
			w.Event = uint8(n)
		}
	}
	for n, e := range t.Events {
		if w.Event == 0 && (in.Event == e.Name.ZH || strings.EqualFold(in.Event, e.Name.EN)) {
			w.Event = uint8(n)
		}
	}
	if w.Event == 0 {
		return Warning{}, nil, phrase.E("compact.cannot_event", "event", in.Event)
	}
	coloured := t.Events[int(w.Event)].Coloured
	level := slices.IndexFunc(t.Severities, func(s severityRow) bool {
		return s.Colour == in.Colour || (!coloured || in.Colour == "") && s.Severity == in.Severity
	})
	if coloured && in.Colour == "" && level >= 0 {
		// The box would say a colour that nobody gave.
		return Warning{}, nil, phrase.E("compact.cannot_colour", "event", in.Event)
	}
	if level < 0 {
		return Warning{}, nil, phrase.E("compact.cannot_level", "level", in.Colour+in.Severity)
	}
	w.Severity = uint8(level)
	if !coloured && in.Colour != "" {
		tell(phrase.M("compact.no_colour", "event", in.Event))
	}
	w.Urgency = index(t.Urgencies, in.Urgency, "Expected", tell)
	w.Certainty = index(t.Certainties, in.Certainty, "Likely", tell)

	day := DayOf(i.At)
	start := in.Effective
	if in.Onset.After(start) {
		start = in.Onset
	}
	if w.Type == Update || start.Before(i.At) {
		start = i.At
	}
	if DayOf(start) != day {
		return Warning{}, nil, phrase.E("compact.cannot_start", "start", start.UTC().Format(time.RFC3339))
	}
	w.Start = minuteOf(start)
	end := in.Expires
	if end.IsZero() {
		return Warning{}, nil, phrase.E("compact.cannot_endless")
	}
	row := slices.IndexFunc(t.durations, func(d time.Duration) bool { return !day.At(w.Start).Add(d).Before(end) })
	if row < 0 {
		return Warning{}, nil, phrase.E("compact.cannot_long", "until", end.UTC().Format(time.RFC3339))
	}
	if w.Duration = uint8(row); !day.At(w.Start).Add(t.durations[row]).Equal(end) {
		tell(phrase.M("compact.longer", "until", day.At(w.Start).Add(t.durations[row]).Format(time.RFC3339)))
	}
	var err error
	if w.Area, err = t.condenseArea(in.Areas, i.Region, tell); err != nil {
		return Warning{}, nil, err
	}
	return w, told, nil
}

func minuteOf(at time.Time) uint16 { at = at.UTC(); return uint16(at.Hour()*60 + at.Minute()) }

// index finds a value's row, or that of the next best thing.
func index(list []string, v, instead string, tell func(phrase.Message)) uint8 {
	if n := slices.Index(list, v); n >= 0 {
		return uint8(n)
	}
	tell(phrase.M("compact.instead", "value", v, "instead", instead))
	return uint8(max(0, slices.Index(list, instead)))
}

// condenseArea gives the smallest area of the form that covers all that are given.
func (t *Tables) condenseArea(areas []alert.Area, region string, tell func(phrase.Message)) (Area, error) {
	var codes []string
	var circles []alert.Circle
	other := len(areas) == 0
	for _, a := range areas {
		for _, g := range a.Geocodes {
			codes = append(codes, g.Value)
		}
		circles = append(circles, a.Circles...)
		other = other || a.Unreadable > 0 || len(a.Polygons) > 0 && len(a.Geocodes) == 0 || len(a.Geocodes)+len(a.Circles)+len(a.Polygons) == 0
	}
	wide := func() (Area, error) {
		tell(phrase.M("compact.wider", "area", t.called(region)))
		return Area{Mode: Region}, nil
	}
	switch {
	case other || len(codes) > 0 && len(circles) > 0:
		return wide()
	case len(circles) == 1:
		if a, ok := t.cell(circles[0], region); ok {
			return a, nil
		}
		return wide()
	case len(circles) > 1:
		return wide()
	}
	slices.Sort(codes)
	codes = slices.Compact(codes)
	for n, row := range t.Areas {
		if have := slices.Sorted(slices.Values(row.Codes)); slices.Equal(have, codes) {
			return Area{Mode: Listed, Row: uint32(n)}, nil
		}
	}
	common := ""
	for i, c := range codes {
		if !division.MatchString(c) {
			return wide()
		}
		c = (c + "000000000000")[:12]
		if i == 0 {
			common = c
			continue
		}
		step := 0
		for _, s := range []int{2, 4, 6, 9, 12} {
			if common[:s] == c[:s] {
				step = s
			}
		}
		common = (common[:step] + "000000000000")[:12]
	}
	for step := 2; step < len(region); step += 2 {
		if common == (region[:step] + "000000000000")[:12] {
			return Area{Mode: Region}, nil // the city or the province: of it, this signer's part
		}
	}
	if !strings.HasPrefix(common, region) {
		return Area{}, phrase.E("compact.cannot_area", "area", common, "region", region)
	}
	digits := uint32(0)
	for _, c := range (common + "000000")[len(region) : len(region)+6] {
		digits = digits*10 + uint32(c-'0')
	}
	if len(codes) > 1 || division12(region, digits) != common {
		tell(phrase.M("compact.wider", "area", t.called(division12(region, digits))))
	}
	return Area{Mode: Division, Digits: digits}, nil
}

// cell gives the cell that holds a circle's middle and the least radius that covers it.
func (t *Tables) cell(c alert.Circle, region string) (Area, bool) {
	g, ok := t.Grids[region]
	north, east := math.Floor((c.Centre.Lat-g.Lat)/t.Cell), math.Floor((c.Centre.Lon-g.Lon)/t.Cell)
	radius := slices.IndexFunc(t.Radii, func(km float64) bool { return km >= c.Km })
	if !ok || radius < 0 || north < 0 || east < 0 || north >= 1<<11 || east >= 1<<11 {
		return Area{}, false
	}
	return Area{Mode: Circle, North: uint16(north), East: uint16(east), Radius: uint8(radius)}, true
}
