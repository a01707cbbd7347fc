package station

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/firmware/decide/plan"
	"tocsin/firmware/keep/journal"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/announce"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/speech"
)

// sayRank is below that of a person who speaks: their own voice goes before a recording.
const sayRank = talkRank - 1

// keysKept is how many askings are remembered by their key.
const keysKept = 64

// saying remembers what was asked by which key, so that what a browser sends twice is said
// once.
type sayings struct {
	mu  sync.Mutex
	all []keyed
}

// keyed is what an actor asked by a key of their own: what for, and what became of it.
type keyed struct {
	by, key, what string
	out           api.Said
}

// asked is what a key was given with; what only names the asker is no part of it.
func asked(id string, a api.SayAsk) string {
	outs, zones := slices.Sorted(slices.Values(a.Outputs)), slices.Sorted(slices.Values(a.Zones))
	b, _ := json.Marshal([]any{id, slices.Compact(outs), slices.Compact(zones)})
	return string(b)
}

// find gives what became of an asking; an error where the key was given with another.
func (s *sayings) find(k keyed) (api.Said, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.all {
		if k.key == "" || x.key != k.key || x.by != k.by {
			continue
		}
		if x.what != k.what {
			return api.Said{}, false, phrase.E("station.say_key")
		}
		return x.out, true, nil
	}
	return api.Said{}, false, nil
}

func (s *sayings) keep(k keyed) {
	if k.key == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= keysKept {
		s.all = slices.Delete(s.all, 0, 1)
	}
	s.all = append(s.all, k)
}

// nonce names something that nobody can guess.
func nonce() string {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return hex.EncodeToString(b[:])
}

func langsOf(l []speech.Lang) []string {
	out := make([]string, 0, len(l))
	for _, x := range l {
		out = append(out, string(x))
	}
	return out
}

// ask is what the desk is asked for a message.
func (m MessagePlan) ask(cause string, who order.Who, langs []speech.Lang) order.Ask {
	return order.Ask{Cause: cause, Kind: order.Real, Source: order.Operator, Action: order.Sound, Outputs: m.Outputs, For: m.For, Who: who,
		Content: order.Content{Tone: m.Config.Tone, Clips: m.Config.Clips, Langs: langsOf(langs), Volume: m.Config.Volume}}
}

// Say says one of the site's messages in a person's name. It raises no level.
func (h *House) Say(id string, a api.SayAsk, who api.Who, by api.Actor) (api.Said, error) {
	k := keyed{by: by.ID, key: a.Key, what: asked(id, a)}
	if out, ok, err := h.said.find(k); ok || err != nil {
		out.Again = ok
		return out, err
	}
	bp := h.seen().bp
	m, langs, ok := h.messageOf(bp, id)
	if !ok {
		return api.Said{}, &phrase.Error{Message: phrase.M("station.say_unknown", "message", id), Err: api.ErrUnknown}
	}
	if len(a.Outputs)+len(a.Zones) > 0 {
		outs, err := bp.outputsIn(a.Outputs, a.Zones)
		if err == nil {
			outs, err = bp.speakersOf(outs)
		}
		if err != nil {
			return api.Said{}, err
		}
		m.Outputs = outs
	}
	if x := h.maintained(); x != nil {
		return api.Said{}, phrase.E("station.say_maintenance", "who", x.By.Name)
	}
	if t := h.talks.now(); t != nil {
		return api.Said{}, phrase.E("station.talk_busy", "who", t.Who.Name)
	}
	if what, taken := h.talks.outranked(&talking{talkAsk: talkAsk{kind: order.Real, level: point.Calm, outputs: m.Outputs}}); taken {
		return api.Said{}, phrase.E("station.talk_outranked", "what", what)
	}
	ask := m.ask("say-"+nonce(), order.Who(who), langs)
	ask.Content.Volume = cmp.Or(m.Config.Volume, int(h.volume.Load()))
	if err := h.desk.Check(ask); err != nil {
		return api.Said{}, err
	}
	out := api.Said{Cause: ask.Cause, Outputs: ask.Outputs}
	k.out = out
	h.said.keep(k)
	why := phrase.M("station.say_why", "who", who.Name, "message", named(m.Config.Name, id))
	h.announcer.Announce(announce.Request{Cause: ask.Cause, Source: ask.Source, Kind: ask.Kind, Rank: sayRank, Outputs: ask.Outputs, Content: ask.Content,
		For: ask.For, Lower: announce.Drop, Equal: announce.Newest, Who: ask.Who, Why: why})
	b, _ := json.Marshal(map[string]any{"message": id, "kind": order.Real.String(), "outputs": ask.Outputs, "clips": ask.Content.Clips})
	h.write(journal.Record{Kind: "announcer.said", Cause: ask.Cause, Who: who.Name, Via: who.Via, At: h.clock.Now(), Message: why, Body: b}, nil)
	return out, nil
}

// now gives who speaks by the loudspeakers, nil for nobody.
func (t *talks) now() *api.Talk {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.all {
		if !x.ended {
			v := t.view(x)
			return &v
		}
	}
	return nil
}

// evacuations are the first steps that wait for their second.
type evacuations struct {
	mu   sync.Mutex
	all  []arming
	done []confirmed
}

type arming struct {
	word  string
	by    string // the actor: their word is good for them alone, and costs no other theirs
	level point.Level
	who   order.Who
	until time.Duration
}

type confirmed struct {
	word, by, alarm string
}

// armedMost bounds those that wait at one time, more than a village has cadres; armedEach
// those of one of them, who has pages on a few devices.
const (
	armedMost = 32
	armedEach = 3
)

// room makes room for one more of an actor: their own oldest goes, or else the oldest of who
// has most.
func (e *evacuations) room(by string) {
	has := map[string]int{}
	for _, x := range e.all {
		has[x.by]++
	}
	of := by
	if has[by] < armedEach {
		if len(e.all) < armedMost {
			return
		}
		for _, x := range e.all {
			if has[x.by] > has[of] {
				of = x.by
			}
		}
		if has[of] == 0 {
			return
		}
	}
	i := slices.IndexFunc(e.all, func(x arming) bool { return x.by == of })
	e.all = slices.Delete(e.all, i, i+1)
}

// wordLetters are easy to tell apart by eye and over a telephone; wordLength of them are
// too many to try within the time that they are good for.
const (
	wordLetters = "ACDEFGHJKLMNPQRTUVWXY34679"
	wordLength  = 8
)

func newWord() string {
	b := make([]byte, wordLength)
	rand.Read(b)
	for i, x := range b {
		b[i] = wordLetters[int(x)%len(wordLetters)]
	}
	return string(b)
}

// ArmEvacuation is the first step: it sounds nothing.
func (h *House) ArmEvacuation(level string, who api.Who, by api.Actor) (api.Arming, error) {
	s := h.seen()
	l := s.bp.ByHand.Evacuate
	if level != "" {
		var ok bool
		if l, ok = s.bp.Levels.Level(level); !ok {
			return api.Arming{}, phrase.E("site.no_level", "level", level, "levels", strings.Join(s.bp.Levels.Codes(), "、"))
		}
	}
	now := h.mono()
	x := arming{word: newWord(), by: by.ID, level: l, who: order.Who(who), until: now + s.bp.ByHand.Confirm}
	h.evacuations.mu.Lock()
	e := &h.evacuations
	e.all = slices.DeleteFunc(e.all, func(y arming) bool { return now >= y.until })
	e.room(by.ID)
	e.all = append(e.all, x)
	e.mu.Unlock()
	out := api.Arming{Word: x.word, Left: s.bp.ByHand.Confirm}
	out.Level, out.LevelText = s.level(l)
	out.Words, out.Outputs = h.raisedAs(s, l)
	b, _ := json.Marshal(map[string]any{"level": out.Level})
	h.write(journal.Record{Kind: "announcer.armed", Who: who.Name, Via: who.Via, At: h.clock.Now(), Message: phrase.M("station.evacuation_armed", "who", who.Name, "level", s.bp.Levels.Rank(l).Name, "wait", point.Span(s.bp.ByHand.Confirm).String()), Body: b}, nil)
	return out, nil
}

// raisedAs is what people hear, and where, when a person raises a level.
func (h *House) raisedAs(s shown, l point.Level) (api.Text, []string) {
	pl := s.bp.own()
	if pl == nil {
		return api.Text{}, nil
	}
	step := pl.At(l, s.bp.Levels).Says(plan.Hand)
	outs := step.Outputs
	if len(outs) == 0 {
		for _, o := range s.bp.Outputs {
			outs = append(outs, o.Name)
		}
	}
	return words(s.bp.ByHand.says(step.Clips), ""), slices.Clone(outs)
}

// Evacuate is the second step: the level is raised by hand in the person's name. Said again,
// the same word gives the same alarm. The word is good for who took the first step.
func (h *House) Evacuate(word, reason string, who api.Who, by api.Actor) (api.Evacuated, error) {
	word = strings.ToUpper(strings.TrimSpace(word))
	e := &h.evacuations
	e.mu.Lock()
	for _, d := range e.done {
		if d.word == word && d.by == by.ID {
			e.mu.Unlock()
			return api.Evacuated{Alarm: d.alarm, Again: true}, nil
		}
	}
	now := h.mono()
	i := slices.IndexFunc(e.all, func(x arming) bool { return x.word == word && x.by == by.ID && now < x.until })
	if i < 0 {
		e.mu.Unlock()
		return api.Evacuated{}, phrase.E("station.evacuation_word")
	}
	x := e.all[i]
	e.all = slices.Delete(e.all, i, i+1) // good once, and by one alone
	e.mu.Unlock()

	var out api.Evacuated
	err := h.act(func() error {
		id, again, err := h.evacuate(x.level, order.Who(who), reason)
		out = api.Evacuated{Alarm: id, Again: again}
		return err
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		if now := h.mono(); now < x.until { // it was not done: the same word is good again
			e.all = append(e.all, x)
		}
		return api.Evacuated{}, err
	}
	e.done = append(e.done, confirmed{word, by.ID, out.Alarm})
	if n := len(e.done) - armedMost; n > 0 {
		e.done = slices.Delete(e.done, 0, n)
	}
	return out, nil
}
