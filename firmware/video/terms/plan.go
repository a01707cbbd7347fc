package terms

import (
	"net/netip"
	"time"

	"tocsin/firmware/clock"
)

// The child inherits, beside its standard files, the socket at which the box asks and a
// pipe with the plan, which ends with it.
const (
	SocketFile = 3
	PlanFile   = 4
)

// Program is the child's, beside the box's own.
const Program = "edged-video"

// Plan is what the child is given: its streams, their credentials and its ports,
// nothing else of the box.
type Plan struct {
	// Listen is WebRTC's port (UDP and TCP); RTSP, RTMP and SRT are off where empty.
	Listen string `json:"listen"`
	RTSP   string `json:"rtsp,omitempty"`
	RTMP   string `json:"rtmp,omitempty"`
	SRT    string `json:"srt,omitempty"`
	// Loopback offers 127.0.0.1 to viewers too.
	Loopback bool     `json:"loopback,omitempty"`
	Streams  []Source `json:"streams"`
	// Viewers is how many may watch at once.
	Viewers int `json:"viewers,omitempty"`
	// FFmpeg makes stills where a camera has none; empty where the box has none.
	FFmpeg string `json:"ffmpeg,omitempty"`
	// Record is nil where nothing is kept.
	Record *Record `json:"record,omitempty"`
	// Platforms are where the box signs in, Sessions how many pictures they may have at
	// once, About what it says of itself there. Upper is where devices sign in; nil: none do.
	Platforms []Platform `json:"platforms,omitempty"`
	Sessions  int        `json:"sessions,omitempty"`
	About     About      `json:"about,omitzero"`
	Upper     *Upper     `json:"upper,omitempty"`
	// Floor and Trust are the box's clock as it was when the child began.
	Floor time.Time   `json:"floor"`
	Trust clock.Trust `json:"trust"`
	// Rules are those of video.yaml, as text.
	Rules string `json:"rules"`
}

// Source is one stream.
type Source struct {
	Name string `json:"name"`
	// Key lets somebody publish it, View read it by RTSP.
	Key  string `json:"key,omitempty"`
	View string `json:"view,omitempty"`
	// Pull are RTSP addresses that are asked, the best first.
	Pull []string `json:"pull,omitempty"`
	// UDP has them sent by UDP.
	UDP bool `json:"udp,omitempty"`
	// ONVIF is the address of the camera's device service.
	ONVIF string `json:"onvif,omitempty"`
	// User and Password are the camera's.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	// TS is the UDP port of an MPEG transport stream, From who may send it.
	TS   string       `json:"ts,omitempty"`
	From netip.Prefix `json:"from,omitzero"`
	// Device is what signs in with it and the Password.
	Device *Device `json:"device,omitempty"`
	// Record keeps it; Here keeps its clips from the county.
	Record bool `json:"record,omitempty"`
	Here   bool `json:"here,omitempty"`
}

// Record says what is kept, where.
type Record struct {
	Dir       string        `json:"dir"`
	Quota     int64         `json:"quota"` // bytes, of all streams together
	ClipQuota int64         `json:"clip_quota"`
	Age       time.Duration `json:"age,omitempty"`
	ClipAge   time.Duration `json:"clip_age,omitempty"`
}
