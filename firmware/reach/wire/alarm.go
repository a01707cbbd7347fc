package wire

import (
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"

	"tocsin/firmware/phrase"
)

// AlarmEvent is what became of an alarm.
type AlarmEvent uint8

// The events.
const (
	AlarmRaised AlarmEvent = iota
	AlarmEscalated
	AlarmEased
	AlarmAgain
	AlarmReleased
	alarmEvents
)

const (
	// AlarmHead is what an AlarmItem takes beside the hazard's code and its text.
	AlarmHead = NameSize + 4 + 1 + 2 + 1
	// HazardMost is the longest code of a hazard that is carried.
	HazardMost = 16
	rankMost   = 31
)

// AlarmItem is the short form of an alarm: what ItemAlarm carries.
type AlarmItem struct {
	Name Name
	// At is when, in seconds since 1970; 0 where the station had no clock.
	At    uint32
	Event AlarmEvent
	// Rank is the level's, by the station's table of levels; at most 31.
	Rank uint8
	// Cause are the first two bytes of SHA-256 of the alarm's id: the same in all messages about one alarm.
	Cause uint16
	// Hazard is its code, 1 to 16 printable ASCII; Append cuts a longer one.
	Hazard string
	// Text says why, for people. Append cuts it at a whole rune to what fits.
	Text string
}

// Append adds the item's bytes, at most most of them. What does not fit of the text is left out; the rest must fit.
func (a AlarmItem) Append(b []byte, most int) ([]byte, error) {
	hazard := a.Hazard[:min(len(a.Hazard), HazardMost)]
	switch {
	case !a.Name.Valid() || a.Event >= alarmEvents || a.Rank > rankMost || !printable(hazard):
		return nil, phrase.E("wire.alarm")
	case AlarmHead+len(hazard) > most:
		return nil, phrase.E("wire.too_long", "bytes", AlarmHead+len(hazard), "most", most)
	}
	b = append(b, a.Name.Bytes()...)
	b = binary.BigEndian.AppendUint32(b, a.At)
	b = append(b, byte(a.Event)<<5|a.Rank)
	b = binary.BigEndian.AppendUint16(b, a.Cause)
	b = append(append(b, byte(len(hazard))), hazard...)
	return append(b, cutText(plainText(a.Text), most-AlarmHead-len(hazard))...), nil
}

// ReadAlarm reads one. Text that is not UTF-8, or holds what moves a cursor, is refused.
func ReadAlarm(b []byte) (AlarmItem, error) {
	bad := phrase.E("wire.alarm")
	if len(b) < AlarmHead || len(b) > NarrowMost {
		return AlarmItem{}, bad
	}
	name, named := ReadName(b[:NameSize])
	a := AlarmItem{Name: name, At: binary.BigEndian.Uint32(b[6:]), Event: AlarmEvent(b[10] >> 5), Rank: b[10] & rankMost, Cause: binary.BigEndian.Uint16(b[11:])}
	n, rest := int(b[13]), b[AlarmHead:]
	if !named || a.Event >= alarmEvents || n > HazardMost || n > len(rest) {
		return AlarmItem{}, bad
	}
	a.Hazard, a.Text = string(rest[:n]), string(rest[n:])
	if !printable(a.Hazard) || plainText(a.Text) != a.Text {
		return AlarmItem{}, bad
	}
	return a, nil
}

// printable tells whether a code is 1 or more of ASCII without spaces.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7F {
			return false
		}
	}
	return s != ""
}

// plainText gives text for people as one line of valid UTF-8: what controls a screen becomes a space.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// cutText gives as many whole runes as fit into n bytes.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
