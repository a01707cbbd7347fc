package station

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/g711"
	"tocsin/firmware/sound/live"
	"tocsin/firmware/sound/order"
)

var _ api.Talks = (*House)(nil)

// OpenTalk lets a person who may act here speak by the loudspeakers.
func (h *House) OpenTalk(a api.TalkAsk, who api.Who, by api.Actor) (api.Talk, error) {
	bp := h.seen().bp
	var nonce [8]byte
	rand.Read(nonce[:]) // never fails (crypto/rand, Go 1.24)
	id := hex.EncodeToString(nonce[:])
	x := talkAsk{id: id, by: by.ID, cause: "talk-" + id, kind: order.Real, src: order.Operator, who: order.Who{Name: who.Name, Via: who.Via}, rate: g711.Rate,
		seconds: time.Duration(a.Seconds) * time.Second}
	if a.Kind != "" {
		if err := x.kind.UnmarshalText([]byte(a.Kind)); err != nil {
			return api.Talk{}, phrase.E("station.talk_form", "what", a.Kind)
		}
	}
	if a.Level != "" {
		l, ok := bp.Levels.Level(a.Level)
		if !ok {
			return api.Talk{}, phrase.E("site.no_level", "level", a.Level, "levels", strings.Join(bp.Levels.Codes(), "、"))
		}
		x.level = l
	}
	switch {
	case g711.Law(a.Codec).Valid():
		x.law = g711.Law(a.Codec)
	case a.Rate == 16000:
		x.rate = 16000
	}
	if x.level == point.Calm && x.kind == 0 {
		return api.Talk{}, phrase.E("station.talk_form", "what", a.Kind)
	}
	var err error
	if x.outputs, err = bp.outputsIn(a.Outputs, a.Zones); err != nil {
		return api.Talk{}, err
	}
	t, err := h.talks.open(x)
	if err != nil {
		return api.Talk{}, err
	}
	h.record("talk.opened", phrase.M("station.talk_open", "who", who.Name, "seconds", int(t.until-t.opened.Mono)/int(time.Second)),
		map[string]any{"cause": x.cause, "kind": x.kind.String(), "who": who.Name, "via": who.Via, "outputs": t.outputs})
	h.talks.mu.Lock()
	defer h.talks.mu.Unlock()
	return h.talks.view(t), nil
}

// TalkState gives one that was opened lately.
func (h *House) TalkState(id string) (api.Talk, error) {
	return h.talks.with(id, func(*talking) error { return nil })
}

// others says that a talk is somebody else's.
func (x *talking) others() error {
	return &phrase.Error{Message: phrase.M("station.talk_others", "who", x.who.Name), Err: api.ErrOthers}
}

// Speak gives a piece of a person's voice, in order. The id of a talk is told to all who see
// it; only who opened it speaks in it.
func (h *House) Speak(id string, b []byte, by api.Actor) (api.Talk, error) {
	return h.talks.with(id, func(x *talking) error {
		if x.by != by.ID {
			return x.others()
		}
		h.talks.feed(x, b)
		return nil
	})
}

// EndTalk ends one: what was said is heard out. Who opened it may, and an operator; anybody
// who may STOP has that.
func (h *House) EndTalk(id string, by api.Actor) (api.Talk, error) {
	return h.talks.with(id, func(x *talking) error {
		if x.by != by.ID && !by.Role.Allows(access.Operator) {
			return x.others()
		}
		x.voice.End(x.slot)
		if !x.asked {
			h.talks.end(x, talkWhy(live.Done))
		}
		h.talks.look()
		return nil
	})
}

// with does something with a talk that was opened here.
func (t *talks) with(id string, f func(*talking) error) (api.Talk, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.all, func(x *talking) bool { return x.id == id && x.sealed == nil })
	if i < 0 {
		return api.Talk{}, &phrase.Error{Message: phrase.M("station.talk_gone"), Err: api.ErrUnknown}
	}
	if err := f(t.all[i]); err != nil {
		return api.Talk{}, err
	}
	return t.view(t.all[i]), nil
}
