package page

import (
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// alertsShown bounds the list: a person looks for what stands, and the rest is in the
// API and the journal.
const alertsShown = 12

// warning is one alert from outside as the page shows it. Words that nobody vouches
// for are shown as such and never in the colour that they claim.
type warning struct {
	Tone, Headline, State, From, Action, Text, When string
	Why                                             []string
	Doubted, Ended                                  bool
}

func (p *page) warnings(now time.Time, l phrase.Lang) []warning {
	var all []warning
	for _, a := range p.box.Alerts() {
		if len(all) == alertsShown {
			break
		}
		if a.MsgType != "Alert" && a.MsgType != "Update" || !a.Concerns && a.State != "held" {
			continue
		}
		all = append(all, p.warning(a, now, l))
	}
	return all
}

func (p *page) warning(a api.Alert, now time.Time, l phrase.Lang) warning {
	w := warning{
		Headline: orElse(api.Clean(in(a.Headline, l), 120), orElse(api.Clean(in(a.Event, l), 80), a.Identifier)), State: in(a.StateText, l),
		From: orElse(api.Clean(in(a.SenderName, l), 60), api.Clean(a.Sender, 60)), Text: api.Clean(in(a.Description, l), 600), Action: in(a.Action, l),
		Doubted: a.State == "held", Ended: a.State != "in_force" && a.State != "waiting" && a.State != "held",
	}
	switch {
	case w.Doubted:
		w.Tone = "unsure"
	case a.Level != "":
		w.Tone = p.tone(a.Level)
	default:
		w.Tone = "calm"
	}
	if w.Doubted {
		w.Action = ""
		for _, r := range a.Verdict.Reasons {
			if r.Fatal && len(w.Why) < 3 {
				w.Why = append(w.Why, in(r.Text, l))
			}
		}
	}
	w.When = phrase.M("serve.page_sent", "when", p.when(a.Sent, now, l)).In(l)
	if !a.Expires.IsZero() && !w.Doubted {
		w.When = phrase.M("serve.page_sent_until", "when", p.when(a.Sent, now, l), "until", p.when(a.Expires, now, l)).In(l)
	}
	return w
}
