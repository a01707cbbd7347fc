package source

import (
	"strings"
	"time"

	"tocsin/firmware/phrase"
)

// both names several in both languages.
func both(names []any) phrase.Text {
	var zh, en []string
	for _, n := range names {
		m := n.(phrase.Message)
		zh, en = append(zh, m.In(phrase.ZH)), append(en, m.In(phrase.EN))
	}
	return phrase.Text{ZH: strings.Join(zh, "、"), EN: strings.Join(en, ", ")}
}

// span writes a length of time so that it can be read: days from two on, else to a thousandth.
func span(d time.Duration) phrase.Text {
	if n := int(d.Hours() / 24); n >= 2 {
		m := phrase.M("time.days", "n", n)
		return phrase.Text{ZH: m.In(phrase.ZH), EN: m.In(phrase.EN)}
	}
	s := d.Round(time.Millisecond).String()
	if d >= time.Minute {
		s = d.Round(time.Second).String()
	}
	return phrase.Text{ZH: s, EN: s}
}
