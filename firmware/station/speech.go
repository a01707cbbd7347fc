package station

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"tocsin/firmware/clock"
	"tocsin/firmware/decide/alarm"
	"tocsin/firmware/decide/alert"
	"tocsin/firmware/decide/alert/compact"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sound/order"
	"tocsin/firmware/sound/speech"
	"tocsin/firmware/trust"
)

// pick makes of what a warning says in a language what is said here: of alternatives the first that the bank has, and the
// pauses between what is left. It names what is missing.
func pick(say []string, l speech.Lang, has func(string, speech.Lang) bool) (clips, missing []string) {
	for _, word := range say {
		if word == compact.Comma {
			if n := len(clips); n > 0 && clips[n-1] != speech.Comma {
				clips = append(clips, speech.Comma)
			}
			continue
		}
		choice := strings.Split(word, compact.Or)
		i := slices.IndexFunc(choice, func(id string) bool { return id == "" || has(id, l) })
		switch {
		case i < 0:
			missing = append(missing, choice[len(choice)-1]+"."+string(l))
		case choice[i] != "":
			clips = append(clips, choice[i])
		}
	}
	return clips, missing
}

// spoken puts what a warning says together for the languages of a site; instead is said in those in which a piece is
// missing. No clips: none can say it, or there is nothing to say.
func spoken(say map[string][]string, langs []speech.Lang, has func(string, speech.Lang) bool, instead []string) (clips, missing []string) {
	if len(say) == 0 {
		return nil, nil
	}
	lists, whole := make([][]string, len(langs)), 0
	for i, l := range langs {
		list, lack := pick(say[string(l)], l, has)
		if len(say[string(l)]) == 0 {
			lack = []string{"*." + string(l)}
		}
		if missing = append(missing, lack...); len(lack) > 0 {
			list = instead
		} else {
			whole++
		}
		lists[i] = list
	}
	if whole == 0 {
		return nil, missing
	}
	// Where all say the same clip it stands once, for all of them.
	alike := !slices.ContainsFunc(lists, func(list []string) bool { return len(list) != len(lists[0]) })
	if !alike {
		for i, l := range langs {
			for _, id := range lists[i] {
				clips = append(clips, only(id, l))
			}
		}
		return clips, missing
	}
	for at, id := range lists[0] {
		if !slices.ContainsFunc(lists, func(list []string) bool { return list[at] != id }) {
			clips = append(clips, id)
			continue
		}
		for i, l := range langs {
			clips = append(clips, only(lists[i][at], l))
		}
	}
	return clips, missing
}

func only(id string, l speech.Lang) string {
	if id == speech.Comma {
		return id
	}
	return id + "." + string(l)
}

// spokenHere is spoken with this box's clips.
func (c *county) spokenHere(a alert.Action) (clips, missing []string) {
	var instead []string
	if pl := c.bp.Warned; pl != nil && a.Kind == order.Real.String() {
		instead = pl.Notice.Clips
		if l, ok := c.bp.Levels.Level(a.Level); ok {
			instead = pl.At(l, c.bp.Levels).Clips
		}
	}
	return spoken(a.Speech, c.bp.spoken(), c.h.bank.Has, instead)
}

// speech gives the clips that say a warning here; none: the plan's are said.
func (c *county) speech(a alert.Action) []string {
	clips, _ := c.spokenHere(a)
	return clips
}

// unspoken finds what of a warning cannot be said in its own words.
func (c *county) unspoken(a alert.Action) []alert.Finding {
	_, missing := c.spokenHere(a)
	if len(missing) == 0 {
		return nil
	}
	return []alert.Finding{{Path: "/alert/info[1]/description", Part: alert.Form, What: phrase.M("station.speech_missing", "clips", strings.Join(missing, "、"))}}
}

// speakable takes a warning's own words from what the bounds would not let sound with them: the plan's are said. On
// the decide goroutine.
func (h *House) speakable(stand []standing) {
	for i, s := range stand {
		if len(s.clips) == 0 {
			continue
		}
		if err := h.mayStand(s, order.Alert); err != nil {
			h.log.Warn("a warning's own words may not be said; the plan's are", "hazard", s.hazard, "err", err)
			stand[i].clips = nil
		}
	}
}

func hasCompact(i *trust.Issuer) bool { return i.Compact != nil }

// proveSpeech warns of what this site could not say of a compact warning.
func (p *prover) proveSpeech() {
	if p.bp.Compact == nil || p.bp.Trust == nil || !slices.ContainsFunc(p.bp.Trust.Issuers(), hasCompact) {
		return
	}
	for _, l := range p.bp.spoken() {
		need, ok := p.bp.Compact.Needs(string(l))
		if !ok {
			p.warn(phrase.M("site.speech_lang", "lang", string(l)), "site", "languages")
			continue
		}
		var missing []string
		for _, id := range need {
			if _, err := fs.Stat(p.fsys, fmt.Sprintf("clips/%s.%s.wav", id, l)); err != nil {
				missing = append(missing, id)
			}
		}
		if n := len(missing); n > 0 {
			p.warn(phrase.M("site.speech_clip", "lang", string(l), "count", n, "clips", strings.Join(missing[:min(n, 5)], "、")), "alerts")
		}
	}
}

// grantedSpeech asks the desk for every template's words as if the bank had them all: a county's bounds that refuse
// them are found before a warning comes.
func (p *prover) grantedSpeech() {
	all := func(string, speech.Lang) bool { return true }
	desk := order.NewDesk(p.bp.Bounds, clock.Func(func() clock.Stamp { return clock.Stamp{Boot: "proof"} }), nil)
	for _, n := range p.bp.Compact.Spoken() {
		say := p.bp.Compact.Speech(compact.Warning{Template: n, Event: 1, Severity: 3, P: 113, Q: 127}, 0, "00", siteZone())
		if say == nil {
			continue
		}
		clips, _ := spoken(say, p.bp.spoken(), all, nil)
		for i, code := range p.bp.Levels.Codes() {
			step := p.bp.Warned.At(point.Level(i+1), p.bp.Levels)
			err := desk.Check(order.Ask{
				Cause: "proof", Kind: order.Real, Source: order.Alert, Action: order.Sound, Hazard: alarm.WarnedPrefix, Level: point.Level(i + 1), Outputs: []string{p.bp.Outputs[0].Name},
				Content: order.Content{Tone: step.Tone, Clips: clips}, For: step.Duty.On.Duration(), Standing: true, Off: step.Duty.Off.Duration(), Who: order.Who{Name: "proof", Via: "check"},
			})
			if err != nil {
				p.warn(phrase.M("site.speech_bounds", "template", int(n), "level", code, "detail", err), "alerts")
				return
			}
		}
	}
}
