package station

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/book"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/account"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/output"
	"tocsin/firmware/trust"
	"tocsin/firmware/trust/xmldsig"
)

// herald tells others in CAP what this box measured, ordered and heard, and signs
// it; the county gets the same by whatever links lead there. It is beside the alarm path: what
// it cannot follow is lost and counted, but never that an alarm of the box's own changed.
type herald struct {
	h     *House
	queue chan func()
	lost  atomic.Int64

	mu    sync.Mutex
	late  map[string][]alarm.Event // changes of alarms that found no room, by alarm
	stirs chan struct{}

	// Owned by its goroutine.
	namer    *alert.Namer
	id       *identity
	restored bool
	open     map[string]ownAlarm // by cause
	told     tolds               // outcomes that were told
	stages   account.Receipts
	errors   []time.Duration // when an Error went out
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
	toldMost   = 256
	keyWait    = 5 * time.Second
	// secretWait is how long the county's secret is waited for, memoryWait how long what
	// was told before a restart.
	secretWait = 2 * time.Second
	memoryWait = 2 * time.Second
	// catchAfter is how old a change is that should have been told by now.
	catchAfter = 5 * time.Second
	// lateMost bounds the changes of one alarm that wait for a herald that hangs, lateAlarms
	// the alarms: the first and the newest of each are kept.
	lateMost   = 8
	lateAlarms = 256
)

// The journal's names of what the county was told.
const (
	keyTold   = "county/told"
	keyStages = "county/stages"
)

func newHerald(h *House) *herald {
	return &herald{h: h, queue: make(chan func(), 256), open: map[string]ownAlarm{}, late: map[string][]alarm.Event{}, stirs: make(chan struct{}, 1)}
}

// soon hands work over without waiting.
func (x *herald) soon(f func()) bool {
	select {
	case x.queue <- f:
		return true
	default:
		return false
	}
}

// perhaps hands over what may be lost.
func (x *herald) perhaps(f func()) {
	if !x.soon(f) {
		n := x.lost.Add(1)
		x.h.noteSoon(func() { x.h.log.Error("a message to others was lost", "n", n) })
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
		x.introduced(ctx)
		site := x.h.seen().bp.Doc.Site.Site.ID
		name := "tocsin." + site + "." + string(key[:12])
		x.namer = &alert.Namer{Sender: name, Box: name}
	}
	loaded := x.h.journal.Loaded()
	memory := time.NewTimer(memoryWait)
	defer memory.Stop()
	select {
	case <-loaded:
	case <-memory.C: // a disk that hangs holds nothing up
	case <-ctx.Done():
		return ctx.Err()
	}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	first := time.NewTimer(catchAfter)
	defer first.Stop()
	for {
		if !x.restored && x.h.loaded() {
			x.restore()
			loaded = nil
			first.Reset(catchAfter)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-loaded:
		case f := <-x.queue:
			f()
		case <-x.stirs:
			x.overtake()
		case <-first.C:
			x.catchUp()
		case <-tick.C:
			x.catchUp()
			for _, o := range x.open {
				if d, _ := x.h.clock.Now().Since(o.at); d > ownLasts/2 {
					x.tell(alarm.Event{Kind: alarm.EventAgain, Alarm: o.alarm, At: x.h.clock.Now()}, true)
				}
			}
		}
	}
}

// introduced waits until the secret was read by which the county knows this box, within bounds.
func (x *herald) introduced(ctx context.Context) {
	for end := time.Now().Add(secretWait); x.h.seen().bp.Doc.Site.County != nil && x.h.post.as() == nil && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// catchUp tells what a power cut, or a secret that was not there, kept from being told: what an
// alarm is now, where the last that was said of it is something else, or was not said to the county.
func (x *herald) catchUp() {
	x.mu.Lock()
	late := len(x.late)
	x.mu.Unlock()
	if !x.restored || len(x.queue) > 0 || late > 0 {
		return // it is about to be told
	}
	s, now := x.h.seen(), x.h.clock.Now()
	for _, a := range slices.Concat(s.open, s.ended) {
		since, _ := now.Since(a.Changed)
		if a.Warned() || a.ID == "" || since < catchAfter {
			continue
		}
		m, said := x.h.own.lastSaid(a.ID)
		if old, open := x.open[a.ID]; open { // also where only its short form could be said
			m.Level, m.Posted, said = old.alarm.Level, m.Posted || !said, true
		}
		e := alarm.Event{Alarm: a, At: a.Changed}
		switch {
		case a.State == alarm.Released && said && m.Type != "" && m.Type != "Cancel":
			e.Kind = alarm.EventReleased
		case !a.Stands():
			continue
		case said && m.Level == a.Level && !m.Posted && x.h.post.as() != nil:
			e.Kind = alarm.EventAgain
		case said && m.Level == a.Level:
			if _, open := x.open[a.ID]; !open {
				x.open[a.ID] = ownAlarm{a, m.Ref, now} // it is told again in its time
			}
			continue
		case !said:
			e.Kind = alarm.EventRaised
		case m.Level < a.Level:
			e.Kind = alarm.EventEscalated
		default:
			e.Kind = alarm.EventEased
		}
		x.tell(e, false)
	}
}

// restore takes back what was told before.
func (x *herald) restore() {
	x.restored = true
	x.h.own.restore(x.h.journal)
	if b, ok := x.h.journal.Get(keyTold); ok {
		x.told.restore(b)
	}
	if b, ok := x.h.journal.Get(keyStages); ok {
		if err := x.stages.Restore(b); err != nil {
			x.h.unreadable(keyStages, err)
		}
	}
}

// alarmed tells of a change of an alarm of the box's own. What the county warned of
// is not told as ours; that a person has taken it in hand is.
func (x *herald) alarmed(e alarm.Event) {
	switch {
	case e.Alarm.ID == "":
		return
	case e.Alarm.Warned():
		if e.Kind == alarm.EventAcknowledged {
			chain := strings.TrimPrefix(e.Alarm.Hazard, alarm.WarnedPrefix)
			x.perhaps(func() { x.reached(chain, wire.Progress{Stage: wire.Confirmed}) })
		}
		return
	}
	switch e.Kind {
	case alarm.EventRaised, alarm.EventEscalated, alarm.EventEased, alarm.EventAgain, alarm.EventReleased:
		x.mu.Lock()
		behind := len(x.late) > 0
		x.mu.Unlock()
		if !behind && x.soon(func() { x.tell(e, false) }) {
			return
		}
		x.mu.Lock()
		x.put(e)
		x.mu.Unlock()
		select {
		case x.stirs <- struct{}{}:
		default:
		}
	}
}

// put keeps a change for a herald that cannot follow. The lock is held.
func (x *herald) put(e alarm.Event) {
	l, there := x.late[e.Alarm.ID]
	if !there && len(x.late) >= lateAlarms {
		x.lost.Add(1)
		return
	}
	if l = append(l, e); len(l) > lateMost {
		l = slices.Delete(l, 1, 2) // how it began and how it stands
	}
	x.late[e.Alarm.ID] = l
}

// overtake tells what found no room, each alarm's changes in their order.
func (x *herald) overtake() {
	x.mu.Lock()
	late := x.late
	x.late = map[string][]alarm.Event{}
	x.mu.Unlock()
	// What was handed over before is told before.
	for n := len(x.queue); n > 0; n-- {
		(<-x.queue)()
	}
	for _, id := range slices.Sorted(maps.Keys(late)) {
		for _, e := range late[id] {
			x.tell(e, false)
		}
	}
}

// tell tells a change; again says that it is none, but that the alarm still stands.
func (x *herald) tell(e alarm.Event, again bool) {
	s := x.h.seen()
	bp, a := s.bp, e.Alarm
	hazard := s.hazard(a.Hazard)
	o := alert.Own{
		Kind: "real", Cause: a.ID, Hazard: phrase.Text{ZH: hazard.ZH, EN: hazard.EN}, Site: named(bp.Doc.Site.Site.Name, bp.Doc.Site.Site.ID),
		Lasts: ownLasts, Over: e.Kind == alarm.EventReleased,
	}
	if old, ok := x.open[a.ID]; ok && old.last != (alert.Ref{}) {
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
	w := x.alarmTelling(bp, e, again)
	now := x.h.clock.Now()
	m, err := x.namer.FromAlarm(o, readerOf(bp).Here, now, bp.Alerts)
	if err != nil {
		x.failed(err)
	}
	if err != nil || !x.send(m, a.ID, o.Hazard, w) {
		x.bare(w, a.ID, now)
		if !o.Over {
			x.open[a.ID] = ownAlarm{a, x.open[a.ID].last, now}
		}
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
	site, bp, concerns := x.h.site(), x.h.seen().bp, o.Concerns
	o = brief(o)
	switch {
	case o.Trusted && ch.Kind != book.Refused && !concerns:
		return // for elsewhere: who is there answers
	case o.Trusted && ch.Kind != book.Refused:
		what, p, urgent := outcomeOf(ch), takenStage(ch), urgentEntry(bp.Levels, ch.Entry)
		x.perhaps(func() {
			m, err := x.namer.AckOf(o, alert.Outcome{Site: site, What: bp.spell(what), Cause: causeOf(ch)}, x.h.clock.Now())
			x.out(m, err, causeOf(ch), what, x.stageTelling(o.Alert.Ref(), p, urgent))
		})
	case len(bp.Trust.BySender(o.Alert.Sender)) > 0:
		what := outcomeOf(ch)
		x.perhaps(func() {
			now := x.h.clock.Now().Mono
			x.errors = slices.DeleteFunc(x.errors, func(t time.Duration) bool { return now-t > time.Hour })
			if len(x.errors) >= errorsMost {
				return
			}
			x.errors = append(x.errors, now)
			m, err := x.namer.ErrorOf(o, site, x.h.clock.Now())
			x.out(m, err, "", what, x.stageTelling(o.Alert.Ref(), refusedStage, false))
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
// measured of its sounding, and how far it got by that.
func (x *herald) heard(e output.Event) {
	chain, ok := strings.CutPrefix(e.Cause, "w-")
	if !ok {
		return
	}
	p, stage := heardStage(e)
	if !stage && e.State != output.Heard && e.State != output.Failed && e.State != output.Finished {
		return
	}
	if e.State == output.Started || e.State == output.Stopped {
		x.perhaps(func() { x.reached(chain, p) })
		return
	}
	what := x.h.seen().receiptMessage(e)
	key := e.Cause + " " + e.Output + " " + string(e.State) + " " + string(e.Measured)
	x.perhaps(func() {
		if x.told.has(key) {
			if stage {
				x.reached(chain, p)
			}
			return
		}
		o := x.h.county.opened(chain)
		if o == nil {
			return
		}
		x.told.add(key)
		m, err := x.namer.AckOf(o, alert.Outcome{Site: x.h.site(), What: what, Cause: e.Cause}, x.h.clock.Now())
		w := telling{}
		if stage {
			w = x.stageTelling(o.Alert.Ref(), p, false)
		}
		w.told = true
		x.out(m, err, e.Cause, what, w)
	})
}

// reached tells the county that a warning got further, in the fewest bytes; nothing where that is
// known there.
func (x *herald) reached(chain string, p wire.Progress) {
	o := x.h.county.opened(chain)
	if o == nil {
		return
	}
	if w := x.stageTelling(o.Alert.Ref(), p, false); w.news {
		x.bare(w, "w-"+chain, x.h.clock.Now())
	}
}

func (x *herald) out(m *alert.Alert, err error, cause string, what phrase.Message, w telling) {
	title := phrase.Text{ZH: what.In(phrase.ZH), EN: what.In(phrase.EN)}
	if err != nil {
		x.failed(err)
	} else if x.send(m, cause, title, w) {
		return
	}
	if w.news {
		x.bare(w, cause, x.h.clock.Now())
	}
}

func (x *herald) failed(err error) {
	x.h.log.Error("a message to others was not made", "err", err)
	x.h.setFault("own messages", phrase.M("station.own_failed", "detail", err))
}

// send writes, signs and keeps a message, in one with what the county is told of it.
func (x *herald) send(m *alert.Alert, cause string, title phrase.Text, w telling) bool {
	b, err := alert.Write(m, alert.WriteOptions{Tables: x.h.seen().bp.Alerts})
	if err == nil {
		b, err = xmldsig.Sign(b, x.id.key, x.id.cert, xmldsig.SignOptions{})
	}
	if err != nil {
		x.failed(err)
		return false
	}
	x.h.clearFault("own messages")
	now := x.h.clock.Now()
	rec := journal.Record{Kind: "alert.sent", Cause: cause, At: now, Message: phrase.M("station.own_sent", "type", m.MsgType, "what", title)}
	name, named := x.countyName()
	if named {
		rec.Body = nameBody(name)
	}
	batch := x.h.own.put(ownMessage{ID: m.Identifier, Title: m.MsgType + " " + api.Clean(title.ZH, 120), Updated: m.Sent, XML: b, Cause: cause, Ref: m.Ref(), Type: m.MsgType, Level: w.level, Posted: named && x.h.post.as() != nil}, rec)
	x.keep(w, &batch)
	x.post(name, named, wire.TypeCAP, b, w, now, batch)
	return true
}

func (h *House) site() phrase.Text {
	p := h.seen().bp.Doc.Site.Site
	return named(p.Name, p.ID)
}
