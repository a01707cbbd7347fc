package station

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/rollcall"
	"tocsin/firmware/reach/wire"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/speech"
)

// roll tells people of levels by telephone: 叫应. It follows what the alarm path tells
// the announcer, beside it: what it cannot follow is lost and counted, and a telephone
// that hangs holds up nothing but the next call.
type roll struct {
	h     *House
	queue chan func()
	lost  atomic.Int64
	tasks chan rollTask
	done  chan rollcall.Outcome
	ends  chan struct{} // a call that is no longer right
	view  atomic.Pointer[[]rollcall.RoundView]
	voice atomic.Pointer[speech.Composer]

	// Owned by its goroutine.
	m       *rollcall.Machine
	said    map[string]wording
	flying  *rollcall.Task
	waiting bool // for what an earlier run kept
}

// wording is what is said and written of an alarm. It is kept with the rounds, since the
// all-clear may come after a restart.
type wording struct {
	Hazard  phrase.Text    `json:"hazard"`
	Why     phrase.Message `json:"why,omitzero"`
	Who     string         `json:"who,omitempty"` // who gave the all-clear
	content order.Content
	kind    order.Kind
}

type rollTask struct {
	rollcall.Task
	said wording
	bp   *Blueprint
}

const (
	keyRoll = "rollcall"
	// rollPast is how long what an earlier run kept is waited for: with a dead disk
	// people are told all the same.
	rollPast = 10 * time.Second
	// rollDurable is how long a call waits until what was decided is on the disk.
	rollDurable = 2 * time.Second
	rollQueue   = 256
	rollLook    = 5 * time.Second
)

func newRoll(h *House) *roll {
	x := &roll{
		h: h, queue: make(chan func(), rollQueue), tasks: make(chan rollTask), done: make(chan rollcall.Outcome, 1), ends: make(chan struct{}, 1),
		said: map[string]wording{}, waiting: true,
	}
	x.m = rollcall.New(rollcall.Table{}, nil)
	x.configure(h.bp)
	return x
}

func (x *roll) configure(bp *Blueprint) {
	if bp.Roll == nil {
		x.m.Configure(rollcall.Table{Tries: 1, Within: time.Minute, Afresh: time.Minute}, nil)
		return
	}
	x.m.Configure(*bp.Roll, bp.People)
}

// drills tells whether people are being told of a drill.
func (x *roll) drills() bool {
	if x == nil {
		return false
	}
	rounds := x.view.Load()
	return rounds != nil && slices.ContainsFunc(*rounds, func(r rollcall.RoundView) bool { return r.Drill && r.Phase == rollcall.Calling && !r.Done })
}

// soon hands work over without waiting.
func (x *roll) soon(f func()) {
	select {
	case x.queue <- f:
	default:
		if n := x.lost.Add(1); n&(n-1) == 0 {
			x.h.noteSoon(func() { x.h.log.Error("people were not told of a change: too many at once", "n", n) })
		}
	}
}

// renew takes over another site's people.
func (x *roll) renew(bp *Blueprint) { x.soon(func() { x.configure(bp) }) }

// stands is told what the announcer is told: a level that stands, and what it sounds
// like. On the decide goroutine.
func (x *roll) stands(a alarm.Alarm, level point.Level, c order.Content) {
	if x.h.bp.Roll == nil || !a.Stands() {
		return
	}
	why := because(a)
	x.soon(func() {
		x.said[a.ID] = wording{Hazard: x.name(a.Hazard), Why: why, content: c, kind: order.Real}
		x.note(x.m.Stands(rollcall.Round{Cause: a.ID, Hazard: hazardOf(a.Hazard), Level: level}, x.now()))
	})
}

// ended is told that a level stands no more. On the decide goroutine.
func (x *roll) ended(a alarm.Alarm) {
	if x.h.bp.Roll == nil {
		return
	}
	x.soon(func() {
		if a.State == alarm.Released && a.By != nil {
			s := x.said[a.ID]
			s.Who = a.By.Name
			if s.Hazard == (phrase.Text{}) {
				s.Hazard = x.name(a.Hazard)
			}
			x.said[a.ID] = s
			x.m.Over(a.ID, x.now())
		} else {
			x.m.Subsided(a.ID, x.now())
		}
		x.note(nil)
	})
}

// drill tells people of a drill, where the site lets it. On the decide goroutine.
func (x *roll) drill(o oncePlan, c order.Content) {
	bp := x.h.bp
	if bp.Roll == nil || !bp.Drilled {
		return
	}
	top := point.Level(len(bp.Levels.Codes()))
	x.soon(func() {
		x.said[o.cause] = wording{Hazard: inBoth(order.Drill.Message()), Why: o.why, content: c, kind: order.Drill}
		x.note(x.m.Stands(rollcall.Round{Cause: o.cause, Hazard: hazardCounty, Level: top, Drill: true}, x.now()))
	})
}

// hazardOf gives by what a site's people name an alarm's hazard.
func hazardOf(hazard string) string {
	if here, ok := strings.CutPrefix(hazard, beaconPrefix); ok {
		return here
	}
	if strings.HasPrefix(hazard, alarm.WarnedPrefix) {
		return hazardCounty
	}
	return hazard
}

func (x *roll) name(hazard string) phrase.Text {
	t := x.h.seen().hazard(hazard)
	return phrase.Text{ZH: t.ZH, EN: t.EN}
}

func (x *roll) now() time.Duration { return x.h.clock.Now().Mono }

// run is its goroutine.
func (x *roll) run(ctx context.Context) error {
	if x.waiting {
		x.past(ctx)
	}
	for {
		x.renewVoice()
		wait := time.Minute
		if x.flying == nil {
			t, ok, w, ev := x.m.Next(x.now())
			x.note(ev)
			if wait = w; ok {
				x.flying = &t
				x.keep(ctx)
				select {
				case <-x.ends: // of the one before
				default:
				}
				select {
				case x.tasks <- rollTask{t, x.said[t.Cause], x.h.seen().bp}:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		x.show()
		if len(*x.view.Load()) > 0 {
			wait = min(wait, rollLook) // a modem may come back
		}
		timer := time.NewTimer(wait)
		select {
		case f := <-x.queue:
			f()
			if t := x.flying; t != nil && !x.m.Holds(*t) {
				select {
				case x.ends <- struct{}{}:
				default:
				}
			}
		case o := <-x.done:
			x.flying = nil
			x.note(x.m.Done(o, x.now()))
			x.keep(ctx)
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}

// renewVoice tells the machine whether the modem can call at all.
func (x *roll) renewVoice() {
	_, c := x.h.phone(x.h.seen().bp)
	x.m.Mute = c == nil || c.Calls().Bar == drivers.BarNoVoice
}

// past takes back what an earlier run kept, once the disk has given it.
func (x *roll) past(ctx context.Context) {
	t := time.NewTimer(rollPast)
	defer t.Stop()
	select {
	case <-x.h.journal.Loaded():
	case <-t.C:
		x.h.log.Warn("the record is not read yet: who confirmed before is not known")
	case <-ctx.Done():
		return
	}
	x.waiting = false
	b, ok := x.h.journal.Get(keyRoll)
	if !ok {
		return
	}
	var k struct {
		Machine json.RawMessage    `json:"machine"`
		Said    map[string]wording `json:"said"`
	}
	err := json.Unmarshal(b, &k)
	var ev []rollcall.Event
	if err == nil {
		ev, err = x.m.Restore(k.Machine, x.now())
	}
	if err != nil {
		x.h.unreadable(keyRoll, err)
		return
	}
	x.said = k.Said
	if x.said == nil {
		x.said = map[string]wording{}
	}
	x.note(ev)
	open := map[string]bool{}
	for _, a := range x.h.seen().open {
		open[a.ID] = a.Stands()
	}
	for _, c := range x.m.Causes() {
		if !open[c] { // it is told again where it comes back later
			x.m.Subsided(c, x.now())
		}
	}
}

// keep puts away who was told what.
func (x *roll) keep(ctx context.Context) {
	live := map[string]wording{}
	for _, r := range x.m.View() {
		if s, ok := x.said[r.Cause]; ok {
			live[r.Cause] = s
		}
	}
	maps.DeleteFunc(x.said, func(c string, _ wording) bool { _, ok := live[c]; return !ok })
	m, err := x.m.Snapshot(x.now())
	if err != nil {
		return
	}
	b, err := json.Marshal(map[string]any{"machine": json.RawMessage(m), "said": live})
	if err != nil {
		return
	}
	x.h.journal.Put(keyRoll, b)
	soon, cancel := context.WithTimeout(ctx, rollDurable)
	defer cancel()
	x.h.journal.Sync(soon) // a disk that is dead or slow says so by itself, and holds up no call
}

func (x *roll) show() { v := x.m.View(); x.view.Store(&v) }

// rollBody is what is kept of a message or a call. The number is masked.
type rollBody struct {
	Person string  `json:"person,omitempty"`
	Number string  `json:"number,omitempty"`
	Try    int     `json:"try,omitempty"`
	Level  string  `json:"level,omitempty"`
	Drill  bool    `json:"drill,omitempty"`
	Known  string  `json:"known,omitempty"`
	Keys   string  `json:"keys,omitempty"`
	Played float64 `json:"played_s,omitempty"`
	Why    string  `json:"why,omitempty"`
}

// note writes down what happened.
func (x *roll) note(ev []rollcall.Event) {
	bp := x.h.seen().bp
	for _, e := range ev {
		b, _ := json.Marshal(rollBody{
			e.Task.Person, rollcall.Mask(e.Task.Number), e.Task.Try, bp.Levels.Rank(e.Task.Level).Code, e.Task.Drill,
			string(e.Out.Known), e.Out.Keys, e.Out.Played.Round(100 * time.Millisecond).Seconds(), e.Out.Why,
		})
		m := rollMessage(bp, e)
		x.h.log.Info("people", "what", string(e.What), "cause", e.Task.Cause, "person", e.Task.Person, "known", string(e.Out.Known), "why", e.Out.Why)
		x.h.write(journal.Record{Kind: "rollcall." + string(e.What), Cause: e.Task.Cause, Message: m, Body: b, At: x.h.clock.Now()}, nil)
		if chain, ok := strings.CutPrefix(e.Task.Cause, "w-"); ok && e.Out.Known == rollcall.Confirmed && !e.Task.Drill {
			x.h.herald.perhaps(func() { x.h.herald.reached(chain, wire.Progress{Stage: wire.Confirmed}) })
		}
		switch e.What {
		case rollcall.Unheeded, rollcall.OutOfTime:
			x.h.setFault("people "+e.Task.Cause, m)
		case rollcall.Complete:
			x.h.clearFault("people " + e.Task.Cause)
		}
	}
	// A fault of a round that is over says nothing any more.
	for _, r := range x.m.View() {
		if r.Phase == rollcall.Still || r.Phase == rollcall.Clear {
			x.h.clearFault("people " + r.Cause)
		}
	}
}

func (bp *Blueprint) person(id string) (phrase.Text, bool) {
	i := slices.IndexFunc(bp.People, func(p rollcall.Person) bool { return p.ID == id })
	if i < 0 {
		return phrase.Text{ZH: id, EN: id}, false
	}
	return named(bp.People[i].Name, id), true
}

// phone gives the modem by which people are told; nil where none runs.
func (h *House) phone(bp *Blueprint) (drivers.Terminal, drivers.Caller) {
	if bp == nil || bp.Phone == "" {
		return nil, nil
	}
	h.onAir.mu.Lock()
	t := h.onAir.all[bp.Phone]
	h.onAir.mu.Unlock()
	c, _ := t.(drivers.Caller)
	return t, c
}
