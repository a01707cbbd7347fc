package recorder

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"tocsin/firmware/video/stream"
)

// The tracks of a segment.
const (
	pictureTrack = 1
	soundTrack   = 2
)

// format is what a segment's pictures and sound are coded in. Another one needs
// another segment.
type format struct {
	picture stream.Codec
	vps     [][]byte
	sps     [][]byte
	pps     [][]byte
	sound   stream.Codec // None without sound
	width   int
	height  int
}

// bounds of what a source may call a parameter set.
const (
	mostSets     = 16
	mostSetBytes = 4096
)

// formatOf reads the parameter sets that stand before a key picture.
func formatOf(c stream.Codec, nals [][]byte, sound stream.Codec) (*format, error) {
	f := &format{picture: c, sound: sound}
	for _, n := range nals {
		set := f.set(n)
		if set == nil || slices.ContainsFunc(*set, func(o []byte) bool { return bytes.Equal(o, n) }) {
			continue
		}
		if len(*set) == mostSets || len(n) > mostSetBytes {
			return nil, errors.New("recorder: too many or too large parameter sets")
		}
		*set = append(*set, n)
	}
	if len(f.sps) == 0 || len(f.pps) == 0 || c == stream.H265 && len(f.vps) == 0 {
		return nil, errors.New("recorder: a key picture without its parameter sets")
	}
	var err error
	if c == stream.H264 {
		var s h264.SPS
		if err = s.Unmarshal(f.sps[0]); err == nil {
			f.width, f.height = s.Width(), s.Height()
		}
		if len(f.sps[0]) < 4 {
			err = errors.New("short")
		}
	} else {
		var s h265.SPS
		if err = s.Unmarshal(f.sps[0]); err == nil {
			f.width, f.height = s.Width(), s.Height()
		}
	}
	if err == nil && (f.width <= 0 || f.height <= 0 || f.width > 1<<14 || f.height > 1<<14) {
		err = fmt.Errorf("%d x %d", f.width, f.height)
	}
	if err != nil {
		return nil, fmt.Errorf("recorder: the sequence parameter set: %w", err)
	}
	return f, nil
}

// set gives the list that a unit of the bit stream belongs to, nil for pictures and
// all else (H.264 table 7-1, H.265 table 7-1).
func (f *format) set(nal []byte) *[][]byte {
	if len(nal) < 2 {
		return nil
	}
	if f.picture == stream.H264 {
		switch nal[0] & 31 {
		case 7:
			return &f.sps
		case 8:
			return &f.pps
		}
		return nil
	}
	switch nal[0] >> 1 & 63 {
	case 32:
		return &f.vps
	case 33:
		return &f.sps
	case 34:
		return &f.pps
	}
	return nil
}

// holds says that the segment's head already has this parameter set.
func (f *format) holds(nal []byte) bool {
	set := f.set(nal)
	return set != nil && slices.ContainsFunc(*set, func(o []byte) bool { return bytes.Equal(o, nal) })
}

func (f *format) equal(o *format) bool {
	same := func(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }
	return f.picture == o.picture && f.sound == o.sound && same(f.vps, o.vps) && same(f.sps, o.sps) && same(f.pps, o.pps)
}

// head makes ftyp and moov (14496-12 4.3, 8.2.1).
func (f *format) head() []byte {
	w := &boxes{b: make([]byte, 0, 1024)}
	w.box("ftyp", func() { w.text("iso5"); w.u32(512); w.text("iso5iso6mp41") })
	w.box("moov", func() {
		w.full("mvhd", 0, 0, func() {
			w.u32(0, 0, 1000, 0, 0x10000)
			w.u16(0x0100)
			w.zeros(10)
			w.matrix()
			w.zeros(24)
			w.u32(soundTrack + 1)
		})
		f.track(w, pictureTrack, f.picture)
		if f.sound != stream.None {
			f.track(w, soundTrack, f.sound)
		}
		w.box("mvex", func() {
			// Room for a movie extends header (8.8.2), which is written when a film of
			// known length is played.
			w.box("free", func() { w.zeros(12) })
			for id := range f.tracks() {
				w.full("trex", 0, 0, func() { w.u32(uint32(id+1), 1, 0, 0, 0) })
			}
		})
	})
	return w.b
}

func (f *format) tracks() int {
	if f.sound == stream.None {
		return 1
	}
	return 2
}

func (f *format) track(w *boxes, id uint32, c stream.Codec) {
	w.box("trak", func() {
		w.full("tkhd", 0, 3, func() {
			w.u32(0, 0, id, 0, 0, 0, 0)
			w.u16(0)
			w.u16(uint16(id - 1)) // alternate group: sound has its own
			if c.Picture() {
				w.u16(0)
			} else {
				w.u16(0x0100)
			}
			w.u16(0)
			w.matrix()
			if c.Picture() {
				w.u32(uint32(f.width)<<16, uint32(f.height)<<16)
			} else {
				w.u32(0, 0)
			}
		})
		w.box("mdia", func() {
			w.full("mdhd", 0, 0, func() { w.u32(0, 0, uint32(c.Rate()), 0, 0x55c40000) }) // "und"
			w.full("hdlr", 0, 0, func() {
				w.u32(0)
				if c.Picture() {
					w.text("vide")
				} else {
					w.text("soun")
				}
				w.zeros(12)
				w.text("Tocsin\x00")
			})
			w.box("minf", func() {
				if c.Picture() {
					w.full("vmhd", 0, 1, func() { w.zeros(8) })
				} else {
					w.full("smhd", 0, 0, func() { w.zeros(4) })
				}
				w.box("dinf", func() {
					w.full("dref", 0, 0, func() { w.u32(1); w.full("url ", 0, 1, func() {}) })
				})
				w.box("stbl", func() {
					w.full("stsd", 0, 0, func() { w.u32(1); f.entry(w, c) })
					w.full("stts", 0, 0, func() { w.u32(0) })
					w.full("stsc", 0, 0, func() { w.u32(0) })
					w.full("stsz", 0, 0, func() { w.u32(0, 0) })
					w.full("stco", 0, 0, func() { w.u32(0) })
				})
			})
		})
	})
}

// entry is the sample entry (8.5.2, 12.1.3, 12.2.3).
func (f *format) entry(w *boxes, c stream.Codec) {
	switch c {
	case stream.H264:
		w.box("avc1", func() { f.visual(w); w.box("avcC", func() { f.avcC(w) }) })
	case stream.H265:
		w.box("hvc1", func() { f.visual(w); w.box("hvcC", func() { f.hvcC(w) }) })
	case stream.Opus:
		w.box("Opus", func() {
			audible(w, 2, c)
			// Two channels decode a packet of one too; RTP says no pre-skip.
			w.box("dOps", func() { w.u8(0, 2); w.u16(0); w.u32(48000); w.u16(0); w.u8(0) })
		})
	case stream.PCMA:
		w.box("alaw", func() { audible(w, 1, c) })
	case stream.PCMU:
		w.box("ulaw", func() { audible(w, 1, c) })
	}
}

func (f *format) visual(w *boxes) {
	w.zeros(6)
	w.u16(1)
	w.zeros(16)
	w.u16(uint16(f.width))
	w.u16(uint16(f.height))
	w.u32(0x00480000, 0x00480000, 0)
	w.u16(1)
	w.zeros(32)
	w.u16(0x0018)
	w.u16(0xffff)
}

func audible(w *boxes, channels uint16, c stream.Codec) {
	w.zeros(6)
	w.u16(1)
	w.zeros(8)
	w.u16(channels)
	w.u16(16)
	w.u32(0, uint32(c.Rate())<<16)
}

// avcC is 14496-15 5.3.3.1.
func (f *format) avcC(w *boxes) {
	s := f.sps[0]
	w.u8(1, s[1], s[2], s[3], 0xff, 0xe0|uint8(len(f.sps)))
	for _, n := range f.sps {
		w.u16(uint16(len(n)))
		w.bytes(n)
	}
	w.u8(uint8(len(f.pps)))
	for _, n := range f.pps {
		w.u16(uint16(len(n)))
		w.bytes(n)
	}
	switch s[1] {
	case 100, 110, 122, 144:
		var p h264.SPS
		if p.Unmarshal(s) != nil {
			return
		}
		w.u8(0xfc|uint8(p.ChromaFormatIdc), 0xf8|uint8(p.BitDepthLumaMinus8), 0xf8|uint8(p.BitDepthChromaMinus8), 0)
	}
}

// hvcC is 14496-15 8.3.3.1; the general profile, tier and level are the bytes of the
// SPS itself (H.265 7.3.3).
func (f *format) hvcC(w *boxes) {
	var p h265.SPS
	raw := h264.EmulationPreventionRemove(f.sps[0])
	if p.Unmarshal(f.sps[0]) != nil || len(raw) < 15 {
		return // formatOf has read it
	}
	w.u8(1)
	w.bytes(raw[3:15])
	w.u16(0xf000)
	nested := uint8(0)
	if p.TemporalIDNestingFlag {
		nested = 1
	}
	w.u8(0xfc, 0xfc|uint8(p.ChromaFormatIdc), 0xf8|uint8(p.BitDepthLumaMinus8), 0xf8|uint8(p.BitDepthChromaMinus8))
	w.u16(0)
	w.u8((p.MaxSubLayersMinus1+1)<<3|nested<<2|3, 3)
	for i, set := range [][][]byte{f.vps, f.sps, f.pps} {
		w.u8(0x80 | uint8(32+i))
		w.u16(uint16(len(set)))
		for _, n := range set {
			w.u16(uint16(len(n)))
			w.bytes(n)
		}
	}
}
