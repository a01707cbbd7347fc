package console

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"tocsin/cmd/hubd/issue"
	"tocsin/cmd/hubd/logbook"
	"tocsin/cmd/hubd/post"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/letter"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/serve/audit"
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
	for _, m := range []phrase.Message{outcomeText(k.Outcome), orderText(k.Order)} {
		if m.IsZero() {
			continue
		}
		said := both(m)
		if text != (phrase.Text{}) {
			said = phrase.Text{ZH: text.ZH + " · " + said.ZH, EN: text.EN + " · " + said.EN}
		}
		text = said
	}
	return text, k.Outcome.Code == wire.UpdateRefused || k.Outcome.Code == wire.UpdateBack || k.Order.State == logbook.OrderDeclined && k.Order.Number > 0
}

// orderText says how an officer's order to activate a release stands; the zero Message for none, and for one that was
// carried out, of which the outcome tells.
func orderText(o logbook.Order) phrase.Message {
	switch {
	case o.State == logbook.OrderWaits:
		return phrase.M("hubd.order_waits", "number", o.Number, "why", o.Text)
	case o.State == logbook.OrderDeclined && o.Number == 0:
		return phrase.M("hubd.order_withdrawn")
	case o.State == logbook.OrderDeclined:
		return phrase.M("hubd.order_declined", "number", o.Number, "why", o.Text)
	}
	return phrase.Message{}
}

// Software is how a station's software stands, for programs: hubd release list prints it.
type Software struct {
	ID   letter.Station `json:"id"`
	Name phrase.Text    `json:"name"`
	// Runs and Staged are what it said of itself, at StateAt; without that it said nothing yet.
	Runs    ReleaseState  `json:"runs,omitzero"`
	Staged  ReleaseState  `json:"staged,omitzero"`
	Phase   string        `json:"phase,omitempty"`
	StateAt time.Time     `json:"state_at,omitzero"`
	Wanted  *WantedState  `json:"wanted,omitempty"`
	Outcome *OutcomeState `json:"outcome,omitempty"`
}

// ReleaseState is a release.
type ReleaseState struct {
	Version string `json:"version"`
	Number  uint64 `json:"number,omitempty"`
	Slot    string `json:"slot,omitempty"`
}

// WantedState is the last order to activate a release. Sent is when the hub gave it away and By by whom, Taken when
// the station had it by Link; State, Code and Text are the station's word: waits, done or declined, and why.
type WantedState struct {
	Number uint64       `json:"number"`
	By     string       `json:"by,omitempty"`
	Sent   time.Time    `json:"sent,omitzero"`
	Taken  time.Time    `json:"taken,omitzero"`
	Link   string       `json:"link,omitempty"`
	State  string       `json:"state,omitempty"`
	Code   string       `json:"code,omitempty"`
	Text   *phrase.Text `json:"text,omitempty"`
	At     time.Time    `json:"at,omitzero"`
	Until  time.Time    `json:"until,omitzero"`
}

// OutcomeState is what became of the last release.
type OutcomeState struct {
	Outcome string      `json:"outcome"`
	Version string      `json:"version,omitempty"`
	Number  uint64      `json:"number,omitempty"`
	Text    phrase.Text `json:"text"`
	At      time.Time   `json:"at,omitzero"`
}

// software gathers it for all stations, in the file's order.
func (c *Console) software() []Software {
	out := []Software{}
	known, s := logbook.State{}, c.office.State()
	if c.book != nil {
		known = c.book.State()
	}
	for _, id := range c.file.Order() {
		st := letter.Station(id)
		k := known.Stations[st]
		v := Software{ID: st, Name: c.nameOf(st), StateAt: k.StateAt, Runs: ReleaseState{Version: k.Version}}
		if u := k.Update; u != nil {
			v.Runs.Number, v.Runs.Slot, v.Phase = u.Number, u.Slot, u.Phase
			v.Staged = ReleaseState{Version: u.Next, Number: u.NextNumber}
		}
		if o := k.Outcome; o.Code != wire.UpdateNone {
			v.Outcome = &OutcomeState{Outcome: o.Code.String(), Version: o.Version, Number: o.Number, Text: o.Text, At: o.At}
		}
		v.Wanted = wantedOf(st, k.Order, s.Sent)
		out = append(out, v)
	}
	return out
}

// wantedOf joins the hub's last order to a station with the station's own word.
func wantedOf(st letter.Station, o logbook.Order, sent []post.Sent) *WantedState {
	var v *WantedState
	if o.State != "" {
		v = &WantedState{Number: o.Number, By: o.By, State: o.State, Code: o.Code, At: o.At, Until: o.Until}
		if o.Text != (phrase.Text{}) {
			v.Text = &o.Text
		}
	}
	for _, d := range sent { // the newest first
		took, to := d.To[st]
		if !to || !issue.IsOrder(d.ID) {
			continue
		}
		if v == nil {
			v = &WantedState{By: d.By}
		}
		v.Sent, v.Taken, v.Link = d.At, took.At, took.Link
		break
	}
	return v
}

// giveSoftware handles GET /v1/software.
func (c *Console) giveSoftware(w http.ResponseWriter, _ *http.Request) { _ = give(w, c.software()) }

// orderSoftware handles POST /v1/software: one station's signed order, by its very bytes.
func (c *Console) orderSoftware(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, orderBytes))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, phrase.E("hubd.order_form"))
		return
	}
	o, err := issue.ReadReleaseOrder(raw)
	st := letter.Station(r.URL.Query().Get("to"))
	if _, known := c.file.Stations[string(st)]; err == nil && (!known || st.Code() != o.Station) {
		err = phrase.E("county.no_station", "station", clip(string(st)))
	}
	e := audit.Entry{Op: "POST /v1/software", Status: http.StatusOK, Via: "socket", Account: caller(r.Context()), Who: o.Person, Target: clip(string(st)), New: strconv.FormatUint(o.Number, 10)}
	note := func(status int) {
		if e.Status = status; c.audit != nil {
			c.audit.Note(e)
		}
	}
	if err != nil {
		note(http.StatusUnprocessableEntity)
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	d := post.Dispatch{Letter: letter.Letter{ID: o.Letter(), Class: letter.Command, Body: raw}, About: o.About().In(phrase.ZH), By: o.Person + "（" + caller(r.Context()) + "）", To: []letter.Station{st}}
	failed, err := c.office.Send(r.Context(), d)
	a := Answer{ID: d.Letter.ID, About: d.About, Failed: failed}
	status := http.StatusOK
	if len(failed) == 0 {
		a.Sent = d.To
	}
	if err != nil {
		a.Error, status = phrase.Of(err), http.StatusBadGateway
	}
	note(status)
	c.log.Info("an order for software was sent down", "id", a.ID, "person", o.Person, "by", caller(r.Context()), "number", o.Number, "station", st, "failed", len(failed))
	answer(w, status, a)
}

// orderBytes is what a station reads of a command's envelope.
const orderBytes = 64 << 10
