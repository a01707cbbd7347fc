package ps

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	mpeg2 "github.com/yapingcat/gomedia/go-mpeg2"

	"tocsin/firmware/video/stream"
)

// nal makes a NAL unit with that header and noise that holds no start code.
func nal(r *rand.Rand, size int, header ...byte) []byte {
	b := append([]byte(nil), header...)
	for len(b) < size {
		b = append(b, byte(1+r.IntN(255)))
	}
	return b
}

// film makes pictures, a key picture every ten, with sound between them.
func film(c stream.Codec, pictures, size int, sound stream.Codec) []*stream.Unit {
	r := rand.New(rand.NewPCG(1, 2))
	var film []*stream.Unit
	for i := range pictures {
		at := int64(i) * 3600
		u := &stream.Unit{Codec: c, Time: at, Decode: at, Key: i%10 == 0}
		if c == stream.H264 {
			if u.Key {
				u.NALs = [][]byte{nal(r, 20, 0x67, 100, 0, 31), nal(r, 5, 0x68, 0xEE), nal(r, size*4, 0x65, 0x88)}
			} else {
				u.NALs = [][]byte{nal(r, size/2, 0x41, 0x9A), nal(r, size/2, 0x41, 0x9A)}
			}
		} else {
			if u.Key {
				u.NALs = [][]byte{nal(r, 24, 0x40, 1), nal(r, 30, 0x42, 1), nal(r, 7, 0x44, 1), nal(r, size*4, 0x26, 1)}
			} else {
				u.NALs = [][]byte{nal(r, size, 0x02, 1)}
			}
		}
		film = append(film, u)
		if sound != stream.None {
			film = append(film, &stream.Unit{Codec: sound, Time: at * 8000 / 90000, Decode: at * 8000 / 90000, Sound: nal(r, 320, 0xD5)})
		}
	}
	return film
}

// muxed gives the whole film as one program stream.
func muxed(film []*stream.Unit) []byte {
	var m Muxer
	var b []byte
	for _, u := range film {
		b = m.Append(b, u)
	}
	return b
}

type heard struct {
	Codec stream.Codec
	At    int64
	Data  string
}

func told(film []*stream.Unit, origin int64) (h []heard) {
	for _, u := range film {
		if !Carries(u.Codec) {
			continue
		}
		t := u.Time
		if u.Codec.Rate() != 90000 {
			t = t * 90000 / u.Codec.Rate()
		}
		h = append(h, heard{u.Codec, t + origin, fmt.Sprintf("%x%x", u.NALs, u.Sound)})
	}
	return h
}

type hearing struct {
	units []Unit
	notes []stream.Note
}

func (h *hearing) demuxer() *Demuxer {
	return &Demuxer{
		Take: func(u Unit) { h.units = append(h.units, u) },
		Note: func(c stream.Note) { h.notes = append(h.notes, c) },
	}
}

func (h *hearing) all() (out []heard) {
	for _, u := range h.units {
		out = append(out, heard{u.Codec, u.PTS, fmt.Sprintf("%x%x", u.NALs, u.Sound)})
	}
	return out
}

// sorted puts pictures before sound: a demuxer gives sound away while a picture is open.
func sorted(h []heard) (out []heard) {
	for _, pictures := range []bool{true, false} {
		for _, x := range h {
			if x.Codec.Picture() == pictures {
				out = append(out, x)
			}
		}
	}
	return out
}

func same(t *testing.T, got, want []heard) {
	t.Helper()
	got, want = sorted(got), sorted(want)
	if len(got) != len(want) {
		t.Fatalf("%d units came, %d were sent", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("unit %d: got %v at %d (%d bytes), want %v at %d (%d bytes)", i, got[i].Codec, got[i].At, len(got[i].Data)/2, want[i].Codec, want[i].At, len(want[i].Data)/2)
		}
	}
}

func TestWhatIsPackedComesOutAgainWhateverThePiecesAre(t *testing.T) {
	for _, tc := range []struct {
		name    string
		picture stream.Codec
		sound   stream.Codec
		size    int
	}{
		{"H.264 with A-law", stream.H264, stream.PCMA, 3000},
		{"H.265 with µ-law", stream.H265, stream.PCMU, 3000},
		{"H.264, pictures over many PES packets", stream.H264, stream.None, 60000},
		{"H.265, Opus left out", stream.H265, stream.Opus, 500},
	} {
		f := film(tc.picture, 25, tc.size, tc.sound)
		b := muxed(f)
		for _, piece := range []int{1, 7, 1388, len(b)} {
			if piece == 1 && tc.size > 5000 {
				continue
			}
			t.Run(fmt.Sprintf("%s, %d at a time", tc.name, piece), func(t *testing.T) {
				var h hearing
				d := h.demuxer()
				for rest := b; len(rest) > 0; {
					n := min(piece, len(rest))
					d.Write(rest[:n])
					rest = rest[n:]
				}
				d.Close()
				same(t, h.all(), told(f, begin))
				if len(h.notes) > 0 {
					t.Errorf("notes %v", h.notes)
				}
			})
		}
	}
}

func TestReorderedPicturesKeepBothTimes(t *testing.T) {
	f := film(stream.H264, 12, 500, stream.None)
	for i, u := range f {
		u.Time = u.Decode + []int64{3600, 10800, 0}[i%3]
	}
	var h hearing
	d := h.demuxer()
	d.Write(muxed(f))
	d.Close()
	if len(h.units) != len(f) {
		t.Fatalf("%d units, want %d", len(h.units), len(f))
	}
	for i, u := range h.units {
		if u.PTS-begin != f[i].Time || u.DTS-begin != f[i].Decode {
			t.Errorf("unit %d: %d, %d; want %d, %d", i, u.PTS-begin, u.DTS-begin, f[i].Time, f[i].Decode)
		}
	}
}

func TestTimesGoOnWhereTheirThirtyThreeBitsTurnOver(t *testing.T) {
	f := film(stream.H264, 6, 300, stream.PCMA)
	for _, u := range f {
		shift := int64(1<<33-begin-7200) * u.Codec.Rate() / 90000
		u.Time, u.Decode = u.Time+shift, u.Decode+shift
	}
	var h hearing
	d := h.demuxer()
	d.Write(muxed(f))
	d.Close()
	last := [2]int64{-1, -1}
	for i, u := range h.units {
		k := 0
		if u.Codec.Picture() {
			k = 1
		}
		if step := u.PTS - last[k]; last[k] >= 0 && (step < 3500 || step > 3700) {
			t.Errorf("unit %d is %d ticks after the last", i, step)
		}
		last[k] = u.PTS
	}
}

// TestAnotherReadsWhatWePack holds the muxer against gomedia, which splits pictures
// into NAL units and counts in milliseconds.
func TestAnotherReadsWhatWePack(t *testing.T) {
	for _, c := range []stream.Codec{stream.H264, stream.H265} {
		for _, size := range []int{2000, 50000} {
			t.Run(fmt.Sprint(c, " ", size), func(t *testing.T) {
				f := film(c, 25, size, stream.PCMA)
				var pictures, sounds, wantPictures, wantSounds bytes.Buffer
				var times, wantTimes []uint64
				d := mpeg2.NewPSDemuxer()
				d.OnFrame = func(b []byte, cid mpeg2.PS_STREAM_TYPE, pts, _ uint64) {
					if cid == mpeg2.PS_STREAM_G711A {
						sounds.Write(b)
						return
					}
					pictures.Write(b)
				}
				d.OnPacket = func(p mpeg2.Display, err error) {
					if err != nil {
						t.Errorf("%T: %v", p, err)
					}
					if pes, ok := p.(*mpeg2.PesPacket); ok && pes.Stream_id == idPicture && pes.PTS_DTS_flags != 0 {
						times = append(times, pes.Pts)
					}
				}
				if err := d.Input(muxed(f)); err != nil {
					t.Fatal(err)
				}
				d.Flush()
				for _, u := range f {
					wantSounds.Write(u.Sound)
					for _, n := range u.NALs {
						wantPictures.Write(append([]byte{0, 0, 0, 1}, n...))
					}
					if len(u.NALs) > 0 {
						wantTimes = append(wantTimes, uint64(u.Time+begin))
					}
				}
				if !bytes.Equal(pictures.Bytes(), wantPictures.Bytes()) {
					t.Errorf("pictures differ: %d bytes, want %d", pictures.Len(), wantPictures.Len())
				}
				if !bytes.Equal(sounds.Bytes(), wantSounds.Bytes()) {
					t.Errorf("sound differs: %d bytes, want %d", sounds.Len(), wantSounds.Len())
				}
				if !reflect.DeepEqual(times, wantTimes) {
					t.Errorf("times %v, want %v", times, wantTimes)
				}
			})
		}
	}
}

// TestWeReadWhatAnotherPacks: gomedia writes both times always, delimiters, and PTS
// and DTS in every PES packet of a picture.
func TestWeReadWhatAnotherPacks(t *testing.T) {
	for c, cid := range map[stream.Codec]mpeg2.PS_STREAM_TYPE{stream.H264: mpeg2.PS_STREAM_H264, stream.H265: mpeg2.PS_STREAM_H265} {
		t.Run(c.String(), func(t *testing.T) {
			f := film(c, 25, 40000, stream.PCMU)
			m := mpeg2.NewPsMuxer()
			var h hearing
			d := h.demuxer()
			m.OnPacket = d.Write
			pictures, sounds := m.AddStream(cid), m.AddStream(mpeg2.PS_STREAM_G711U)
			for _, u := range f {
				ms := uint64(u.Time * 1000 / u.Codec.Rate())
				id, b := sounds, u.Sound
				if len(u.NALs) > 0 {
					id, b = pictures, nil
					for _, n := range u.NALs {
						b = append(append(b, 0, 0, 0, 1), n...)
					}
				}
				if err := m.Write(id, b, ms+1000, ms+1000); err != nil {
					t.Fatal(err)
				}
			}
			d.Close()
			same(t, h.all(), told(f, begin))
		})
	}
}

func TestTheMapsCheckSumIsThatOfTheStandard(t *testing.T) {
	// The CRC-32/MPEG-2 of "123456789", and nought over a map with its own sum.
	if got := checkSum([]byte("123456789")); got != 0x0376E6E7 {
		t.Errorf("%08x", got)
	}
	m := Muxer{picture: stream.H265, sound: stream.PCMA}
	if got := checkSum(m.streamMap(nil)); got != 0 {
		t.Errorf("over a whole map: %08x", got)
	}
}

func TestNoPESPacketIsLongerThanItsLengthCanSay(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, size := range []int{mostPES - 4, mostPES - 3, mostPES, 2*mostPES - 4, 700001} {
		u := &stream.Unit{Codec: stream.H264, Time: 9, Decode: 3, Key: true, NALs: [][]byte{nal(r, size, 0x65)}}
		var m Muxer
		b := m.Append(nil, u)
		for len(b) > 0 {
			switch {
			case b[3] == idPack:
				b = b[14:]
			case len(b) < 6+int(b[4])<<8+int(b[5]):
				t.Fatalf("%d bytes: a packet goes beyond the end", size)
			default:
				b = b[6+int(b[4])<<8+int(b[5]):]
				if len(b) > 0 && !bytes.HasPrefix(b, []byte{0, 0, 1}) {
					t.Fatalf("%d bytes: no start code after a packet", size)
				}
			}
		}
	}
}

func BenchmarkPack(b *testing.B) {
	f := film(stream.H264, 25, 16000, stream.None)
	var m Muxer
	var p Packetizer
	var pack, packet []byte
	packet = make([]byte, 0, MostPacket+2)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		u := f[i%len(f)]
		pack = m.Append(pack[:0], u)
		if err := p.Packets(packet, pack, Ticks(u), func([]byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(pack)))
	}
}
