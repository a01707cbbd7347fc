package terms

import (
	"net/netip"
	"time"

	"tocsin/firmware/phrase"
)

// About is what the box says of itself at platforms.
type About struct {
	Name     string `json:"name"`
	Maker    string `json:"maker"`
	Model    string `json:"model"`
	Firmware string `json:"firmware"`
}

// Platform is one of GB/T 28181 at which the child signs in as a device.
type Platform struct {
	Name      string        `json:"name"`  // the site's own
	Title     string        `json:"title"` // for people
	ID        string        `json:"id"`
	Domain    string        `json:"domain,omitempty"`
	Host      string        `json:"host"`
	Port      int           `json:"port"`
	Transport string        `json:"transport,omitempty"`
	Device    string        `json:"device"`
	User      string        `json:"user,omitempty"`
	Password  string        `json:"password"`
	Expires   time.Duration `json:"expires"`
	Keepalive time.Duration `json:"keepalive"`
	Misses    int           `json:"misses"`
	LocalPort int           `json:"local_port,omitempty"`
	// Media are the only networks that pictures go to; any where it is empty.
	Media    []netip.Prefix `json:"media,omitempty"`
	Charset  string         `json:"charset,omitempty"`
	Channels []Channel      `json:"channels"`
	// Records lets it have what is recorded.
	Records bool `json:"records,omitempty"`
}

// Channel is a stream as a platform sees it.
type Channel struct {
	ID     string `json:"id"`
	Stream string `json:"stream"`
	Title  string `json:"title"`
}

// Upper is the box as the platform at which devices sign in.
type Upper struct {
	ID     string         `json:"id"`
	Domain string         `json:"domain,omitempty"`
	Listen netip.AddrPort `json:"listen"`
	From   []netip.Prefix `json:"from,omitempty"`
}

// Device is one that may sign in; its password is the stream's.
type Device struct {
	ID      string `json:"id"`
	Channel string `json:"channel,omitempty"`
	TCP     bool   `json:"tcp,omitempty"`
	SHA256  bool   `json:"sha256,omitempty"`
}

// PlatformState is how it stands with a platform.
type PlatformState struct {
	Name   string        `json:"name"`
	ID     string        `json:"id"`
	Online bool          `json:"online"`
	Since  time.Duration `json:"since_ns"` // for how long it has been, or has not been, so
	// Answered is how long ago it answered last; negative where it never did.
	Answered time.Duration `json:"answered_ns"`
	// Phase is what is going on; Why, while it is not online, what was wrong last.
	Phase phrase.Message  `json:"phase"`
	Why   *phrase.Message `json:"why,omitempty"`
	// Clock is how far its clock is before the box's, where it said so.
	Clock    time.Duration `json:"clock_ns,omitempty"`
	Sessions []Session     `json:"sessions,omitempty"`
}

// Session is a stream on its way to a platform.
type Session struct {
	Stream string        `json:"stream"`
	Kind   string        `json:"kind"` // Play, Playback, Download
	Way    string        `json:"way"`
	To     string        `json:"to"`
	For    time.Duration `json:"for_ns"`
	Bytes  uint64        `json:"bytes"`
	// KeysOnly says that the link has less left than the pictures need.
	KeysOnly bool `json:"keys_only,omitempty"`
	Paused   bool `json:"paused,omitempty"`
}

// DeviceState is how it stands with a device that signs in here.
type DeviceState struct {
	ID      string         `json:"id"`
	From    string         `json:"from,omitempty"`
	Online  bool           `json:"online"`
	Sending bool           `json:"sending"`
	Phase   phrase.Message `json:"phase"`
}

// Shown is told once of each session that a platform began.
type Shown struct {
	Platform string `json:"platform"`
	Stream   string `json:"stream"`
	Kind     string `json:"kind"`
	To       string `json:"to"`
}
