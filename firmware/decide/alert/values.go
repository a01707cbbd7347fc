package alert

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Namespace is CAP 1.2's.
const Namespace = "urn:oasis:names:tc:emergency:cap:1.2"

// field is one element of a sequence: CAP-v1.2-os, section 3.2, and its schema.
type field struct {
	name string
	// least and most are its cardinality; most 0 is without bound.
	least, most int
	// values is the closed set, nil where any text goes.
	values []string
}

// The sequences, in the order of the schema, which is binding.
var (
	alertFields = []field{
		{"identifier", 1, 1, nil},
		{"sender", 1, 1, nil},
		{"sent", 1, 1, nil},
		{"status", 1, 1, []string{"Actual", "Exercise", "System", "Test", "Draft"}},
		{"msgType", 1, 1, []string{"Alert", "Update", "Cancel", "Ack", "Error"}},
		{"source", 0, 1, nil},
		{"scope", 1, 1, []string{"Public", "Restricted", "Private"}},
		{"restriction", 0, 1, nil},
		{"addresses", 0, 1, nil},
		{"code", 0, 0, nil},
		{"note", 0, 1, nil},
		{"references", 0, 1, nil},
		{"incidents", 0, 1, nil},
		{"info", 0, 0, nil},
	}
	infoFields = []field{
		{"language", 0, 1, nil},
		{"category", 1, 0, []string{"Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other"}},
		{"event", 1, 1, nil},
		{"responseType", 0, 0, []string{"Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None"}},
		{"urgency", 1, 1, []string{"Immediate", "Expected", "Future", "Past", "Unknown"}},
		{"severity", 1, 1, []string{"Extreme", "Severe", "Moderate", "Minor", "Unknown"}},
		{"certainty", 1, 1, []string{"Observed", "Likely", "Possible", "Unlikely", "Unknown"}},
		{"audience", 0, 1, nil},
		{"eventCode", 0, 0, nil},
		{"effective", 0, 1, nil},
		{"onset", 0, 1, nil},
		{"expires", 0, 1, nil},
		{"senderName", 0, 1, nil},
		{"headline", 0, 1, nil},
		{"description", 0, 1, nil},
		{"instruction", 0, 1, nil},
		{"web", 0, 1, nil},
		{"contact", 0, 1, nil},
		{"parameter", 0, 0, nil},
		{"resource", 0, 0, nil},
		{"area", 0, 0, nil},
	}
	resourceFields = []field{
		{"resourceDesc", 1, 1, nil},
		{"mimeType", 1, 1, nil},
		{"size", 0, 1, nil},
		{"uri", 0, 1, nil},
		{"derefUri", 0, 1, nil},
		{"digest", 0, 1, nil},
	}
	areaFields = []field{
		{"areaDesc", 1, 1, nil},
		{"polygon", 0, 0, nil},
		{"circle", 0, 0, nil},
		{"geocode", 0, 0, nil},
		{"altitude", 0, 1, nil},
		{"ceiling", 0, 1, nil},
	}
	namedFields = []field{
		{"valueName", 1, 1, nil},
		{"value", 1, 1, nil},
	}
)

func isUnknown(name string) bool {
	return name == "urgency" || name == "severity" || name == "certainty"
}

var (
	capTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d$`)
	// cnTime is the extended form of the national rules: a blank for the T, and an
	// offset that may be left out where Beijing time is meant.
	cnTime   = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d) ?([-+]\d\d:\d\d)?$`)
	zuluTime = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z$`)
)

// clockForm says how a time was written.
type clockForm int

const (
	strictTime clockForm = iota
	profileTime
	utcTime
	noTime
)

// parseTime reads a CAP time: whole seconds and an offset in digits. The
// profile may allow a blank for the T and give the offset that is meant where
// there is none. Z is not CAP's, but means only one thing.
func parseTime(s string, p *Profile) (time.Time, clockForm) {
	s = strings.Trim(s, " \t\r\n")
	if capTime.MatchString(s) {
		return offsetTime(s, strictTime)
	}
	if m := zuluTime.FindStringSubmatch(s); m != nil {
		return offsetTime(m[1]+"+00:00", utcTime)
	}
	if p != nil && p.Times.Blank {
		if m := cnTime.FindStringSubmatch(s); m != nil {
			if m[3] == "" {
				m[3] = p.Times.Offset
			}
			return offsetTime(m[1]+"T"+m[2]+m[3], profileTime)
		}
	}
	return time.Time{}, noTime
}

func offsetTime(s string, form clockForm) (time.Time, clockForm) {
	// Offsets of xs:dateTime end at 14:00; time.Parse takes more.
	if o := s[len(s)-5:]; o > "14:00" {
		return time.Time{}, noTime
	}
	t, err := time.Parse("2006-01-02T15:04:05-07:00", s)
	if err != nil || t.Year() < 1990 {
		return time.Time{}, noTime
	}
	return t, form
}

var languageTag = regexp.MustCompile(`^[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*$`)

var mimeType = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*)/([A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*)( *;.*)?$`)

// isMIME has the bounds beside the expression: counted repeats are unrolled, and would be
// what takes most of this room's memory.
func isMIME(s string) bool {
	m := mimeType.FindStringSubmatch(s)
	return m != nil && len(m[1]) <= nameMost && len(m[2]) <= nameMost
}

// nameMost is how long a type or a subtype may be (RFC 6838 section 4.2).
const nameMost = 127

// isWord tells whether an identifier or sender has none of the characters that
// CAP bans there (section 3.2.1): references could not name it otherwise.
func isWord(s string) bool {
	return s != "" && !strings.ContainsAny(s, " ,<&\t\r\n\u00a0\u3000")
}

// wordsMost bounds the lists of addresses, incidents and references.
const wordsMost = 1024

// words splits a list at blanks; what is in double quotes stays together. What goes
// beyond the bound is left away, and cut says so.
func words(s string) (out []string, cut bool) {
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if s == "" || len(out) == wordsMost {
			return out, s != ""
		}
		if s[0] == '"' {
			if i := strings.IndexByte(s[1:], '"'); i >= 0 {
				if w := s[1 : 1+i]; w != "" {
					out = append(out, w)
				}
				s = s[2+i:]
				continue
			}
		}
		i := strings.IndexAny(s, " \t\r\n")
		if i < 0 {
			i = len(s)
		}
		out = append(out, s[:i])
		s = s[i:]
	}
}

func blank(b []byte) bool { return len(bytes.Trim(b, " \t\r\n")) == 0 }

func fieldOf(fields []field, name string) int {
	return slices.IndexFunc(fields, func(f field) bool { return f.name == name })
}
