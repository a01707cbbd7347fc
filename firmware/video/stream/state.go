package stream

import (
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// A Note is something about a stream that people should know. Sources and the writer
// note them; the text is of phrase, by the code "stream." + Note.
type Note string

// What may be noted.
const (
	AACDropped  Note = "aac_dropped"   // sound in AAC came; no browser plays it here
	SoundAbsent Note = "sound_absent"  // sound was announced and does not come
	Split       Note = "split"         // pictures come in several messages: one picture later on
	Reordered   Note = "reordered"     // B-frames
	Referenced  Note = "b_referenced"  // B-frames that others need: not for browsers
	Jumped      Note = "time_jumped"   // the source's time ran back or jumped
	NoKey       Note = "no_key"        // no key picture for 20 s
	Unkept      Note = "group_too_big" // the group of pictures is too big to be kept
	Unreadable  Note = "parameters"    // its parameter sets cannot be read
	Foreign     Note = "codec_unknown" // a track in a codec that is not carried
	Damaged     Note = "damaged"       // pictures came broken or with a part missing and were dropped
)

// Parameters are the parameter sets now in force.
type Parameters struct {
	Codec         Codec
	VPS, SPS, PPS []byte
	Width, Height int
	FPS           float64 // as the parameter sets say; 0 where they do not
	Version       int     // counts changes, from 1
}

// State is a stream as it is now.
type State struct {
	Name      string
	From      string // way and address of who publishes; empty where nobody does
	Since     time.Duration
	Picture   Parameters
	Sound     Codec
	Reordered bool
	Notes     []Note
	Readers   int
	Bitrate   int           // bit/s over the last seconds
	FPS       float64       // measured
	Group     int           // bytes kept since the last key picture
	GroupAge  time.Duration // since that picture came; 0 where none is kept
	KeyEvery  time.Duration // between the last two key pictures
	Last      time.Duration // when the last picture came
	Rungs     int           // how many the source offers
	Rung      int
	CanAskKey bool
	Skipped   uint64 // units that slow readers lost, all together
}

// read takes what parameter sets say.
func (p *Parameters) read() bool {
	switch p.Codec {
	case H264:
		var s h264.SPS
		if s.Unmarshal(p.SPS) != nil {
			return false
		}
		p.Width, p.Height, p.FPS = s.Width(), s.Height(), s.FPS()
	case H265:
		var s h265.SPS
		if s.Unmarshal(p.SPS) != nil {
			return false
		}
		p.Width, p.Height, p.FPS = s.Width(), s.Height(), s.FPS()
	}
	return true
}

// set keeps one parameter set, and says whether it was news.
func (p *Parameters) set(c Codec, n []byte) bool {
	if p.Codec != c {
		*p = Parameters{Codec: c, Version: p.Version}
	}
	at := &p.PPS
	switch t := nalType(c, n); {
	case c == H265 && t == 32:
		at = &p.VPS
	case c == H265 && t == 33, c == H264 && t == 7:
		at = &p.SPS
	}
	if string(*at) == string(n) {
		return false
	}
	*at = n
	p.Version++
	return true
}

// whole says that decoding may begin with them.
func (p *Parameters) whole() bool {
	return p.SPS != nil && p.PPS != nil && (p.Codec != H265 || p.VPS != nil)
}
