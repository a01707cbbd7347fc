package rtsp

import (
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"

	"tocsin/firmware/video/stream"
)

// A track is what is taken of a description: one of pictures, one of sound.
type track struct {
	media  *description.Media
	format format.Format
	codec  stream.Codec
	// sets are the parameter sets of the description, for senders that never say
	// them in the stream.
	sets [][]byte
}

// choose takes the first track of pictures and the first of sound that can be
// carried, and notes what is left.
func choose(d *description.Session) (picture, sound *track, notes []stream.Note) {
	for _, m := range d.Medias {
		if m.IsBackChannel {
			continue
		}
		for _, f := range m.Formats {
			t := &track{media: m, format: f}
			switch f := f.(type) {
			case *format.H264:
				t.codec = stream.H264
				t.sets = some(f.SPS, f.PPS)
			case *format.H265:
				if f.MaxDONDiff > 0 {
					continue // units out of order: no camera that we know sends them
				}
				t.codec = stream.H265
				t.sets = some(f.VPS, f.SPS, f.PPS)
			case *format.G711:
				if f.SampleRate != 8000 || f.ChannelCount != 1 {
					notes = append(notes, stream.Foreign)
					continue
				}
				if t.codec = stream.PCMA; f.MULaw {
					t.codec = stream.PCMU
				}
			case *format.Opus:
				if f.ChannelCount > 2 {
					notes = append(notes, stream.Foreign)
					continue
				}
				t.codec = stream.Opus
			case *format.MPEG4Audio, *format.MPEG4AudioLATM:
				notes = append(notes, stream.AACDropped)
				continue
			default:
				switch {
				case isAAC(f.RTPMap()):
					notes = append(notes, stream.AACDropped)
				case m.Type == description.MediaTypeAudio:
					notes = append(notes, stream.Foreign)
				}
				continue
			}
			if t.codec.Picture() && picture == nil {
				picture = t
			} else if !t.codec.Picture() && sound == nil {
				sound = t
			}
		}
	}
	return picture, sound, notes
}

// some gives the sets if there are all of them.
func some(sets ...[]byte) [][]byte {
	for _, s := range sets {
		if len(s) == 0 {
			return nil
		}
	}
	return sets
}
