package alert

import (
	"strings"
	"time"

	"tocsin/firmware/phrase"
)

// Alert is the one form that every format becomes. Field by field it is CAP 1.2
// (OASIS CAP-v1.2-os, section 3.2); values are those of its tables.
type Alert struct {
	Identifier string    `json:"identifier"`
	Sender     string    `json:"sender"`
	Sent       time.Time `json:"sent"`
	// Status is Actual, Exercise, System, Test or Draft.
	Status string `json:"status"`
	// MsgType is Alert, Update, Cancel, Ack or Error.
	MsgType string `json:"msg_type"`
	Source  string `json:"source,omitempty"`
	// Scope is Public, Restricted or Private.
	Scope       string   `json:"scope"`
	Restriction string   `json:"restriction,omitempty"`
	Addresses   []string `json:"addresses,omitempty"`
	Codes       []string `json:"codes,omitempty"`
	Note        string   `json:"note,omitempty"`
	// References holds what could be read and acted on: a message never refers
	// to itself, nor to one that was sent later.
	References []Ref    `json:"references,omitempty"`
	Incidents  []string `json:"incidents,omitempty"`
	Infos      []Info   `json:"infos,omitempty"`
	// Profile is the id of the profile (configs/alerts/profiles.yaml) that it
	// was read under.
	Profile string `json:"profile"`
}

// Ref names one message: whoever sent it, what they called it and when.
type Ref struct {
	Sender     string    `json:"sender"`
	Identifier string    `json:"identifier"`
	Sent       time.Time `json:"sent"`
}

// Key is the same for two triples of the same instant, however their times are
// written.
func (r Ref) Key() string {
	return r.Sender + "," + r.Identifier + "," + r.Sent.UTC().Format(time.RFC3339)
}

// Ref gives the triple by which others refer to the alert.
func (a *Alert) Ref() Ref { return Ref{a.Sender, a.Identifier, a.Sent} }

// Info is one block of an alert: one event, in one language.
type Info struct {
	// Language is an RFC 3066 tag; CAP's default is en-US.
	Language   string   `json:"language"`
	Categories []string `json:"categories,omitempty"`
	Event      string   `json:"event"`
	Responses  []string `json:"responses,omitempty"`
	Urgency    string   `json:"urgency"`
	Severity   string   `json:"severity"`
	Certainty  string   `json:"certainty"`
	Audience   string   `json:"audience,omitempty"`
	EventCodes []Named  `json:"event_codes,omitempty"`
	// Effective is Sent where the sender left it out. Onset and Expires are
	// zero where it left them out.
	Effective   time.Time  `json:"effective,omitzero"`
	Onset       time.Time  `json:"onset,omitzero"`
	Expires     time.Time  `json:"expires,omitzero"`
	SenderName  string     `json:"sender_name,omitempty"`
	Headline    string     `json:"headline,omitempty"`
	Description string     `json:"description,omitempty"`
	Instruction string     `json:"instruction,omitempty"`
	Web         string     `json:"web,omitempty"`
	Contact     string     `json:"contact,omitempty"`
	Parameters  []Named    `json:"parameters,omitempty"`
	Resources   []Resource `json:"resources,omitempty"`
	Areas       []Area     `json:"areas,omitempty"`
	// Colour is what the sender said: red, orange, yellow, blue, white or "".
	// It is never derived from Severity.
	Colour string `json:"colour,omitempty"`
}

// Named is a value under a name that the sender's domain gives it.
type Named struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Resource is a file that came along or is to be had elsewhere.
type Resource struct {
	Desc string `json:"desc"`
	MIME string `json:"mime"`
	// Size is in bytes; -1 where it was not said.
	Size   int64  `json:"size"`
	URI    string `json:"uri,omitempty"`
	Digest string `json:"digest,omitempty"`
	// Body is what came along. It is empty where it did not agree with its
	// size or digest: a finding says so.
	Body []byte `json:"-"`
}

// Area is a place that the sender described.
type Area struct {
	Desc     string    `json:"desc"`
	Polygons []Polygon `json:"-"`
	Circles  []Circle  `json:"circles,omitempty"`
	Geocodes []Named   `json:"geocodes,omitempty"`
	// Altitude and Ceiling are in feet above mean sea level, as sent.
	Altitude string `json:"altitude,omitempty"`
	Ceiling  string `json:"ceiling,omitempty"`
	// Unreadable counts polygons and circles that could not be read.
	Unreadable int `json:"unreadable,omitempty"`
}

// Point is a place on WGS-84, in degrees.
type Point struct {
	Lat float64 `json:"lat"`
	Lon float64 `json:"lon"`
}

// Polygon is a closed ring: its last point is its first.
type Polygon []Point

// Circle is a centre and a radius in kilometres.
type Circle struct {
	Centre Point   `json:"centre"`
	Km     float64 `json:"km"`
}

// Info gives the block that a reader of the language wants: the same language
// first, then the same primary language (zh-HK for zh-CN), then the first; nil
// where there is none.
func (a *Alert) Info(lang string) *Info {
	if len(a.Infos) == 0 {
		return nil
	}
	primary, _, _ := strings.Cut(lang, "-")
	near := -1
	for i := range a.Infos {
		have := a.Infos[i].Language
		if strings.EqualFold(have, lang) {
			return &a.Infos[i]
		}
		if p, _, _ := strings.Cut(have, "-"); near < 0 && strings.EqualFold(p, primary) {
			near = i
		}
	}
	return &a.Infos[max(near, 0)]
}

// Expires gives the latest end of the alert's blocks; zero where a block has
// none: then the recipient's own longest holds.
func (a *Alert) Expires() time.Time {
	var last time.Time
	for i := range a.Infos {
		e := a.Infos[i].Expires
		if e.IsZero() {
			return time.Time{}
		}
		if e.After(last) {
			last = e
		}
	}
	return last
}

// Starts gives the earliest that any block is in effect: CAP's effective, and
// Sent where there is no block.
func (a *Alert) Starts() time.Time {
	first := a.Sent
	for i := range a.Infos {
		if e := a.Infos[i].Effective; i == 0 || e.Before(first) {
			first = e
		}
	}
	return first
}

// Part is which of the four questions a finding answers.
type Part string

// The parts, in the order in which they are asked.
const (
	Form    Part = "form"    // well-formed: schema, rules, profile
	Genuine Part = "genuine" // a signature holds over what is parsed
	Trusted Part = "trust"   // by a key that this site pinned for the sender
	Force   Part = "force"   // life cycle and times
)

// Finding is one thing that is wrong or odd, and where.
type Finding struct {
	// Path leads to the element, counted from 1: /alert/info[1]/area[2]/polygon[1].
	Path string         `json:"path"`
	What phrase.Message `json:"what"`
	Part Part           `json:"part"`
	// Fatal says that the part's question is thereby answered with no. What is
	// not fatal has one safe reading, which was taken.
	Fatal bool `json:"fatal"`
}

// Place is where a box stands.
type Place struct {
	// Code is the 12-digit division code (GB/T 2260, GB/T 10114 and the
	// statistics bureau's village codes).
	Code     string
	Lat, Lon float64
	// Also are further codes of the same place, in any table: a SAME code, a
	// Canadian location code. Written name=value, or a value alone.
	Also []string
}

// Action is what this box may do about an alert, by configs/alerts/actions.yaml.
// Whether it is genuine, trusted and in force is asked beside it.
type Action struct {
	// Level is a code of configs/levels.yaml; "" announces or shows without a level.
	Level string `json:"level,omitempty"`
	// Kind is real, drill or test; "" never sounds.
	Kind string `json:"kind,omitempty"`
	// Sound is false where the alert is only shown.
	Sound  bool   `json:"sound"`
	Colour string `json:"colour,omitempty"`
	Hazard string `json:"hazard,omitempty"`
	Tone   string `json:"tone,omitempty"`
	// Clips are spoken at once, before the text has been rendered.
	Clips []string `json:"clips,omitempty"`
	// Speech is a warning in pieces that are clips, by the language of the clips; see compact.Tables.Speech.
	Speech map[string][]string `json:"speech,omitempty"`
	// Rule names the row of the table that decided, Why says it in words.
	Rule string         `json:"rule,omitempty"`
	Why  phrase.Message `json:"why"`
	// Rank orders alerts that wait: higher goes first. It comes from the same row.
	Rank int `json:"rank"`
	// Info is the index of the block that decided; -1 where there is none.
	Info int `json:"info"`
}
