package station

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"tocsin/configs"
	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/book"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/trust"
)

// What the page, the local tool and the journal are told of warnings.

// stateTexts name the states of an alert.
var stateTexts = map[book.State]phrase.Message{
	book.Waiting: phrase.M("station.alert_waiting"), book.InForce: phrase.M("station.alert_in_force"),
	book.Superseded: phrase.M("station.alert_superseded"), book.Cancelled: phrase.M("station.alert_cancelled"),
	book.Expired: phrase.M("station.alert_expired"), book.Unverified: phrase.M("station.alert_held"),
	book.Noted: phrase.M("station.alert_noted"), book.Dropped: phrase.M("station.alert_dropped"), book.Rejected: phrase.M("station.alert_refused"),
}

func stateText(s book.State) phrase.Message {
	if m, ok := stateTexts[s]; ok {
		return m
	}
	return phrase.M("error.plain", "text", string(s))
}

// outcomeOf says in one sentence what became of a message here.
func outcomeOf(ch book.Change) phrase.Message {
	name := nameOf(ch.Entry)
	if name.ZH == "" && len(ch.Because) > 0 {
		return phrase.M("station.alert_malformed", "why", ch.Because[0])
	}
	if len(ch.Because) > 0 && (ch.Kind == book.Refused || ch.Kind == book.Held) {
		return phrase.M("station.alert_not_taken", "headline", name, "state", stateText(ch.Entry.State), "why", ch.Because[0])
	}
	m := phrase.M("station.alert_became", "headline", name, "state", stateText(ch.Entry.State))
	if ch.Kind == book.Duplicate {
		m = phrase.M("station.alert_copy", "headline", name, "state", stateText(ch.Entry.State))
	}
	if ch.Marked {
		return phrase.M("station.alert_marked", "what", m)
	}
	return m
}

// bodyOf is what the journal keeps of a change: who, what and why, not the words of
// the whole message.
func bodyOf(ch book.Change) json.RawMessage {
	e := ch.Entry
	b, _ := json.Marshal(map[string]any{ // strings and times: cannot fail
		"chain": ch.Chain, "id": e.ID, "identifier": api.Clean(e.Ref.Identifier, 200), "sender": api.Clean(e.Ref.Sender, 200), "sent": e.Ref.Sent,
		"issuer": e.Issuer, "key": e.Key, "state": e.State, "status": e.Status, "msg_type": e.MsgType, "level": e.Action.Level, "concerns": e.Concerns,
		"ways": e.Ways, "marked": ch.Marked, "digest": e.Digest,
	})
	return b
}

// verdict answers the four questions of an alert that was opened, and says what the
// last change made of it.
func (bp *Blueprint) verdict(o *alert.Opened, changes []book.Change) api.Verdict {
	v := api.Verdict{WellFormed: o.WellFormed, Genuine: o.WellFormed && o.Genuine, Trusted: o.WellFormed && o.Genuine && o.Trusted, Key: string(o.Key), Lenient: o.Lenient}
	for _, f := range o.Findings {
		v.Reasons = append(v.Reasons, reason(f))
	}
	if a := o.Alert; a != nil {
		v.Status, v.Profile, v.Identity = a.Status, a.Profile, a.Ref().Key()
		v.Concerns, v.Area = o.Concerns, bp.textOf(o.ConcernsWhy)
		v.Action = bp.textOf(o.Action.Why)
	}
	if o.Issuer != nil {
		v.Issuer = o.Issuer.ID
	}
	if len(changes) == 0 {
		return v
	}
	ch := changes[len(changes)-1]
	v.Outcome = api.TextOf(outcomeOf(ch))
	switch ch.Entry.State {
	case book.InForce, book.Noted:
		v.InForce = v.Trusted
	}
	if !v.InForce && v.Trusted {
		for _, m := range ch.Because {
			v.Reasons = append(v.Reasons, reason(alert.Finding{Path: "/alert", Part: alert.Force, Fatal: true, What: m}))
		}
		if len(ch.Because) == 0 {
			v.Reasons = append(v.Reasons, reason(alert.Finding{Path: "/alert", Part: alert.Force, Fatal: true, What: stateText(ch.Entry.State)}))
		}
	}
	return v
}

// textOf renders a message with the site's names in it, and nothing for none.
func (bp *Blueprint) textOf(m phrase.Message) api.Text {
	if m.IsZero() {
		return api.Text{}
	}
	return api.TextOf(bp.spell(m))
}

func reason(f alert.Finding) api.Reason {
	return api.Reason{Path: f.Path, Part: string(f.Part), Fatal: f.Fatal, Text: api.TextOf(f.What)}
}

// CheckAlert answers the four questions of a file by a site's document, as a box
// that knows no other alert would at a time of a trusted clock.
func (bp *Blueprint) CheckAlert(raw []byte, at time.Time) api.Verdict {
	now := clock.Stamp{Wall: at, Boot: "check", Trust: clock.Set}
	o := readerOf(bp).Open(raw)
	return bp.verdict(o, book.New(bookOpts(bp)).Take(o, "check", now, BuildTime()))
}

// ShowAlert reads what a file says with the tables that are compiled in. The alert is
// nil where it is none, and the reasons say why.
func ShowAlert(raw []byte) (*alert.Alert, []api.Reason, error) {
	t, err := alert.LoadTables(configs.FS)
	if err != nil {
		return nil, nil, err
	}
	o := (&alert.Reader{Tables: t, Trust: nobody}).Open(raw)
	var rs []api.Reason
	for _, f := range o.Findings {
		if f.Part == alert.Form {
			rs = append(rs, reason(f))
		}
	}
	return o.Alert, rs, nil
}

// nobody is whom a box without a site believes.
var nobody, _ = trust.New(trust.Document{}, nil)

// alertsListed bounds the list; what is in force comes first.
const alertsListed = 500

// show copies what the page may see.
func (c *county) show() {
	list := c.book.List()
	all := make([]api.Alert, 0, min(len(list), alertsListed))
	for _, e := range list {
		if len(all) == alertsListed {
			break
		}
		zh, en := textOf(e, "zh"), textOf(e, "en")
		both := func(f func(book.Text) string) api.Text { return api.Text{ZH: f(zh), EN: f(en)} }
		x := api.Alert{
			Chain: e.Chain, Identifier: e.Ref.Identifier, Sender: e.Ref.Sender, Sent: e.Ref.Sent, Issuer: e.Issuer, Status: e.Status, MsgType: e.MsgType,
			State: string(e.State), StateText: api.TextOf(stateText(e.State)), SenderName: both(func(t book.Text) string { return t.SenderName }),
			Event: both(func(t book.Text) string { return t.Event }), Headline: both(func(t book.Text) string { return t.Headline }),
			Description: both(func(t book.Text) string { return t.Description }), Instruction: both(func(t book.Text) string { return t.Instruction }), Colour: e.Action.Colour, Kind: e.Action.Kind,
			Action: c.bp.textOf(e.Action.Why), Concerns: e.Concerns, Expires: e.Expires, Ended: e.Lifted, Marked: e.Marked, Seen: e.Copies(),
			Verdict: api.Verdict{WellFormed: true, Genuine: e.State != book.Unverified, Trusted: e.State != book.Unverified, InForce: e.State == book.InForce,
				Status: e.Status, Concerns: e.Concerns, Area: c.bp.textOf(e.ConcernsWhy), Action: c.bp.textOf(e.Action.Why), Issuer: e.Issuer, Key: string(e.Key), Identity: e.Ref.Key()},
		}
		if e.Lifted.IsZero() && e.State == book.Expired {
			x.Ended = e.Expires
		}
		if l, ok := c.bp.Levels.Level(e.Action.Level); ok && e.Action.Kind == "real" {
			r := c.bp.Levels.Rank(l)
			x.Level, x.LevelText = r.Code, words(r.Name, r.Code)
		}
		for _, w := range e.Ways {
			x.Ways = append(x.Ways, w.Name)
		}
		for _, m := range e.Why {
			x.Verdict.Reasons = append(x.Verdict.Reasons, api.Reason{Part: string(alert.Genuine), Fatal: true, Text: api.TextOf(m)})
		}
		all = append(all, x)
	}
	c.mu.Lock()
	c.shown = all
	c.mu.Unlock()
}

// showWithin is how long the page waits for the county to render what it knows.
const showWithin = time.Second

// Alerts gives what is known of each alert.
func (h *House) Alerts() []api.Alert {
	// Rendered when somebody asks: in a flood nobody may, and where the county is too
	// busy to answer, what it showed last is shown.
	ctx, cancel := context.WithTimeout(context.Background(), showWithin)
	defer cancel()
	_ = h.county.do(ctx, func() {
		if h.county.unshown {
			h.county.show()
			h.county.unshown = false
		}
	})
	h.county.mu.RLock()
	defer h.county.mu.RUnlock()
	return slices.Clone(h.county.shown)
}

// keptAlerts gives the book's entries as the journal has them.
func (h *House) keptAlerts() map[string][]byte {
	kept := map[string][]byte{}
	for _, k := range h.journal.Keys(keyAlert) {
		if b, ok := h.journal.Get(k); ok {
			kept[k[len(keyAlert):]] = b
		}
	}
	return kept
}

// CheckAlert answers what the box would say of an alert now, with all that it
// knows, and does nothing.
func (h *House) CheckAlert(raw []byte) api.Verdict {
	bp := h.seen().bp
	o := readerOf(bp).Open(raw)
	now := h.clock.Now()
	trial := book.New(bookOpts(bp))
	if err := trial.Restore(h.keptAlerts(), now); err != nil {
		h.log.Warn("a check does not know all alerts", "err", err)
	}
	return bp.verdict(o, trial.Take(o, "check", now, h.clock.Floor()))
}

// TakeAlert verifies an alert and acts on it.
func (h *House) TakeAlert(ctx context.Context, raw []byte, way string) (api.Verdict, error) {
	j := &job{way: way}
	err := h.county.bring(ctx, raw, wayHand, j)
	return j.verdict, err
}
