package station

import (
	"slices"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/rollcall"
	"tocsin/firmware/serve/api"
)

// People gives who is told of levels, and how far each roll-call is. Numbers are
// masked unless full.
func (h *House) People(full bool) (out api.People) {
	s := h.seen()
	bp := s.bp
	if bp == nil || bp.Roll == nil {
		return out
	}
	code := func(l point.Level) string {
		if l == point.Calm {
			return ""
		}
		return bp.Levels.Rank(l).Code
	}
	for _, p := range bp.People {
		x := api.Person{ID: p.ID, Name: p.Name, Role: p.Role, Language: p.Lang, Hazards: p.Hazards, SMS: code(p.SMS), Call: code(p.Call), Deputies: p.Deputies}
		for _, n := range p.Numbers {
			if !full {
				n = rollcall.Mask(n)
			}
			x.Numbers = append(x.Numbers, n)
		}
		out.People = append(out.People, x)
	}
	if bp.Phone != "" {
		out.Modem = &api.Phone{Link: bp.Phone, Bars: -1}
		t, c := h.phone(bp)
		switch {
		case t == nil:
			out.Modem.Barred = textOfBar(drivers.BarStarting)
		default:
			st := t.State()
			out.Modem.Up, out.Modem.Bars = st.Up, st.Bars
			out.Modem.Barred = textOfBar(t.Limits().Bar)
		}
		if c != nil {
			x := c.Calls()
			out.Modem.Mute, out.Modem.Calling = textOfBar(x.Bar), x.Busy
			out.Modem.Made, out.Modem.Answered, out.Modem.Refused = x.Made, x.Answered, x.Refused
		}
	}
	rounds := h.roll.view.Load()
	if rounds == nil {
		return out
	}
	for _, r := range *rounds {
		level, text := s.level(r.Level)
		x := api.Round{Alarm: r.Cause, Level: level, LevelText: text, Drill: r.Drill, Phase: string(r.Phase), PhaseText: api.TextOf(phaseMessage(r))}
		x.Hazard = h.hazardOfCause(s, r.Cause, r.Hazard)
		for _, p := range r.People {
			name, _ := bp.person(p.ID)
			x.People = append(x.People, api.Reach{
				Person: p.ID, Name: name, Wrote: p.Wrote, Known: string(p.Known), Text: api.TextOf(reachMessage(p)), Calls: p.Called, Key: p.Key, Turn: p.Turn, Now: p.Now, Missed: p.Missed,
			})
		}
		out.Rounds = append(out.Rounds, x)
	}
	return out
}

// hazardOfCause names what an alarm is of, as the page does.
func (h *House) hazardOfCause(s shown, cause, hazard string) api.Text {
	for _, a := range slices.Concat(s.open, s.ended) {
		if a.ID == cause {
			return s.hazard(a.Hazard)
		}
	}
	if hazard == hazardCounty {
		return api.TextOf(phrase.M("station.warning"))
	}
	return s.hazard(hazard)
}

func phaseMessage(r rollcall.RoundView) phrase.Message {
	switch {
	case r.Phase == rollcall.Still:
		return phrase.M("people.phase_still")
	case r.Phase == rollcall.Clear:
		return phrase.M("people.phase_clear")
	case r.Done && r.Missing:
		return phrase.M("people.phase_missing")
	case r.Done:
		return phrase.M("people.phase_done")
	case r.Phase == rollcall.Spent:
		return phrase.M("people.phase_spent")
	}
	return phrase.M("people.phase_calling")
}

// reachMessage says how far a person was reached.
func reachMessage(p rollcall.PersonView) phrase.Message {
	switch {
	case p.Known == rollcall.Confirmed:
		return phrase.M("station.call_confirmed", "keys", p.Key)
	case p.Now:
		return phrase.M("people.now")
	case p.Known == rollcall.Answered:
		return phrase.M("people.answered")
	case p.Called > 0:
		return knownMessage(rollcall.Outcome{Known: p.Known})
	case p.Turn:
		return phrase.M("people.waits")
	case p.Wrote:
		return phrase.M("people.wrote")
	}
	return phrase.M("people.not_yet")
}

// textOfBar says why a modem does not transmit; nil where it does.
func textOfBar(b drivers.Bar) *api.Text {
	var m phrase.Message
	switch b {
	case drivers.BarNone:
		return nil
	case drivers.BarReceiveOnly:
		m = phrase.M("people.bar_receive_only")
	case drivers.BarNoCard:
		m = phrase.M("people.bar_no_card")
	case drivers.BarOtherCard:
		m = phrase.M("people.bar_other_card")
	case drivers.BarNoSignal:
		m = phrase.M("people.bar_no_signal")
	case drivers.BarNoVoice:
		m = phrase.M("people.bar_no_voice")
	case drivers.BarStarting:
		m = phrase.M("people.bar_starting")
	default:
		m = phrase.M("people.bar_other", "bar", string(b))
	}
	t := api.TextOf(m)
	return &t
}
