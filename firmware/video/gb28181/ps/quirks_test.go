package ps

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"tocsin/firmware/video/stream"
)

// elements cuts a program stream of ours at its start codes.
func elements(b []byte) (out [][]byte) {
	for len(b) > 0 {
		n := 14
		if b[3] != idPack {
			n = 6 + int(binary.BigEndian.Uint16(b[4:]))
		}
		out, b = append(out, b[:n]), b[n:]
	}
	return out
}

// TestWhatDevicesDoWrong: each is a way in which devices in the field leave the
// standard; nothing of the pictures may be lost for it.
func TestWhatDevicesDoWrong(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(element []byte) []byte
	}{
		{"no length in PES packets of pictures", func(e []byte) []byte {
			if e[3] == idPicture {
				e[4], e[5] = 0, 0
			}
			return e
		}},
		{"no check sum in the map", func(e []byte) []byte {
			if e[3] == idMap {
				copy(e[len(e)-4:], []byte{0, 0, 0, 0})
			}
			return e
		}},
		{"no map and no system header", func(e []byte) []byte {
			if e[3] == idMap || e[3] == idSystem {
				return nil
			}
			return e
		}},
		{"a private stream before each picture", func(e []byte) []byte {
			if e[3] == idPack {
				return append(bytes.Clone(e), 0, 0, 1, idPrivate, 0, 8, 0x81, 0, 0, 0, 0, 1, 0xE0, 9)
			}
			return e
		}},
		{"padding and noughts between packets", func(e []byte) []byte {
			return append(append(bytes.Clone(e), 0, 0, 1, idPadding, 0, 2, 0xFF, 0xFF), 0, 0)
		}},
		{"stuffing in the pack header", func(e []byte) []byte {
			if e[3] == idPack {
				e = append(bytes.Clone(e), 0xFF, 0xFF, 0xFF)
				e[13] |= 3
			}
			return e
		}},
		{"a length that overflowed", func(e []byte) []byte {
			if e[3] == idPicture && len(e) > 3000 {
				binary.BigEndian.PutUint16(e[4:], 1000)
			}
			return e
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := film(stream.H264, 25, 2000, stream.None)
			var b []byte
			for _, e := range elements(muxed(f)) {
				b = append(b, tc.do(e)...)
			}
			var h hearing
			d := h.demuxer()
			for rest := b; len(rest) > 0; {
				n := min(1000, len(rest))
				d.Write(rest[:n])
				rest = rest[n:]
			}
			d.Close()
			same(t, h.all(), told(f, begin))
		})
	}
}

func TestAStreamWithoutTimesIsTimedByItsPacks(t *testing.T) {
	f := film(stream.H265, 12, 900, stream.None)
	var b []byte
	for _, e := range elements(muxed(f)) {
		if e[3] == idPicture { // its times become stuffing
			e[7] = 0
			for i := range int(e[8]) {
				e[9+i] = 0xFF
			}
		}
		b = append(b, e...)
	}
	var h hearing
	d := h.demuxer()
	d.Write(b)
	d.Close()
	same(t, h.all(), told(f, begin-ahead))
}

func TestSoundThatCannotBeCarriedIsToldOnce(t *testing.T) {
	f := film(stream.H264, 20, 900, stream.PCMA)
	b := muxed(f)
	b = bytes.ReplaceAll(b, []byte{typeG711A, idSound, 0, 0}, []byte{typeAAC, idSound, 0, 0})
	var h hearing
	d := h.demuxer()
	d.Write(b)
	d.Close()
	if !slices.Equal(h.notes, []stream.Note{stream.AACDropped}) {
		t.Errorf("notes %v", h.notes)
	}
	if len(h.units) != 20 {
		t.Errorf("%d units, want 20 pictures", len(h.units))
	}
}

// packets gives the film as RTP packets.
func packets(f []*stream.Unit, first uint16) (out [][]byte) {
	var m Muxer
	p := Packetizer{SSRC: 7, Sequence: first, Start: 1234}
	for _, u := range f {
		_ = p.Packets(make([]byte, 0, MostPacket), m.Append(nil, u), Ticks(u), func(b []byte) error {
			out = append(out, bytes.Clone(b))
			return nil
		})
	}
	return out
}

func TestPacketsOutOfOrderArePutInOrderAndUnitsEndAtTheirMarkers(t *testing.T) {
	f := film(stream.H264, 25, 6000, stream.PCMA)
	out := packets(f, 65500)
	for i := 3; i+4 < len(out); i += 9 {
		out[i], out[i+4] = out[i+4], out[i]
	}
	out = append(out, out[5]) // and one twice
	var h hearing
	r := Receiver{To: h.demuxer(), SSRC: 7}
	for _, b := range out {
		r.Write(b)
	}
	same(t, h.all(), told(f, begin)) // no Close: the last marker gave the last unit
	if r.Missing != 0 || r.Late != 1 {
		t.Errorf("missing %d, late %d", r.Missing, r.Late)
	}
}

func TestALostPacketCostsItsPictureAloneAndIsTold(t *testing.T) {
	f := film(stream.H264, 25, 6000, stream.None)
	for _, which := range []string{"first", "middle", "last"} {
		t.Run(which, func(t *testing.T) {
			out := packets(f, 1)
			// The packets of picture 7.
			var ends []int
			for i, b := range out {
				if b[1]&0x80 != 0 {
					ends = append(ends, i)
				}
			}
			lose := map[string]int{"first": ends[6] + 1, "middle": ends[6] + 2, "last": ends[7]}[which]
			var h hearing
			r := Receiver{To: h.demuxer(), SSRC: 7}
			for i, b := range out {
				if i != lose {
					r.Write(b)
				}
			}
			want := told(f, begin)
			want = append(want[:7], want[8:]...)
			same(t, h.all(), want)
			for i, u := range h.units {
				if u.Lost != (i == 7) {
					t.Errorf("unit %d: lost %v", i, u.Lost)
				}
			}
		})
	}
}

func TestMarkersInWrongPlacesAreFoundOut(t *testing.T) {
	f := film(stream.H264, 25, 100000, stream.None)
	out := packets(f, 1)
	for _, b := range out {
		b[1] |= 0x80
	}
	var h hearing
	r := Receiver{To: h.demuxer(), SSRC: 7}
	for _, b := range out {
		r.Write(b)
	}
	r.To.Close()
	got := h.all()
	// The first may be cut; all others are whole.
	want := told(f, begin)
	if !slices.Equal(got[len(got)-23:], want[2:]) {
		t.Errorf("%d units came, the last 23 of %d are not whole", len(got), len(want))
	}
}

func TestStrangersPacketsAreLeftOut(t *testing.T) {
	f := film(stream.H264, 5, 3000, stream.None)
	out := packets(f, 1)
	var h hearing
	r := Receiver{To: h.demuxer(), SSRC: 7}
	for _, b := range out {
		other := bytes.Clone(b)
		other[11] = 8
		r.Write(other)
		r.Write(b[:rtpHeader-1])
		r.Write(b)
	}
	same(t, h.all(), told(f, begin))
	if want := uint64(2 * len(out)); r.Strange != want {
		t.Errorf("%d strangers, want %d", r.Strange, want)
	}
}

// Sound and pictures each begin with what came first, some ticks apart; whoever seeks goes back in earnest.
func TestTheTimesOfPacketsDoNotRunBackWhereSoundAndPicturesCross(t *testing.T) {
	p := Packetizer{Start: 0xffffff00} // and wraps
	for i, c := range []struct{ is, want int64 }{{3614, 3614}, {3611, 3614}, {7214, 7214}, {7211, 7214}, {97211, 97211}, {7211, 7211}, {10814, 10814}} {
		_ = p.Packets(nil, []byte{1}, c.is, func(b []byte) error {
			if q, err := ReadPacket(b); err != nil || q.Time != p.Start+uint32(c.want) {
				t.Errorf("packet %d of %d: %d, %v", i, c.is, int32(q.Time-p.Start), err)
			}
			return nil
		})
	}
}

func TestRTPPacketsAreAsTheAnnexSays(t *testing.T) {
	f := film(stream.H265, 11, 5000, stream.None)
	var m Muxer
	p := Packetizer{SSRC: 0x05F5E101, Sequence: 65535, Framed: true}
	sequence := uint16(65535)
	for _, u := range f {
		var whole []byte
		pack := m.Append(nil, u)
		n := 0
		_ = p.Packets(nil, pack, Ticks(u), func(b []byte) error {
			if int(binary.BigEndian.Uint16(b)) != len(b)-2 || len(b)-2 > MostPacket {
				t.Fatalf("framed as %d, is %d", binary.BigEndian.Uint16(b), len(b)-2)
			}
			q, err := ReadPacket(b[2:])
			if err != nil || q.SSRC != p.SSRC || q.Type != 96 || q.Sequence != sequence || q.Time != uint32(u.Decode+begin) {
				t.Fatalf("%+v %v", q, err)
			}
			whole = append(whole, q.Payload...)
			if q.Marker != (len(whole) == len(pack)) {
				t.Errorf("marker %v after %d of %d", q.Marker, len(whole), len(pack))
			}
			sequence++
			n++
			return nil
		})
		if !bytes.Equal(whole, pack) {
			t.Fatal("the pack differs")
		}
	}
}

func TestWhateverComesTheMemoryIsBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	noise := make([]byte, 1<<16)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for name, head := range map[string][]byte{
		"a picture without end":    {0, 0, 1, idPicture, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1},
		"a sound without end":      {0, 0, 1, idMap, 0, 10, 0xE1, 0xFF, 0, 0, 0, 4, typeG711A, idSound, 0, 0, 0, 0, 1, idSound, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1},
		"a map that says too much": {0, 0, 1, idMap, 0xFF, 0xFF},
		"nothing that begins":      {1, 2, 3},
		"noughts":                  bytes.Repeat([]byte{0}, 1<<16),
	} {
		t.Run(name, func(t *testing.T) {
			var h hearing
			d := h.demuxer()
			d.Write(head)
			most := 0
			for range 200 {
				d.Write(noise)
				most = max(most, cap(d.in)+cap(d.cur)+cap(d.sound))
				h.units = nil
			}
			if most > 2*MostUnit {
				t.Errorf("%d bytes held", most)
			}
		})
	}
}

func FuzzDemuxer(f *testing.F) {
	f.Add(muxed(film(stream.H264, 3, 300, stream.PCMA)), uint16(100), uint8(0))
	f.Add(muxed(film(stream.H265, 3, 300, stream.PCMU)), uint16(1388), uint8(3))
	f.Add([]byte{0, 0, 1, idPicture, 0, 0, 0x80, 0xC0, 10, 1}, uint16(3), uint8(7))
	f.Fuzz(func(t *testing.T, b []byte, piece uint16, events uint8) {
		size := 0
		d := Demuxer{Take: func(u Unit) {
			if u.Codec == stream.None || u.DTS > u.PTS {
				t.Fatalf("a unit of %v, %d before %d", u.Codec, u.DTS, u.PTS)
			}
			if u.Codec.Picture() == (len(u.NALs) == 0) || u.Codec.Picture() == (len(u.Sound) > 0) {
				t.Fatalf("%d NAL units and %d bytes of sound of %v", len(u.NALs), len(u.Sound), u.Codec)
			}
			for _, n := range u.NALs {
				if size += len(n); len(n) == 0 || bytes.Contains(n, []byte{0, 0, 1}) {
					t.Fatal("a NAL unit that is none")
				}
			}
			size += len(u.Sound)
		}}
		for i := 0; len(b) > 0; i++ {
			n := min(int(piece)+1, len(b))
			d.Write(b[:n])
			switch int(events) & (i & 3) {
			case 1:
				d.End()
			case 3:
				d.Lost()
			}
			b = b[n:]
		}
		d.Close()
	})
}

func FuzzReceiver(f *testing.F) {
	for _, b := range packets(film(stream.H264, 2, 300, stream.PCMA), 65534) {
		f.Add(b, b)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		r := Receiver{To: &Demuxer{Take: func(Unit) {}}, AnySSRC: true}
		for range 40 {
			r.Write(a)
			r.Write(b)
		}
		if len(r.waiting) > mostWaiting+1 {
			t.Fatalf("%d packets wait", len(r.waiting))
		}
	})
}
