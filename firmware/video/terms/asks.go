package terms

import (
	"time"

	"tocsin/firmware/phrase"
)

// Push asks for one stream to be sent to the county.
type Push struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	ICE   []ICE  `json:"ice,omitempty"`
	// CA is the PEM of who vouches for the county's address; empty is the system's.
	CA string `json:"ca,omitempty"`
}

// ICE is a server that helps two ends to find each other (RFC 8839).
type ICE struct {
	URLs     []string `json:"urls"`
	User     string   `json:"user,omitempty"`
	Password string   `json:"password,omitempty"`
}

// Pin asks for a clip of every recorded stream: what was seen from before an alarm to
// after it.
type Pin struct {
	Cause  string        `json:"cause"`
	Title  phrase.Text   `json:"title,omitzero"` // what people call the alarm
	Class  int           `json:"class"`
	Before time.Duration `json:"before_ns"`
	After  time.Duration `json:"after_ns"`
}

// Bring asks for the clips that are finished to be brought to the county.
type Bring struct {
	// URL is the county's; a clip is below it (recorder.HTTPSink).
	URL   string `json:"url"`
	Token string `json:"token"`
	CA    string `json:"ca,omitempty"`
	// For is how long the token is good from now on.
	For time.Duration `json:"for_ns"`
	// Rate is the most that clips may take of the link, in bytes a second.
	Rate int64 `json:"rate"`
}

// Clip is what the box keeps of a clip.
type Clip struct {
	ID     string `json:"id"`
	Stream string `json:"stream"`
	// Cause is the alarm's, Title what people call it.
	Cause string      `json:"cause"`
	Title phrase.Text `json:"title,omitzero"`
	// Began is when it begins, zero where no clock was trusted; First and Last are what it
	// shows, since the boot.
	Began time.Time     `json:"began,omitzero"`
	First time.Duration `json:"first"`
	Last  time.Duration `json:"last"`
	// Finished says that the rest does not change any more. Delivered says that the county
	// has named the same hash, Refused that it does not want the clip.
	Finished  bool `json:"finished"`
	Delivered bool `json:"delivered"`
	Refused   bool `json:"refused,omitempty"`
	// Size in bytes; SHA256 of them, in hex, is the evidence.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Gap is what is missing of the time that was asked for.
	Gap time.Duration `json:"gap"`
}
