package station

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/announce"
	"tocsin/firmware/sound/g711"
	"tocsin/firmware/sound/live"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/output"
)

// talks are the persons who speak by the loudspeakers. One speaks at a time: a second one
// only at a higher level. Whoever feeds a talk has been let in by an operator's role or by a
// signed order; that it may sound is the desk's to say, and when the announcer's.
type talks struct {
	h *House
	// voices are for whoever composes, who must not wait for the lock.
	voices sync.Map // id → *live.Voice
	wake   chan struct{}
	// judging holds the one order that is being judged.
	judging chan struct{}

	mu  sync.Mutex
	all []*talking // by the time they were opened; the last ones stay a while to be asked about
}

const (
	// talkLook is how often talks are looked at while there are any, talkTold how often the
	// talker is told how it stands.
	talkLook = 100 * time.Millisecond
	talkTold = time.Second
	// talkKept is for how long one that is over can be asked about, talksKept how many.
	talkKept  = 30 * time.Second
	talksKept = 8
	// talkRank is below every alarm's: of one level the alarm has the turn, and the voice its pauses.
	talkRank = -1
)

// talkAsk is what somebody who may speak asks for.
type talkAsk struct {
	id, cause string
	by        string // the actor who opened it, as api.Actor names them; "" from the county
	kind      order.Kind
	src       order.Source
	level     point.Level
	who       order.Who
	about     phrase.Text
	outputs   []string // none: every loudspeaker
	seconds   time.Duration
	expires   time.Time // zero: none but its time
	rate      int
	law       g711.Law // "": 16 bits, little endian
	sealed    *sealed  // from the county; nil: from here
}

// talking is one talk.
type talking struct {
	talkAsk
	voice  *live.Voice
	opened clock.Stamp
	until  time.Duration
	// asked: the announcer knows of it.
	asked, ended bool
	overAt       time.Duration
	why          phrase.Message
	last         talkState
	told         time.Duration
	slot         int64  // the next one of a voice that comes in order
	part         []byte // of one that is not whole
	refused      uint32
	outs, heard  []string // where it sounds, and where that was measured
}

// talkState is how a talk stands.
type talkState string

const (
	talkWaits  talkState = "waiting"
	talkReady  talkState = "ready"
	talkSpeaks talkState = "speaking"
	talkEnded  talkState = "ended"
)

func (h *House) mono() time.Duration { return h.clock.Now().Mono }

func newTalks(h *House) *talks {
	return &talks{h: h, wake: make(chan struct{}, 1), judging: make(chan struct{}, 1)}
}

// speakersOf holds outputs to those that can speak.
func (bp *Blueprint) speakersOf(names []string) ([]string, error) {
	var outs []string
	for _, o := range bp.Outputs {
		speaks := o.Kind == output.Loudspeaker
		switch {
		case len(names) == 0 && speaks, speaks && slices.Contains(names, o.Name):
			outs = append(outs, o.Name)
		}
	}
	if len(outs) == 0 {
		return nil, phrase.E("station.talk_no_speaker", "outputs", strings.Join(names, "、"))
	}
	return outs, nil
}

// mayTalk tells whether a voice from the county can be heard here: what the station's list of pictures
// (letter.Catalogue) says by Talk. Without a key the box answers no order.
func (h *House) mayTalk() bool {
	bp := h.seen().bp
	_, err := bp.speakersOf(nil)
	return err == nil && h.identity.Load() != nil && bp.Bounds.Sources[order.Command].Live > 0
}

// open opens a talk: nothing sounds before its first piece has come, but the words that say
// that it is a drill.
func (t *talks) open(a talkAsk) (*talking, error) {
	bp := t.h.seen().bp
	outs, err := bp.speakersOf(a.outputs)
	if err != nil {
		return nil, err
	}
	a.outputs = outs
	b := bp.Bounds.Live
	now := t.h.clock.Now()
	x := &talking{talkAsk: a, opened: now}
	x.voice = live.New(live.Opts{Rate: a.rate, Now: t.h.mono, Bounds: live.Bounds{Hold: b.Hold.Duration(), Most: b.Most.Duration(), Quiet: b.Quiet.Duration(), Lost: b.Lost.Duration(),
		RMS: b.RMS, Peak: b.Peak, Gain: b.Gain, Floor: b.Floor}})
	r := t.request(x)
	if err := t.h.desk.Check(order.Ask{Cause: r.Cause, Kind: r.Kind, Source: r.Source, Action: order.Sound, Level: r.Level, Outputs: r.Outputs, Content: r.Content, For: a.seconds, Who: r.Who}); err != nil {
		return nil, err
	}
	longest := bp.Bounds.Sources[a.src].Live.Duration()
	x.until = now.Mono + min(a.seconds, longest)
	if what, taken := t.outranked(x); taken {
		return nil, phrase.E("station.talk_outranked", "what", what)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, y := range t.all {
		if !y.ended && (y.level >= x.level || y.id == x.id) {
			return nil, phrase.E("station.talk_busy", "who", y.who.Name)
		}
	}
	t.all = append(t.all, x)
	if n := len(t.all) - talksKept; n > 0 {
		t.all = slices.Delete(t.all, 0, n)
	}
	t.voices.Store(x.id, x.voice)
	if x.kind != order.Real {
		t.announce(x)
	}
	t.look()
	return x, nil
}

func (t *talks) look() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// request is what the announcer is asked.
func (t *talks) request(x *talking) announce.Request {
	bp := t.h.seen().bp
	c := order.Content{Live: x.id, Words: x.about, Langs: t.h.langs(), Volume: int(t.h.volume.Load())}
	if x.kind != order.Real {
		c.Clips = []string{bp.Bounds.Marked[x.kind].First}
		c.Words = phrase.Text{}
	}
	return announce.Request{Cause: x.cause, Source: x.src, Kind: x.kind, Level: x.level, Rank: talkRank, Outputs: x.outputs, Content: c,
		For: max(x.until-t.h.mono(), time.Millisecond), Lower: announce.Drop, Equal: announce.Queue, Who: x.who, Why: phrase.M("station.talk_why", "who", x.who.Name)}
}

// outranked tells what sounds now on each of its outputs that a voice must not interrupt.
func (t *talks) outranked(x *talking) (what string, taken bool) {
	free := slices.Clone(x.outputs)
	for _, s := range t.h.announcer.Sounding() {
		if s.Phase == announce.Speaking && s.Level >= x.level && s.Kind <= x.kind && (s.Level > point.Calm || s.Kind < x.kind) {
			free = slices.DeleteFunc(free, func(o string) bool { return slices.Contains(s.Outputs, o) })
			what = t.h.seen().hazard(s.Hazard).ZH
		}
	}
	return what, len(free) == 0
}

// announce asks for its turn. Called under the lock.
func (t *talks) announce(x *talking) {
	if x.asked {
		return
	}
	x.asked = true
	t.h.announcer.Announce(t.request(x))
}

// find gives one that is known. Called under the lock.
func (t *talks) find(id string) *talking {
	for _, x := range t.all {
		if x.id == id {
			return x
		}
	}
	return nil
}

// put gives a piece of a talk's voice, by slots; it begins to sound with the first.
func (t *talks) put(x *talking, slot int64, samples []int16) {
	if x.ended || t.h.mono() >= x.until {
		return
	}
	if x.voice.Put(slot, samples) {
		t.announce(x)
	}
}

// feed gives what comes in order: the whole slots of it.
func (t *talks) feed(x *talking, b []byte) {
	size := x.rate / 100
	width := 1
	if x.law == "" {
		width = 2
	}
	x.part = append(x.part, b...)
	n := len(x.part) / (size * width)
	whole := x.part[:n*size*width]
	var samples []int16
	if x.law == "" {
		for i := 0; i < len(whole); i += 2 {
			samples = append(samples, int16(uint16(whole[i])|uint16(whole[i+1])<<8))
		}
	} else {
		samples = x.law.Decode(nil, whole)
	}
	t.put(x, x.slot, samples)
	x.slot += int64(n)
	x.part = append(x.part[:0], x.part[len(whole):]...)
}

// state gives how it stands. Called under the lock.
func (x *talking) state(s live.State) talkState {
	switch {
	case x.ended:
		return talkEnded
	case s.Begun > 0:
		return talkSpeaks
	case x.kind == order.Real || s.Reading:
		return talkReady
	}
	return talkWaits
}

// end ends a talk: what is still held against jitter is not said any more, unless its talker
// let go. Called under the lock.
func (t *talks) end(x *talking, why phrase.Message) {
	if x.ended {
		return
	}
	s := x.voice.Look()
	x.ended, x.why, x.overAt = true, why, t.h.mono()
	x.voice.Break()
	if x.asked && s.Why != live.Done {
		t.h.announcer.Withdraw(x.cause, why) // one that ended by itself is drained and says so
	}
	t.voices.Delete(x.id)
	t.tell(x)
	b, _ := json.Marshal(map[string]any{
		"kind": x.kind.String(), "source": x.src.String(), "level": int(x.level), "outputs": x.outputs, "sounded": x.outs, "measured": x.heard,
		"seconds": (x.overAt - x.opened.Mono).Round(100 * time.Millisecond).Seconds(), "slot_ms": 10, "received": s.Received, "played": s.Played, "concealed": s.Concealed,
		"late": s.Late, "skipped": s.Skipped, "refused": x.refused,
	})
	m := phrase.M("station.talk_over", "who", x.who.Name, "played", (time.Duration(s.Played) * 10 * time.Millisecond).Round(100*time.Millisecond).String(), "why", why)
	t.h.log.Info("talk over", "cause", x.cause, "who", x.who.Name, "why", why.In(phrase.EN), "played_ms", s.Played*10, "concealed_ms", s.Concealed*10, "refused", x.refused)
	t.h.noteSoon(func() {
		t.h.write(journal.Record{Kind: "talk.ended", Cause: x.cause, Who: x.who.Name, Via: x.who.Via, At: t.h.clock.Now(), Message: m, Body: b}, nil)
	})
}

// happened is told what the announcer did with one.
func (t *talks) happened(e announce.Event) {
	switch e.What {
	case announce.Ended, announce.Halt, announce.Dropped, announce.Overflow, announce.Refused:
	default:
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.all {
		if x.cause == e.Cause && !x.ended {
			why := e.Why
			if s := x.voice.Look(); e.What == announce.Ended && s.Why != live.Going {
				why = talkWhy(s.Why)
			} else if e.What == announce.Ended && t.h.mono() >= x.until-talkLook {
				why = phrase.M("station.talk_time")
			}
			t.end(x, why)
		}
	}
}

// sounded is told what an output did for one.
func (t *talks) sounded(e output.Event) {
	if e.Order.Content().Live == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.find(e.Order.Content().Live)
	if x == nil {
		return
	}
	add := func(to *[]string) {
		if !slices.Contains(*to, e.Output) {
			*to = append(*to, e.Output)
		}
	}
	switch e.State {
	case output.Started:
		add(&x.outs)
	case output.Heard:
		add(&x.heard)
	}
}

func talkWhy(w live.Why) phrase.Message {
	switch w {
	case live.Done:
		return phrase.M("station.talk_done")
	case live.Quiet:
		return phrase.M("station.talk_quiet")
	case live.Lost:
		return phrase.M("station.talk_lost")
	}
	return phrase.M("station.talk_broken")
}

// run lets time pass over the talks.
func (t *talks) run(ctx context.Context) error {
	tick := time.NewTicker(talkLook)
	tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.wake:
		case <-tick.C:
		}
		if t.pass() {
			tick.Reset(talkLook)
		} else {
			tick.Stop()
		}
	}
}

// pass ends what is over; false where there is none to look at.
func (t *talks) pass() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, floor := t.h.clock.Now(), t.h.clock.Floor()
	t.all = slices.DeleteFunc(t.all, func(x *talking) bool { return x.ended && now.Mono-x.overAt > talkKept })
	lost := t.h.seen().bp.Bounds.Live.Lost.Duration()
	for _, x := range t.all {
		if x.ended {
			continue
		}
		s := x.voice.Look()
		switch {
		case now.Mono >= x.until || clock.Expired(x.expires, now, floor):
			t.end(x, phrase.M("station.talk_time"))
		case !x.asked && now.Mono-x.opened.Mono >= lost:
			t.end(x, talkWhy(live.Lost))
		case s.Why != live.Going && !s.Reading:
			t.end(x, talkWhy(s.Why)) // nobody plays it who would say that it is over
		case x.state(s) != x.last || now.Mono-x.told >= talkTold:
			t.tell(x)
		}
	}
	return len(t.all) > 0
}

// programme is what a loudspeaker plays of a talk: the words that tell a drill apart, then the voice.
func (t *talks) programme(c order.Content, words func(id string, langs []string) (samples, error)) (output.Programme, error) {
	v, ok := t.voices.Load(c.Live)
	if !ok {
		return nil, phrase.E("station.talk_gone")
	}
	p := spokenBy{voice: v.(*live.Voice), volume: int32(c.Volume)}
	if len(c.Clips) > 0 {
		first, err := words(c.Clips[0], c.Langs)
		if err != nil {
			return nil, err // a drill that does not say so is not heard
		}
		p.first = first
	}
	return p, nil
}
