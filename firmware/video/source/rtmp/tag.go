package rtmp

import (
	"errors"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/stream"
)

// part says what a tag carries.
type part uint8

const (
	partNothing part = iota // metadata, commands, an end: nothing that is shown
	partConfig              // a decoder configuration record
	partFrames
)

var errTag = errors.New("tag is cut off")

// What enhanced tags are made of (Enhanced RTMP v2, "Enhanced Video", "Enhanced Audio").
const (
	packetStart      = 0
	packetFrames     = 1
	packetEnd        = 2
	packetFramesX    = 3 // no composition time
	packetMultitrack = 6
	audioMultitrack  = 5
	packetModEx      = 7
	frameKey         = 1
	frameCommand     = 5
)

// videoTag is what a video message says (FLV E.4.3; Enhanced RTMP).
type videoTag struct {
	part  part
	codec stream.Codec
	key   bool
	shift int32 // composition time, ms: how much later than decoded it is shown
	data  []byte
}

// readVideo takes a video message apart. The error is a phrase where a person can mend it.
func readVideo(b []byte) (videoTag, error) {
	if len(b) == 0 {
		return videoTag{}, nil // some encoders say by this that it goes on
	}
	if b[0]&0x80 != 0 {
		return readEnhanced(b)
	}
	t := videoTag{key: b[0]>>4 == frameKey}
	if b[0]>>4 == frameCommand {
		return t, nil
	}
	switch b[0] & 0x0f {
	case 7:
		t.codec = stream.H264
	case 12:
		t.codec = stream.H265
	default:
		return t, phrase.E("rtmp.codec", "codec", oldCodec(b[0]&0x0f))
	}
	if len(b) < 5 {
		return t, errTag
	}
	switch b[1] {
	case 0:
		t.part = partConfig
	case 1:
		t.part = partFrames
		t.shift = int24(b[2:])
	}
	t.data = b[5:]
	return t, nil
}

func readEnhanced(b []byte) (videoTag, error) {
	frame, packet, b, err := ahead(b[0]>>4&7, b[0]&0x0f, b[1:])
	t := videoTag{key: frame == frameKey}
	if err != nil || frame == frameCommand {
		return t, err
	}
	if packet == packetMultitrack {
		return t, phrase.E("rtmp.multitrack")
	}
	if len(b) < 4 {
		return t, errTag
	}
	switch string(b[:4]) {
	case "avc1":
		t.codec = stream.H264
	case "hvc1":
		t.codec = stream.H265
	default:
		return t, phrase.E("rtmp.codec", "codec", printable(b[:4]))
	}
	b = b[4:]
	switch packet {
	case packetStart:
		t.part = partConfig
	case packetFrames:
		if len(b) < 3 {
			return t, errTag
		}
		t.part, t.shift, b = partFrames, int24(b), b[3:]
	case packetFramesX:
		t.part = partFrames
	}
	t.data = b
	return t, nil
}

// ahead skips the modifiers that may stand before what a packet is ("ModEx"): they tell
// nanoseconds, which nobody here needs.
func ahead(frame, packet byte, b []byte) (byte, byte, []byte, error) {
	for packet == packetModEx {
		if len(b) < 1 {
			return frame, packet, b, errTag
		}
		n := int(b[0]) + 1
		b = b[1:]
		if n == 256 {
			if len(b) < 2 {
				return frame, packet, b, errTag
			}
			n = int(b[0])<<8 + int(b[1]) + 1
			b = b[2:]
		}
		if len(b) < n+1 {
			return frame, packet, b, errTag
		}
		packet = b[n] & 0x0f
		b = b[n+1:]
	}
	return frame, packet, b, nil
}

// audioTag is what an audio message says (FLV E.4.2; Enhanced RTMP).
type audioTag struct {
	codec stream.Codec // None: not carried, and note says why
	note  stream.Note
	data  []byte
}

// readAudio takes an audio message apart.
func readAudio(b []byte) audioTag {
	if len(b) == 0 {
		return audioTag{}
	}
	stereo := b[0]&1 != 0
	switch b[0] >> 4 {
	case 7, 8:
		if stereo {
			return audioTag{note: stream.Foreign}
		}
		if b[0]>>4 == 7 {
			return audioTag{codec: stream.PCMA, data: b[1:]}
		}
		return audioTag{codec: stream.PCMU, data: b[1:]}
	case 9:
		return readEnhancedAudio(b)
	case 10:
		return audioTag{note: stream.AACDropped}
	}
	return audioTag{note: stream.Foreign}
}

func readEnhancedAudio(b []byte) audioTag {
	_, packet, b, err := ahead(0, b[0]&0x0f, b[1:])
	if err != nil || packet == audioMultitrack || len(b) < 4 {
		return audioTag{note: stream.Foreign}
	}
	switch {
	case string(b[:4]) == "mp4a":
		return audioTag{note: stream.AACDropped}
	case string(b[:4]) != "Opus":
		return audioTag{note: stream.Foreign}
	case packet == packetFrames && len(b) > 4:
		return audioTag{codec: stream.Opus, data: b[4:]}
	}
	return audioTag{}
}

// oldCodec names FLV's video codecs that are not carried (E.4.3.1).
func oldCodec(id byte) string {
	switch id {
	case 2:
		return "H.263 (Sorenson)"
	case 3, 6:
		return "Screen Video"
	case 4, 5:
		return "VP6"
	case 13:
		return "AV1"
	}
	return "FLV " + string("0123456789abcdef"[id])
}

// printable keeps a foreign fourcc from spoiling a line.
func printable(b []byte) string {
	s := []byte(string(b))
	for i, c := range s {
		if c < 0x20 || c > 0x7e {
			s[i] = '?'
		}
	}
	return string(s)
}

func int24(b []byte) int32 { return int32(uint24(b)<<8) >> 8 }
