package terms

import (
	"time"

	"tocsin/firmware/phrase"
)

// State is what the child tells of itself.
type State struct {
	Streams []StreamState             `json:"streams"`
	Viewers []Viewer                  `json:"viewers"`
	Faults  map[string]phrase.Message `json:"faults,omitempty"`
	// Budget is what the links bear for pictures as the parent said, bit/s; 0: no bound.
	Budget    int             `json:"budget"`
	Platforms []PlatformState `json:"platforms,omitempty"`
	// Clips changes when a clip or what became of it does; 0 until all of them were read.
	Clips uint64 `json:"clips"`
	// Waiting are clips that are finished and may go to the county; Sending says that the
	// county has asked for them.
	Waiting int  `json:"waiting"`
	Sending bool `json:"sending,omitempty"`
}

// StreamState is one stream for those who show it.
type StreamState struct {
	Name    string        `json:"name"`
	From    string        `json:"from,omitempty"` // who publishes; empty: nobody
	Codec   string        `json:"codec,omitempty"`
	Sound   string        `json:"sound,omitempty"`
	Width   int           `json:"width,omitempty"`
	Height  int           `json:"height,omitempty"`
	FPS     float64       `json:"fps,omitempty"`
	Bitrate int           `json:"bitrate,omitempty"`
	Key     time.Duration `json:"key_every_ns,omitempty"`
	Age     time.Duration `json:"age_ns,omitempty"` // of the newest picture
	// Notes are codes of what people should know of it, Said the same in words, and Told
	// the one that the county should know too.
	Notes []string         `json:"notes,omitempty"`
	Said  []phrase.Message `json:"said,omitempty"`
	Told  *phrase.Message  `json:"told,omitempty"`
	Rung  int              `json:"rung"`
	Why   *phrase.Message  `json:"why,omitempty"` // why the source's answer is not there
	// Push is how it goes to the county; nil where nobody there looks.
	Push *PushState `json:"push,omitempty"`
	// Record is how it is kept; nil where it is not.
	Record *Recording `json:"record,omitempty"`
	Still  uint64     `json:"still,omitempty"` // number of the latest still
	// Device is of a stream that a device of GB/T 28181 sends.
	Device *DeviceState `json:"device,omitempty"`
}

// PushState is a stream on its way to the county.
type PushState struct {
	Rung      int            `json:"rung"`
	Reason    phrase.Message `json:"reason"`
	Since     time.Duration  `json:"since_ns"` // for how long
	Budget    int            `json:"budget"`
	Bitrate   int            `json:"bitrate"`
	Estimate  int            `json:"estimate"`
	Loss      float64        `json:"loss"`
	RTT       time.Duration  `json:"rtt_ns"`
	Connected bool           `json:"connected"`
}

// Viewer is one who watches on the box's own network.
type Viewer struct {
	Stream  string        `json:"stream"`
	Name    string        `json:"name"`
	Remote  string        `json:"remote"`
	For     time.Duration `json:"for_ns"`
	Behind  time.Duration `json:"behind_ns"`
	Skipped uint64        `json:"skipped"`
	LeftOut uint64        `json:"left_out"`
	Loss    float64       `json:"loss"`
}

// Recording is how a stream is kept.
type Recording struct {
	// Ready says that the ring has been read after the start.
	Ready bool `json:"ready"`
	// Recording says that a segment is open.
	Recording bool `json:"recording"`
	// Segments of the ring, their Bytes, and those of the clips.
	Segments  int   `json:"segments"`
	Bytes     int64 `json:"bytes"`
	Clips     int   `json:"clips"`
	ClipBytes int64 `json:"clip_bytes"`
	// LostPictures, LostBytes and Lost (time) could not be kept since the start; LostKeys
	// came without what a decoder needs.
	LostPictures uint64        `json:"lost_pictures"`
	LostBytes    uint64        `json:"lost_bytes"`
	Lost         time.Duration `json:"lost"`
	// Cut counts segments that ended torn and were cut behind their last good fragment.
	Cut int `json:"cut"`
	// Slowest is the longest that a fragment took to be written and flushed.
	Slowest time.Duration `json:"slowest"`
	// Waiting is what waits for the disk, in bytes; Writing how long the disk has been at
	// what it was given last, zero where it is done.
	Waiting int           `json:"waiting"`
	Writing time.Duration `json:"writing"`
	// Fault is what is wrong with the disk.
	Fault phrase.Message `json:"fault,omitzero"`
}
