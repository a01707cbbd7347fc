package station

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/plan"
	"tocsin/firmware/keep/config"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/speech"
)

// ByHand is what people may say here by hand, and how outputs are tried.
type ByHand struct {
	Evacuate point.Level
	Confirm  time.Duration
	Test     config.Testing
	Quiet    config.Quiet
	// Maintenance is the longest.
	Maintenance time.Duration
	Recordings  config.Recordings
	Messages    []MessagePlan
	// Script is what the clips that people hear by hand say.
	Script map[string]phrase.Text
}

// MessagePlan is what is said with one button.
type MessagePlan struct {
	ID      string
	Config  config.Message
	Outputs []string
	For     time.Duration
}

// The bounds of what a document may say.
const (
	announcerTable = "announcer.yaml"
	messagesMost   = 24
	messageLongest = 10 * time.Minute
	messageUsual   = time.Minute
)

// proveAnnouncer holds what people may say by hand against bounds, tones and clips.
func (p *prover) proveAnnouncer() {
	var t struct {
		Version          int `yaml:"version"`
		config.Announcer `yaml:",inline"`
		Messages         map[string]config.Message `yaml:"messages"`
	}
	b, err := fs.ReadFile(p.fsys, announcerTable)
	if err == nil {
		err = yaml.UnmarshalWithOptions(b, &t, yaml.Strict())
	}
	if err == nil && t.Version != 1 {
		err = fmt.Errorf("version %d: this build reads version 1", t.Version)
	}
	if err != nil {
		p.problem(phrase.M("site.bad_announcer", "detail", err))
		return
	}
	if p.bp.Levels == nil || p.bp.Tones == nil {
		return
	}
	site := p.site.Announcer
	a := t.Announcer
	over := func(to *string, by string) {
		if by != "" {
			*to = by
		}
	}
	over(&a.Evacuate, site.Evacuate)
	over(&a.Test.Tone, site.Test.Tone)
	if len(site.Test.Clips) > 0 {
		a.Test.Clips = site.Test.Clips
	}
	if site.Test.Volume != 0 {
		a.Test.Volume = site.Test.Volume
	}
	over(&a.Recordings.Tone, site.Recordings.Tone)
	if site.Recordings.Most != 0 {
		a.Recordings.Most = site.Recordings.Most
	}
	if site.Quiet != (config.Quiet{}) {
		a.Quiet = site.Quiet
	}
	for to, by := range map[*config.Span]config.Span{&a.Confirm: site.Confirm, &a.Test.Most: site.Test.Most, &a.Maintenance: site.Maintenance, &a.Recordings.For: site.Recordings.For, &a.Recordings.Longest: site.Recordings.Longest} {
		if by.Duration() != 0 {
			*to = by
		}
	}
	h := ByHand{Confirm: a.Confirm.Duration(), Test: a.Test, Quiet: a.Quiet, Maintenance: a.Maintenance.Duration(), Recordings: a.Recordings}
	h.Evacuate = point.Level(len(p.bp.Levels.Codes()))
	if a.Evacuate != "" {
		l, ok := p.bp.Levels.Level(a.Evacuate)
		if !ok {
			p.problem(phrase.M("site.no_level", "level", a.Evacuate, "levels", strings.Join(p.bp.Levels.Codes(), "、")), "announcer", "evacuate")
		}
		h.Evacuate = l
	}
	p.within("confirm", h.Confirm, 5*time.Second, 5*time.Minute, "announcer", "confirm")
	p.within("test.most", a.Test.Most.Duration(), time.Second, time.Minute, "announcer", "test", "most")
	p.within("maintenance", h.Maintenance, time.Minute, 12*time.Hour, "announcer", "maintenance")
	p.within("recordings.longest", a.Recordings.Longest.Duration(), 2*time.Second, time.Minute, "announcer", "recordings", "longest")
	p.within("recordings.for", a.Recordings.For.Duration(), time.Second, messageLongest, "announcer", "recordings", "for")
	if n := a.Recordings.Most; n < 1 || n > recordingsMost {
		p.problem(phrase.M("site.recordings_most", "most", recordingsMost), "announcer", "recordings", "most")
	}
	if _, err := p.bp.Tones.Get(a.Recordings.Tone); err != nil {
		p.problem(phrase.M("site.message_tone", "message", "recordings", "detail", err), "announcer", "recordings", "tone")
	}
	if a.Test.Volume < 1 || a.Test.Volume > 100 {
		p.problem(phrase.M("site.volume", "volume", a.Test.Volume), "announcer", "test", "volume")
	}
	for _, s := range []string{a.Quiet.From, a.Quiet.To} {
		if _, err := minuteOfDay(s); err != nil {
			p.problem(phrase.M("site.announcer_quiet", "time", s), "announcer", "quiet")
		}
	}
	p.mayRecord(a.Recordings)
	messages := t.Messages
	if p.site.Messages != nil {
		messages = p.site.Messages
	}
	if len(messages) > messagesMost {
		p.problem(phrase.M("site.messages_many", "most", messagesMost), "messages")
		return
	}
	for _, id := range slices.Sorted(maps.Keys(messages)) {
		if m, ok := p.message(id, messages[id], p.site.Messages != nil); ok {
			h.Messages = append(h.Messages, m)
		}
	}
	if script, err := speech.LoadScript(p.fsys, "clips/clips.yaml"); err == nil {
		h.scripted(script, p.bp.Plans)
	}
	p.bp.ByHand = h
	p.testGranted()
}

func (p *prover) within(what string, d, least, most time.Duration, at ...any) {
	if d < least || d > most {
		p.problem(phrase.M("site.announcer_span", "key", what, "least", point.Span(least).String(), "most", point.Span(most).String()), at...)
	}
}

// message proves one message. Those of the shipped table that a site's own bounds or outputs do
// not allow are left out; a site's own are problems.
func (p *prover) message(id string, m config.Message, own bool) (MessagePlan, bool) {
	bad := func(x phrase.Message, at ...any) (MessagePlan, bool) {
		if own {
			p.problem(x, append([]any{"messages", id}, at...)...)
		}
		return MessagePlan{}, false
	}
	if own {
		p.named("messages", id)
	}
	if m.Name.ZH == "" {
		return bad(phrase.M("site.message_name", "message", id), "name")
	}
	long := cmp.Or(m.For.Duration(), messageUsual)
	if long < time.Second || long > messageLongest {
		return bad(phrase.M("site.announcer_span", "key", "for", "least", "1s", "most", point.Span(messageLongest).String()), "for")
	}
	if _, err := p.bp.Tones.Get(m.Tone); err != nil {
		return bad(phrase.M("site.message_tone", "message", id, "detail", err), "tone")
	}
	if len(m.Clips) == 0 {
		return bad(phrase.M("site.message_clips", "message", id), "clips")
	}
	for _, clip := range m.Clips {
		if pl, step := p.saidBy(clip); pl != "" {
			return bad(phrase.M("site.message_level", "message", id, "clip", clip, "plan", pl, "step", step), "clips")
		}
		found := false
		for _, lang := range p.bp.Langs {
			_, err := fs.Stat(p.fsys, fmt.Sprintf("clips/%s.%s.wav", clip, lang))
			found = found || err == nil
		}
		if !found {
			return bad(phrase.M("site.message_clip", "message", id, "clip", clip), "clips")
		}
	}
	outs, err := p.bp.outputsIn(m.Outputs, m.Zones)
	if err != nil {
		return bad(phrase.Of(err))
	}
	// A notice is words: what cannot speak has no part in it.
	if len(outs) == 0 && len(m.Outputs)+len(m.Zones) == 0 || len(m.Zones) > 0 {
		if outs, err = p.bp.speakersOf(outs); err != nil {
			if own {
				p.warn(phrase.M("site.message_mute", "message", id), "messages", id)
			}
			return MessagePlan{}, false
		}
	}
	x := MessagePlan{ID: id, Config: m, Outputs: outs, For: long}
	if err := p.mayAsk(x.ask("proof", order.Who{Name: "proof", Via: "check"}, p.bp.Langs)); err != nil {
		return bad(phrase.M("site.message_bounds", "message", id, "detail", err))
	}
	return x, true
}

// saidBy tells in which plan a clip calls people to something, which tone that is no notice it stands for, or
// which kind it tells apart: none of it may be said with one button and no level. Every plan that there is
// counts, whether the site has it or not.
func (p *prover) saidBy(clip string) (name, step string) {
	for _, n := range p.bp.Tones.Names() {
		tone, _ := p.bp.Tones.Describe(n)
		if slices.Contains(tone.Words, clip) {
			if p.notice(n) {
				return "", "" // words of a notice, whatever plan says them too
			}
			name, step = "tones", n
		}
	}
	var all []*plan.Plan
	files, _ := fs.ReadDir(p.fsys, "plans")
	for _, f := range files {
		if pl, err := plan.Load(p.fsys, "plans/"+f.Name(), p.bp.Levels); err == nil { // else of another county's levels
			all = append(all, pl)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(p.site.Plans)) {
		if pl := p.bp.Plans[n]; pl != nil {
			all = append(all, pl)
		}
	}
	for _, pl := range all {
		steps := maps.Clone(pl.Levels)
		steps["all_clear"], steps["notice"] = pl.AllClear, pl.Notice
		for _, at := range slices.Sorted(maps.Keys(steps)) {
			if slices.Contains(steps[at].AllClips(), clip) {
				return pl.Plan, at
			}
		}
	}
	for kind, m := range p.bp.Bounds.Marked {
		if m.First == clip {
			return "order-bounds", kind.String()
		}
	}
	return name, step
}

// notice tells whether a tone may say something without a level.
func (p *prover) notice(tone string) bool {
	return slices.ContainsFunc(p.bp.Bounds.Sources[order.Operator].Notices, func(n string) bool { ok, _ := path.Match(n, tone); return ok })
}

// mayAsk asks a desk of its own: the rate is for what happens, not for proofs.
func (p *prover) mayAsk(a order.Ask) error {
	return order.NewDesk(p.bp.Bounds, clock.Func(func() clock.Stamp { return clock.Stamp{Boot: "proof"} }), nil).Check(a)
}

// testGranted warns where the bounds would not let outputs be tried.
func (p *prover) testGranted() {
	if len(p.bp.Outputs) == 0 {
		return
	}
	a := p.bp.ByHand.ask("proof", []string{p.bp.Outputs[0].Name}, 0, order.Who{Name: "proof", Via: "check"}, p.bp.Langs)
	if err := p.mayAsk(a); err != nil {
		p.warn(phrase.M("site.test_bounds", "detail", err), "announcer", "test")
	}
}

// heldClips are the clips that people say by hand.
func (b ByHand) heldClips() []string {
	all := slices.Clone(b.Test.Clips)
	for _, m := range b.Messages {
		all = append(all, m.Config.Clips...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
