package console

import (
	"tocsin/cmd/hubd/logbook"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/wire"
)

// outcomeText says what became of the last update; the zero Message for nothing.
func outcomeText(o logbook.Outcome) phrase.Message {
	switch o.Code {
	case wire.UpdateStaged:
		return phrase.M("hubd.update_staged", "version", o.Version)
	case wire.UpdateRefused:
		return phrase.M("hubd.update_refused", "why", o.Text)
	case wire.UpdateTrial:
		return phrase.M("hubd.update_trial", "version", o.Version)
	case wire.UpdateConfirmed:
		return phrase.M("hubd.update_confirmed", "version", o.Version)
	case wire.UpdateBack:
		return phrase.M("hubd.update_back", "version", o.Version, "why", o.Text)
	}
	return phrase.Message{}
}

// softwareOf tells which software a station runs, and what became of its last update; bad: that one did not stay.
func softwareOf(k logbook.Station) (text phrase.Text, bad bool) {
	if k.Version != "" {
		text = phrase.Text{ZH: k.Version, EN: k.Version}
	}
	if u := k.Update; u != nil && u.Slot != "" {
		text = both(phrase.M("hubd.update_slot", "version", k.Version, "slot", u.Slot))
	}
	o := k.Outcome
	m := outcomeText(o)
	if m.IsZero() {
		return text, false
	}
	said := both(m)
	if text != (phrase.Text{}) {
		said = phrase.Text{ZH: text.ZH + " · " + said.ZH, EN: text.EN + " · " + said.EN}
	}
	return said, o.Code == wire.UpdateRefused || o.Code == wire.UpdateBack
}
