package station

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/announce"
	"tocsin/firmware/sound/deadman"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
	"tocsin/firmware/sound/speech"
)

// trials are tests of outputs that sound while somebody holds a button. There is one at a
// time. A test is never told to the county, and whatever is real ends it.
type trials struct {
	h    *House
	wake chan struct{}

	mu  sync.Mutex
	all []*trial // the last ones stay a while to be asked about
}

type trial struct {
	id, cause             string
	who                   order.Who
	outs                  []string
	volume                int
	most                  time.Duration
	told                  bool
	hold                  *deadman.Hold
	opened                clock.Stamp
	asked, over           bool
	why                   phrase.Message
	sounded, heard, fails []string
	held                  time.Duration
}

// trialsKept is how many tests that are over can be asked about.
const trialsKept = 4

func newTrials(h *House) *trials { return &trials{h: h, wake: make(chan struct{}, 1)} }

// ask is what the desk is asked for a test.
func (b ByHand) ask(cause string, outs []string, volume int, who order.Who, langs []speech.Lang) order.Ask {
	return order.Ask{Cause: cause, Kind: order.Test, Source: order.Operator, Action: order.Sound, Outputs: outs, For: b.Test.Most.Duration(), Who: who,
		Content: order.Content{Tone: b.Test.Tone, Clips: b.Test.Clips, Langs: langsOf(langs), Volume: cmp.Or(volume, b.Test.Volume)}}
}

// quietNow tells whether neighbours sleep; known is false where the box does not know the time.
func (b ByHand) quietNow(now clock.Stamp) (quiet, known bool) {
	if now.Trust == clock.Free {
		return false, false
	}
	return quietAt(&b.Quiet, now.Wall), true
}

// OpenTest begins a test. Nothing sounds before the first hold.
func (h *House) OpenTest(a api.TestAsk, who api.Who) (api.SoundTest, error) {
	bp := h.seen().bp
	outs, err := bp.outputsIn(a.Outputs, nil)
	if err != nil {
		return api.SoundTest{}, err
	}
	if !a.Clear {
		return api.SoundTest{}, phrase.E("station.test_clear")
	}
	now := h.clock.Now()
	if quiet, _ := bp.ByHand.quietNow(now); quiet && !a.Told {
		return api.SoundTest{}, phrase.E("station.test_quiet", "from", bp.ByHand.Quiet.From, "to", bp.ByHand.Quiet.To)
	}
	for _, s := range h.announcer.Sounding() {
		if s.Kind == order.Real {
			return api.SoundTest{}, phrase.E("station.test_real", "what", h.seen().hazard(s.Hazard).ZH)
		}
	}
	t := h.trials
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.all {
		if !x.over {
			return api.SoundTest{}, phrase.E("station.test_busy", "who", x.who.Name)
		}
	}
	most := bp.ByHand.Test.Most.Duration()
	if s := time.Duration(a.Seconds) * time.Second; s > 0 {
		most = min(most, s)
	}
	id := nonce()
	// Who knows the ID may hold the button, so that it is told to who opened it and stands in
	// nothing that others read: a test that somebody else kept up would be no dead man's.
	x := &trial{id: id, cause: "test-" + nonce(), who: order.Who(who), outs: outs, volume: cmp.Or(a.Volume, bp.ByHand.Test.Volume), most: most, told: a.Told, hold: deadman.New(now.Mono, most), opened: now}
	if err := h.desk.Check(bp.ByHand.ask(x.cause, outs, x.volume, x.who, bp.Langs)); err != nil {
		return api.SoundTest{}, err
	}
	t.all = append(t.all, x)
	if n := len(t.all) - trialsKept; n > 0 {
		t.all = slices.Delete(t.all, 0, n)
	}
	select {
	case t.wake <- struct{}{}:
	default:
	}
	return t.view(x), nil
}

// HoldTest says that the button is held.
func (h *House) HoldTest(id string, beat uint64) (api.SoundTest, error) {
	return h.trials.with(id, func(x *trial) {
		now := h.mono()
		x.hold.Say(now, beat)
		if x.hold.Proved() && !x.asked && !x.over && x.hold.Look(now) == deadman.Held {
			h.trials.begin(x)
		}
	})
}

// EndTest says that it was let go.
func (h *House) EndTest(id string) (api.SoundTest, error) {
	return h.trials.with(id, func(x *trial) {
		x.hold.Release()
		h.trials.look(x)
	})
}

func (t *trials) with(id string, f func(*trial)) (api.SoundTest, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.all, func(x *trial) bool { return x.id == id })
	if i < 0 {
		return api.SoundTest{}, &phrase.Error{Message: phrase.M("station.test_gone"), Err: api.ErrUnknown}
	}
	f(t.all[i])
	return t.view(t.all[i]), nil
}

// begin asks for the turn. Called under the lock.
func (t *trials) begin(x *trial) {
	x.asked = true
	bp := t.h.seen().bp
	a := bp.ByHand.ask(x.cause, x.outs, x.volume, x.who, bp.Langs)
	why := phrase.M("station.test_why", "who", x.who.Name)
	b, _ := json.Marshal(map[string]any{"kind": order.Test.String(), "outputs": x.outs, "volume": x.volume, "seconds_most": x.most.Seconds(), "neighbours_told": x.told})
	t.h.noteSoon(func() {
		t.h.write(journal.Record{Kind: "test.began", Cause: x.cause, Who: x.who.Name, Via: x.who.Via, At: t.h.clock.Now(), Message: why, Body: b}, nil)
	})
	t.h.announcer.Announce(announce.Request{Cause: x.cause, Source: a.Source, Kind: a.Kind, Rank: sayRank, Outputs: a.Outputs, Content: a.Content,
		For: min(a.For, x.hold.Left(t.h.mono())), Lower: announce.Drop, Equal: announce.Newest, Who: a.Who, Why: why})
}

// look ends what nobody holds any more. Called under the lock.
func (t *trials) look(x *trial) {
	if x.over {
		return
	}
	switch x.hold.Look(t.h.mono()) {
	case deadman.Released:
		t.end(x, phrase.M("station.test_released"))
	case deadman.TimeUp:
		t.end(x, phrase.M("station.test_time", "most", x.most.String()))
	}
}

// end silences a test. Called under the lock.
func (t *trials) end(x *trial, why phrase.Message) {
	if x.over {
		return
	}
	x.hold.Release()
	x.over, x.why = true, why
	x.held = (t.h.mono() - x.opened.Mono).Round(100 * time.Millisecond)
	if x.asked {
		t.h.announcer.Withdraw(x.cause, why)
	}
	// What was measured comes by notes: what is kept of it is written after them.
	t.h.noteSoon(func() {
		t.mu.Lock()
		b, _ := json.Marshal(map[string]any{"kind": order.Test.String(), "outputs": x.outs, "seconds": x.held.Seconds(), "sounded": x.sounded, "measured": x.heard, "failed": x.fails})
		sounded, heard := len(x.sounded), len(x.heard)
		t.mu.Unlock()
		t.h.write(journal.Record{Kind: "test.ended", Cause: x.cause, Who: x.who.Name, Via: x.who.Via, At: t.h.clock.Now(),
			Message: phrase.M("station.test_over", "who", x.who.Name, "sounded", sounded, "measured", heard, "why", why), Body: b}, nil)
	})
}

// happened is told what the announcer did with one.
func (t *trials) happened(e announce.Event) {
	switch e.What {
	case announce.Ended, announce.Halt, announce.Dropped, announce.Overflow, announce.Refused:
	default:
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.all {
		if x.cause == e.Cause {
			t.end(x, e.Why)
		}
	}
}

// sounded is told what an output did for one.
func (t *trials) sounded(e output.Event) {
	if e.Order.Kind() != order.Test {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.all {
		if x.cause != e.Cause {
			continue
		}
		to := map[output.State]*[]string{output.Started: &x.sounded, output.Heard: &x.heard, output.Failed: &x.fails}[e.State]
		if to != nil && !slices.Contains(*to, e.Output) {
			*to = append(*to, e.Output)
		}
	}
}

// run looks at the test while there is one.
func (t *trials) run(ctx context.Context) error {
	tick := time.NewTicker(deadman.Look)
	tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.wake:
			tick.Reset(deadman.Look)
		case <-tick.C:
			if !t.pass() {
				tick.Stop()
			}
		}
	}
}

func (t *trials) pass() (on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.all {
		t.look(x)
		on = on || !x.over
	}
	return on
}

// view gives one for people. Called under the lock.
func (t *trials) view(x *trial) api.SoundTest {
	out := api.SoundTest{ID: x.id, Cause: x.cause, Who: api.Who(x.who), State: "armed", Beat: x.hold.Last(), Left: x.hold.Left(t.h.mono()), Volume: x.volume,
		Outputs: slices.Clone(x.outs), Sounded: append([]string{}, x.sounded...), Measured: append([]string{}, x.heard...), Failed: append([]string{}, x.fails...)}
	switch {
	case x.over:
		out.State, out.Left = "over", 0
		why := api.TextOf(x.why)
		out.Why = &why
	case x.asked:
		out.State = "sounding"
	}
	return out
}

// now gives the test that somebody makes, as all may see it; nil for none.
func (t *trials) now() *api.SoundTest {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.all {
		if !x.over {
			v := t.view(x)
			v.ID, v.Beat = "", 0
			return &v
		}
	}
	return nil
}
