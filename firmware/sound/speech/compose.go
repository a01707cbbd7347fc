package speech

import (
	"maps"
	"slices"
	"strings"
	"time"

	"tocsin/firmware/phrase"
)

// Kind is why something sounds. Real, drill and test are told apart by ear.
type Kind string

// The kinds.
const (
	Real  Kind = "real"
	Drill Kind = "drill"
	Test  Kind = "test"
)

// Content is what a sounding says.
type Content struct {
	// Tone is the name of the attention tone.
	Tone string
	// Clips are said in this order, in each language before the next one. <id>.<lang> is said in
	// that language only; Comma is the short pause within a sentence of pieces (PiecePrefix).
	Clips []string
	// Langs are the languages of the site, in the order in which they speak.
	// Empty: every language that the bank has for the first clip.
	Langs []Lang
	// Repeat is how often all of it is played; 0 means until it is stopped.
	Repeat int
	// Kind is Real where empty.
	Kind Kind
}

// Comma stands among Content.Clips for a short pause.
const Comma = ","

// Composer makes programmes of the clips and tones of one configuration.
type Composer struct {
	Bank  *Bank
	Tones *Tones
}

// lastResort sounds where even the tone is missing: the configuration is
// broken and people must still be warned.
var lastResort = &Tone{
	Name: "last-resort", ZH: "备用提示音", EN: "stand-in tone", Level: -6, Lead: 6 * time.Second,
	Segments: []Segment{
		{Hz: []float64{800}, On: 400 * time.Millisecond},
		{Hz: []float64{1000}, On: 400 * time.Millisecond, Off: 200 * time.Millisecond},
	},
	Relay: Relay{
		Electronic: []Pulse{{On: 2 * time.Second, Off: 2 * time.Second}},
		Motor:      []Pulse{{On: 18 * time.Second, Off: 10 * time.Second}},
	},
}

var lastPauses = Pauses{Words: 400 * time.Millisecond, Languages: 600 * time.Millisecond, Repeats: 1500 * time.Millisecond, Pieces: 20 * time.Millisecond, Phrases: 180 * time.Millisecond}

// Compose makes a programme: in each repetition the attention tone, then the
// clips in one language after the other; a drill or a test says that it is
// one before the tone and again at the end of each repetition.
//
// A real sounding is never refused: what is missing is replaced (by the words
// that the tone stands for, then by the tone alone; an unknown or locked tone
// by "attention") and listed by Programme.Problems. The error, a *phrase.Error,
// is only for a drill or test whose words are missing in every language, and
// for a Kind that is none.
func (c Composer) Compose(k Content) (*Programme, error) {
	bank := c.Bank
	if bank == nil {
		bank = &Bank{rate: BankRate}
	}
	p := &Programme{rate: bank.rate, repeat: max(0, k.Repeat)}
	tone, pauses := c.tone(k.Tone, p)
	p.tone = tone

	var words string
	switch k.Kind {
	case Real, "":
	case Drill:
		words = DrillWords
	case Test:
		words = TestWords
	default:
		return nil, phrase.E("speech.kind", "kind", string(k.Kind))
	}
	var frame []said
	if words != "" {
		found, missing := bank.find(words, k.langs(bank, words))
		if len(found) == 0 {
			return nil, phrase.E("speech.drill.mute", "clip", words)
		}
		p.lack(words, missing)
		frame = saying(found)
	}

	say := func(clips []said) {
		for i, s := range clips {
			if i > 0 {
				p.add(part{pause: pauses.between(clips[i-1], s)})
			}
			p.add(part{clip: s.clip})
		}
	}
	if frame != nil {
		say(frame)
		p.add(part{pause: pauses.Words})
	}
	p.add(part{tone: p.tone})
	if body := c.body(bank, k, words, p); len(body) > 0 {
		p.add(part{pause: pauses.Words})
		say(body)
	}
	if frame != nil {
		p.add(part{pause: pauses.Words})
		say(frame)
	}
	p.add(part{pause: pauses.Repeats})
	return p, nil
}

// Words makes a programme of one clip, said once in each language and nothing else: what
// stands before a person's voice. It errs where no language has it.
func (c Composer) Words(id string, langs []Lang) (*Programme, error) {
	bank := c.Bank
	if bank == nil {
		bank = &Bank{rate: BankRate}
	}
	p := &Programme{rate: bank.rate, repeat: 1}
	tone, pauses := c.tone("attention", p)
	p.tone, p.problems = tone, nil
	found, missing := bank.find(id, Content{Langs: langs}.langs(bank, id))
	if len(found) == 0 {
		return nil, phrase.E("speech.drill.mute", "clip", id)
	}
	p.lack(id, missing)
	for _, s := range saying(found) {
		p.add(part{clip: s.clip})
		p.add(part{pause: pauses.Words})
	}
	return p, nil
}

func (c Composer) tone(name string, p *Programme) (*Tone, Pauses) {
	if c.Tones == nil {
		p.problems = append(p.problems, phrase.E("speech.tone.unknown", "tone", name))
		return lastResort, lastPauses
	}
	t, err := c.Tones.Get(name)
	if err != nil {
		p.problems = append(p.problems, err)
		if t, err = c.Tones.Get("attention"); err != nil {
			t = lastResort
		}
	}
	return t, c.Tones.pause
}

// said is a clip in its place.
type said struct {
	*clip
	comma bool // before it
}

func saying(clips []*clip) (all []said) {
	for _, c := range clips {
		all = append(all, said{clip: c})
	}
	return all
}

// between gives the pause between what is said one after the other.
func (p Pauses) between(a, b said) time.Duration {
	switch {
	case a.lang != b.lang:
		return p.Languages
	case !strings.HasPrefix(a.id, PiecePrefix) || !strings.HasPrefix(b.id, PiecePrefix):
		return p.Words
	case b.comma:
		return p.Phrases
	}
	return p.Pieces
}

// body gives the clips of one repetition, all of a language before the next.
func (c Composer) body(bank *Bank, k Content, frame string, p *Programme) []said {
	byLang, commas, heard := map[Lang][]said{}, 0, map[Lang]int{}
	standIns := map[string]bool{}
	for _, id := range k.Clips {
		if id == Comma {
			commas++
			continue
		}
		id, only, one := strings.Cut(id, ".")
		if id == frame {
			continue
		}
		langs := k.langs(bank, id)
		if one {
			if len(k.Langs) > 0 && !slices.Contains(k.Langs, Lang(only)) {
				continue
			}
			langs = []Lang{Lang(only)}
		}
		found, missing := bank.find(id, langs)
		if one && len(missing) > 0 {
			found = nil // what is said in one language is not said in another's place
		}
		p.lack(id, missing)
		if len(found) == 0 {
			if found = c.instead(bank, k, id, p); len(found) == 0 {
				continue
			}
			id = found[0].id
			if slices.ContainsFunc(slices.Collect(maps.Values(byLang)), func(s []said) bool { return slices.ContainsFunc(s, func(x said) bool { return x.id == id }) }) {
				continue // the same words once, where two clips were replaced by them
			}
			standIns[id] = true
		} else if standIns[id] {
			continue
		}
		for _, f := range found {
			byLang[f.lang] = append(byLang[f.lang], said{f, heard[f.lang] != commas})
			heard[f.lang] = commas
		}
	}
	langs := slices.Sorted(maps.Keys(byLang))
	slices.SortStableFunc(langs, func(a, b Lang) int { return order(k.Langs, a) - order(k.Langs, b) })
	var out []said
	for _, l := range langs {
		out = append(out, byLang[l]...)
	}
	return out
}

// order gives a language's place in the site's order, the last where it has none.
func order(langs []Lang, l Lang) int {
	if i := slices.Index(langs, l); i >= 0 {
		return i
	}
	return len(langs)
}

// instead gives the words that the tone stands for.
func (c Composer) instead(bank *Bank, k Content, id string, p *Programme) []*clip {
	for _, w := range p.tone.Words {
		if found, _ := bank.find(w, k.langs(bank, w)); len(found) > 0 {
			p.problems = append(p.problems, phrase.E("speech.clip.replaced", "clip", id, "by", w))
			return found
		}
	}
	p.problems = append(p.problems, phrase.E("speech.clip.tone_only", "clip", id, "tone", p.tone.Name))
	return nil
}

func (k Content) langs(b *Bank, id string) []Lang {
	if len(k.Langs) > 0 {
		return k.Langs
	}
	var all []Lang
	for key := range b.clips {
		if key.id == id {
			all = append(all, key.lang)
		}
	}
	slices.Sort(all)
	return all
}
