package page

import (
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

type words map[string]phrase.Message

// Words for the codes of api.Box.
var (
	alarmStates = words{
		"raised": phrase.M("serve.alarm_raised"), "acknowledged": phrase.M("serve.alarm_acknowledged"),
		"subsided": phrase.M("serve.alarm_subsided"), "released": phrase.M("serve.alarm_released"),
		"lapsed": phrase.M("serve.alarm_lapsed"),
	}
	kinds = words{"real": phrase.M("serve.kind_real"), "drill": phrase.M("serve.kind_drill"), "test": phrase.M("serve.kind_test")}
	vias  = words{"key": phrase.M("serve.via_key"), "page": phrase.M("serve.via_page"), "socket": phrase.M("serve.via_socket"),
		"alert": phrase.M("serve.via_alert"), "command": phrase.M("serve.via_command")}
	switches = words{"0": phrase.M("serve.off"), "1": phrase.M("serve.on")}
	measures = words{
		"": phrase.M("serve.measured_not"), "current": phrase.M("serve.measured_current"),
		"input": phrase.M("serve.measured_input"), "ear": phrase.M("serve.measured_ear"),
	}
	receiptStates = words{
		"ordered": phrase.M("serve.receipt_ordered"), "started": phrase.M("serve.receipt_started"), "heard": phrase.M("serve.receipt_heard"),
		"finished": phrase.M("serve.receipt_finished"), "stopped": phrase.M("serve.receipt_stopped"), "failed": phrase.M("serve.receipt_failed"),
	}
	things = words{
		"journal": phrase.M("serve.thing_journal"), "page": phrase.M("serve.thing_page"), "clock": phrase.M("serve.thing_clock"),
		"lan": phrase.M("serve.thing_page"), "socket": phrase.M("serve.thing_socket"), "token": phrase.M("serve.thing_token"),
	}
)

// qualityIcons differ in shape, so that colour is never the only sign.
var qualityIcons = map[point.Quality]string{
	point.Unknown: "wait", point.Good: "ok", point.Suspect: "doubt", point.Stale: "clock",
	point.OutOfRange: "range", point.SensorFault: "warn", point.CommFault: "cross",
}

// word gives a code's word, and the code itself where it has none: better a
// foreign word than nothing.
func word(w words, code string, l phrase.Lang) string {
	if m, ok := w[code]; ok {
		return m.In(l)
	}
	return code
}

func quality(q point.Quality, l phrase.Lang) string {
	if q == point.Unknown {
		return phrase.M("serve.never_measured").In(l)
	}
	return q.Message().In(l)
}

// thing names what a fault is about: a point by its name, the box's own parts by
// a word, anything else by its id in the site's file.
func thing(id string, points map[string]string, l phrase.Lang) string {
	if n := points[id]; n != "" {
		return n
	}
	return word(things, id, l)
}

func age(d time.Duration, l phrase.Lang) string {
	switch {
	case d < time.Second:
		return phrase.M("serve.age_now").In(l)
	case d < time.Minute:
		return phrase.M("serve.age_s", "n", int(d/time.Second)).In(l)
	case d < time.Hour:
		return phrase.M("serve.age_m", "n", int(d/time.Minute)).In(l)
	case d < 48*time.Hour:
		return phrase.M("serve.age_h", "n", int(d/time.Hour)).In(l)
	}
	return phrase.M("serve.age_d", "n", int(d/(24*time.Hour))).In(l)
}

// when writes a wall time: of the same day as now without its date.
func (p *page) when(t, now time.Time, l phrase.Lang) string {
	if t.IsZero() {
		return "—"
	}
	t = t.In(p.o.Zone)
	if !now.IsZero() && t.Format(time.DateOnly) == now.In(p.o.Zone).Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	if l == phrase.ZH {
		return t.Format("1月2日 15:04:05")
	}
	return t.Format("2 Jan 15:04:05")
}
