package letter

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"tocsin/firmware/phrase"
)

// A station asks its hub whether there is software for it, and fetches that part by part, over
// the same connection: each part is an answer to one question, so that a break costs one.
//
//	rel.<pp>.<cccccc>.<station>.ask    ReleaseAsk, answered by ReleaseOffer
//	rel.<pp>.<cccccc>.<station>.part   ReleasePart, answered by its bytes; none: the hub has not got it

// Bounds of what is said of releases.
const (
	ReleaseMost = 4 << 10  // of a question and an offer, in bytes
	PartMost    = 64 << 10 // of one part
	partAtMost  = 1 << 31
)

// ReleaseAsk is what a station says of its software when it asks.
type ReleaseAsk struct {
	Version  int    `json:"version"`
	Hardware string `json:"hardware"`
	Running  string `json:"running"`
	Number   uint64 `json:"number"`
	// Base is the SHA-256 of the image that runs, in hexadecimal: what a delta may be made from.
	Base string `json:"base,omitempty"`
	// Next is the number of what is staged, 0 for nothing; Bad that of a release that did not stay.
	Next uint64 `json:"next,omitempty"`
	Bad  uint64 `json:"bad,omitempty"`
}

// ReleaseOffer is the hub's answer; without a name there is nothing for this station.
type ReleaseOffer struct {
	Version int `json:"version"`
	// Name is the SHA-256 of the package's file, in hexadecimal.
	Name    string `json:"name,omitempty"`
	Release string `json:"release,omitempty"`
	Number  uint64 `json:"number,omitempty"`
	Size    int64  `json:"size,omitempty"`
	Delta   bool   `json:"delta,omitempty"`
}

// ReleasePart asks for Long bytes of a package at At.
type ReleasePart struct {
	Name string `json:"name"`
	At   int64  `json:"at"`
	Long int    `json:"bytes"`
}

// ReleaseAsk is where the station asks, ReleasePart where it fetches.
func (s Station) ReleaseAsk() string { return "rel." + s.place() + ".ask" }

// ReleasePart is where it fetches.
func (s Station) ReleasePart() string { return "rel." + s.place() + ".part" }

// ReleasesAll is the subject of all stations' questions.
const ReleasesAll = "rel.*.*.*.*"

// ParseReleaseSubject gives the station of a question and whether it asks for a part.
func ParseReleaseSubject(subject string) (s Station, part, ok bool) {
	p := strings.Split(subject, ".")
	if len(subject) > 160 || len(p) != 5 {
		return "", false, false
	}
	s = Station(p[3])
	switch {
	case !s.Valid():
		return "", false, false
	case s.ReleaseAsk() == subject:
		return s, false, true
	}
	return s, true, s.ReleasePart() == subject
}

func isSum(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && strings.ToLower(s) == s
}

func plainWord(s string, most int) bool {
	return len(s) <= most && !slices.ContainsFunc([]byte(s), func(c byte) bool { return c < ' ' || c == 0x7f })
}

const releaseVersion = 1

// Bytes writes it.
func (a ReleaseAsk) Bytes() []byte {
	a.Version = releaseVersion
	b, _ := json.Marshal(a) // strings and numbers
	return b
}

// ParseReleaseAsk reads one.
func ParseReleaseAsk(b []byte) (a ReleaseAsk, err error) {
	if len(b) > ReleaseMost || json.Unmarshal(b, &a) != nil || a.Version < 1 || !plainWord(a.Hardware, 64) || !plainWord(a.Running, 64) || a.Base != "" && !isSum(a.Base) {
		return ReleaseAsk{}, phrase.E("letter.release")
	}
	return a, nil
}

// Bytes writes it.
func (o ReleaseOffer) Bytes() []byte {
	o.Version = releaseVersion
	b, _ := json.Marshal(o) // strings and numbers
	return b
}

// ParseReleaseOffer reads one.
func ParseReleaseOffer(b []byte) (o ReleaseOffer, err error) {
	if len(b) > ReleaseMost || json.Unmarshal(b, &o) != nil || o.Version < 1 || o.Name != "" && (!isSum(o.Name) || o.Size <= 0 || o.Size > partAtMost || o.Number == 0) || !plainWord(o.Release, 64) {
		return ReleaseOffer{}, phrase.E("letter.release")
	}
	return o, nil
}

// Bytes writes it.
func (p ReleasePart) Bytes() []byte {
	b, _ := json.Marshal(p) // a string and numbers
	return b
}

// ParseReleasePart reads one.
func ParseReleasePart(b []byte) (p ReleasePart, err error) {
	if len(b) > ReleaseMost || json.Unmarshal(b, &p) != nil || !isSum(p.Name) || p.At < 0 || p.At > partAtMost || p.Long < 1 || p.Long > PartMost {
		return ReleasePart{}, phrase.E("letter.release")
	}
	return p, nil
}
