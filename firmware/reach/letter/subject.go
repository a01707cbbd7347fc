package letter

import (
	"strconv"
	"strings"
)

// The streams of a hub and the headers of its messages.
const (
	StreamUp      = "UP"
	StreamDown    = "DOWN"
	StreamReceipt = "RCPT"

	HeaderID   = "Tocsin-Id"
	HeaderLink = "Tocsin-Link"
)

// Station names a box: its place's 12-digit division code, and where several
// stand there a hyphen and up to eight letters or digits.
type Station string

// Valid tells whether it is written so.
func (s Station) Valid() bool {
	code, more, with := strings.Cut(string(s), "-")
	if len(code) != 12 || with && (len(more) > 8 || strings.Contains(more, "-") || !token(more, 8)) {
		return false
	}
	for _, c := range []byte(code) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Code is the division code.
func (s Station) Code() string {
	if len(s) < 12 {
		return string(s)
	}
	return string(s[:12])
}

func (s Station) place() string {
	c := s.Code()
	return c[:2] + "." + c[:6] + "." + string(s)
}

// Up is the subject of its letters of a class, UpAll of all.
func (s Station) Up(c Class) string { return "up." + s.place() + "." + strconv.Itoa(int(c)) }

// UpAll is the subject of all its letters.
func (s Station) UpAll() string { return "up." + s.place() + ".*" }

// Down is the subject of letters of a class to it.
func (s Station) Down(c Class) string { return "down." + s.place() + "." + strconv.Itoa(int(c)) }

// DownAll is the subject of all letters to it.
func (s Station) DownAll() string { return "down." + s.place() + ".*" }

// OfClass is the subject of all stations' letters of a class, way being "up" or "down".
func OfClass(way string, c Class) string { return way + ".*.*.*." + strconv.Itoa(int(c)) }

// Kept is the subject of the hub's receipt for one of its letters.
func (s Station) Kept(id string) string { return "rcpt." + s.place() + ".up." + id }

// Taken is the subject of its receipt for a letter to it.
func (s Station) Taken(id string) string { return "rcpt." + s.place() + ".down." + id }

// Also is the subject of the hub's note that one of its letters came by another link too.
func (s Station) Also(id string) string { return "rcpt." + s.place() + ".also." + id }

// Receipts is the subject of all receipts of one way, "up" or "down".
func (s Station) Receipts(way string) string { return "rcpt." + s.place() + "." + way + ".*" }

// Subject is a subject taken apart.
type Subject struct {
	// Way is "up" or "down", Receipt that it is a receipt for what went that way; "also" is a note
	// on what went up.
	Way     string
	Receipt bool
	Station Station
	Class   Class  // of a letter
	ID      string // of a receipt
}

// ParseSubject takes a subject apart, and refuses what is not exactly of the
// package's form: also a place that is not the station's own.
func ParseSubject(s string) (Subject, bool) {
	if len(s) > 160 {
		return Subject{}, false
	}
	p := strings.Split(s, ".")
	if len(p) < 5 {
		return Subject{}, false
	}
	st := Station(p[3])
	if !st.Valid() || p[1] != string(st[:2]) || p[2] != string(st[:6]) {
		return Subject{}, false
	}
	switch {
	case (p[0] == "up" || p[0] == "down") && len(p) == 5 && len(p[4]) == 1 && p[4][0] >= '0' && p[4][0] < '0'+byte(classes):
		return Subject{Way: p[0], Station: st, Class: Class(p[4][0] - '0')}, true
	case p[0] == "rcpt" && len(p) == 6 && (p[4] == "up" || p[4] == "down" || p[4] == "also") && IsID(p[5]):
		return Subject{Way: p[4], Receipt: true, Station: st, ID: p[5]}, true
	}
	return Subject{}, false
}

// MessageID is what JetStream tells copies by.
func (s Station) MessageID(l *Letter) string { return string(s) + "/" + l.ID + "/" + Sum(l.Body) }
