package rtsp

import (
	"bytes"

	"github.com/pion/rtp"

	"tocsin/firmware/video/stream"
)

// Bounds of one picture: beyond them it is given up, not kept.
const (
	maxPicture = 8 << 20
	maxNALs    = 512
	// maxOld is how many packets in a row may be older than what was had before
	// the sender is taken to have begun anew.
	maxOld = 64
)

// pictures puts the NAL units of RTP packets together to pictures: single, aggregated
// and fragmented ones (RFC 6184 mode 0 and 1; RFC 7798 without DONL). It copies what it
// keeps. A picture of which something is missing is given up whole.
type pictures struct {
	codec stream.Codec
	// done is told a picture, or a part of one where the sender sets the marker
	// early; key says that it can be begun with.
	done func(pts int64, nals [][]byte, key bool)
	// lost is told that a picture was given up.
	lost func()

	begun  bool // the picture in which we came is behind us
	seen   bool
	seq    uint16
	ssrc   uint32
	old    int
	clock  unwrap
	open   bool // a picture is being put together
	ts     uint32
	pts    int64
	nals   [][]byte
	size   int
	broken bool
	headed bool // its first slice must be seen to begin the picture
	frag   []byte
}

// take reads the next packet, in the order in which they come.
func (p *pictures) take(pkt *rtp.Packet) {
	if p.seen && pkt.SSRC != p.ssrc {
		p.drop()
		p.seen = false
	}
	gap := false
	if p.seen {
		switch d := int16(pkt.SequenceNumber - p.seq); {
		case d <= 0:
			if p.old++; p.old <= maxOld {
				return
			}
			gap = true
		case d > 1:
			gap = true
		}
	} else {
		gap = true // it began before we listened
	}
	p.seen, p.seq, p.ssrc, p.old = true, pkt.SequenceNumber, pkt.SSRC, 0
	if gap && p.open {
		p.broken = true
	}
	if p.open && pkt.Timestamp != p.ts {
		p.flush()
	}
	if len(pkt.Payload) == 0 {
		return
	}
	if !p.open {
		p.open, p.ts, p.pts, p.headed = true, pkt.Timestamp, p.clock.next(pkt.Timestamp), gap
	}
	if p.codec == stream.H265 {
		p.h265(pkt.Payload)
	} else {
		p.h264(pkt.Payload)
	}
	if pkt.Marker {
		p.flush()
	}
}

func (p *pictures) h264(b []byte) {
	switch t := b[0] & 0x1f; {
	case t >= 1 && t <= 23:
		p.whole()
		p.add(bytes.Clone(b))
	case t == 24: // STAP-A
		p.whole()
		p.aggregate(b[1:])
	case t == 28 && len(b) >= 3: // FU-A
		p.fragment(b[1], []byte{b[0]&0xe0 | b[1]&0x1f}, b[2:])
	default: // STAP-B, MTAP, FU-B: interleaved mode, which is never asked for
		p.broken = true
	}
}

func (p *pictures) h265(b []byte) {
	if len(b) < 2 {
		p.broken = true
		return
	}
	switch t := b[0] >> 1 & 0x3f; {
	case t < 48:
		p.whole()
		p.add(bytes.Clone(b))
	case t == 48: // AP
		p.whole()
		p.aggregate(b[2:])
	case t == 49 && len(b) >= 4: // FU
		p.fragment(b[2], []byte{b[0]&0x81 | b[2]&0x3f<<1, b[1]}, b[3:])
	default: // PACI
		p.broken = true
	}
}

// whole says that a unit begins that is no fragment: none may be unfinished.
func (p *pictures) whole() {
	if p.frag != nil {
		p.frag, p.broken = nil, true
	}
}

func (p *pictures) aggregate(b []byte) {
	for len(b) >= 2 {
		n := int(b[0])<<8 | int(b[1])
		b = b[2:]
		if n == 0 { // some pad with zeros
			return
		}
		if n > len(b) {
			p.broken = true
			return
		}
		p.add(bytes.Clone(b[:n]))
		b = b[n:]
	}
	if len(b) > 0 {
		p.broken = true
	}
}

func (p *pictures) fragment(flags byte, header, b []byte) {
	first, last := flags&0x80 != 0, flags&0x40 != 0
	if first {
		p.whole()
		p.frag = append(make([]byte, 0, 4096), header...)
	} else if p.frag == nil {
		p.broken = true
		return
	}
	if p.broken || len(p.frag)+len(b)+p.size > maxPicture {
		p.frag, p.broken = nil, true
		return
	}
	p.frag = append(p.frag, b...)
	if last {
		n := bytes.Clone(p.frag)
		p.frag = nil
		p.add(n)
	}
}

// add takes a NAL unit; one that has start codes inside (some cameras wrap their whole
// picture so) is taken apart: 00 00 01 occurs in no unit (H.264 7.4.1, H.265 7.4.2).
func (p *pictures) add(b []byte) {
	for len(b) > 0 {
		n, rest := b, []byte(nil)
		if i := bytes.Index(b, []byte{0, 0, 1}); i >= 0 {
			n, rest = bytes.TrimRight(b[:i], "\x00"), b[i+3:]
		}
		if len(n) > 0 {
			p.one(n)
		}
		b = rest
	}
}

func (p *pictures) one(n []byte) {
	if p.broken {
		return
	}
	if p.codec == stream.H265 && len(n) < 3 || len(p.nals) == maxNALs || p.size+len(n) > maxPicture {
		p.broken = len(n) > 2 || p.broken
		return
	}
	if slice, first := p.slice(n); slice {
		if p.headed && !first {
			p.broken = true
			return
		}
		p.headed = false
	}
	p.nals, p.size = append(p.nals, n), p.size+len(n)
}

// slice tells whether a unit holds picture data, and that of a picture's beginning.
func (p *pictures) slice(n []byte) (is, first bool) {
	if p.codec == stream.H265 {
		is = n[0]>>1&0x3f < 32
		return is, is && n[2]&0x80 != 0 // first_slice_segment_in_pic_flag
	}
	t := n[0] & 0x1f
	is = t == 1 || t == 2 || t == 5
	return is, is && len(n) > 1 && n[1]&0x80 != 0 // first_mb_in_slice = 0
}

func (p *pictures) key() bool {
	for _, n := range p.nals {
		if t := n[0] >> 1 & 0x3f; p.codec == stream.H265 && t >= 16 && t <= 21 || p.codec == stream.H264 && n[0]&0x1f == 5 {
			return true
		}
	}
	return false
}

// flush ends the picture.
func (p *pictures) flush() {
	p.whole()
	switch {
	case p.broken:
		if p.begun {
			p.lost()
		}
	case len(p.nals) > 0:
		p.done(p.pts, p.nals, p.key())
	}
	p.begun, p.open, p.nals, p.size, p.broken, p.headed = true, false, nil, 0, false, false
}

func (p *pictures) drop() {
	if p.open {
		p.broken = true
		p.flush()
	}
	p.clock = unwrap{}
}

// unwrap makes of 32-bit time stamps a time that goes on.
type unwrap struct {
	last int64
	seen bool
}

func (u *unwrap) next(ts uint32) int64 {
	if !u.seen {
		u.seen, u.last = true, int64(ts)
	} else {
		u.last += int64(int32(ts - uint32(u.last)))
	}
	return u.last
}
