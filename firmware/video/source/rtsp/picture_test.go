package rtsp

import (
	"bytes"
	"slices"
	"testing"

	"github.com/pion/rtp"

	"tocsin/firmware/video/stream"
)

// got is what a put-together picture was.
type got struct {
	pts  int64
	nals [][]byte
	key  bool
}

func collect(c stream.Codec) (*pictures, *[]got, *int) {
	var out []got
	lost := 0
	return &pictures{codec: c, done: func(pts int64, nals [][]byte, key bool) { out = append(out, got{pts, nals, key}) }, lost: func() { lost++ }}, &out, &lost
}

func packet(seq uint16, ts uint32, marker bool, payload ...byte) *rtp.Packet {
	return &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: ts, Marker: marker, SSRC: 7}, Payload: payload}
}

func TestPicturesArePutTogether(t *testing.T) {
	slice := func(b byte) []byte { return []byte{0x41, 0x9a, b} }
	for _, c := range []struct {
		name    string
		codec   stream.Codec
		packets []*rtp.Packet
		want    [][][]byte
		lost    int
	}{
		{"a unit in a packet", stream.H264, []*rtp.Packet{packet(1, 10, true, slice(1)...), packet(2, 20, true, slice(2)...)},
			[][][]byte{{slice(1)}, {slice(2)}}, 0},
		{"several units in one packet", stream.H264, []*rtp.Packet{packet(1, 10, true, 24, 0, 2, 0x67, 1, 0, 2, 0x68, 2, 0, 3, 0x65, 0x88, 9)},
			[][][]byte{{{0x67, 1}, {0x68, 2}, {0x65, 0x88, 9}}}, 0},
		{"a unit in several packets", stream.H264, []*rtp.Packet{packet(1, 10, false, 0x7c, 0x85, 0x88, 1), packet(2, 10, false, 0x7c, 0x05, 2), packet(3, 10, true, 0x7c, 0x45, 3)},
			[][][]byte{{{0x65, 0x88, 1, 2, 3}}}, 0},
		{"no marker", stream.H264, []*rtp.Packet{packet(1, 10, false, slice(1)...), packet(2, 20, false, slice(2)...), packet(3, 30, false, slice(3)...)},
			[][][]byte{{slice(1)}, {slice(2)}}, 0},
		{"start codes inside", stream.H264, []*rtp.Packet{packet(1, 10, true, 0x67, 1, 0, 0, 0, 1, 0x68, 2, 0, 0, 1, 0x65, 0x88)},
			[][][]byte{{{0x67, 1}, {0x68, 2}, {0x65, 0x88}}}, 0},
		{"a packet of the middle is lost", stream.H264, []*rtp.Packet{packet(1, 10, true, slice(1)...), packet(2, 20, false, 0x5c, 0x81, 0x9a), packet(4, 20, true, 0x5c, 0x41, 3), packet(5, 30, true, slice(3)...)},
			[][][]byte{{slice(1)}, {slice(3)}}, 1},
		{"the end is lost and the next begins whole", stream.H264, []*rtp.Packet{packet(1, 10, true, slice(1)...), packet(2, 20, false, slice(2)...), packet(4, 30, true, slice(3)...)},
			[][][]byte{{slice(1)}, {slice(3)}}, 1},
		{"the beginning is lost", stream.H264, []*rtp.Packet{packet(1, 10, true, slice(1)...), packet(3, 20, true, 0x41, 0x4a, 2), packet(4, 30, true, slice(3)...)},
			[][][]byte{{slice(1)}, {slice(3)}}, 1},
		{"a packet twice", stream.H264, []*rtp.Packet{packet(1, 10, false, slice(1)...), packet(1, 10, false, slice(1)...), packet(2, 10, true, slice(2)...)},
			[][][]byte{{slice(1), slice(2)}}, 0},
		{"we came in the middle of a picture", stream.H264, []*rtp.Packet{packet(1, 10, true, 0x7c, 0x45, 3), packet(2, 20, true, slice(2)...)},
			[][][]byte{{slice(2)}}, 0},
		{"numbers run over", stream.H264, []*rtp.Packet{packet(65535, 10, true, slice(1)...), packet(0, 20, true, slice(2)...)},
			[][][]byte{{slice(1)}, {slice(2)}}, 0},
		{"H.265 in pieces", stream.H265, []*rtp.Packet{packet(1, 10, false, 0x62, 1, 0x80|19, 0x80, 1), packet(2, 10, true, 0x62, 1, 0x40|19, 2)},
			[][][]byte{{{0x26, 1, 0x80, 1, 2}}}, 0},
		{"H.265 together", stream.H265, []*rtp.Packet{packet(1, 10, true, 0x60, 1, 0, 3, 0x40, 1, 7, 0, 3, 0x42, 1, 8, 0, 4, 0x26, 1, 0x80, 9)},
			[][][]byte{{{0x40, 1, 7}, {0x42, 1, 8}, {0x26, 1, 0x80, 9}}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, out, lost := collect(c.codec)
			for _, k := range c.packets {
				p.take(k)
			}
			equal := slices.EqualFunc(*out, c.want, func(g got, w [][]byte) bool { return slices.EqualFunc(g.nals, w, bytes.Equal) })
			if !equal || *lost != c.lost {
				t.Errorf("made %v with %d lost; want %v with %d", *out, *lost, c.want, c.lost)
			}
		})
	}
}

func TestTimeGoesOnWhenItsStampRunsOver(t *testing.T) {
	p, out, _ := collect(stream.H264)
	for i, ts := range []uint32{0xfffffff0, 0x10, 0x8, 0x30} {
		p.take(packet(uint16(i), ts, true, 0x41, 0x9a, byte(i)))
	}
	var d []int64
	for _, g := range *out {
		d = append(d, g.pts-(*out)[0].pts)
	}
	if !slices.Equal(d, []int64{0, 0x20, 0x18, 0x40}) {
		t.Error(d)
	}
}

func TestASenderThatBeginsAnewIsFollowed(t *testing.T) {
	p, out, _ := collect(stream.H264)
	p.take(packet(40000, 10, true, 0x41, 0x9a, 1))
	k := packet(5, 99, true, 0x41, 0x9a, 2)
	k.SSRC = 8
	p.take(k)
	if len(*out) != 2 {
		t.Errorf("another source: %d pictures", len(*out))
	}
	for i := range maxOld + 3 { // the same source, its numbers anew
		k := packet(uint16(30000+i), uint32(100+i), true, 0x41, 0x9a, 3)
		k.SSRC = 8
		p.take(k)
	}
	k = packet(29000, 9, true, 0x41, 0x9a, 3)
	k.SSRC = 8
	for range maxOld + 1 {
		p.take(k)
		k.SequenceNumber++
		k.Timestamp++
	}
	before := len(*out)
	p.take(k)
	if len(*out) != before+1 {
		t.Error("its numbers began anew and it is not followed")
	}
}

func TestAPictureBeyondTheBoundsIsGivenUp(t *testing.T) {
	p, out, lost := collect(stream.H264)
	p.take(packet(0, 1, true, 0x41, 0x9a))
	seq := uint16(1)
	big := append([]byte{0x41, 0x9a}, bytes.Repeat([]byte{1}, 60000)...)
	for range 200 {
		p.take(packet(seq, 10, false, big...))
		seq++
	}
	if p.size > maxPicture {
		t.Errorf("%d bytes are kept", p.size)
	}
	p.take(packet(seq, 20, true, 0x41, 0x9a))
	if len(*out) != 2 || *lost != 1 {
		t.Errorf("%d pictures, %d lost", len(*out), *lost)
	}
}

// FuzzPictures feeds packets of any kind: nothing may be kept beyond the bounds, and
// what comes out is never empty.
func FuzzPictures(f *testing.F) {
	f.Add(true, []byte{0, 1, 1, 3, 0x41, 0x9a, 1, 0, 2, 0, 4, 0x7c, 0x85, 0x88, 1})
	f.Add(false, []byte{0, 1, 1, 5, 0x62, 1, 0x80 | 19, 0x80, 1, 0, 2, 1, 4, 0x62, 1, 0x40 | 19, 2})
	f.Fuzz(func(t *testing.T, h264 bool, b []byte) {
		c := stream.H265
		if h264 {
			c = stream.H264
		}
		p, out, _ := collect(c)
		for len(b) >= 4 { // two of number, one of flags and time, one of length
			n := min(int(b[3]), len(b)-4)
			p.take(&rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(b[0])<<8 | uint16(b[1]), Marker: b[2]&1 != 0, Timestamp: uint32(b[2] >> 1), SSRC: uint32(b[2] >> 6)}, Payload: b[4 : 4+n]})
			b = b[4+n:]
			if p.size > maxPicture || len(p.nals) > maxNALs {
				t.Fatal("kept beyond the bounds")
			}
		}
		s := stream.New(stream.Opts{Name: "f", Now: clockAt0})
		w, _ := s.Open("fuzz")
		for _, g := range *out {
			for _, n := range g.nals {
				if len(n) == 0 {
					t.Fatal("an empty unit")
				}
			}
			_ = w.Picture(c, g.pts, g.pts, g.nals)
		}
	})
}
