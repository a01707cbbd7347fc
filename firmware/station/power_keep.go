package station

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/guard"
	"tocsin/firmware/guard/power"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sound/announce"
)

// economy keeps house with the supply: it measures, has the room power judge, and switches off and on what that says.
// It is beside the alarm path, which knows nothing of it.
type economy struct {
	h    *House
	view atomic.Pointer[power.View]

	// Owned by its goroutine.
	keeper   *power.Keeper
	recalled bool // what an earlier run kept was taken back; before, nothing replaces it
	bp       *Blueprint
	keptAt   time.Duration
	blind    time.Duration // since when a measure is not good
	dim      bool
	faults   map[string]bool
	// untold are messages to the county that found no room yet.
	untold []func() bool
}

const (
	// keyPower is the journal's name of what is kept of the supply.
	keyPower = "power"
	// powerLook is how often the supply is looked at, powerKeep how often what is known of it is kept.
	powerLook = 2 * time.Second
	powerKeep = 10 * time.Minute
	// blindPower is how long a measure may be missing before that is called.
	blindPower = 30 * time.Second
	// untoldMost bounds what waits for a herald that hangs.
	untoldMost = 8
	// flushWithin is how long each part may take that puts things away before the power goes.
	flushWithin = 3 * time.Second
)

func newEconomy(h *House) *economy { return &economy{h: h, faults: map[string]bool{}} }

// run is the economy's goroutine.
func (x *economy) run(ctx context.Context) error {
	wait := time.NewTimer(memoryWait)
	select {
	case <-x.h.journal.Loaded():
	case <-wait.C: // a disk that hangs: what was kept is not known
	case <-ctx.Done():
	}
	wait.Stop()
	t := time.NewTicker(powerLook)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			x.put(x.h.clock.Now())
			return ctx.Err()
		case <-t.C:
			x.look(x.h.clock.Now())
		}
	}
}

// renew takes over a site's file.
func (x *economy) renew(bp *Blueprint, now clock.Stamp) {
	x.bp = bp
	if bp.Power == nil {
		if x.keeper != nil {
			x.keeper = nil
			x.view.Store(nil)
			x.apply(power.View{}, nil)
			x.call(map[string]phrase.Message{})
		}
		return
	}
	site := bp.Power.site(bp.Doc.Site.Site.At)
	if x.keeper != nil {
		x.keeper.Set(bp.Power.Rules, site)
		return
	}
	x.keeper, x.keptAt = power.New(bp.Power.Rules, site), now.Mono
}

// recall takes back what an earlier run kept, as soon as a disk that may hang has given it.
func (x *economy) recall(now clock.Stamp) {
	if x.recalled || !x.h.loaded() {
		return
	}
	x.recalled = true
	if b, ok := x.h.journal.Get(keyPower); ok {
		if err := x.keeper.Restore(b, now); err != nil {
			x.h.unreadable(keyPower, err)
		}
	}
}

// put keeps what a later run must know.
func (x *economy) put(now clock.Stamp) {
	if x.keeper != nil && x.recalled {
		x.keptAt = now.Mono
		x.h.journal.Put(keyPower, x.keeper.Kept(now))
	}
}

// look looks at the supply once.
func (x *economy) look(now clock.Stamp) {
	if bp := x.h.seen().bp; bp != x.bp {
		x.renew(bp, now)
	}
	for len(x.untold) > 0 && x.untold[0]() {
		x.untold = x.untold[1:]
	}
	if x.keeper == nil {
		return
	}
	x.recall(now)
	s := x.h.measured(x.bp.Power, now)
	s.Sounding = x.h.soundingWatts(x.bp.Power)
	v, events := x.keeper.Look(s)
	x.view.Store(&v)
	x.apply(v, x.bp.Power.Rules)
	told := false
	for _, e := range events {
		told = x.happened(e, v, now) || told
	}
	x.called(v, now)
	// What was told is kept with the message that told it, not before.
	if !told && (len(events) > 0 || now.Mono-x.keptAt >= powerKeep) {
		x.put(now)
	}
}

// stands tells how the supply stood at the last look; false where nothing measures it.
func (x *economy) stands() (power.View, bool) {
	if x == nil {
		return power.View{}, false
	}
	v := x.view.Load()
	if v == nil {
		return power.View{}, false
	}
	return *v, true
}

// soundingWatts is what the outputs draw that sound now.
func (h *House) soundingWatts(plan *PowerPlan) (w float64) {
	var on []string
	for _, s := range h.announcer.Sounding() {
		if s.Phase != announce.Speaking {
			continue
		}
		for _, o := range s.Outputs {
			if !slices.Contains(on, o) {
				on = append(on, o)
				w += plan.Watts[o]
			}
		}
	}
	return w
}

// apply has what is shed be off, and the rest on. Each of them takes the same word twice without harm.
func (x *economy) apply(v power.View, r *power.Rules) {
	factor := func(l power.Load) int {
		if !v.Off(l) {
			return 1
		}
		for _, s := range r.Order {
			if s.What == l {
				return max(1, s.Factor)
			}
		}
		return 1
	}
	x.h.video.spare(v.Off(power.Recording), v.Off(power.Video))
	x.h.tally.rarer(factor(power.Telemetry))
	probes := factor(power.Probes)
	if !narrowLink(x.bp) {
		probes = 1 // the wide link is all by which the county can warn
	}
	x.h.post.spare(v.Off(power.Bulk), probes)
}

// happened journals what happened, and tells the county what cannot wait for the next account of the box; true where
// it did.
func (x *economy) happened(e power.Event, v power.View, now clock.Stamp) (told bool) {
	h := x.h
	body, _ := json.Marshal(map[string]any{"state": v.State, "left_wh": v.Left, "reserve_wh": v.Reserve, "level": v.Level, "by": v.Basis, "shed": v.Shed}) // plain values
	rec := journal.Record{Kind: "power." + string(e.Kind), Cause: e.Episode, At: now, Body: body}
	switch e.Kind {
	case power.Turned:
		rec.Message = phrase.M("power.turned", "state", supplyText(e.To))
		h.log.Warn("power", "from", e.From.String(), "to", e.To.String(), "left_wh", v.Left, "by", string(v.Basis))
	case power.Shed:
		rec.Message = phrase.M("power.shed", "done", doneText(e.Load), "state", supplyText(e.To))
	case power.Restored:
		rec.Message = phrase.M("power.restored", "load", loadText(e.Load))
	default:
		h.log.Warn("power", "event", string(e.Kind), "episode", e.Episode)
		x.tell(e, v, now)
		if e.Kind == power.Gasp {
			h.guard.Go("keep", "before the power goes", guard.Once, h.putAway)
		}
		return true
	}
	h.write(rec, nil)
	return false
}

// putAway has everything on the disk that is still in RAM, each within its time.
func (h *House) putAway(ctx context.Context) error {
	h.keepRules()
	h.times.raise()
	if h.history.h != nil {
		in, end := context.WithTimeout(ctx, flushWithin)
		if err := h.history.h.Flush(in); err != nil {
			h.log.Warn("history not put away before the power goes", "err", err)
		}
		end()
	}
	in, end := context.WithTimeout(ctx, flushWithin)
	defer end()
	if err := h.journal.Sync(in); err != nil {
		h.log.Warn("journal not put away before the power goes", "err", err)
	}
	return nil
}

// called makes faults of a supply that is in want, of measures that are not good and of what is off.
func (x *economy) called(v power.View, now clock.Stamp) {
	want := map[string]phrase.Message{}
	switch v.State {
	case power.Prepare:
		want["power"] = phrase.M("power.is_prepare", "need", spanText(v.Need.Round(time.Hour)))
	case power.Low:
		want["power"] = phrase.M("power.is_low")
		if v.Short() {
			want["power"] = phrase.M("power.is_low_short", "need", spanText(v.Need.Round(time.Hour)))
		}
	case power.Critical:
		want["power"] = phrase.M("power.is_critical", "reserve", rounded(v.Reserve))
	case power.BrownOut:
		want["power"] = phrase.M("power.is_brown_out")
	}
	if len(v.Blind) == 0 {
		x.dim = false
	} else if !x.dim {
		x.dim, x.blind = true, now.Mono
	}
	if x.dim && now.Mono-x.blind >= blindPower {
		var zh, en []string
		for _, m := range v.Blind {
			t := measureText(m)
			zh, en = append(zh, t.ZH), append(en, t.EN)
		}
		what := phrase.Text{ZH: strings.Join(zh, "、"), EN: strings.Join(en, ", ")}
		want["power blind"] = phrase.M("power.blind", "what", what)
		if v.State == power.Unknown {
			want["power blind"] = phrase.M("power.blind_all", "what", what)
		}
	}
	for _, l := range v.Shed {
		want["power "+string(l)] = phrase.M("power.is_shed", "done", doneText(l))
	}
	x.call(want)
}

func (x *economy) call(want map[string]phrase.Message) {
	for thing := range x.faults {
		if _, still := want[thing]; !still {
			delete(x.faults, thing)
			x.h.clearFault(thing)
		}
	}
	for thing, why := range want {
		x.faults[thing] = true
		x.h.setFault(thing, why)
	}
}

var supplyTexts = map[power.State]phrase.Message{
	power.Unknown: phrase.M("power.state_unknown"), power.Mains: phrase.M("power.state_mains"), power.Battery: phrase.M("power.state_battery"), power.Prepare: phrase.M("power.state_prepare"),
	power.Low: phrase.M("power.state_low"), power.Critical: phrase.M("power.state_critical"), power.BrownOut: phrase.M("power.state_brown_out"),
}

func supplyText(s power.State) phrase.Message { return supplyTexts[s] }

var loadTexts = map[power.Load]phrase.Message{
	power.Bulk: phrase.M("power.load_bulk"), power.Recording: phrase.M("power.load_recording"), power.Video: phrase.M("power.load_video"),
	power.Telemetry: phrase.M("power.load_telemetry"), power.Probes: phrase.M("power.load_probes"),
}

func loadText(l power.Load) phrase.Message { return loadTexts[l] }

// doneText says what was done to a load: some are off, some only rarer.
func doneText(l power.Load) phrase.Message {
	if l == power.Telemetry || l == power.Probes {
		return phrase.M("power.done_rarer", "load", loadText(l))
	}
	return phrase.M("power.done_off", "load", loadText(l))
}

func loadNames(ls []power.Load) phrase.Text {
	var all []phrase.Text
	for _, l := range ls {
		all = append(all, inBoth(doneText(l)))
	}
	return both(all)
}

var measureTexts = map[power.Measure]phrase.Message{
	power.Voltage: phrase.M("power.measure_battery"), power.Charge: phrase.M("power.measure_charge"), power.Runtime: phrase.M("power.measure_runtime"), power.Drawn: phrase.M("power.measure_load"),
	power.Harvest: phrase.M("power.measure_solar"), power.MainsHere: phrase.M("power.measure_mains"), power.Failing: phrase.M("power.measure_failing"),
}

func measureText(m power.Measure) phrase.Text { return inBoth(measureTexts[m]) }
