package station

import (
	"context"
	"time"
	"unicode/utf8"

	"tocsin/drivers"
	"tocsin/firmware/guard"
	"tocsin/firmware/phrase"
	"tocsin/firmware/reach/rollcall"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/sound/speech"
)

const (
	// rollSend is how long a message may take, with one that is before it.
	rollSend = 90 * time.Second
	// rollWait is how long a call may wait for the modem.
	rollWait = 3 * time.Minute
	// smsMost is the most characters of a message, whatever the modem would take.
	smsMost = 268
)

// telephone does one task after the other. It is the goroutine that may hang.
func (x *roll) telephone(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case t := <-x.tasks:
			x.perform(ctx, t)
		}
	}
}

func (x *roll) perform(ctx context.Context, t rollTask) {
	o := rollcall.Outcome{Unable: true}
	defer func() {
		if ctx.Err() == nil { // else nobody knows, and the next run says so
			x.done <- o
		}
	}()
	task, cancel := context.WithCancel(ctx)
	defer cancel()
	terminal, caller := x.h.phone(t.bp)
	watched := make(chan struct{})
	defer func() { cancel(); <-watched }()
	x.h.guard.GoIn(task, "reach", "telephone end", guard.Once, func(task context.Context) error {
		defer close(watched)
		look := time.NewTicker(time.Second)
		defer look.Stop()
		for {
			select {
			case <-x.ends:
				cancel()
			case <-look.C:
				// Another site's file may have put another modem in its place.
				if now, _ := x.h.phone(x.h.seen().bp); now != terminal {
					cancel()
				}
			case <-task.Done():
				return nil
			}
		}
	})
	switch {
	case terminal == nil:
	case t.Kind == rollcall.Call && caller != nil && (t.Drill || !t.said.content.IsZero()):
		o = x.call(task, caller, t)
	case t.Kind != rollcall.Call:
		o = write(task, terminal, t)
	}
}

// write sends a message.
func write(ctx context.Context, d drivers.Terminal, t rollTask) rollcall.Outcome {
	l := d.Limits()
	if !l.Transmit {
		return rollcall.Outcome{Unable: true, Why: string(l.Bar)}
	}
	ctx, cancel := context.WithTimeout(ctx, rollSend)
	defer cancel()
	_, err := d.Send(ctx, drivers.Outgoing{To: t.Number, Text: cut(t.text(), min(l.Text, smsMost))})
	switch drivers.KindOf(err) {
	case drivers.FaultBarred, drivers.FaultGone, drivers.FaultEarly, drivers.FaultCancelled:
		return rollcall.Outcome{Unable: true}
	}
	if err != nil {
		return rollcall.Outcome{Why: drivers.KindOf(err).String()}
	}
	return rollcall.Outcome{Done: true}
}

// cut leaves out what is too long, at a whole character.
func cut(s string, most int) string {
	if utf8.RuneCountInString(s) <= most || most < 2 {
		return s
	}
	r := []rune(s)
	return string(r[:most-1]) + "…"
}

// call makes a call and tells what is known of it, never more.
func (x *roll) call(ctx context.Context, c drivers.Caller, t rollTask) rollcall.Outcome {
	p, err := x.words(t)
	if err != nil {
		x.h.setFault("people words", phrase.Of(err))
		return rollcall.Outcome{Known: rollcall.Nothing, Why: "no-words"}
	}
	x.h.clearFault("people words")
	r := p.Samples(drivers.Format{Rate: drivers.CallRate, Channels: 1})
	ctx, cancel := context.WithTimeout(ctx, rollWait+t.bp.Roll.Longest)
	defer cancel()
	got, err := c.Call(ctx, drivers.Call{
		Number: t.Number, Audio: r.Read, Keys: t.bp.Roll.Keys, Ring: t.bp.Roll.Ring, Linger: t.bp.Roll.Linger, Longest: t.bp.Roll.Longest,
	})
	return outcomeOfCall(got, err)
}

func outcomeOfCall(got drivers.Called, err error) rollcall.Outcome {
	o := rollcall.Outcome{Keys: got.Keys, Played: got.Played, Why: string(got.Why)}
	switch {
	case got.Stage == drivers.CallNone && drivers.KindOf(err) == drivers.FaultRefused:
		o.Why = "refused" // the modem does not dial this number
		return o
	case got.Stage == drivers.CallNone && err != nil, got.Why == drivers.CallNoService:
		return rollcall.Outcome{Unable: true, Why: o.Why}
	case got.Why == drivers.CallKey:
		o.Known = rollcall.Confirmed
	case got.Stage == drivers.CallAnswered && got.Whole:
		o.Known = rollcall.Heard
	case got.Stage == drivers.CallAnswered:
		o.Known = rollcall.Answered
	case got.Stage == drivers.CallRinging:
		o.Known = rollcall.Rang
	case got.Stage == drivers.CallDialled:
		o.Known = rollcall.Dialled
	}
	return o
}

// words makes what is said: as the loudspeaker, in the person's language.
func (x *roll) words(t rollTask) (*speech.Programme, error) {
	voice := x.voice.Load()
	if voice == nil {
		return nil, phrase.E("speech.call.mute", "tone", t.said.content.Tone)
	}
	k := t.said.content
	kind, clips := speech.Real, k.Clips
	if t.Drill {
		kind = speech.Drill
	}
	if len(clips) > 0 && (clips[0] == speech.DrillWords || clips[0] == speech.TestWords) {
		clips = clips[1:]
	}
	langs := []speech.Lang{speech.Lang(t.lang())}
	return voice.Spoken(speech.Content{Tone: k.Tone, Clips: clips, Langs: langs, Kind: kind, Repeat: t.bp.Roll.Repeat}, speech.ConfirmWords)
}

func (t rollTask) lang() string {
	for _, p := range t.bp.People {
		if p.ID == t.Person {
			return p.Lang
		}
	}
	return string(speech.Mandarin)
}

// text is what is written.
func (t rollTask) text() string {
	l := phrase.ZH
	if t.lang() == "en" {
		l = phrase.EN
	}
	return t.message().In(l)
}

func (t rollTask) message() phrase.Message {
	p := t.bp.Doc.Site.Site
	site := named(p.Name, p.ID)
	why := inBoth(t.bp.spell(t.said.Why))
	why = phrase.Text{ZH: api.Clean(why.ZH, 160), EN: api.Clean(why.EN, 160)}
	switch level := t.bp.Levels.Rank(t.Level).Name; {
	case t.Kind == rollcall.AllClear:
		return phrase.M("station.people_clear", "site", site, "hazard", t.said.Hazard, "who", t.said.Who)
	case t.Drill:
		return phrase.M("station.people_drill", "site", site, "why", why)
	case t.Hazard == hazardCounty:
		return phrase.M("station.people_county", "site", site, "hazard", t.said.Hazard, "level", level, "why", why)
	default:
		return phrase.M("station.people_level", "site", site, "hazard", t.said.Hazard, "level", level, "why", why)
	}
}

// rollMessage words what happened.
func rollMessage(bp *Blueprint, e rollcall.Event) phrase.Message {
	who, _ := bp.person(e.Task.Person)
	number := rollcall.Mask(e.Task.Number)
	switch e.What {
	case rollcall.Wrote:
		if e.Task.Kind == rollcall.AllClear {
			return phrase.M("station.people_wrote_clear", "who", who, "number", number)
		}
		return phrase.M("station.people_wrote", "who", who, "number", number)
	case rollcall.NotWritten:
		return phrase.M("station.people_not_sent", "who", who, "number", number)
	case rollcall.Called:
		return phrase.M("station.people_called", "who", who, "number", number, "try", e.Task.Try, "what", inBoth(knownMessage(e.Out)))
	case rollcall.Deputy:
		after, _ := bp.person(e.After)
		return phrase.M("station.people_deputy", "who", who, "after", after)
	case rollcall.Missed:
		return phrase.M("station.people_missed", "who", who, "what", inBoth(knownMessage(rollcall.Outcome{Known: e.Out.Known})))
	case rollcall.Unknown:
		return phrase.M("station.people_unknown", "who", who, "number", number)
	case rollcall.OutOfTime:
		return phrase.M("station.people_time")
	case rollcall.Complete:
		return phrase.M("station.people_all")
	case rollcall.Unheeded:
		return phrase.M("station.people_nobody")
	default:
		return phrase.M("station.people_shed")
	}
}

// knownMessage says what is known of a call, and no more.
func knownMessage(o rollcall.Outcome) phrase.Message {
	switch o.Known {
	case rollcall.Confirmed:
		return phrase.M("station.call_confirmed", "keys", o.Keys)
	case rollcall.Heard:
		return phrase.M("station.call_heard")
	case rollcall.Answered:
		return phrase.M("station.call_answered", "seconds", int(o.Played.Seconds()))
	case rollcall.Rang:
		return phrase.M("station.call_rang")
	case rollcall.Dialled:
		if o.Why == string(drivers.CallBusy) {
			return phrase.M("station.call_busy")
		}
		return phrase.M("station.call_dialled")
	}
	return phrase.M("station.call_nothing")
}
