package book

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
	"unicode/utf8"

	"tocsin/firmware/decide/alert"
)

// The sizes of what is kept of a message's words. An order speaks at most 4000 bytes.
const (
	mostTexts = 4
	mostAreas = 16
	longLine  = 300
	longText  = 4000
)

// short names a thing by 16 bytes of its SHA-256.
func short(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:16])
}

// cut takes at most n bytes of whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// texts keeps what a message says. What is for elsewhere is known by its headline: it is
// neither spoken nor acted on here, and a flood of it must not fill the box.
func texts(a *alert.Alert, here bool) []Text {
	var all []Text
	for _, i := range a.Infos {
		if len(all) == mostTexts {
			break
		}
		if !here {
			all = append(all, Text{Language: cut(i.Language, 35), Event: cut(i.Event, longLine), Headline: cut(i.Headline, longLine)})
			continue
		}
		t := Text{Language: cut(i.Language, 35), Event: cut(i.Event, longLine), SenderName: cut(i.SenderName, longLine),
			Headline: cut(i.Headline, longLine), Description: cut(i.Description, longText), Instruction: cut(i.Instruction, longText)}
		for _, r := range i.Areas {
			if len(t.Areas) == mostAreas {
				break
			}
			t.Areas = append(t.Areas, cut(r.Desc, longLine))
		}
		all = append(all, t)
	}
	return all
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
