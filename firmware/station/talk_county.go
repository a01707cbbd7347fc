package station

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"tocsin/firmware/decide/command"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/reach/talk"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/g711"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/trust"
)

// sealed is the county's end of a talk. The lock of the talks guards it.
type sealed struct {
	ear    *talk.Ear
	digest [32]byte
	answer []byte
	bytes  int   // of a frame
	slots  int64 // of 10 ms in a frame
	// send gives the talker a message, by the way that the last one came; it must not wait.
	send func([]byte)
	// said: the answer is on its way; before it no report can be read.
	said bool
}

// offer is a talk's order on its way through the county's queue.
type offer struct {
	send   func([]byte)
	answer []byte
}

// talkOrderMost bounds an order, talkSigner how long its answer waits for the box's key.
const (
	talkOrderMost = 64 << 10
	talkSigner    = 2 * time.Second
)

// talkBy carries a talk between the county and this box by one link: it neither reads nor
// keeps what passes.
func (h *House) talkBy(name string, l config.Link) func(b []byte, send func([]byte)) {
	return func(b []byte, send func([]byte)) {
		if id, ok := talk.IDOf(b); ok {
			h.talks.frame(id, b, send)
			return
		}
		if len(b) > talkOrderMost || len(b) == 0 || b[0] != '{' {
			return
		}
		h.talks.offered(b, "link "+name, l.Issuers, send)
	}
}

// offered takes an order in a goroutine of its own: its judging waits for a disk. One at a time;
// a talker that gets no answer asks again.
func (t *talks) offered(raw []byte, way string, only []string, send func([]byte)) {
	select {
	case t.judging <- struct{}{}:
	default:
		return
	}
	raw = append([]byte(nil), raw...)
	t.h.guard.Starter("station")("talk order", func() {
		defer func() { <-t.judging }()
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		if b := t.answerTo(ctx, raw, way, only, send); b != nil {
			send(b)
			t.said(b)
		}
	})
}

// said notes that a talk's answer was sent.
func (t *talks) said(answer []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.all {
		if x.sealed != nil && bytes.Equal(x.sealed.answer, answer) {
			x.sealed.said = true
		}
	}
}

// answerTo judges an order and gives the box's signed answer; nil where what came is no
// order of a talk.
func (t *talks) answerTo(ctx context.Context, raw []byte, way string, only []string, send func([]byte)) []byte {
	e, err := trust.OpenDSSE(raw, command.PayloadType, trust.DefaultEnvelopeLimits)
	if err != nil {
		return nil
	}
	p, err := command.Show(raw)
	if err != nil || p.Scope != command.Talk {
		return nil
	}
	digest := sha256.Sum256(e.Payload)
	if b := t.answered(digest, send); b != nil {
		return b
	}
	j := &job{way: way, only: only, command: true, talk: &offer{send: send}}
	err = t.h.county.bring(ctx, raw, wayNet, j)
	if j.talk.answer != nil {
		return j.talk.answer
	}
	id := t.h.signer(ctx, talkSigner)
	if id == nil {
		return nil
	}
	why := phrase.Text{ZH: j.commanded.Outcome.ZH, EN: j.commanded.Outcome.EN}
	if err != nil || why == (phrase.Text{}) {
		why = inBoth(phrase.M("station.busy"))
	}
	b, err := talk.Refuse(talk.Order{Digest: digest, Box: string(countyName(t.h.seen().bp.Doc.Site))}, why, id.key)
	if err != nil {
		t.h.log.Error("a talk's refusal is not signed", "err", err)
		return nil
	}
	return b
}

// answered gives the answer to an order that was accepted already: its answer was lost, or it came
// by a second link.
func (t *talks) answered(digest [32]byte, send func([]byte)) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.all {
		if x.sealed != nil && x.sealed.digest == digest && !x.ended {
			x.sealed.send = send
			return x.sealed.answer
		}
	}
	return nil
}

// obeyTalk opens the talk of an order that passed every check.
func (c *county) obeyTalk(cmd *command.Command, outs []string, who order.Who, j *job) (func() (phrase.Message, error), error) {
	if j.talk == nil {
		return nil, phrase.E("station.talk_way")
	}
	kind := order.Real
	switch cmd.Kind {
	case order.Drill.String():
		kind = order.Drill
	case order.Test.String():
		kind = order.Test
	}
	level := point.Calm
	if cmd.Level != "" {
		l, ok := c.bp.Levels.Level(cmd.Level)
		if most, ok2 := c.bp.Levels.Level(cmd.Issuer.Grant.MostLevel); !ok || !ok2 || l > most {
			return nil, phrase.E("station.command_level", "issuer", named(cmd.Issuer.Name, cmd.Issuer.ID), "level", cmd.Level)
		}
		level = l
	}
	key, err := talk.ReadKey(cmd.Talk.Key)
	if err != nil {
		return nil, err
	}
	id := c.h.identity.Load()
	if id == nil {
		return nil, phrase.E("station.talk_no_key")
	}
	return func() (phrase.Message, error) {
		m := phrase.M("station.talk_open", "who", who.Name, "seconds", int(cmd.For()/time.Second))
		answer, ear, err := talk.Accept(talk.Order{Digest: cmd.Digest, Box: string(countyName(c.bp.Doc.Site)), Talker: key}, inBoth(m), id.key)
		if err != nil {
			return phrase.Message{}, asPhrase(err)
		}
		s := ear.ID()
		_, err = c.h.talks.open(talkAsk{
			id: hex.EncodeToString(s[:]), cause: causeOfCommand(cmd), kind: kind, src: order.Command, level: level, who: who, about: cmd.Text, outputs: outs,
			seconds: cmd.For(), expires: cmd.Expires, rate: g711.Rate, law: g711.Law(cmd.Talk.Codec),
			sealed: &sealed{ear: ear, digest: cmd.Digest, answer: answer, bytes: cmd.Talk.FrameMS * g711.Rate / 1000, slots: int64(cmd.Talk.FrameMS / 10), send: j.talk.send},
		})
		if err != nil {
			return phrase.Message{}, err
		}
		j.talk.answer = answer
		return m, nil
	}, nil
}

// frame takes what came for a talk: opened and counted, or refused and counted.
func (t *talks) frame(id [8]byte, b []byte, send func([]byte)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.find(hex.EncodeToString(id[:]))
	if x == nil || x.sealed == nil {
		return
	}
	s := x.sealed
	f, err := s.ear.Open(b, s.bytes)
	switch {
	case errors.Is(err, talk.ErrAgain):
		return // by a second link, or sent again
	case err != nil:
		x.refused++
		return
	}
	s.send = send
	switch {
	case x.ended:
		if now := t.h.mono(); now-x.told >= talkTold { // its talker has not heard that it is over
			t.tell(x)
		}
	case f.Kind == talk.KindEnd:
		x.voice.End(int64(f.Last) * s.slots)
		t.look()
	default:
		t.put(x, int64(f.Number-1)*s.slots, x.law.Decode(nil, f.Voice))
	}
}

// tell tells the talker how it stands. Called under the lock.
func (t *talks) tell(x *talking) {
	s := x.voice.Look()
	if x.sealed != nil && !x.sealed.said {
		return
	}
	x.last, x.told = x.state(s), t.h.mono()
	if x.sealed == nil {
		return
	}
	r := talk.Report{State: talk.State(x.last), Received: s.Received, Played: s.Played, Concealed: s.Concealed, Late: s.Late + s.Skipped, Refused: x.refused,
		BufferMS: int(s.Held / time.Millisecond), Outputs: x.outs, Measured: x.heard}
	if x.ended {
		r.Why = inBoth(t.h.seen().bp.spell(x.why))
	}
	b, err := x.sealed.ear.Report(r)
	if err != nil {
		t.h.log.Error("a talk's report is not sealed", "err", err)
		return
	}
	x.sealed.send(b)
}

// talkView is one talk as the API shows it.
func (t *talks) view(x *talking) api.Talk {
	s := x.voice.Look()
	bp := t.h.seen()
	v := api.Talk{ID: x.id, Cause: x.cause, Kind: x.kind.String(), State: string(x.state(s)), Who: api.Who{Name: x.who.Name, Via: x.who.Via}, Opened: x.opened.Wall,
		Left: max(0, x.until-t.h.mono()).Seconds(), Outputs: bp.outputs(x.outputs), Sounded: x.outs, Measured: x.heard,
		ReceivedMS: int(s.Received) * 10, PlayedMS: int(s.Played) * 10, ConcealedMS: int(s.Concealed) * 10, SkippedMS: int(s.Skipped+s.Late) * 10, HeldMS: int(s.Held / time.Millisecond)}
	if x.level > point.Calm {
		v.Level, v.LevelText = bp.level(x.level)
	}
	if x.ended {
		w := bp.text(x.why)
		v.Why, v.Left = &w, 0
	}
	return v
}
