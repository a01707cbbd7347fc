package letter

import (
	"crypto/sha256"
	"encoding/hex"

	"tocsin/firmware/phrase"
)

// Class is the urgency of a letter, 0 first.
type Class uint8

// The classes.
const (
	Warning   Class = iota // red and orange warnings, and whatever else an authority says aloud
	Command                // signed orders
	Receipt                // what became of warnings and orders
	Alarm                  // a threshold that was crossed at the station
	Telemetry              // readings
	Bulk                   // pictures, logs, firmware
	classes
)

// Bounds of a letter.
const (
	// BodyMost is what one letter carries: the largest alert that is read.
	BodyMost = 1 << 20
	// IDMost is the longest id.
	IDMost = 64
	// LinkMost is the longest name of a link.
	LinkMost = 24
)

// Letter is one message with what stands on its outside.
type Letter struct {
	ID    string
	Class Class
	// Link names the link that it left by, where that is known.
	Link string
	Body []byte
}

// Check tells whether a letter may be sent.
func (l *Letter) Check() error {
	switch {
	case l.Class >= classes:
		return phrase.E("letter.class", "class", int(l.Class))
	case !IsID(l.ID):
		return phrase.E("letter.id", "id", clip(l.ID), "most", IDMost)
	case l.Link != "" && !IsLink(l.Link):
		return phrase.E("letter.link", "link", clip(l.Link), "most", LinkMost)
	case len(l.Body) == 0:
		return phrase.E("letter.empty")
	case len(l.Body) > BodyMost:
		return phrase.E("letter.large", "bytes", len(l.Body), "most", BodyMost)
	}
	return nil
}

// IsID tells whether s can be an id: letters, digits, - and _.
func IsID(s string) bool { return token(s, IDMost) }

// IsLink tells whether s can name a link.
func IsLink(s string) bool { return token(s, LinkMost) }

func token(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// Sum is the digest that tells one body from another.
func Sum(body []byte) string {
	d := sha256.Sum256(body)
	return hex.EncodeToString(d[:8])
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
