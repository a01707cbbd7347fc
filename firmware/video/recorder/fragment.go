package recorder

import (
	"time"

	"tocsin/firmware/video/stream"
)

// sample is a picture or a packet of sound, on the box's monotonic clock.
type sample struct {
	decode   int64 // ticks of the track's clock since the boot
	duration uint32
	offset   int32 // when it is shown, after decode
	key      bool
	nals     [][]byte
	sound    []byte
	size     int // in the mdat
}

// fragment is what is written in one go: a second of pictures and the sound beside.
type fragment struct {
	format   *format
	key, gap bool
	from, to time.Duration
	pictures []sample
	sounds   []sample
	size     int // of all samples
}

// Flags of a sample (14496-12 8.8.3.1): a key picture depends on nothing; any other
// depends and is no place to begin.
const (
	keyFlags   = 0x02000000
	otherFlags = 0x01010000
)

// marshal appends moof, mdat and seal to b. The order is that of the segment.
func (f *fragment) marshal(b []byte, number uint32, labelSum uint32, s seal) []byte {
	at := len(b)
	w := &boxes{b: b}
	var places []int
	w.box("moof", func() {
		w.full("mfhd", 0, 0, func() { w.u32(number + 1) })
		if len(f.pictures) > 0 {
			places = append(places, traf(w, pictureTrack, f.pictures, true))
		}
		if len(f.sounds) > 0 {
			places = append(places, traf(w, soundTrack, f.sounds, false))
		}
	})
	data := len(w.b)
	w.u32(uint32(8 + f.size))
	w.text("mdat")
	for _, track := range [][]sample{f.pictures, f.sounds} {
		if len(track) == 0 {
			continue
		}
		be.PutUint32(w.b[places[0]:], uint32(len(w.b)-at))
		places = places[1:]
		for _, x := range track {
			for _, n := range x.nals {
				w.u32(uint32(len(n)))
				w.bytes(n)
			}
			w.bytes(x.sound)
		}
	}
	be.PutUint32(w.b[data:], uint32(len(w.b)-data))
	s.number, s.key, s.gap, s.from, s.to = number, f.key, f.gap, f.from, f.to
	return s.appendTo(w.b, at, labelSum)
}

// room is how many bytes marshal needs.
func (f *fragment) room() int {
	return f.size + 16*len(f.pictures) + 8*len(f.sounds) + 200 + sealSize
}

// traf writes a track's part (8.8.6 to 8.8.8, 8.8.12) and gives where its data offset lies.
func traf(w *boxes, id uint32, samples []sample, pictures bool) (place int) {
	w.box("traf", func() {
		w.full("tfhd", 0, 0x020000, func() { w.u32(id) })
		w.full("tfdt", 1, 0, func() { w.u64(uint64(samples[0].decode)) })
		present := uint32(0x000301)
		if pictures {
			present = 0x000f01
		}
		w.full("trun", 1, present, func() {
			w.u32(uint32(len(samples)))
			place = len(w.b)
			w.u32(0)
			for _, x := range samples {
				w.u32(x.duration, uint32(x.size))
				switch {
				case pictures && x.key:
					w.u32(keyFlags, uint32(x.offset))
				case pictures:
					w.u32(otherFlags, uint32(x.offset))
				}
			}
		})
	})
	return place
}

// ticks turns a time since the boot into ticks of a codec's clock.
func ticks(d time.Duration, c stream.Codec) int64 {
	rate := c.Rate()
	s, rest := d/time.Second, d%time.Second
	return int64(s)*rate + int64(rest)*rate/int64(time.Second)
}

func unticks(t int64, c stream.Codec) time.Duration {
	rate := c.Rate()
	return time.Duration(t/rate)*time.Second + time.Duration(t%rate)*time.Second/time.Duration(rate)
}
