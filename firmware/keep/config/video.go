package config

import "tocsin/firmware/phrase"

// Video is this site's live pictures.
type Video struct {
	// Listen is WebRTC's port, UDP and TCP (":8555"). RTSP, RTMP and SRT are where drones and
	// encoders publish, and players read by RTSP; without an address they are off.
	Listen string `yaml:"listen"`
	RTSP   string `yaml:"rtsp"`
	RTMP   string `yaml:"rtmp"`
	SRT    string `yaml:"srt"`
	// Viewers is how many may watch here at once (16).
	Viewers int `yaml:"viewers"`
	// Memory is the most that the video process may take (256 MiB).
	Memory Size `yaml:"memory"`
	// Streams are the pictures, by names of the site's own.
	Streams map[string]Camera `yaml:"streams"`
	Record  *VideoRecord      `yaml:"record"`
	// Platforms are those of GB/T 28181 at which this box signs in, by names of the site's
	// own; Sessions is how many pictures they may have at once, all together (4).
	Platforms map[string]Platform `yaml:"platforms"`
	Sessions  int                 `yaml:"sessions"`
	// Upper is where cameras and drones of GB/T 28181 sign in.
	Upper *Upper `yaml:"upper"`
}

// Camera is one stream: published with its key, pulled by RTSP, a transport stream, or of a
// device that signs in by GB/T 28181.
type Camera struct {
	Name phrase.Text `yaml:"name"`
	// Key is a file with the key by which it is published, View one with the key by which it
	// is read by RTSP.
	Key  string `yaml:"key"`
	View string `yaml:"view"`
	// Pull is the camera's RTSP address, Low that of its lower stream, without user and
	// password; UDP has it send by UDP.
	Pull string `yaml:"pull"`
	Low  string `yaml:"low"`
	UDP  bool   `yaml:"udp"`
	// ONVIF is the camera's device service (http://…/onvif/device_service): stills and key
	// pictures are asked for there.
	ONVIF string `yaml:"onvif"`
	// User is the camera's, Password a file with its password.
	User     string `yaml:"user"`
	Password string `yaml:"password"`
	// Port is the UDP port of a transport stream (":9000"), From the network that may send it.
	Port string `yaml:"port"`
	From string `yaml:"from"`
	// Device is the code with which it signs in here by GB/T 28181 (with Password), Channel
	// that of its camera (the first that it tells); TCP has pictures come by TCP, SHA256 has
	// it prove its password by SHA-256 instead of MD5.
	Device  Code `yaml:"device"`
	Channel Code `yaml:"channel"`
	TCP     bool `yaml:"tcp"`
	SHA256  bool `yaml:"sha256"`
	// Here keeps it on the site's own network: the county is not shown it.
	Here bool `yaml:"here"`
	// Unrecorded leaves it out of the recording.
	Unrecorded bool `yaml:"unrecorded"`
}

// VideoRecord is how pictures are kept.
type VideoRecord struct {
	// Quota and Clips bound the ring and what alarms pin (4 GiB, 1 GiB), of all streams together.
	Quota Size `yaml:"quota"`
	Clips Size `yaml:"clips"`
	// Keep and KeepClips are how long at most: the county's word on privacy.
	Keep      Span `yaml:"keep"`
	KeepClips Span `yaml:"keep_clips"`
	// Page lets whoever may see the live pictures here see what was recorded; else only who has the
	// box's own socket.
	Page bool `yaml:"page"`
	// Before and After an alarm are pinned (1m, 5m).
	Before Span `yaml:"before"`
	After  Span `yaml:"after"`
}
