package terms

import "time"

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
	Class  int           `json:"class"`
	Before time.Duration `json:"before_ns"`
	After  time.Duration `json:"after_ns"`
}

// Clip is what the box keeps of a clip that is finished.
type Clip struct {
	ID     string `json:"id"`
	Stream string `json:"stream"`
	// Cause is the alarm's.
	Cause string `json:"cause"`
	// Size in bytes; SHA256 of them, in hex, is the evidence.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Gap is what is missing of the time that was asked for.
	Gap time.Duration `json:"gap"`
}
