package station

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/decide/plan"
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/keep/diary"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/network"
	"tocsin/firmware/sense/setpoint"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/audit"
	"tocsin/firmware/serve/certificate"
	"tocsin/firmware/sound/announce"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
	"tocsin/firmware/sound/speech"
)

// Version and BuildUnix are set by the linker.
var (
	Version   = "dev"
	BuildUnix = "0"
)

// Opts says how a house runs.
type Opts struct {
	// Data is the directory of journal, clock floor and token.
	Data string
	// Memory is the same directory as it was kept in memory while the disk of Data could not be used: one of each
	// time, the oldest first, as a list like PATH; "" for none. Nothing is written there (carried).
	Memory string
	// Wrong is what is wrong with the site's file, where the last good one is run
	// in its stead.
	Wrong []config.Problem
	// Socket is the Unix socket of the local tools; "" for none.
	Socket string
	// Listen overrides the site's page address; "off" for none.
	Listen string
	Log    *slog.Logger
	// Revisions are those of the site's document; nil: they are opened here.
	Revisions *Revisions
	// Notify is told READY=1, WATCHDOG=1, STOPPING=1 (sd_notify).
	Notify func(state string)
	// Watchdog is the period that the service manager wants to be fed in; 0 none.
	Watchdog time.Duration
	// Bench is a folder with a bench's installer and network; "" on a real board.
	Bench string
	// CrashOutput has the runtime write its last words into a file (debug.SetCrashOutput); nil
	// leaves it as it is.
	CrashOutput func(*os.File) error
	// Abort, for the bench's build only, is called by the room that dies.
	Abort func()

	// sys is what the kernel says of the board; nil: /sys.
	sys   fs.FS
	built func(*House) // of a test, which asks the house itself
	// ending is how long outputs and journal may each take to end, 2 s where it is 0; a
	// test on a busy machine gives more.
	ending time.Duration
	// proof is how long a part of the alarm path may take to turn over, 10 s where it is 0.
	proof time.Duration
}

// House is a running box.
type House struct {
	o       Opts
	log     *slog.Logger
	diary   *diary.Diary
	guard   *guard.Guard
	dog     *guard.Watchdog
	clock   *clock.System
	times   *times
	video   *pictures
	journal *journal.Journal
	history keeper
	started time.Time
	begun   clock.Stamp

	// Owned by the decide goroutine.
	bp      *Blueprint
	engine  *rule.Engine
	alarms  *alarm.Machine
	blindly map[string]clock.Stamp // hazards that are blind and not yet told
	keys    []keyWatch
	halted  map[string]halt // soundings that were stopped, by cause
	warned  warnings        // what stands by the word of somebody outside
	recalls bool            // what an earlier run kept was taken back; before, nothing replaces it
	keptAt  time.Duration   // when the rules' memory was last kept,
	keptN   uint64          // and how much had changed by then

	spots    []*spot // of the readings just being taken
	fresh    []spot  // not yet given: those of one answer lie side by side
	believed []point.Reading
	shelf    shelf

	readings chan []point.Reading
	acts     chan func()

	announcer   *announce.Announcer
	house       *output.House
	setpoints   *setpoint.Desk
	forms       forms
	desk        *order.Desk
	lines       lineSet
	scans       sync.Map // lines that are being scanned
	proxies     proxies
	platforms   platforms
	ways        waysIn
	noted       chan func()
	notesLost   atomic.Int64
	badAt       map[string]time.Duration // when a point or device was last at fault
	linesBegan  time.Time
	county      *county
	identity    atomic.Pointer[identity]
	token       *access.Token          // the stop token, from then on too
	door        *access.Door           // there once the page is served,
	authority   *certificate.Authority // as is this; nil without TLS
	audit       *audit.Log
	own         own
	herald      *herald
	roll        *roll
	beacons     *beacons
	onAir       terminals
	post        *post
	tally       *tally
	talks       *talks
	trials      *trials
	said        sayings
	evacuations evacuations
	maintenance atomic.Pointer[maintenance] // changed on the decide goroutine
	deliveries  deliveries
	links       linkSet
	volume      atomic.Int32  // percent that a signed command set; 0 none
	again       chan struct{} // the site's file is to be read anew
	revised     chan struct{} // there is news of the document's revisions
	anew        chan struct{} // the box is to begin anew
	applying    sync.Mutex    // one offered file at a time
	overridden  overridden
	hidden      hidden
	dry         sync.Mutex                 // one dry run at a time
	networked   map[string]network.Setting // what is applied, under mu
	networkDone map[string]network.Setting // what the board has answered for, under mu
	updates     updates
	waiting     atomic.Bool // a changed file waits until no level stands
	resets      resets
	toSay       struct {
		mu  sync.Mutex
		all []unsaid
	}
	supplied     supplied
	economy      *economy
	wear         worn
	recordings   recordingShelf
	commissioned commissioning
	chipDead     bool      // the board's clock chip had lost the time at the start
	recorder     *recorder // nil for a house of a test's own

	ready      atomic.Bool
	armedAfter atomic.Int64
	firstRound atomic.Int64

	mu       sync.RWMutex
	latest   map[point.ID]*spot
	shown    shown
	faults   map[string]fault
	receipts []output.Event
	sounded  *speech.Programme
	bank     *speech.Bank // the same one once the house is built
	follow   followers
	server   *api.Server
}

// halt remembers a STOP over a restart.
type halt struct {
	Level point.Level `json:"level"`
	By    order.Who   `json:"by"`
	At    clock.Stamp `json:"at"`
}

type fault struct {
	why   phrase.Message
	since time.Time
}

// shown is what the page may see of the decide goroutine's state.
type shown struct {
	bp    *Blueprint
	open  []alarm.Alarm
	ended []alarm.Alarm
	blind bool
	worst point.Level
	// warned names the hazards of warnings.
	warned map[string]phrase.Text
}

// The keys under which the journal keeps state.
const (
	keyAlarms = "alarms"
	keyRules  = "rules"
	keyHalted = "halted"
)

// keepRulesEvery is how often the rules' memory is kept while it changes,
// keepRulesIdle while only baselines move. The counters themselves bridge what a
// cut takes of it.
const (
	keepRulesEvery = 10 * time.Second
	keepRulesIdle  = 5 * time.Minute
)

// decideTick is how often the passing of time itself is looked at.
const decideTick = 500 * time.Millisecond

// decide is the alarm path's one goroutine: readings, acts and the passing of
// time go through the rules here, in order, and nothing in it waits.
func (h *House) decide(ctx context.Context, proof *guard.Proof) error {
	tick := time.NewTicker(decideTick)
	defer tick.Stop()
	for {
		proof.Alive()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case rs := <-h.readings:
			h.takeAll(rs)
			h.shelf.put(rs)
		case f := <-h.acts:
			f()
		case <-tick.C:
			now := h.clock.Now()
			if late := h.engine.Due(now); len(late) > 0 {
				h.take(late)
			}
			for _, v := range h.engine.Tick(now) {
				h.judge(v)
			}
			h.tellBlind(now)
			h.soundsAgain()
			h.passMaintenance()
			h.alarms.Prune(now)
			for _, e := range h.alarms.Lapse(warningLapses, now) {
				h.happen(e)
			}
			h.keep(now)
		}
		h.show()
	}
}

// faultClears is how long a point must be good before its fault is cleared.
const faultClears = 5 * time.Second

func (h *House) judge(v rule.Verdict) {
	for _, e := range h.alarms.Apply(v) {
		h.happen(e)
	}
}

// happen carries one change of an alarm to the announcer first, then to the
// journal.
func (h *House) happen(e alarm.Event) {
	a := e.Alarm
	switch e.Kind {
	case alarm.EventRaised, alarm.EventEscalated, alarm.EventAgain:
		delete(h.halted, a.ID)
		h.sound(a, false)
	case alarm.EventEased:
		// It says what stands now, and keeps its STOP; and so a later rise is one
		// for the announcer too, whoever stopped or acknowledged the old level.
		if x, stopped := h.halted[a.ID]; stopped {
			x.Level = a.Level
			h.halted[a.ID] = x
		}
		h.sound(a, false)
	case alarm.EventSubsided:
		h.announcer.Withdraw(a.ID, phrase.M("station.subsided"))
		h.roll.ended(a)
	case alarm.EventAcknowledged:
		h.announcer.Acknowledged(a.ID)
	case alarm.EventLapsed:
		delete(h.halted, a.ID)
		h.announcer.Withdraw(a.ID, phrase.M("station.lapsed"))
		h.roll.ended(a)
	case alarm.EventReleased:
		delete(h.halted, a.ID)
		h.clearFault("rule " + a.Hazard)
		h.announcer.Withdraw(a.ID, phrase.M("station.released", "who", a.By.Name))
		h.sayAllClear(a)
		h.roll.ended(a)
	case alarm.EventBlind:
		h.blindly[a.Hazard] = e.At
		return
	case alarm.EventSighted:
		if _, untold := h.blindly[a.Hazard]; untold {
			delete(h.blindly, a.Hazard)
			return
		}
		h.clearFault("hazard " + a.Hazard)
	}
	if e.Kind != alarm.EventSighted {
		h.log.Warn("alarm", "event", string(e.Kind), "alarm", a.ID, "hazard", a.Hazard, "level", h.bp.Levels.Rank(a.Level).Code)
	}
	h.writeAlarm(e)
}

// blindAfter is how long a hazard must be without any good gauge before it is
// called, so that one lost answer calls nobody.
const blindAfter = 5 * time.Second

func (h *House) tellBlind(now clock.Stamp) {
	for hz, since := range h.blindly {
		if now.Mono-since.Mono < blindAfter || !h.ready.Load() {
			continue
		}
		delete(h.blindly, hz)
		h.setFault("hazard "+hz, phrase.M("station.blind", "hazard", hz))
		lost := alarm.Alarm{Hazard: hz, Blind: true}
		for _, a := range h.alarms.Open() {
			if a.Hazard == hz {
				lost = a // the record belongs to the level that is held
			}
		}
		h.writeAlarm(alarm.Event{Kind: alarm.EventBlind, Alarm: lost, At: now})
	}
}

// soundsAgain forgets the halts of what sounds again by its plan's time: after a
// power cut it must not begin silent for that time once more.
func (h *House) soundsAgain() {
	if len(h.halted) == 0 {
		return
	}
	n := len(h.halted)
	for _, s := range h.announcer.Sounding() {
		if s.Phase == announce.Speaking {
			delete(h.halted, s.Cause)
		}
	}
	if len(h.halted) != n {
		if b := h.stateOfHalts()[keyHalted]; b != nil {
			h.journal.Put(keyHalted, b)
		}
	}
}

// stoppedFor gives how long ago a halt was. Where no clock can tell, it is over:
// power that comes and goes must not keep a level silent that nobody has
// acknowledged.
func (h *House) stoppedFor(x halt) time.Duration {
	if x.At.IsZero() {
		return 0
	}
	d, known := h.clock.Now().Since(x.At)
	if !known {
		return announce.MostResound
	}
	return d
}

// sound asks the announcer for what the plan says of an alarm's level.
func (h *House) sound(a alarm.Alarm, resumed bool) {
	pl := h.planFor(a.Hazard)
	if pl == nil {
		h.setFault("plan "+a.Hazard, phrase.M("station.no_plan", "hazard", a.Hazard))
		return
	}
	// A table that has lost its highest level since must not make the desk refuse.
	level := min(a.Level, point.Level(len(h.bp.Levels.Codes())))
	step := pl.At(level, h.bp.Levels).Says(raisedBy(a.Hazard))
	src, who := order.Rule, order.Who{Name: "rule " + a.Hazard, Via: "rule"}
	if a.Hazard == alarm.ByHand {
		src = order.Hand
		if a.By != nil {
			who = order.Who{Name: a.By.Name, Via: a.By.Via}
		}
	}
	if a.Warned() {
		src, who = h.warned.asks(a)
		step = h.warned.content(a, step)
	}
	halted, stopped := h.halted[a.ID]
	muted := !resumed && h.muted(a, level, src)
	h.announcer.Announce(announce.Request{
		Cause: a.ID, Source: src, Kind: order.Real, Hazard: a.Hazard, Level: level, Outputs: h.outputsOf(step.Outputs),
		Content: h.content(step),
		Duty:    announce.Duty{On: step.Duty.On.Duration(), Off: step.Duty.Off.Duration()},
		Resound: step.Resound.Duration(), Who: who, Why: because(a),
		Resumed: resumed, Acknowledged: resumed && a.State == alarm.Acknowledged, Stopped: muted || resumed && stopped && halted.Level == a.Level, StoppedFor: h.stoppedFor(halted),
	})
	h.roll.stands(a, level, h.content(step))
}

// planFor gives a hazard's plan; for one whose rule is gone any plan is better
// than silence.
func (h *House) planFor(hazard string) *plan.Plan {
	if here, ok := strings.CutPrefix(hazard, beaconPrefix); ok {
		hazard = here // what comes down the valley is answered as what is measured here
	} else if strings.HasPrefix(hazard, alarm.WarnedPrefix) && h.bp.Warned != nil {
		return h.bp.Warned
	}
	if pl := h.bp.PlanOf[hazard]; pl != nil {
		return pl
	}
	return h.bp.own()
}

// own is the site's plan; where it names none any that is its own is better than the one for warnings,
// and that one better than silence.
func (bp *Blueprint) own() *plan.Plan {
	if bp.Default != nil {
		return bp.Default
	}
	for _, name := range slices.Sorted(maps.Keys(bp.Plans)) {
		if bp.Plans[name] != bp.Warned {
			return bp.Plans[name]
		}
	}
	return bp.Warned
}

// raisedBy tells whose word a hazard's level is; "" where it was measured here, or warned of in the
// sender's own words.
func raisedBy(hazard string) plan.By {
	switch saidBy(hazard) {
	case commandPrefix:
		return plan.Command
	case beaconPrefix:
		return plan.Beacon
	}
	if hazard == alarm.ByHand {
		return plan.Hand
	}
	return ""
}

// ruled tells the alarms what the rules measure, and calls what they do not.
func (h *House) ruled() {
	var hazards []string
	for _, r := range h.bp.Rules {
		hazards = append(hazards, r.Hazard)
		h.clearFault("rule " + r.Hazard)
	}
	h.alarms.Ruled(hazards)
	for _, hz := range h.alarms.Orphans() {
		h.setFault("rule "+hz, phrase.M("station.no_rule", "hazard", hz))
	}
}

func because(a alarm.Alarm) phrase.Message {
	if len(a.Because) > 0 {
		return a.Because[0]
	}
	return phrase.M("station.level_stands", "hazard", a.Hazard)
}

func (h *House) langs() []string {
	var l []string
	for _, x := range h.bp.Langs {
		l = append(l, string(x))
	}
	return l
}

// outputsOf gives the outputs named, all of the site's where none is.
func (h *House) outputsOf(names []string) []string {
	if len(names) > 0 {
		return slices.Clone(names)
	}
	var all []string
	for _, o := range h.bp.Outputs {
		all = append(all, o.Name)
	}
	return all
}

// sayAllClear gives 解除 in a named person's name: a chime and words, on what
// can speak.
func (h *House) sayAllClear(a alarm.Alarm) {
	pl := h.bp.PlanOf[a.Hazard]
	if a.Warned() {
		pl = h.planFor(a.Hazard)
		if a.By.Via != "alert" && a.By.Via != "command" {
			pl = h.bp.Default // the words of a person here are not the county's
		}
	}
	if pl == nil {
		pl = h.bp.Default
	}
	outs := h.speakers()
	if pl == nil || len(outs) == 0 {
		return
	}
	if h.alarms.Worst() > point.Calm {
		// Something else still stands: an all-clear now would call people back.
		h.log.Warn("no all-clear is spoken while another level stands", "alarm", a.ID)
		return
	}
	src := order.Operator
	switch a.By.Via {
	case "key", "button":
		src = order.Hand
	case "alert":
		src = order.Alert
	case "command":
		src = order.Command
	}
	err := h.announcer.AllClear(announce.Request{
		Cause: a.ID, Source: src, Kind: order.Real, Hazard: a.Hazard, Outputs: outs,
		Content: h.content(pl.AllClear),
		For:     pl.AllClear.For.Duration(), Who: order.Who{Name: a.By.Name, Via: a.By.Via},
		Why: phrase.M("station.released", "who", a.By.Name),
	})
	if err != nil {
		h.setFault("all-clear", phrase.M("station.all_clear_failed", "err", err))
	}
}

// speakers gives the outputs that can speak.
func (h *House) speakers() []string {
	var outs []string
	for _, o := range h.bp.Outputs {
		if o.Kind == output.Loudspeaker {
			outs = append(outs, o.Name)
		}
	}
	return outs
}

// write offers a record to the journal with the alarms as they are now.
func (h *House) write(r journal.Record, state map[string][]byte) {
	h.journal.Commit(journal.Batch{Records: []journal.Record{r}, State: state})
}

func (h *House) writeAlarm(e alarm.Event) {
	body, _ := json.Marshal(e.Alarm) // a struct of plain fields always marshals
	state := h.memory(e.At)
	rec := journal.Record{Kind: string(e.Kind), Cause: e.Alarm.ID, Body: body, At: e.At, Message: h.describe(e)}
	if e.Alarm.By != nil {
		rec.Who, rec.Via = e.Alarm.By.Name, e.Alarm.By.Via
	}
	h.write(rec, state)
	h.recorder.happened(string(e.Kind) + " " + e.Alarm.Hazard)
	h.herald.alarmed(e)
	h.beacons.alarmed(e)
}

// memory gives all that a later run must know: what the rules remember goes with
// what they decided, in one commit. Until a slow disk has given what an earlier
// run knew there is none: it would replace alarms that nobody has read yet.
func (h *House) memory(now clock.Stamp) map[string][]byte {
	if !h.recalls {
		return nil
	}
	state := map[string][]byte{}
	if b, err := h.alarms.Snapshot(); err == nil {
		state[keyAlarms] = b
	}
	if b, err := json.Marshal(h.halted); err == nil {
		state[keyHalted] = b
	}
	if b, err := h.engine.State(now); err == nil {
		state[keyRules] = b
	}
	return state
}

func (h *House) describe(e alarm.Event) phrase.Message {
	a := e.Alarm
	level := h.bp.Levels.Rank(a.Level).Name
	switch e.Kind {
	case alarm.EventRaised:
		return phrase.M("station.raised", "hazard", a.Hazard, "level", level, "why", because(a))
	case alarm.EventEscalated:
		return phrase.M("station.escalated", "hazard", a.Hazard, "level", level, "why", because(a))
	case alarm.EventAgain:
		return phrase.M("station.again", "hazard", a.Hazard, "level", level, "why", because(a))
	case alarm.EventEased:
		return phrase.M("station.eased", "hazard", a.Hazard, "level", level)
	case alarm.EventSubsided:
		return phrase.M("station.subsided")
	case alarm.EventAcknowledged:
		return phrase.M("station.acknowledged", "who", a.By.Name)
	case alarm.EventReleased:
		return phrase.M("station.released", "who", a.By.Name)
	case alarm.EventLapsed:
		return phrase.M("station.lapsed")
	case alarm.EventBlind:
		return phrase.M("station.blind", "hazard", a.Hazard)
	case alarm.EventSighted:
		return phrase.M("station.sighted", "hazard", a.Hazard)
	}
	return phrase.Message{}
}

// keep puts the rules' memory away while it changes.
func (h *House) keep(now clock.Stamp) {
	since, n := now.Mono-h.keptAt, h.engine.Changed()
	if !h.recalls || since < keepRulesEvery || n == h.keptN && since < keepRulesIdle {
		return
	}
	h.keptAt, h.keptN = now.Mono, n
	if b, err := h.engine.State(now); err == nil {
		h.journal.Put(keyRules, b)
	}
}

// The states of an act on its way to the decide goroutine.
const (
	actWaits int32 = iota
	actRuns
	actGivenUp
)

// do runs f on the decide goroutine and waits for it, at most two seconds. What was
// told as busy is not done later: whoever asked has gone.
func (h *House) do(f func()) error {
	var state atomic.Int32
	done := make(chan struct{})
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	act := func() {
		defer close(done)
		if state.CompareAndSwap(actWaits, actRuns) {
			f()
		}
	}
	select {
	case h.acts <- act:
	case <-t.C:
		return phrase.E("station.busy")
	}
	select {
	case <-done:
		return nil
	case <-t.C:
	}
	if state.CompareAndSwap(actWaits, actGivenUp) {
		return phrase.E("station.busy")
	}
	// It has begun: it is quick, unless the alarm path itself hangs.
	t.Reset(2 * time.Second)
	select {
	case <-done:
		return nil
	case <-t.C:
		return phrase.E("station.busy")
	}
}

// show copies what the page may see.
func (h *House) show() {
	s := shown{h.bp, h.alarms.Open(), h.alarms.Ended(), h.alarms.AnyBlind(), h.alarms.Worst(), h.warned.names}
	h.mu.Lock()
	h.shown = s
	h.mu.Unlock()
}

func (h *House) setFault(thing string, why phrase.Message) {
	h.mu.Lock()
	old, there := h.faults[thing]
	same := there && old.why.Code == why.Code
	since := time.Now()
	if there {
		since = old.since
	}
	h.faults[thing] = fault{why, since}
	h.mu.Unlock()
	if !same {
		h.log.Warn("fault", "thing", thing, "why", why.In(phrase.EN))
		h.write(journal.Record{Kind: "fault", Message: why, Body: thingBody(thing)}, nil)
		h.recorder.happened("fault " + thing)
	}
}

func (h *House) clearFault(thing string) {
	h.mu.Lock()
	_, there := h.faults[thing]
	delete(h.faults, thing)
	h.mu.Unlock()
	if there {
		h.log.Info("fault cleared", "thing", thing)
		h.write(journal.Record{Kind: "fault.cleared", Message: phrase.M("station.fault_cleared", "thing", thing), Body: thingBody(thing)}, nil)
	}
}

func thingBody(thing string) json.RawMessage {
	b, _ := json.Marshal(map[string]string{"thing": thing})
	return b
}
