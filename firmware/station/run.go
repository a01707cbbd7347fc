package station

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/drivers"
	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/guard"
	"tocsin/firmware/keep/diary"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/announce"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
	"tocsin/firmware/sound/speech"
)

// proofLimit is how long a part of the alarm path may take to turn over.
const proofLimit = 10 * time.Second

// hungLooks is after how many looks in a row at a part that hangs the process asks to be
// begun anew at once, instead of waiting until its watchdog misses it.
const hungLooks = 3

// BuildTime is when this program was built, as the linker was told, else when its source
// was committed; the zero time where nobody knows. Nothing that ended before it can be
// in force, whatever the clock says.
func BuildTime() time.Time {
	if n, err := strconv.ParseInt(BuildUnix, 10, 64); err == nil && n > 0 {
		return time.Unix(n, 0).UTC()
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
					return t.UTC()
				}
			}
		}
	}
	return time.Time{}
}

// Run builds the house of a proved site and runs it until ctx ends. An error means
// that it could not begin; what fails later is a fault that is shown and called,
// and ends nothing else.
func Run(ctx context.Context, bp *Blueprint, o Opts, reload <-chan os.Signal) error {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	held := diary.New(diaryLines, diaryBytes)
	o.Log = slog.New(held.Handler(o.Log.Handler()))
	if o.ending <= 0 {
		o.ending = 2 * time.Second
	}
	if o.proof <= 0 {
		o.proof = proofLimit
	}
	if o.Notify == nil {
		o.Notify = func(string) {}
	}
	// The house ends from the top down: first nobody asks and nothing new is
	// decided, then the outputs switch off over lines that still run, then what
	// happened is kept, then the lines end.
	path, endPath := context.WithCancel(context.Background())
	defer endPath()
	deciding, endDeciding := context.WithCancel(path)
	defer endDeciding()
	sounding, endSounding := context.WithCancel(path)
	defer endSounding()
	h := &House{
		o: o, log: o.Log, diary: held, dog: &guard.Watchdog{}, started: time.Now(),
		bp: bp, alarms: alarm.New(), blindly: map[string]clock.Stamp{}, halted: map[string]halt{}, badAt: map[string]time.Duration{},
		readings: make(chan []point.Reading, 256), acts: make(chan func(), 64), again: make(chan struct{}, 1), revised: make(chan struct{}, 1), anew: make(chan struct{}, 1), noted: make(chan func(), 1024),
		latest: map[point.ID]*spot{}, ways: waysIn{}, faults: map[string]fault{}, lines: lineSet{lines: map[string]*running{}},
	}
	h.guard = guard.New(path, o.Log, h.roomFailed)
	h.guard.Govern(bp.Guard.Restarts)
	if err := h.guard.UseGroups(); err != nil && !errors.Is(err, guard.ErrUndelegated) {
		h.log.Warn("children share the processor by their priority alone", "err", err)
	}
	h.recorder = newRecorder(h, bp.Guard.BlackBox)
	h.startClock()
	if h.o.Revisions == nil {
		h.o.Revisions = OpenRevisions(h.guard, bp.Doc.File, o.Data)
		h.o.Revisions.late.Store(true)
	}
	h.o.Revisions.clock.Store(h.clock)
	h.times = newTimes(h, bp.Time)
	h.video = newPictures(h)
	h.video.renew(bp.Doc.Site.Video)
	h.begun = h.clock.Now()

	var err error
	h.journal, err = journal.Open(o.Data, journal.Opts{Guard: h.guard, Clock: h.clock, Log: o.Log, End: o.ending, Merge: carried, Beside: o.Memory,
		Report: func(ok bool, why phrase.Message) {
			h.noteSoon(func() { h.journalState(ok, why) })
		}})
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if err := h.startHistory(); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if h.engine, err = rule.New(bp.Rules, bp.Sources, h.begun); err != nil {
		return err
	}
	h.engine.Doubt(bp.Doubts)
	if err := h.build(); err != nil {
		return err
	}
	if o.built != nil {
		o.built(h)
	}
	restored := h.restore()
	h.guard.Go("keep", "notes", guard.Restart, h.notes)
	silent := make(chan struct{})
	h.guard.GoIn(sounding, "sound", "outputs", guard.Restart, func(ctx context.Context) error {
		err := h.house.Run(ctx)
		if sounding.Err() != nil {
			close(silent)
		}
		return err
	})
	h.guard.GoIn(deciding, "sound", "announcer", guard.Restart, h.announcer.Run)
	h.resume(restored)
	proof := h.dog.Proof("decide", o.proof)
	h.guard.GoIn(deciding, "decide", "rules", guard.Restart, func(ctx context.Context) error { return h.decide(ctx, proof) })
	h.guard.GoIn(deciding, "decide", "warnings", guard.Restart, h.county.run)
	h.lateMemory()
	h.startRecorder()
	if h.chipDead {
		h.setFault(clockChip, phrase.M("guard.cell_dead"))
	}
	h.guard.Go("guard", "senses", guard.Restart, (&senses{h: h}).run)
	h.guard.GoIn(deciding, "guard", "surge", guard.Restart, (&surges{h: h}).run)
	h.startIdentity()
	h.startCommissioning()
	h.startRecordings()
	h.startUpdates()
	h.startSticks()
	h.applyNetwork(bp)
	h.guard.Go("reach", "names", guard.Restart, func(ctx context.Context) error { return h.post.names.run(ctx, h.journal) })
	h.guard.Go("station", "herald", guard.Restart, h.herald.run)
	h.guard.GoIn(deciding, "station", "talk", guard.Restart, h.talks.run)
	h.guard.GoIn(deciding, "station", "tests", guard.Restart, h.trials.run)
	h.guard.GoIn(deciding, "reach", "people", guard.Restart, h.roll.run)
	h.guard.GoIn(deciding, "reach", "telephone", guard.Restart, h.roll.telephone)
	h.guard.Go("station", "tally", guard.Restart, h.tally.run)
	h.guard.Go("guard", "power", guard.Restart, h.economy.run)
	h.guard.Go("guard", "wear", guard.Restart, h.watchWear)
	h.guard.GoIn(deciding, "station", "beacons", guard.Restart, h.beacons.run)
	h.linesBegan = time.Now()
	h.startLines(path, bp.Lines)
	if err := h.do(h.quiet); err != nil { // with what decides, so that it silences nothing that has just begun
		h.log.Error("outputs not silenced at the start", "err", err)
	}
	h.startInputs(path)
	h.startProxies(path, bp.Doc.Site.Proxies)
	h.startWays(deciding, bp)
	h.startLinks(deciding, bp)
	h.startSetpoints(deciding) // no fail-safe value is written by who can no longer say so
	h.guard.Go("station", "arming", guard.Once, h.arm)
	h.guard.Go("video", "child", guard.Restart, h.video.run)
	h.guard.Go("clock", "sources", guard.Restart, h.times.run)
	h.guard.Go("keep", "revisions", guard.Restart, h.keepRevisions)
	h.guard.Go("keep", "overrides", guard.Restart, h.keepOverrides)
	h.startCalm()
	h.guard.Go("keep", "clock floor", guard.Restart, h.keepFloor)
	h.guard.Go("guard", "watchdog", guard.Restart, h.feed)
	serveCtx, endServe := context.WithCancel(path)
	defer endServe()
	// In a goroutine of its own: it reads the token from a disk that may hang.
	h.guard.GoIn(serveCtx, "serve", "opening", guard.Once, func(ctx context.Context) error {
		if err := h.serve(ctx); err != nil {
			h.setFault("page", phrase.M("station.page_failed", "err", err))
		}
		return nil
	})
	if len(o.Wrong) > 0 {
		h.refused(o.Wrong)
	}
	h.record("system.started", phrase.M("station.started", "version", Version), map[string]any{"resumed": len(restored)})

	end := func(state string) error {
		o.Notify(state)
		h.dog.Rest()
		h.log.Info("stopping")
		h.record("system.stopping", phrase.M("station.stopping"), nil)
		endServe()
		h.keepRules()
		endDeciding()
		endSounding()
		select {
		case <-silent:
		case <-time.After(o.ending):
			h.log.Error("outputs did not end in time")
		}
		h.endLinks(h.seen().bp.Rows)
		h.goodbye()
		endPath()
		if left := h.guard.Wait(5 * time.Second); left != nil {
			return fmt.Errorf("still running after 5 s: %v", left)
		}
		return nil
	}
	for {
		select {
		case <-reload:
		case <-h.again:
		case <-h.anew:
			if h.seen().worst > point.Calm {
				break // a level came meanwhile: the reload says that a start is wanted
			}
			// To who watches it this process goes on: after STOPPING=1 it would be killed in time.
			if err := end(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonic().Microseconds())); err != nil {
				h.log.Error("stopping", "err", err) // it begins anew all the same
			}
			return ErrRestart
		case <-ctx.Done():
			return end("STOPPING=1")
		}
		h.reload(path)
		h.nudge()
		h.startWays(deciding, h.seen().bp)
		h.startLinks(deciding, h.seen().bp)
	}
}

// monotonic is CLOCK_MONOTONIC, in which sd_notify(3) tells when a reload began.
func monotonic() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// startClock takes the latest of the build time and the persisted floor.
func (h *House) startClock() {
	floor := BuildTime()
	loaded := make(chan time.Time, 1)
	h.guard.Go("clock", "floor", guard.Once, func(context.Context) error {
		kept, err := clock.LoadFloor(h.o.Data, BuildTime())
		if err != nil {
			h.log.Warn("clock floor not read", "err", err)
		}
		for _, dir := range filepath.SplitList(h.o.Memory) { // of times after what the disk has
			late, err := clock.LoadFloor(dir, BuildTime())
			if err != nil {
				h.log.Warn("clock floor kept in memory not read", "err", err)
			}
			if late.After(kept) {
				kept = late
			}
		}
		loaded <- kept
		return nil
	})
	select {
	case kept := <-loaded:
		if kept.After(floor) {
			floor = kept
		}
	case <-time.After(300 * time.Millisecond):
		// A disk that hangs does not hold up the start; what it says of the
		// past is lost for this run.
		h.log.Warn("clock floor not read in time")
	}
	trust := clock.Free
	if clock.Synchronised() {
		trust = clock.Set
	} else if time.Now().After(floor) && rtcPresent() {
		trust = clock.Held
	}
	h.chipDead = cellDead(time.Now(), floor, rtcPresent())
	h.clock = clock.NewSystem(floor, trust)
}

func rtcPresent() bool {
	_, err := os.Stat("/sys/class/rtc/rtc0")
	return err == nil
}

// keepFloor raises and keeps the floor while the clock is trusted.
func (h *House) keepFloor(ctx context.Context) error {
	t := time.NewTicker(10 * time.Minute)
	defer t.Stop()
	for {
		h.times.raise()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// build makes desk, outputs and announcer.
func (h *House) build() error {
	bp := h.bp
	h.county, h.herald, h.beacons, h.post, h.roll = newCounty(h), newHerald(h), newBeacons(h), newPost(h), newRoll(h)
	h.tally, h.talks, h.trials, h.economy = newTally(h), newTalks(h), newTrials(h), newEconomy(h)
	h.post.onDelivered(h.delivered)
	h.buildSetpoints()
	h.desk = order.NewDesk(bp.Bounds, h.clock, func(e order.Event) { h.noteSoon(func() { h.noteOrder(e) }) })
	specs, err := h.outputSpecs()
	if err != nil {
		return err
	}
	h.house, err = output.New(specs, output.Opts{
		Clock: h.clock, Guard: h.guard, Log: h.log,
		Proof: func(name string) *guard.Proof { return h.dog.Proof("output "+name, h.o.proof) },
		Event: func(e output.Event) { h.noteSoon(func() { h.noteReceipt(e) }) },
		Fault: func(f output.Fault) { h.noteSoon(func() { h.noteOutputFault(f) }) },
	})
	if err != nil {
		return err
	}
	h.announcer = announce.New(announce.Opts{
		Desk: h.desk, House: h.house, Clock: h.clock, Log: h.log, Compose: h.composer(),
		Proof: h.dog.Proof("announcer", h.o.proof),
		// One alarm a hazard at the most: none of them may be shed for another.
		Limit: 64 + 2*len(bp.Rules) + warningsStand + commandsStand,
		Event: func(e announce.Event) { h.noteSoon(func() { h.noteAnnounce(e) }) },
	})
	return nil
}

func (h *House) clipsWrong(errs []error) {
	for _, err := range errs {
		h.log.Warn("clip missing", "err", err)
	}
}

// composer loads the clips of every plan of the site into RAM: after this nothing
// that sounds needs a disk.
func (h *House) composer() func(order.Content) (output.Programme, error) {
	ids := map[string]bool{}
	for _, p := range h.bp.Plans {
		for _, id := range p.Clips() {
			ids[id] = true
		}
	}
	var want []string
	for id := range ids {
		want = append(want, id)
	}
	want = append(want, h.bp.Tones.Words()...)
	want = append(want, h.bp.ByHand.heldClips()...)
	if len(h.bp.People) > 0 {
		want = append(want, speech.ConfirmWords)
	}
	bank, errs := speech.LoadBank(h.bp.FS, "clips", speech.BankOpts{IDs: want, Pieces: h.bp.Compact != nil, Langs: h.bp.spoken(), Later: true})
	h.bank = bank
	h.clipsWrong(errs)
	h.recordings.begin(filepath.Join(h.o.Data, recordingsDir), bank)
	c := speech.Composer{Bank: bank, Tones: h.bp.Tones}
	h.roll.voice.Store(&c)
	words := func(id string, langs []string) (samples, error) {
		var in []speech.Lang
		for _, l := range langs {
			in = append(in, speech.Lang(l))
		}
		p, err := c.Words(id, in)
		if err != nil {
			return nil, err
		}
		return func(f drivers.Format) output.Reader { return p.Samples(f) }, nil
	}
	return func(k order.Content) (output.Programme, error) {
		if k.Live != "" {
			return h.talks.programme(k, words)
		}
		// The desk has proved that a drill or a test begins with its own words;
		// the composer puts them around every repetition.
		kind, clips := speech.Real, k.Clips
		if len(clips) > 0 && (clips[0] == speech.DrillWords || clips[0] == speech.TestWords) {
			kind, clips = speech.Kind(clips[0]), clips[1:]
		}
		var langs []speech.Lang
		for _, l := range k.Langs {
			langs = append(langs, speech.Lang(l))
		}
		p, err := speech.Composer{Bank: h.recordings.voices.Load(), Tones: h.bp.Tones}.Compose(speech.Content{Tone: k.Tone, Clips: clips, Langs: langs, Kind: kind})
		if err != nil {
			return nil, err
		}
		for _, e := range p.Problems() {
			h.log.Warn("sounding is not as asked", "err", e)
		}
		h.mu.Lock()
		h.sounded = p
		h.mu.Unlock()
		return programme{p, k.Volume}, nil
	}
}

// restore takes back what the journal kept: alarms, halts, the rules' windows.
// What cannot be read is called and costs the rest nothing.
func (h *House) restore() (open []alarm.Alarm) {
	loaded := h.loaded() // asked first: what comes between is taken back later
	take := func(key string, f func([]byte) error) {
		b, ok := h.journal.Get(key)
		if !ok {
			return
		}
		defer func() {
			if r := recover(); r != nil { // else it would end every start of the box
				h.unreadable(key, fmt.Errorf("panic: %v", r))
			}
		}()
		if err := f(b); err != nil {
			h.unreadable(key, err)
		}
	}
	take(keyHalted, func(b []byte) error {
		old := map[string]halt{}
		if err := json.Unmarshal(b, &old); err != nil {
			return err
		}
		maps.Copy(h.halted, old)
		return nil
	})
	take(keyMaintenance, h.recallMaintenance)
	take(keyRules, func(b []byte) error { return h.engine.Restore(b, h.begun) })
	take(keyOrders, h.recallCommands)
	take(keyAlarms, func(b []byte) (err error) { open, err = h.alarms.Restore(b); return err })
	if loaded {
		held, _ := h.journal.Get(keySetpoints)
		if err := h.setpoints.Recall(held); err != nil {
			h.unreadable(keySetpoints, err)
		}
	}
	h.recalls = loaded
	h.ruled()
	for _, a := range open {
		if a.Stands() {
			h.engine.Hold(a.Hazard, a.Level)
		}
	}
	return open
}

func (h *House) unreadable(key string, err error) {
	h.setFault("memory "+key, phrase.M("station.memory", "what", key, "err", err))
}

func (h *House) loaded() bool {
	select {
	case <-h.journal.Loaded():
		return true
	default:
		return false
	}
}

// resume sounds again what stood when the box went down.
func (h *House) resume(open []alarm.Alarm) {
	for _, a := range open {
		if a.Stands() {
			h.log.Warn("alarm resumed", "alarm", a.ID, "hazard", a.Hazard, "state", string(a.State))
			h.sound(a, true)
		}
	}
	h.show()
}

// quiet switches off, and verifies, every output that no restored alarm sounds
// on: a relay may have been left on by a box that forgot why. Called when the
// lines run.
func (h *House) quiet() {
	busy := map[string]bool{}
	for _, x := range h.announcer.Sounding() {
		if x.Phase == announce.Speaking {
			for _, o := range x.Outputs {
				busy[o] = true
			}
		}
	}
	var idle []string
	for _, name := range h.house.Names() {
		if !busy[name] {
			idle = append(idle, name)
		}
	}
	if len(idle) == 0 {
		return
	}
	o, err := h.desk.Make(order.Ask{Action: order.Silence, Source: order.Hand, Outputs: idle, Who: order.Who{Name: "start", Via: "start"}})
	if err != nil {
		h.log.Error("no order to silence at the start", "err", err)
		return
	}
	h.house.Silence(o)
}

// lateMemory brings alarms back from a disk that was too slow for the start.
func (h *House) lateMemory() {
	if h.recalls {
		return
	}
	h.guard.Go("keep", "late memory", guard.Once, func(ctx context.Context) error {
		select {
		case <-ctx.Done():
		case <-h.journal.Loaded():
			return h.do(func() {
				h.resume(h.restore())
				h.journal.Commit(journal.Batch{State: h.memory(h.clock.Now())})
			})
		}
		return nil
	})
}

// arm waits until every line was asked once and tells the service manager.
func (h *House) arm(ctx context.Context) error {
	h.lines.mu.RLock()
	var all []*running
	for _, r := range h.lines.lines {
		all = append(all, r)
	}
	h.lines.mu.RUnlock()
	for _, r := range all {
		select {
		case <-r.firstRound():
		case <-r.done:
		case <-ctx.Done():
			return nil
		}
	}
	h.firstRound.Store(int64(time.Since(h.linesBegan)))
	// The decide goroutine has taken all of it when an act gets its turn.
	if err := h.do(func() {}); err != nil {
		return err
	}
	if h.lostSite() {
		// It serves its page, and says what is wrong; it stands no watch, and confirms no release.
		h.log.Error("not armed: the site is lost")
		h.o.Notify("STATUS=not armed: the site is lost\nREADY=1")
		lean()
		return nil
	}
	h.ready.Store(true)
	h.armedAfter.Store(int64(time.Since(h.started)))
	h.log.Info("armed", "after", time.Since(h.started).Round(time.Millisecond), "first_round", time.Duration(h.firstRound.Load()).Round(time.Millisecond))
	h.o.Notify("READY=1")
	lean()
	if len(h.o.Wrong) == 0 {
		if err := keepLastGood(h.o.Data, h.seen().bp.Doc); err != nil {
			h.log.Warn("the site file was not put away as the last good one", "err", err)
		}
	}
	h.record("system.armed", phrase.M("station.armed"), nil)
	h.clipsWrong(h.bank.Prove())
	for _, after := range settled {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(after):
			returnMemory()
		}
	}
	return nil
}

// feed is the watchdog.
func (h *House) feed(ctx context.Context) error {
	every := h.o.Watchdog / 5
	if every <= 0 {
		every = 5 * time.Second
	}
	return h.dog.Run(ctx, every, func() { h.o.Notify("WATCHDOG=1") }, func(hung []string, looks int) {
		h.log.Error("the alarm path hangs: the watchdog is not fed", "parts", hung)
		if looks == 1 {
			h.recorder.happened("hangs: " + strings.Join(hung, ", "))
		}
		if looks == hungLooks {
			h.o.Notify("WATCHDOG=trigger") // sd_notify(3): as if its time were over
		}
	})
}

// keepRules puts the rules' memory away before the end.
func (h *House) keepRules() {
	err := h.do(func() {
		now := h.clock.Now()
		if b, err := h.engine.State(now); err == nil && h.recalls {
			h.journal.Put(keyRules, b)
		}
	})
	if err != nil {
		h.log.Warn("rules' memory not kept", "err", err)
	}
}

// goodbye keeps what has happened. What sounded was switched off with the
// outputs, and is resumed at the next start.
func (h *House) goodbye() {
	// Notes give the herald work; what the courier no longer takes waits in the journal.
	for _, soon := range []func(func()){h.noteSoon, func(f func()) { h.herald.soon(f) }} {
		drained := make(chan struct{})
		soon(func() { close(drained) })
		select {
		case <-drained:
		case <-time.After(500 * time.Millisecond):
		}
	}
	if h.audit != nil { // its head goes into the journal, too
		select {
		case <-h.audit.Ended():
		case <-time.After(500 * time.Millisecond):
		}
	}
	h.times.raise()
	if err := h.journal.Close(); err != nil {
		h.log.Error("journal not closed cleanly", "err", err)
	}
	if err := h.history.close(); err != nil {
		h.log.Warn("history not closed cleanly", "err", err)
	}
}

func (h *House) record(kind string, m phrase.Message, body map[string]any) {
	r := journal.Record{Kind: kind, Message: m, At: h.clock.Now()}
	if body != nil {
		r.Body, _ = json.Marshal(body)
	}
	h.write(r, nil)
}

// LastSound writes the last sounding's programme.
func (h *House) LastSound(w io.Writer) (bool, error) {
	h.mu.RLock()
	p := h.sounded
	h.mu.RUnlock()
	if p == nil {
		return false, nil
	}
	return true, p.WAV(w)
}
