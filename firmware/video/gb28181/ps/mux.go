package ps

import (
	"encoding/binary"

	"tocsin/firmware/video/stream"
)

// Stream types of the program stream map (ISO/IEC 13818-1 table 2-34; GB/T 28181-2022
// C.2.1 for G.711).
const (
	typeAAC   = 0x0F
	typeMPEG4 = 0x10
	typeH264  = 0x1B
	typeH265  = 0x24
	typeSVAC  = 0x80
	typeG711A = 0x90
	typeG711U = 0x91
)

// Start codes' last bytes.
const (
	idEnd     = 0xB9
	idPack    = 0xBA
	idSystem  = 0xBB
	idMap     = 0xBC
	idPrivate = 0xBD
	idPadding = 0xBE
	idSound   = 0xC0
	idPicture = 0xE0
)

// mostPES is the payload of a PES packet at most: with its header of 14 + 5 bytes it
// stays below the 65,535 that its length can say.
const mostPES = 65000

// ahead is how long before its decoding a unit is said to arrive, and begin where the
// clocks begin, so that no time is below nought (90 kHz).
const (
	ahead = 9000
	begin = 90000
)

func typeOf(c stream.Codec) byte {
	switch c {
	case stream.H264:
		return typeH264
	case stream.H265:
		return typeH265
	case stream.PCMA:
		return typeG711A
	case stream.PCMU:
		return typeG711U
	}
	return 0
}

// Carries says that a program stream of GB/T 28181 can carry it (Opus it cannot).
func Carries(c stream.Codec) bool { return typeOf(c) != 0 }

// Muxer makes packs of units. The zero Muxer is ready. It is of one reader: not for
// several goroutines.
type Muxer struct {
	// Rate is the stream's bit rate, for the headers; nought says 8 Mbit/s.
	Rate int

	picture, sound stream.Codec
	version        byte
	mapped         bool // the map was sent since it changed
}

// Ticks is the unit's time of decoding on the stream's clock of 90 kHz: what its RTP
// packets say.
func Ticks(u *stream.Unit) int64 { return at(u, u.Decode) }

func at(u *stream.Unit, t int64) int64 {
	if r := u.Codec.Rate(); r != 90000 {
		t = t * 90000 / r
	}
	return t + begin
}

// Append makes a pack of the unit at the end of dst. Where the unit's codec cannot be
// carried, dst comes back as it was.
func (m *Muxer) Append(dst []byte, u *stream.Unit) []byte {
	if !Carries(u.Codec) || len(u.NALs) == 0 && len(u.Sound) == 0 {
		return dst
	}
	if u.Codec.Picture() && u.Codec != m.picture {
		m.picture, m.mapped = u.Codec, false
	}
	if !u.Codec.Picture() && u.Codec != m.sound {
		m.sound, m.mapped = u.Codec, false
	}
	pts, dts := at(u, u.Time), at(u, u.Decode)
	if !u.Codec.Picture() {
		dts = pts
	}
	dst = m.pack(dst, dts-ahead)
	if !m.mapped || u.Key && u.Codec.Picture() {
		if !m.mapped {
			m.version = (m.version + 1) & 0x1F
		}
		dst = m.streamMap(m.system(dst))
		m.mapped = true
	}
	if !u.Codec.Picture() {
		return pes(dst, idSound, pts, pts, u.Sound)
	}
	return pictures(dst, pts, dts, u.NALs)
}

// pictures writes the NAL units with start codes, over as many PES packets as it takes.
func pictures(dst []byte, pts, dts int64, nals [][]byte) []byte {
	room, left, first := 0, 0, true // left in the open PES packet, and in all
	for _, n := range nals {
		left += 4 + len(n)
	}
	write := func(b []byte) {
		for len(b) > 0 {
			if room == 0 {
				room = min(mostPES, left)
				dst = pesHeader(dst, idPicture, room, first, pts, dts)
				first = false
			}
			n := min(room, len(b))
			dst = append(dst, b[:n]...)
			b, room, left = b[n:], room-n, left-n
		}
	}
	for _, n := range nals {
		write([]byte{0, 0, 0, 1})
		write(n)
	}
	return dst
}

func pes(dst []byte, id byte, pts, dts int64, payload []byte) []byte {
	for first := true; len(payload) > 0; first = false {
		n := min(mostPES, len(payload))
		dst = append(pesHeader(dst, id, n, first, pts, dts), payload[:n]...)
		payload = payload[n:]
	}
	return dst
}

// pesHeader is 2.4.3.6: times only where the packet begins a unit, DTS only where it
// is not the PTS.
func pesHeader(dst []byte, id byte, payload int, first bool, pts, dts int64) []byte {
	flags, extra := byte(0), 0
	switch {
	case first && pts != dts:
		flags, extra = 0xC0, 10
	case first:
		flags, extra = 0x80, 5
	}
	align := byte(0)
	if first {
		align = 0x04 // data_alignment_indicator
	}
	dst = append(dst, 0, 0, 1, id)
	dst = binary.BigEndian.AppendUint16(dst, uint16(3+extra+payload))
	dst = append(dst, 0x80|align, flags, byte(extra))
	if first {
		if pts != dts {
			return stamp(stamp(dst, 3, pts), 1, dts)
		}
		dst = stamp(dst, 2, pts)
	}
	return dst
}

// stamp writes a time of 33 bits with its marker bits.
func stamp(dst []byte, prefix byte, t int64) []byte {
	return append(dst, prefix<<4|byte(t>>29)&0x0E|1,
		byte(t>>22), byte(t>>14)|1, byte(t>>7), byte(t<<1)|1)
}

// pack is the pack header of 2.5.3.3.
func (m *Muxer) pack(dst []byte, scr int64) []byte {
	s := uint64(scr) & (1<<33 - 1)
	rate := m.muxRate()
	// '01' base[32:30] 1 base[29:15] 1 base[14:0] 1 extension (nought) 1
	v := uint64(1)<<46 | (s>>30&7)<<43 | 1<<42 | (s>>15&0x7FFF)<<27 | 1<<26 | (s&0x7FFF)<<11 | 1<<10 | 1
	return append(dst, 0, 0, 1, idPack,
		byte(v>>40), byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v),
		byte(rate>>14), byte(rate>>6), byte(rate<<2)|3, 0xF8)
}

// muxRate is in units of 50 bytes a second.
func (m *Muxer) muxRate() uint32 {
	r := m.Rate
	if r <= 0 {
		r = 8 << 20
	}
	return uint32(min(r/400+1, 1<<22-1))
}

// system is the system header of 2.5.3.5: bounds of the buffers that are needed.
func (m *Muxer) system(dst []byte) []byte {
	start := len(dst)
	sounds, pictures := byte(0), byte(0)
	if m.sound != stream.None {
		sounds = 1
	}
	if m.picture != stream.None {
		pictures = 1
	}
	rate := m.muxRate()
	dst = append(dst, 0, 0, 1, idSystem, 0, 0,
		0x80|byte(rate>>15), byte(rate>>7), byte(rate<<1)|1,
		sounds<<2, 0xE0|pictures, 0x7F)
	if pictures > 0 {
		dst = append(dst, idPicture, 0xE0|0x0F, 0xFF) // 4095 times 1024 bytes
	}
	if sounds > 0 {
		dst = append(dst, idSound, 0xC0, 32) // 32 times 128 bytes
	}
	binary.BigEndian.PutUint16(dst[start+4:], uint16(len(dst)-start-6))
	return dst
}

// streamMap is 2.5.4.1.
func (m *Muxer) streamMap(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 1, idMap, 0, 0, 0xE0|m.version, 0xFF, 0, 0, 0, 0)
	if m.picture != stream.None {
		dst = append(dst, typeOf(m.picture), idPicture, 0, 0)
	}
	if m.sound != stream.None {
		dst = append(dst, typeOf(m.sound), idSound, 0, 0)
	}
	binary.BigEndian.PutUint16(dst[start+10:], uint16(len(dst)-start-12))
	binary.BigEndian.PutUint16(dst[start+4:], uint16(len(dst)-start-6+4))
	return binary.BigEndian.AppendUint32(dst, checkSum(dst[start:]))
}

// checkSum is the CRC of Annex A: 0x04C11DB7, from ones, not inverted. A map has some
// thirty bytes and goes out once in a group of pictures: no table is worth it.
func checkSum(b []byte) uint32 {
	c := ^uint32(0)
	for _, x := range b {
		c ^= uint32(x) << 24
		for range 8 {
			if c&(1<<31) != 0 {
				c = c<<1 ^ 0x04C11DB7
			} else {
				c <<= 1
			}
		}
	}
	return c
}
