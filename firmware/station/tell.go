package station

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/book"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/output"
	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
)

// herald tells others in CAP what this box measured, ordered and heard, and signs
// it. It is beside the alarm path: what it cannot follow is lost and counted.
type herald struct {
	h     *House
	queue chan func()
	lost  int

	// Owned by its goroutine.
	namer  *alert.Namer
	id     *identity
	open   map[string]ownAlarm // by cause
	told   map[string]bool     // receipts that were told
	errors []time.Duration     // when an Error went out
}

type ownAlarm struct {
	alarm alarm.Alarm
	last  alert.Ref
	at    clock.Stamp
}

const (
	// ownLasts is how long an alarm of this box is to be believed without an
	// update; an open one is told again after half of it.
	ownLasts = 24 * time.Hour
	// errorsMost bounds the refusals that are told in an hour: whoever forges
	// must not make the box talk without end.
	errorsMost = 20
	toldMost   = 1024
	keyWait    = 5 * time.Second
)

func newHerald(h *House) *herald {
	return &herald{h: h, queue: make(chan func(), 256), open: map[string]ownAlarm{}, told: map[string]bool{}}
}

// soon hands work over without waiting.
func (x *herald) soon(f func()) {
	select {
	case x.queue <- f:
	default:
		x.h.noteSoon(func() { x.lost++; x.h.log.Error("a message to others was lost", "n", x.lost) })
	}
}

// run is the herald's goroutine.
func (x *herald) run(ctx context.Context) error {
	if x.namer == nil {
		if x.id = x.h.signer(ctx, keyWait); x.id == nil {
			return fmt.Errorf("no key to sign with after %v", keyWait)
		}
		key, err := trust.IDOf(x.id.key.Public())
		if err != nil {
			return err
		}
		site := x.h.seen().bp.Doc.Site.Site.ID
		name := "tocsin." + site + "." + string(key[:12])
		x.namer = &alert.Namer{Sender: name, Box: name}
		x.h.own.restore(x.h.journal)
	}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case f := <-x.queue:
			f()
		case <-tick.C:
			for _, o := range x.open {
				if d, _ := x.h.clock.Now().Since(o.at); d > ownLasts/2 {
					x.tell(alarm.Event{Kind: alarm.EventAgain, Alarm: o.alarm, At: x.h.clock.Now()})
				}
			}
		}
	}
}

// alarmed tells of a change of an alarm of the box's own. What the county warned of
// is not told as ours.
func (x *herald) alarmed(e alarm.Event) {
	if e.Alarm.Warned() || e.Alarm.ID == "" {
		return
	}
	switch e.Kind {
	case alarm.EventRaised, alarm.EventEscalated, alarm.EventEased, alarm.EventAgain, alarm.EventReleased:
		x.soon(func() { x.tell(e) })
	}
}

func (x *herald) tell(e alarm.Event) {
	s := x.h.seen()
	bp, a := s.bp, e.Alarm
	hazard := s.hazard(a.Hazard)
	o := alert.Own{
		Kind: "real", Cause: a.ID, Hazard: phrase.Text{ZH: hazard.ZH, EN: hazard.EN}, Site: named(bp.Doc.Site.Site.Name, bp.Doc.Site.Site.ID),
		Lasts: ownLasts, Over: e.Kind == alarm.EventReleased,
	}
	if old, ok := x.open[a.ID]; ok {
		o.Earlier = []alert.Ref{old.last}
	} else if ref, ok := x.h.own.lastOf(a.ID); ok { // told before a restart
		o.Earlier = []alert.Ref{ref}
	}
	if o.Over && len(o.Earlier) == 0 {
		return // nobody was told that it began
	}
	if !o.Over {
		if a.Level == point.Calm {
			return
		}
		r := bp.Levels.Rank(a.Level)
		o.Level, o.LevelName = r.Code, r.Name
	}
	for _, m := range a.Because {
		o.Because = append(o.Because, bp.spell(m))
	}
	m, err := x.namer.FromAlarm(o, readerOf(bp).Here, x.h.clock.Now(), bp.Alerts)
	if err != nil {
		x.failed(err)
		return
	}
	if !x.send(m, a.ID, o.Hazard) {
		return
	}
	if o.Over {
		delete(x.open, a.ID)
		return
	}
	x.open[a.ID] = ownAlarm{a, m.Ref(), x.h.clock.Now()}
}

// answer tells an alert's sender what became of it: an Ack where a signature that we
// trust stands under it, an Error where somebody whom we know sent what we refuse.
func (x *herald) answer(o *alert.Opened, ch book.Change) {
	if o.Alert == nil || o.Alert.MsgType == "Ack" || o.Alert.MsgType == "Error" || ch.Kind == book.Duplicate {
		return // an answer to an answer would never end
	}
	site, bp := x.h.site(), x.h.seen().bp
	o = brief(o)
	switch {
	case o.Trusted && ch.Kind != book.Refused && !o.Concerns:
		return // for elsewhere: who is there answers
	case o.Trusted && ch.Kind != book.Refused:
		what := outcomeOf(ch)
		x.soon(func() {
			m, err := x.namer.AckOf(o, alert.Outcome{Site: site, What: bp.spell(what), Cause: causeOf(ch)}, x.h.clock.Now())
			x.out(m, err, causeOf(ch), what)
		})
	case len(bp.Trust.BySender(o.Alert.Sender)) > 0:
		x.soon(func() {
			now := x.h.clock.Now().Mono
			x.errors = slices.DeleteFunc(x.errors, func(t time.Duration) bool { return now-t > time.Hour })
			if len(x.errors) >= errorsMost {
				return
			}
			x.errors = append(x.errors, now)
			m, err := x.namer.ErrorOf(o, site, x.h.clock.Now())
			x.out(m, err, "", outcomeOf(ch))
		})
	}
}

// brief keeps what an answer says of an alert: hundreds of answers may wait for a slow
// disk, and an alert may have a megabyte.
func brief(o *alert.Opened) *alert.Opened {
	a := o.Alert
	b := &alert.Opened{Trusted: o.Trusted, Alert: &alert.Alert{Identifier: strings.Clone(a.Identifier), Sender: strings.Clone(a.Sender), Sent: a.Sent, Status: strings.Clone(a.Status)}}
	for _, f := range o.Findings {
		if f.Fatal && len(b.Findings) < alert.ErrorMost {
			b.Findings = append(b.Findings, f)
		}
	}
	return b
}

func causeOf(ch book.Change) string {
	if ch.Chain == "" {
		return ""
	}
	return "w-" + ch.Chain
}

// heard tells the sender of a warning, once for each output and outcome, what was
// measured of its sounding.
func (x *herald) heard(e output.Event) {
	chain, ok := strings.CutPrefix(e.Cause, "w-")
	if !ok || e.State != output.Heard && e.State != output.Failed && e.State != output.Finished {
		return
	}
	what := x.h.seen().receiptMessage(e)
	key := e.Cause + " " + e.Output + " " + string(e.State) + " " + string(e.Measured)
	x.soon(func() {
		if x.told[key] {
			return
		}
		if len(x.told) >= toldMost {
			clear(x.told)
		}
		x.told[key] = true
		o := x.h.county.opened(chain)
		if o == nil {
			return
		}
		m, err := x.namer.AckOf(o, alert.Outcome{Site: x.h.site(), What: what, Cause: e.Cause}, x.h.clock.Now())
		x.out(m, err, e.Cause, what)
	})
}

func (x *herald) out(m *alert.Alert, err error, cause string, what phrase.Message) {
	if err != nil {
		x.failed(err)
		return
	}
	x.send(m, cause, phrase.Text{ZH: what.In(phrase.ZH), EN: what.In(phrase.EN)})
}

func (x *herald) failed(err error) {
	x.h.log.Error("a message to others was not made", "err", err)
	x.h.setFault("own messages", phrase.M("station.own_failed", "detail", err))
}

// send writes, signs and keeps a message.
func (x *herald) send(m *alert.Alert, cause string, title phrase.Text) bool {
	b, err := alert.Write(m, alert.WriteOptions{Tables: x.h.seen().bp.Alerts})
	if err == nil {
		b, err = xmldsig.Sign(b, x.id.key, x.id.cert, xmldsig.SignOptions{})
	}
	if err != nil {
		x.failed(err)
		return false
	}
	x.h.clearFault("own messages")
	x.h.own.put(x.h.journal, ownMessage{ID: m.Identifier, Title: m.MsgType + " " + api.Clean(title.ZH, 120), Updated: m.Sent, XML: b, Cause: cause, Ref: m.Ref(), Type: m.MsgType},
		journal.Record{Kind: "alert.sent", Cause: cause, At: x.h.clock.Now(), Message: phrase.M("station.own_sent", "type", m.MsgType, "what", title)})
	return true
}

func (h *House) site() phrase.Text {
	p := h.seen().bp.Doc.Site.Site
	return named(p.Name, p.ID)
}
