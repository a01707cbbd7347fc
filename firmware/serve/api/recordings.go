package api

import (
	"io"
	"time"
)

// RecordPath is where the page sends recordings; LargestRecording is half a minute of two channels at 48 kHz.
const (
	RecordPath       = "/cadre/record"
	LargestRecording = 6 << 20
)

// Recording is a message that somebody of the village recorded. Before it is used somebody listens to it.
type Recording struct {
	ID   string    `json:"id"`
	Name string    `json:"name"`
	Who  string    `json:"who"`
	At   time.Time `json:"at"`
	// Long is how long it lasts.
	Long time.Duration `json:"long_ns"`
	// Used: it is among the messages. Heard: it was listened to.
	Used  bool `json:"used"`
	Heard bool `json:"heard"`
}

// Recorder is a box that takes recordings. The page's ways in are plain forms (package page).
type Recorder interface {
	// Record takes a WAV file; its name is what the button will say.
	Record(name string, wav io.Reader, who Who) (Recording, error)
	// Recorded gives its sound as a file of 16-bit samples, and counts as listening; ErrUnknown is wrapped where there is none.
	Recorded(id string) ([]byte, error)
	// UseRecording puts one that was listened to among the messages, DropRecording deletes one.
	UseRecording(id string, who Who) error
	DropRecording(id string, who Who) error
}
