package video

import (
	"tocsin/firmware/phrase"
	"tocsin/firmware/video/stream"
)

// Said is a note for people.
func Said(n stream.Note) phrase.Message {
	switch n {
	case stream.AACDropped:
		return phrase.M("stream.aac_dropped")
	case stream.SoundAbsent:
		return phrase.M("stream.sound_absent")
	case stream.Split:
		return phrase.M("stream.split")
	case stream.Reordered:
		return phrase.M("stream.reordered")
	case stream.Referenced:
		return phrase.M("stream.b_referenced")
	case stream.Jumped:
		return phrase.M("stream.time_jumped")
	case stream.NoKey:
		return phrase.M("stream.no_key")
	case stream.Unkept:
		return phrase.M("stream.group_too_big")
	case stream.Damaged:
		return phrase.M("stream.damaged")
	case stream.Unreadable:
		return phrase.M("stream.parameters")
	}
	return phrase.M("stream.codec_unknown")
}
