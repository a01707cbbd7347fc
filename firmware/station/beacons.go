package station

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/decide/beacon"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/order"
)

// beacons tells the stations downstream what this one measured, raises here what
// those upstream say, and passes their messages on as they are. Beside the alarm path: what
// it cannot follow is counted and lost, and comes again with the next message.
type beacons struct {
	h     *House
	heard chan heardBeacon
	acts  chan func()
	lost  atomic.Int64

	// Owned by its goroutine.
	keeper   *beacon.Keeper
	bp       *Blueprint
	restored bool
	behind   bool
	stood    []standing
	told     map[string]toldBeacon // by alarm
	counted  hourly                // records of how many were lost
	refused  hourly                // records of what was not believed: whoever forges must not fill the journal
}

type heardBeacon struct {
	link  string
	bytes []byte
}

// toldBeacon is what others were last told of an alarm of this box.
type toldBeacon struct {
	alarm alarm.Alarm
	bytes []byte
	at    time.Duration
	// copies are how often the same bytes went out.
	copies int
}

const (
	beaconPrefix = alarm.WarnedPrefix + "beacon-"
	keyBeacons   = "beacons"
	beaconQueue  = 32
	// beaconAgain is after how long a level that stands is told anew; the same bytes go
	// out again after each of beaconCopies.
	beaconAgain  = 10 * time.Minute
	beaconSend   = time.Minute
	beaconLasts  = time.Hour
	beaconJitter = 4 * time.Second // relays that heard one message do not all speak at once
)

var beaconCopies = []time.Duration{20 * time.Second, 90 * time.Second}

func newBeacons(h *House) *beacons {
	b := &beacons{h: h, heard: make(chan heardBeacon, beaconQueue), acts: make(chan func(), 64), bp: h.bp, told: map[string]toldBeacon{}, refused: hourly{most: 20}, counted: hourly{most: 2}}
	b.keeper = beacon.New(beaconOpts(h.bp))
	return b
}

// beaconOpts reads a proved site.
func beaconOpts(bp *Blueprint) beacon.Opts {
	c := bp.Doc.Site.Beacons
	o := beacon.Opts{Self: uint16(ownNumber(bp.Doc.Site)), Relay: c.Relay}
	for _, name := range slices.Sorted(maps.Keys(c.From)) {
		f := c.From[name]
		u := beacon.Upstream{Name: named(f.Name, name), Number: uint16(f.Number), Key: bp.BeaconKeys[name], Effects: map[uint8]beacon.Effect{}}
		for code, e := range f.Hazards {
			row, ok := bp.Beacons.ByCode(code)
			if !ok {
				continue
			}
			x := beacon.Effect{Hazard: e.Hazard, Travel: e.Travel.Duration(), Lasts: e.Lasts.Duration()}
			for i, level := range bp.Levels.Codes() {
				if to, ok := e.Levels[level]; ok || e.Levels == nil {
					if !ok {
						to = level
					}
					x.Levels = append(x.Levels, beacon.Step{Rank: uint8(i + 1), Level: levelOf(bp, to)})
				}
			}
			u.Effects[uint8(row.Number)] = x
		}
		o.Upstream = append(o.Upstream, u)
	}
	return o
}

// ownNumber is this station's in the county's table; 0: it has none.
func ownNumber(s config.Site) int {
	if s.Beacons.Number == 0 && s.County != nil {
		return s.County.Number
	}
	return s.Beacons.Number
}

func levelOf(bp *Blueprint, code string) point.Level {
	return point.Level(1 + slices.Index(bp.Levels.Codes(), code))
}

// take hands a message over without waiting.
func (x *beacons) take(link string, b []byte) {
	select {
	case x.heard <- heardBeacon{link, b}:
	default:
		x.lost.Add(1)
	}
}

// alarmed tells others of a change of an alarm that this box's own gauges raised.
func (x *beacons) alarmed(e alarm.Event) {
	if e.Alarm.ID == "" || e.Alarm.Warned() || e.Alarm.Hazard == alarm.ByHand {
		return // what others said, and what nobody measured, is not ours to tell
	}
	select {
	case x.acts <- func() { x.tell(e.Alarm) }:
	default:
		x.lost.Add(1)
	}
}

// renew takes a site's new options.
func (x *beacons) renew(bp *Blueprint) {
	select {
	case x.acts <- func() {
		x.bp = bp
		x.keeper.Set(beaconOpts(bp))
		x.behind = true
		maps.DeleteFunc(x.told, func(_ string, t toldBeacon) bool { _, sends := bp.Doc.Site.Beacons.Send[t.alarm.Hazard]; return !sends })
	}:
	default:
		x.lost.Add(1)
	}
}

func (x *beacons) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if ctx.Err() == nil { // what decides may have ended: it would be waited for
			x.restore()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case f := <-x.acts:
			f()
		case m := <-x.heard:
			x.judge(m)
		case <-tick.C:
			x.repeat()
			if n := x.lost.Load(); n > 0 && x.counted.may(x.h.clock.Now().Mono) {
				x.lost.Add(-n)
				x.h.record("beacon.lost", phrase.M("station.beacon_lost", "count", n), nil)
			}
		}
		if ctx.Err() == nil {
			x.stand()
		}
	}
}

// restore takes up what the journal kept once it is there. What was heard before counts too.
func (x *beacons) restore() {
	if x.restored {
		return
	}
	select {
	case <-x.h.journal.Loaded():
	default:
		return
	}
	x.restored, x.behind = true, true
	if b, ok := x.h.journal.Get(keyBeacons); ok {
		if err := x.keeper.Restore(b); err != nil {
			x.h.unreadable(keyBeacons, err)
		}
	}
	// With what came before a slow disk had loaded.
	if b, err := x.keeper.Kept(); err == nil {
		x.h.journal.Commit(journal.Batch{State: map[string][]byte{keyBeacons: b}})
	}
	// What stood before a restart is told on.
	if len(x.bp.Doc.Site.Beacons.Send) == 0 {
		return
	}
	_ = x.h.do(func() {
		for _, a := range x.h.alarms.Open() {
			x.alarmed(alarm.Event{Alarm: a})
		}
	})
}

// judge takes one message in.
func (x *beacons) judge(m heardBeacon) {
	now := x.h.clock.Now()
	r := x.keeper.Take(m.bytes, now, x.h.clock.Floor())
	if r.Outcome == beacon.Again || r.Outcome == beacon.Own {
		return
	}
	rec := journal.Record{Kind: "beacon." + r.Outcome.String(), At: now, Message: x.outcome(m.link, r)}
	genuine := r.Outcome == beacon.Raised || r.Outcome == beacon.Heard || r.Outcome == beacon.Drill
	if !genuine {
		if x.refused.may(now.Mono) {
			x.h.write(rec, nil)
		} else {
			x.lost.Add(1)
		}
		return
	}
	var state map[string][]byte
	if x.restored { // before, it would take the place of what an earlier run kept
		kept, err := x.keeper.Kept()
		if err != nil {
			x.h.log.Error("beacons are not kept", "err", err)
		} else {
			state = map[string][]byte{keyBeacons: kept}
		}
	}
	x.h.write(rec, state)
	x.behind = x.behind || r.Outcome == beacon.Raised
	if r.Relay {
		x.air(m.bytes, rand.N(beaconJitter))
	}
}

// outcome words what became of a message.
func (x *beacons) outcome(link string, r beacon.Result) phrase.Message {
	hazard := phrase.Text{ZH: "？", EN: "?"}
	if row, ok := x.bp.Beacons.ByNumber(r.Message.Hazard); ok {
		hazard = row.Name
	}
	number, level := int(r.Message.Station), x.bp.Levels.Rank(point.Level(r.Message.Rank)).Name
	switch r.Outcome {
	case beacon.Raised:
		return phrase.M("station.beacon_raised", "link", link, "station", r.Upstream, "number", number, "hazard", hazard, "level", level)
	case beacon.Heard:
		return phrase.M("station.beacon_heard", "link", link, "station", r.Upstream, "number", number, "hazard", hazard, "level", level)
	case beacon.Drill:
		return phrase.M("station.beacon_drill", "link", link, "station", r.Upstream, "number", number, "hazard", hazard, "level", level)
	case beacon.Unknown:
		return phrase.M("station.beacon_unknown", "link", link, "number", number)
	case beacon.Unsigned:
		return phrase.M("station.beacon_unsigned", "link", link, "station", r.Upstream, "number", number)
	case beacon.Old:
		return phrase.M("station.beacon_old", "link", link, "station", r.Upstream, "number", number)
	}
	return phrase.M("station.beacon_no_form", "link", link)
}

// hourly lets so many things happen in an hour.
type hourly struct {
	most int
	at   []time.Duration
}

func (l *hourly) may(now time.Duration) bool {
	l.at = slices.DeleteFunc(l.at, func(t time.Duration) bool { return now-t >= time.Hour })
	if len(l.at) >= l.most {
		return false
	}
	l.at = append(l.at, now)
	return true
}

// stand brings what stands to the alarm path, where it changed.
func (x *beacons) stand() {
	now := x.h.clock.Now()
	all := x.keeper.Standing(now)
	var stand []standing
	for _, s := range all {
		why := phrase.M("station.beacon_why", "station", s.Upstream, "hazard", hazardName(x.bp, s.Hazard),
			"issued", s.Issued.In(siteZone()).Format("15:04"), "arrives", s.Arrives.In(siteZone()).Format("15:04"))
		stand = append(stand, standing{
			hazard: beaconPrefix + s.Hazard, level: s.Level, why: why, who: order.Who{Name: s.Upstream.ZH, Via: "beacon"},
			name: inBoth(phrase.M("station.beacon_name", "hazard", hazardName(x.bp, s.Hazard), "station", s.Upstream)),
		})
	}
	if !x.behind && slices.EqualFunc(stand, x.stood, func(a, b standing) bool { return a.hazard == b.hazard && a.level == b.level && a.who == b.who }) {
		return
	}
	told := false
	err := x.h.do(func() {
		// What stood before a restart must not end by what was heard since: it is told of together.
		if x.restored || !x.h.loaded() {
			x.h.warn(beaconPrefix, stand, nil)
			told = true
		}
	})
	if x.behind = err != nil || !told; !x.behind {
		x.stood = stand
	}
}

func hazardName(bp *Blueprint, hazard string) phrase.Text {
	t, _ := bp.hazardText(hazard)
	return t
}

// tell signs and sends what stands of an alarm; what stands no more is told no more.
func (x *beacons) tell(a alarm.Alarm) {
	c, sends := x.bp.Doc.Site.Beacons.Send[a.Hazard]
	if !sends || ownNumber(x.bp.Doc.Site) == 0 {
		return
	}
	least := point.Level(1)
	if c.Least != "" {
		least = levelOf(x.bp, c.Least)
	}
	if !a.Stands() || a.Blind || a.Level < least {
		delete(x.told, a.ID)
		return
	}
	if old, ok := x.told[a.ID]; ok && old.alarm.Level == a.Level && x.h.clock.Now().Mono-old.at < beaconAgain {
		old.alarm = a
		x.told[a.ID] = old
		return
	}
	id := x.h.identity.Load()
	row, ok := x.bp.Beacons.ByCode(c.As)
	if id == nil || !ok {
		// Without a key yet: with the next tick.
		x.told[a.ID] = toldBeacon{alarm: a, at: x.h.clock.Now().Mono - beaconAgain}
		return
	}
	lasts := c.Lasts.Duration()
	if lasts == 0 {
		lasts = beaconLasts
	}
	now := x.h.clock.Now()
	b, err := beacon.Sign(beacon.Message{
		Station: uint16(ownNumber(x.bp.Doc.Site)), Serial: uint8(rand.N(256)), Hazard: uint8(row.Number), Rank: uint8(min(a.Level, 15)), Lasts: uint8(max(1, min(63, lasts/(10*time.Minute)))),
	}, id.key, now.Wall)
	if err != nil {
		x.h.setFault("beacons", phrase.M("station.beacon_failed", "detail", err))
		return
	}
	x.told[a.ID] = toldBeacon{alarm: a, bytes: b, at: now.Mono}
	x.h.write(journal.Record{Kind: "beacon.sent", Cause: a.ID, At: now, Message: phrase.M("station.beacon_sent", "hazard", row.Name, "level", x.bp.Levels.Rank(a.Level).Name)}, nil)
	x.air(b, 0)
}

// repeat sends the same bytes some times more, and new ones while the level stands.
func (x *beacons) repeat() {
	now := x.h.clock.Now().Mono
	for id, t := range x.told {
		switch {
		case now-t.at >= beaconAgain:
			x.tell(t.alarm)
		case t.bytes != nil && t.copies < len(beaconCopies) && now-t.at >= beaconCopies[t.copies]:
			t.copies++
			x.told[id] = t
			x.air(t.bytes, 0)
		}
	}
}

// air broadcasts a message over the links, also the one that it came by: on a mesh a relay
// reaches whom the sender did not.
func (x *beacons) air(b []byte, after time.Duration) {
	by := x.bp.Doc.Site.Beacons.By
	for name, t := range x.h.onAir.now() {
		if len(by) > 0 && !slices.Contains(by, name) || !terminalKind(x.bp.Doc.Site.Links[name].Kind) {
			continue
		}
		x.h.guard.Go("reach", "beacon by "+name, guard.Once, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, beaconSend)
			defer cancel()
			select {
			case <-time.After(after):
			case <-ctx.Done():
				return nil
			}
			x.send(ctx, name, t, b)
			return nil
		})
	}
}

// send gives it to one terminal, and again when that said that it is too early.
func (x *beacons) send(ctx context.Context, name string, t drivers.Terminal, b []byte) {
	for {
		_, err := t.Send(ctx, drivers.Outgoing{Broadcast: true, Bytes: b})
		until, early := tooEarly(err)
		switch {
		case err == nil:
			return
		case !early:
			x.h.log.Warn("a beacon was not sent", "link", name, "err", err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(100*time.Millisecond, time.Until(until))):
		}
	}
}

// tooEarly reads a terminal's refusal for being early.
func tooEarly(err error) (time.Time, bool) {
	var f *drivers.Fault
	if !errors.As(err, &f) || f.Kind != drivers.FaultEarly {
		return time.Time{}, false
	}
	return f.Until, true
}
