package stream

import "time"

// Codec says what a unit is coded in.
type Codec uint8

// The codecs that are carried; AAC is not (no browser plays it by WebRTC, and nothing
// here transcodes): a source notes it and drops it.
const (
	None Codec = iota
	H264
	H265
	PCMA // G.711 A-law, 8 kHz, one channel
	PCMU // G.711 µ-law, 8 kHz, one channel
	Opus // 48 kHz clock (RFC 7587)
)

// Picture says that the codec is of pictures.
func (c Codec) Picture() bool { return c == H264 || c == H265 }

// Rate is the clock of Unit.Time in Hz (RFC 6184, 7798: 90 kHz; RFC 3551, 7587).
func (c Codec) Rate() int64 {
	switch c {
	case PCMA, PCMU:
		return 8000
	case Opus:
		return 48000
	}
	return 90000
}

func (c Codec) String() string {
	return [...]string{"none", "H.264", "H.265", "PCMA", "PCMU", "Opus"}[min(c, Opus)]
}

// A Unit is one picture (access unit) or one packet of sound. It is shared by all
// readers: nobody changes it.
type Unit struct {
	Codec Codec
	// NALs are the picture's, in order, without start codes or lengths and without
	// access unit delimiters; parameter sets stand before each key picture.
	NALs [][]byte
	// Sound is the payload of an RTP packet.
	Sound []byte
	// Time is when it is to be shown, in ticks of Codec.Rate since the stream began;
	// Decode when it is to be decoded, never after Time and never backwards.
	Time, Decode int64
	// Arrived is when the box had all of it, on its monotonic clock.
	Arrived time.Duration
	// Key says that decoding can begin here (IDR, or IRAP for H.265).
	Key bool
	// Droppable says that no other picture needs this one (H.264: nal_ref_idc = 0;
	// H.265: a sub-layer non-reference picture of the highest layer in use).
	Droppable bool
	// Gap says that something before it was lost or that the source began anew: its
	// Time goes on from the last by the time that passed.
	Gap bool
	// Reordered says that it is shown before a picture that came earlier (a B-frame).
	Reordered bool

	leading  bool // H.265 RASL: not to be decoded where decoding began at the key picture before it
	trailing bool // it follows the key picture in both orders: no leading one comes after it
	size     int
	number   uint64 // in the order of the stream, from 1
	pack     packing
}

// Size is the unit's bytes, without framing.
func (u *Unit) Size() int { return u.size }

// Number counts a stream's units from 1: a gap in it is what a reader skipped.
func (u *Unit) Number() uint64 { return u.number }
