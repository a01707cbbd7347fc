package station

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/decide/plan"
	"tocsin/firmware/decide/rule"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/announce"
	"tocsin/firmware/sound/order"
)

// warningLapses is how long after its end a warning that nobody released is kept
// among the alarms.
const warningLapses = 24 * time.Hour

// commandPrefix begins the hazard of what a signed command raised.
const commandPrefix = alarm.WarnedPrefix + "command-"

// saidBy gives the prefix of those who may raise a hazard: "" where it is measured here.
func saidBy(hazard string) string {
	for _, p := range []string{commandPrefix, beaconPrefix, warnedByAlert} {
		if strings.HasPrefix(hazard, p) {
			return p
		}
	}
	return ""
}

// standing is a warning that stands: what the alarm path needs of it.
type standing struct {
	hazard string
	level  point.Level
	name   phrase.Text
	why    phrase.Message
	who    order.Who
	// disowned: the site no longer believes who said it. It goes on, and a person
	// here may release it.
	disowned bool
	// outputs, tone and clips are what a command asks for, clips also what a warning's template says; none: the plan's.
	outputs []string
	tone    string
	clips   []string
}

// soundsLike tells whether two sound alike, in the same name.
func (s standing) soundsLike(o standing) bool {
	return s.who == o.who && s.tone == o.tone && slices.Equal(s.outputs, o.outputs) && slices.Equal(s.clips, o.clips)
}

// lift is the end of a warning by its sender's own word.
type lift struct {
	who    order.Who
	reason string
}

// warnings is what the decide goroutine knows of them. names is never changed, only
// replaced, since the page reads it.
type warnings struct {
	stand map[string]standing
	names map[string]phrase.Text
}

// asks says in whose name a warning's alarm sounds.
func (w warnings) asks(a alarm.Alarm) (order.Source, order.Who) {
	src, via := order.Alert, "alert"
	if strings.HasPrefix(a.Hazard, commandPrefix) {
		src, via = order.Command, "command"
	}
	if s, ok := w.stand[a.Hazard]; ok && s.who.Name != "" {
		return src, s.who
	}
	return src, order.Who{Name: a.Hazard, Via: via}
}

// warn brings the alarms into line with what stands by the word of somebody
// outside: everything that begins with prefix and is not among them has ended, by
// its sender's word where lifted says so, else by its time. Called with the same
// again it changes nothing, so that a restart, a reload and a message take one way.
func (h *House) warn(prefix string, stand []standing, lifted map[string]lift) {
	now := h.clock.Now()
	before := h.warned.stand
	all, names := maps.Clone(before), maps.Clone(h.warned.names)
	if all == nil {
		all, names = map[string]standing{}, map[string]phrase.Text{}
	}
	ours := func(hazard string) bool { return saidBy(hazard) == prefix }
	maps.DeleteFunc(all, func(hazard string, _ standing) bool { return ours(hazard) })
	for _, s := range stand {
		all[s.hazard], names[s.hazard] = s, s.name
	}
	h.warned.stand = all
	var held []string
	for hazard, s := range all {
		if !s.disowned {
			held = append(held, hazard)
		}
	}
	h.alarms.InForce(held)
	for _, s := range stand {
		if s.disowned && !h.alarms.Has(s.hazard) {
			continue // a person released it
		}
		events := h.alarms.Apply(rule.Verdict{Hazard: s.hazard, Level: s.level, Because: []phrase.Message{s.why}, At: now})
		for _, e := range events {
			h.happen(e)
		}
		if len(events) == 0 && !s.soundsLike(before[s.hazard]) {
			h.soundAnew(s.hazard)
		}
	}
	for _, a := range h.alarms.Open() {
		if _, stands := all[a.Hazard]; stands || !ours(a.Hazard) || !a.Warned() {
			continue
		}
		h.judge(rule.Verdict{Hazard: a.Hazard, Level: point.Calm, At: now})
		if l, ok := lifted[a.Hazard]; ok {
			if e, ok := h.alarms.Lift(a.Hazard, alarm.Who{Name: l.who.Name, Via: l.who.Via}, l.reason, now); ok {
				h.happen(e)
			}
		}
	}
	known := map[string]bool{}
	for _, a := range slices.Concat(h.alarms.Open(), h.alarms.Ended()) {
		known[a.Hazard] = true
	}
	maps.DeleteFunc(names, func(hazard string, _ phrase.Text) bool { return !known[hazard] })
	h.warned.names = names
}

// soundAnew tells the announcer what a level that stands sounds like now, which is more
// than was known of it at a restart. It keeps its silence and its turns.
func (h *House) soundAnew(hazard string) {
	for _, a := range h.alarms.Open() {
		if a.Hazard == hazard && a.Stands() {
			h.sound(a, true)
		}
	}
}

// recallCommands lets what a command raised sound again as it was ordered, and not as
// loud as the plan would have it, from the first instant after a restart.
func (h *House) recallCommands(b []byte) error {
	k, err := readOrders(b)
	if err != nil {
		return err
	}
	if k.Volume > 0 && h.volume.Load() == 0 {
		h.volume.Store(int32(min(k.Volume, 100)))
	}
	w := warnings{map[string]standing{}, map[string]phrase.Text{}}
	for _, c := range k.Stand {
		s := h.bp.standingOf(c)
		w.stand[s.hazard], w.names[s.hazard] = s, s.name
	}
	maps.Copy(w.stand, h.warned.stand) // what came before a slow disk had loaded is newer
	maps.Copy(w.names, h.warned.names)
	h.warned = w
	return nil
}

// content gives what a warning's alarm sounds like: its plan's step, unless the order
// itself says otherwise.
func (w warnings) content(a alarm.Alarm, step plan.Step) plan.Step {
	return w.stand[a.Hazard].over(step)
}

func (s standing) over(step plan.Step) plan.Step {
	if len(s.outputs) > 0 {
		step.Outputs = s.outputs
	}
	if s.tone != "" {
		step.Tone = s.tone
	}
	if len(s.clips) > 0 {
		step.Clips = s.clips
	}
	return step
}

// mayStand tells whether the bounds of this box would let what somebody asks for
// sound. On the decide goroutine.
func (h *House) mayStand(s standing, src order.Source) error {
	pl := h.planFor(s.hazard)
	if pl == nil {
		return phrase.E("station.no_plan", "hazard", s.hazard)
	}
	step := s.over(pl.At(s.level, h.bp.Levels).Says(raisedBy(s.hazard)))
	return h.desk.Check(order.Ask{
		Cause: s.hazard, Kind: order.Real, Source: src, Action: order.Sound, Hazard: s.hazard, Level: s.level, Outputs: h.outputsOf(step.Outputs),
		Content: h.content(step), For: step.Duty.On.Duration(), Standing: true, Off: step.Duty.Off.Duration(), Who: s.who,
	})
}

// oncePlan is something that raises no level: a notice, a drill, a test. What it does not
// say is the plan's.
type oncePlan struct {
	cause   string
	kind    order.Kind
	src     order.Source
	who     order.Who
	why     phrase.Message
	outputs []string
	tone    string
	clips   []string
	most    time.Duration
}

// onceLongest ends what is said once where neither the plan nor the order does.
const onceLongest = time.Minute

// once says something once. The error is the desk's, where its bounds forbid it.
func (h *House) once(o oncePlan) error {
	pl := h.planFor(alarm.WarnedPrefix)
	if pl == nil {
		return phrase.E("station.no_plan", "hazard", alarm.WarnedPrefix)
	}
	step := map[order.Kind]plan.Step{order.Real: pl.Notice, order.Drill: pl.Drill, order.Test: pl.Test}[o.kind]
	// On what can speak, unless somebody names outputs: a siren cannot say that it
	// is a drill, nor what a notice is about.
	outs := h.speakers()
	if len(step.Outputs) > 0 {
		outs = slices.Clone(step.Outputs)
	}
	if len(o.outputs) > 0 {
		outs = o.outputs
	}
	if o.tone != "" {
		step.Tone = o.tone
	}
	if len(o.clips) > 0 {
		first := step.Clips
		if o.kind == order.Real {
			first = nil
		}
		// A drill begins with its own words; the desk refuses it otherwise.
		step.Clips = slices.Concat(first, o.clips)
	}
	most := cmp.Or(o.most, step.For.Duration(), onceLongest)
	if len(outs) == 0 || step.Tone == "" && len(step.Clips) == 0 {
		return nil // nothing here can say it: it is shown
	}
	content := h.content(step)
	if err := h.desk.Check(order.Ask{Cause: o.cause, Kind: o.kind, Source: o.src, Action: order.Sound, Hazard: alarm.WarnedPrefix, Outputs: outs, Content: content, For: most, Who: o.who}); err != nil {
		return err
	}
	h.announcer.Announce(announce.Request{
		Cause: o.cause, Kind: o.kind, Source: o.src, Hazard: alarm.WarnedPrefix, Outputs: outs, Who: o.who, Why: o.why,
		Content: content, For: most, Lower: announce.Drop, Equal: announce.Queue,
	})
	if o.kind == order.Drill {
		h.roll.drill(o, content)
	}
	return nil
}

// content is what a step sounds like here, as loud as was ordered.
func (h *House) content(s plan.Step) order.Content {
	return order.Content{Tone: s.Tone, Clips: s.Clips, Langs: h.langs(), Volume: int(h.volume.Load())}
}
