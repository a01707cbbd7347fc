package station

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/output"
)

// People read names, the rules and the journal keep ids. Messages are made with
// ids, and get their names here, when they leave the house.

// named gives a text its other language and its fallback.
func named(t phrase.Text, id string) phrase.Text {
	if t.ZH == "" && t.EN == "" {
		return phrase.Text{ZH: id, EN: id}
	}
	return phrase.Text{ZH: t.In(phrase.ZH), EN: t.In(phrase.EN)}
}

// pointName is what a point is called: by the name of its device, or by the
// device's id where the site gives it none.
func pointName(device string, d config.Device, quantity phrase.Text) phrase.Text {
	q := named(quantity, "")
	if d.Name == (phrase.Text{}) {
		return phrase.Text{ZH: q.ZH + "（" + device + "）", EN: q.EN + " (" + device + ")"}
	}
	n := named(d.Name, device)
	return phrase.Text{ZH: n.ZH + "·" + q.ZH, EN: n.EN + ", " + q.EN}
}

func (bp *Blueprint) pointText(id string) (phrase.Text, bool) {
	for _, p := range bp.Points {
		if string(p.ID) == id {
			return named(p.Name, id), true
		}
	}
	return phrase.Text{}, false
}

func (bp *Blueprint) deviceText(id string) (phrase.Text, bool) {
	d, ok := bp.Doc.Site.Devices[id]
	return named(d.Name, id), ok
}

func (bp *Blueprint) hazardText(id string) (phrase.Text, bool) {
	if id == alarm.ByHand {
		return inBoth(phrase.M("station.by_hand")), true
	}
	if here, ok := strings.CutPrefix(id, beaconPrefix); ok {
		t, _ := bp.hazardText(here)
		return inBoth(phrase.M("station.beacon_hazard", "hazard", t)), true
	}
	if strings.HasPrefix(id, alarm.WarnedPrefix) {
		return inBoth(phrase.M("station.warning")), true
	}
	r, ok := bp.Doc.Site.Rules[id]
	return named(r.Name, id), ok
}

// outputText names an output by its site's name, else by its kind.
func (bp *Blueprint) outputText(id string) (phrase.Text, bool) {
	o, ok := bp.Doc.Site.Outputs[id]
	if !ok || o.Name != (phrase.Text{}) {
		return named(o.Name, id), ok
	}
	t := inBoth(outputKindText(output.Kind(o.Kind)))
	return phrase.Text{ZH: t.ZH + "（" + id + "）", EN: t.EN + " (" + id + ")"}, true
}

func outputKindText(k output.Kind) phrase.Message {
	return map[output.Kind]phrase.Message{
		output.Electronic: phrase.M("station.kind_electronic"), output.Motor: phrase.M("station.kind_motor"),
		output.Loudspeaker: phrase.M("station.kind_loudspeaker"), output.Strobe: phrase.M("station.kind_strobe"),
	}[k]
}

func inBoth(m phrase.Message) phrase.Text {
	return phrase.Text{ZH: m.In(phrase.ZH), EN: m.In(phrase.EN)}
}

// spell puts names for ids, and words for lengths of time, into a message.
func (bp *Blueprint) spell(m phrase.Message) phrase.Message {
	if len(m.Params) == 0 {
		return m
	}
	out := phrase.Message{Code: m.Code, Params: make(map[string]any, len(m.Params))}
	for k, v := range m.Params {
		switch v := v.(type) {
		case phrase.Message:
			out.Params[k] = bp.spell(v)
			continue
		case float64:
			if u, ok := m.Params["unit"].(string); ok {
				out.Params[k] = point.Unit(u).Write(v)
				continue
			}
		case string:
			if t, ok := bp.word(k, v); ok {
				out.Params[k] = t
				continue
			}
		}
		out.Params[k] = v
	}
	return out
}

// word gives the text for a parameter that holds an id or a length of time.
func (bp *Blueprint) word(key, v string) (phrase.Text, bool) {
	switch key {
	case "point":
		return bp.pointText(v)
	case "device":
		return bp.deviceText(v)
	case "hazard":
		return bp.hazardText(v)
	case "output", "primary":
		return bp.outputText(v)
	case "item":
		return bp.setpointText(v)
	case "thing":
		return bp.thingText(v), true
	case "level":
		l, ok := bp.Levels.Level(v)
		return bp.Levels.Rank(l).Name, ok
	case "window", "after", "for", "per", "wait", "within":
		s, err := point.ParseSpan(v)
		return spanText(s.Duration()), err == nil
	}
	return phrase.Text{}, false
}

// thingText names what a fault is about.
func (bp *Blueprint) thingText(thing string) phrase.Text {
	what, id, _ := strings.Cut(thing, " ")
	id2 := id
	id, _, _ = strings.Cut(id, " ")
	var t phrase.Text
	ok := false
	switch what {
	case "point":
		t, ok = bp.pointText(id)
	case "device":
		t, ok = bp.deviceText(id)
	case "hazard", "plan":
		t, ok = bp.hazardText(id)
	case "output":
		t, ok = bp.outputText(id)
	case "setpoint":
		t, ok = bp.setpointText(id)
	case "line":
		t, ok = inBoth(phrase.M("station.line", "line", id)), true
	case "people":
		t, ok = inBoth(phrase.M("people.title")), true
	case "clock":
		if slices.Contains([]string{clockTrust, clockJump, clockChip}, thing) {
			return inBoth(phrase.M("time.own"))
		}
		t, ok = inBoth(phrase.M("time.thing_source", "source", strings.TrimPrefix(thing, "clock "))), true
	case "time": // time server NAME
		t, ok = inBoth(phrase.M("time.thing_server", "server", strings.TrimPrefix(thing, "time server "))), true
	case "black":
		t, ok = inBoth(phrase.M("guard.black_box")), true
	case "box":
		_, of, _ := strings.Cut(id2, " ")
		t, ok = bp.pointText(of)
	case "surge":
		t, ok = inBoth(phrase.M("guard.surge_thing")), true
	case "room":
		t, ok = inBoth(phrase.M("guard.part", "room", strings.TrimPrefix(thing, "room "))), true
	case "mqtt":
		t, ok = inBoth(phrase.M("mqtt.thing", "platform", id)), true
	case "certificate":
		t, ok = inBoth(phrase.M("certificate.thing")), true
	case "audit":
		t, ok = inBoth(phrase.M("audit.thing")), true
	case "accounts":
		t, ok = inBoth(phrase.M("access.thing")), true
	case "recordings":
		t, ok = inBoth(phrase.M("hand.record")), true
	case "history":
		t, ok = inBoth(phrase.M("history.thing")), true
	case "board":
		t, ok = boardText(id), true
	case "power":
		t, ok = inBoth(phrase.M("power.thing")), true
	case "input":
		in, there := bp.Doc.Site.Inputs[id]
		if t, ok = (phrase.Text{ZH: in.Name, EN: in.Name}), there; in.Name == "" {
			t = phrase.Text{ZH: id, EN: id}
		}
	}
	if !ok {
		return phrase.Text{ZH: thing, EN: thing}
	}
	return t
}

// spanText writes 90 s as people say it: 1m would be a metre to them.
func spanText(d time.Duration) phrase.Text {
	one := func(d, unit time.Duration, zh, en string) phrase.Text {
		n := strconv.FormatFloat(float64(d)/float64(unit), 'f', -1, 64)
		return phrase.Text{ZH: n + " " + zh, EN: n + " " + en}
	}
	switch {
	case d >= time.Hour && d%(30*time.Minute) == 0:
		return one(d, time.Hour, "小时", "h")
	case d >= time.Minute && d%time.Minute == 0:
		return one(d, time.Minute, "分钟", "min")
	}
	return one(d, time.Second, "秒", "s")
}

// text renders a message for people: a cause by its hazard, the rest by spell.
func (s shown) text(m phrase.Message) api.Text {
	m = s.bp.spell(m)
	if id, ok := m.Params["cause"].(string); ok {
		for _, a := range slices.Concat(s.open, s.ended) {
			if a.ID == id {
				t, _ := s.bp.hazardText(a.Hazard)
				m.Params["cause"] = t
			}
		}
	}
	return api.TextOf(m)
}

// faultText is why, without the name that stands before it anyway.
func (s shown) faultText(name phrase.Text, why phrase.Message) api.Text {
	t := s.text(why)
	t.ZH = strings.TrimPrefix(t.ZH, name.ZH+"：")
	t.EN = strings.TrimPrefix(t.EN, name.EN+": ")
	return t
}

// receiptText says in a journal line which output did what.
func (s shown) receiptText(state string, r journal.Record) api.Text {
	var b receiptBody
	if json.Unmarshal(r.Body, &b) != nil || receiptWords[state].IsZero() {
		return s.text(r.Message)
	}
	t := s.text(receipt(b.Output, state, r.Message))
	t.Code = r.Message.Code
	return t
}

var receiptWords = map[string]phrase.Message{
	"ordered": phrase.M("serve.receipt_ordered"), "started": phrase.M("serve.receipt_started"), "heard": phrase.M("serve.receipt_heard"),
	"finished": phrase.M("serve.receipt_finished"), "stopped": phrase.M("serve.receipt_stopped"), "failed": phrase.M("serve.receipt_failed"),
}

func receipt(out, state string, why phrase.Message) phrase.Message {
	if why.IsZero() {
		return phrase.M("station.receipt", "output", out, "state", receiptWords[state])
	}
	return phrase.M("station.receipt_why", "output", out, "state", receiptWords[state], "why", why)
}

// receiptMessage says the same of what has just happened, with the site's names and by what it
// was measured.
func (s shown) receiptMessage(e output.Event) phrase.Message {
	by := phrase.M("serve.measured_not")
	switch e.Measured {
	case output.Current:
		by = phrase.M("serve.measured_current")
	case output.Input:
		by = phrase.M("serve.measured_input")
	}
	return phrase.M("station.receipt_by", "receipt", s.bp.spell(receipt(e.Output, string(e.State), e.Why)), "by", by)
}

// told tells whether another fault that stands says it already: a dead port is
// one fault, not one more for each device behind it, and a board that does not
// answer is not three faults of each siren on it.
func (s shown) told(thing string, all map[string]fault) bool {
	stands := func(t string) bool { _, ok := all[t]; return ok }
	what, rest, _ := strings.Cut(thing, " ")
	id, code, _ := strings.Cut(rest, " ")
	switch {
	case what == "device":
		return stands("line " + s.bp.Doc.Site.Devices[id].Line)
	case what == "output" && (code == string(output.SenseLost) || code == string(output.CutFailed)):
		return stands("output " + id + " " + string(output.NoAnswer))
	}
	return false
}
