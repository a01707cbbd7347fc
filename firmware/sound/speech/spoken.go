package speech

import "tocsin/firmware/phrase"

// ConfirmWords ask whoever is called to press a key.
const ConfirmWords = "confirm"

// Spoken makes a programme for one person on a telephone: the words that Compose
// would say, without the tone, then those of the clip after, and a pause in which a key
// may be pressed; all of it k.Repeat times. A drill or a test says that it is one, before
// and after. Where the content has no words, those that its tone stands for are said.
// The error, a *phrase.Error, is for content of which no word can be said, and for a
// drill or test that cannot say that it is one.
func (c Composer) Spoken(k Content, after string) (*Programme, error) {
	bank := c.Bank
	if bank == nil {
		bank = &Bank{rate: BankRate}
	}
	p := &Programme{rate: bank.rate, repeat: max(1, k.Repeat)}
	tone, pauses := c.tone(k.Tone, p)
	p.tone = tone
	words := map[Kind]string{Drill: DrillWords, Test: TestWords}[k.Kind]
	var frame []said
	if words != "" {
		found, _ := bank.find(words, k.langs(bank, words))
		if frame = saying(found); len(frame) == 0 {
			return nil, phrase.E("speech.drill.mute", "clip", words)
		}
	}
	body := c.body(bank, k, words, p)
	if len(k.Clips) == 0 {
		body = saying(c.instead(bank, k, "", p))
	}
	if len(body) == 0 && len(frame) == 0 {
		return nil, phrase.E("speech.call.mute", "tone", k.Tone)
	}
	say := func(clips []said) {
		for i, s := range clips {
			p.add(part{clip: s.clip})
			pause := pauses.Words
			if i+1 < len(clips) && clips[i+1].lang == s.lang {
				pause = pauses.between(s, clips[i+1])
			}
			p.add(part{pause: pause})
		}
	}
	say(frame)
	say(body)
	if len(body) > 0 {
		say(frame)
	}
	if after != "" {
		found, missing := bank.find(after, k.langs(bank, after))
		p.lack(after, missing)
		say(saying(found))
	}
	p.add(part{pause: 2 * pauses.Repeats})
	return p, nil
}
