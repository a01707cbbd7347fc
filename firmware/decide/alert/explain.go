package alert

import (
	"strconv"

	"tocsin/firmware/phrase"
)

// Explain says in sentences what the box makes of an alert, in the order in which
// the questions are asked: what it is, is it well-formed, genuine, trusted, for this
// place, and what would be done. Whether it is in force is the book's to say.
func (o *Opened) Explain(t *Tables) []phrase.Message {
	if o.Alert == nil {
		return append([]phrase.Message{phrase.M("alert.explain.none", "bytes", o.Raw)}, o.reasons(Form, true)...)
	}
	a := o.Alert
	out := []phrase.Message{phrase.M("alert.explain.what", "type", phrase.Message{Code: "alert.type." + known(a.MsgType, "msgType")},
		"status", phrase.Message{Code: "alert.status." + known(a.Status, "status")}, "sender", clip(a.Sender), "identifier", clip(a.Identifier),
		"sent", written(a), "profile", t.Profile(a.Profile).Name)}
	for i := range a.Infos {
		in := &a.Infos[i]
		out = append(out, phrase.M("alert.explain.info", "n", strconv.Itoa(i+1), "event", clip(in.Event), "language", clip(in.Language),
			"colour", phrase.Message{Code: "alert.colour." + orNone(in.Colour)}, "severity", phrase.Message{Code: "alert.severity." + t.SeverityOf(in)}))
	}
	answer := func(yes bool, p Part, y, n phrase.Message) {
		if yes {
			out = append(out, y)
		} else {
			out = append(out, n)
		}
		out = append(out, o.reasons(p, true)...)
		out = append(out, o.reasons(p, false)...)
	}
	answer(o.WellFormed, Form, phrase.M("alert.explain.formed"), phrase.M("alert.explain.malformed"))
	answer(o.Genuine, Genuine, phrase.M("alert.explain.genuine", "algorithm", string(o.Algorithm), "key", string(o.Key)), phrase.M("alert.explain.not_genuine"))
	name := phrase.Text{}
	if o.Issuer != nil {
		name = o.Issuer.Name
	}
	answer(o.Trusted, Trusted, phrase.M("alert.explain.trusted", "issuer", name), phrase.M("alert.explain.not_trusted"))
	if o.Concerns {
		out = append(out, phrase.M("alert.explain.here", "why", o.ConcernsWhy))
	} else {
		out = append(out, phrase.M("alert.explain.elsewhere", "why", o.ConcernsWhy))
	}
	if o.WellFormed && o.Genuine && o.Trusted && o.Concerns {
		return append(out, phrase.M("alert.explain.action", "why", o.Action.Why))
	}
	return append(out, phrase.M("alert.explain.silent"))
}

func (o *Opened) reasons(p Part, fatal bool) []phrase.Message {
	var out []phrase.Message
	for _, f := range o.Findings {
		if f.Part == p && f.Fatal == fatal {
			out = append(out, f.Sentence())
		}
	}
	return out
}

// Sentence is a finding with its place in front of it.
func (f Finding) Sentence() phrase.Message {
	if f.Fatal {
		return phrase.M("alert.explain.fatal", "path", f.Path, "what", f.What)
	}
	return phrase.M("alert.explain.told", "path", f.Path, "what", f.What)
}

func written(a *Alert) string {
	if a.Sent.IsZero() {
		return "?"
	}
	return a.Sent.Format("2006-01-02 15:04:05-07:00")
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// known gives a value of a closed set, and "unknown" for any other.
func known(s, name string) string {
	if has(alertFields[fieldOf(alertFields, name)].values, s) {
		return s
	}
	return "unknown"
}
