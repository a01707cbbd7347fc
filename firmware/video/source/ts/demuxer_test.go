package ts

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/yapingcat/gomedia/go-mpeg2"

	"tocsin/firmware/video/stream"
)

// Parameter sets of x264 and x265 for 64×48 at 5 frames a second, and the begins of pictures.
var (
	sps   = unhex("67f4000a9196847b0110000003001000000300a8f1226a")
	pps   = unhex("68ce0f1920")
	idr   = unhex("6588843a084001000040084ba06d05d62c6f22888f4031187e001e6c")
	inter = unhex("419a2015af1d80075131ffd325bbf6000ea263ffa64b77ede36e3999")
	vpsH  = unhex("40010c01ffff0408000003009e0800000300001eba0240")
	spsH  = unhex("4201010408000003009e0800000300001e90041062cb7494985e02dc080800100000030010000003005080")
	ppsH  = unhex("4401c07318300890")
	idrH  = unhex("2801ac9891275fdffffff968aca8fc0b43114c009370a1d3cc37edcf")
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// annexB puts start codes before NAL units.
func annexB(nals ...[]byte) []byte {
	var b []byte
	for _, n := range nals {
		b = append(append(b, 0, 0, 0, 1), n...)
	}
	return b
}

// big is a NAL unit that needs many packets.
func big(nal []byte, n int) []byte {
	b := slices.Clone(nal)
	for i := range n {
		b = append(b, byte(i%251)+3)
	}
	return b
}

// A muxer writes a stream as the standard says, with what a test wants otherwise.
type muxer struct {
	out      []byte
	counters map[uint16]byte
}

func (m *muxer) packet(pid uint16, starts bool, af []byte, payload []byte) []byte {
	if m.counters == nil {
		m.counters = map[uint16]byte{}
	}
	room := 184
	if af != nil {
		room -= 1 + len(af)
	}
	n := min(room, len(payload))
	if pad := room - n; pad > 0 {
		if af == nil {
			af = []byte{}
			pad--
		}
		if len(af) == 0 && pad > 0 {
			af = []byte{0}
			pad--
		}
		af = append(slices.Clone(af), bytes.Repeat([]byte{0xff}, pad)...)
	}
	flags := byte(0x10)
	if af != nil {
		flags = 0x30
	}
	first := byte(pid >> 8)
	if starts {
		first |= 0x40
	}
	m.out = append(m.out, syncByte, first, byte(pid), flags|m.counters[pid]&0x0f)
	m.counters[pid]++
	if af != nil {
		m.out = append(append(m.out, byte(len(af))), af...)
	}
	m.out = append(m.out, payload[:n]...)
	return payload[n:]
}

func (m *muxer) table(pid uint16, b []byte) {
	b[1], b[2] = 0xb0|byte((len(b)+1)>>8), byte(len(b)+1)
	b = binary.BigEndian.AppendUint32(b, crc(b))
	starts := true
	b = append([]byte{0}, b...)
	for len(b) > 0 {
		if len(b) < 184 {
			b = append(b, bytes.Repeat([]byte{0xff}, 184-len(b))...)
		}
		b = m.packet(pid, starts, nil, b)
		starts = false
	}
}

// program writes PAT and PMT: kinds and PIDs, with descriptors.
func (m *muxer) program(version byte, tracks ...track) {
	m.table(0, []byte{tablePAT, 0, 0, 0, 1, 0xc1, 0, 0, 0, 0, 0xe0, 0x10, 0, 1, 0xf0, 0x00})
	b := []byte{tablePMT, 0, 0, 0, 1, 0xc1 | version<<1, 0, 0, 0xe1, 0, 0xf0, 0}
	for _, t := range tracks {
		b = append(b, t.kind, 0xe0|byte(t.pid>>8), byte(t.pid), 0xf0, byte(len(t.about)))
		b = append(b, t.about...)
	}
	m.table(0x1000, b)
}

type track struct {
	kind  byte
	pid   uint16
	about string
}

func mark(prefix byte, t int64) []byte {
	return []byte{prefix<<4 | byte(t>>29)&0x0e | 1, byte(t >> 22), byte(t>>14)&0xfe | 1, byte(t >> 7), byte(t<<1)&0xfe | 1}
}

// pes writes a PES packet; a told one has its length.
func (m *muxer) pes(pid uint16, pts, dts int64, told bool, data []byte) {
	b := []byte{0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5}
	if pts == dts {
		b = append(b, mark(2, pts)...)
	} else {
		b[7], b[8] = 0xc0, 10
		b = append(append(b, mark(3, pts)...), mark(1, dts)...)
	}
	b = append(b, data...)
	if told {
		b[4], b[5] = byte((len(b)-6)>>8), byte(len(b)-6)
	}
	for starts := true; len(b) > 0; starts = false {
		var af []byte
		if starts {
			af = []byte{0x10, 0, 0, 0, 0, 0x7e, 0} // a PCR
		}
		b = m.packet(pid, starts, af, b)
	}
}

// A sink is a stream and what came out of it.
type sink struct {
	t *testing.T
	s *stream.Stream
	r *stream.Reader
	d *Demuxer
	u []*stream.Unit
}

func newSink(t *testing.T) *sink {
	t.Helper()
	begun := time.Now()
	s := stream.New(stream.Opts{Name: "drone", Now: func() time.Duration { return time.Since(begun) }})
	w, err := s.Open("test")
	if err != nil {
		t.Fatal(err)
	}
	return &sink{t, s, s.Reader(stream.ReaderOpts{Live: true, Sound: true}), NewDemuxer(w, slog.New(slog.DiscardHandler)), nil}
}

// came gives what is there by now.
func (s *sink) came() []*stream.Unit {
	s.t.Helper()
	for u := s.r.Ready(); u != nil; u = s.r.Ready() {
		s.u = append(s.u, u)
	}
	return s.u
}

func (s *sink) write(b []byte) {
	s.t.Helper()
	if _, err := s.d.Write(b); err != nil {
		s.t.Fatal(err)
	}
	s.came() // a reader that is a group behind loses it
}

// packets writes by the packet.
func (s *sink) packets(b []byte) {
	s.t.Helper()
	for p := range slices.Chunk(b, packetSize) {
		s.write(p)
	}
}

var video = track{0x1b, 0x100, ""}

func TestPicturesComeWhenTheyAreWholeHoweverTheBytesAreCut(t *testing.T) {
	for _, told := range []bool{false, true} {
		for _, cut := range []int{1, 7, 188, 1316, 100_000} {
			s := newSink(t)
			var m muxer
			m.program(0, video)
			m.pes(0x100, 93600, 90000, told, annexB(sps, pps, big(idr, 5000)))
			m.pes(0x100, 97200, 93600, told, annexB(big(inter, 300)))
			for b := range slices.Chunk(m.out, cut) {
				s.write(b)
			}
			us := s.came()
			if len(us) != 2 || !us[0].Key || len(us[0].NALs) != 3 || !bytes.Equal(us[0].NALs[2], big(idr, 5000)) || !bytes.Equal(us[1].NALs[0], big(inter, 300)) {
				t.Fatalf("told %v, cut %d: %d units", told, cut, len(us))
			}
			if d := us[1].Time - us[0].Time; d != 3600 {
				t.Fatalf("%d ticks apart", d)
			}
			if s.d.Lost() != 0 {
				t.Fatalf("%d lost", s.d.Lost())
			}
		}
	}
}

func TestBytesBetweenPacketsAreSkipped(t *testing.T) {
	s := newSink(t)
	var m muxer
	m.program(0, video)
	m.pes(0x100, 0, 0, false, annexB(sps, pps, idr))
	s.write(slices.Concat([]byte("some garbage GGG that came before\x47"), m.out))
	if us := s.came(); len(us) != 1 {
		t.Fatalf("%d units", len(us))
	}
}

func TestALostPacketLosesItsPictureOnly(t *testing.T) {
	for _, at := range []int{0, 1, 5, 27} { // its first, second, …, last packet
		s := newSink(t)
		var m muxer
		m.program(0, video)
		m.pes(0x100, 0, 0, false, annexB(sps, pps, idr))
		from := len(m.out)
		m.pes(0x100, 3600, 3600, false, annexB(big(inter, 5000)))
		if n := (len(m.out) - from) / packetSize; n != 28 {
			t.Fatalf("the picture is %d packets", n)
		}
		m.out = slices.Delete(m.out, from+at*packetSize, from+(at+1)*packetSize)
		m.pes(0x100, 7200, 7200, false, annexB(big(inter, 300)))
		s.write(m.out)
		us := s.came()
		if len(us) != 2 || us[1].Time-us[0].Time != 7200 {
			t.Fatalf("packet %d: %d units", at, len(us))
		}
		if lost := s.d.Lost(); lost != 1 || !slices.Contains(s.s.State().Notes, stream.Damaged) {
			t.Fatalf("packet %d: %d lost, notes %v", at, lost, s.s.State().Notes)
		}
	}
}

func TestAPacketThatComesTwiceCountsOnce(t *testing.T) {
	s := newSink(t)
	var m muxer
	m.program(0, video)
	from := len(m.out)
	m.pes(0x100, 0, 0, false, annexB(sps, pps, big(idr, 900)))
	b := slices.Clone(m.out[:from])
	for p := range slices.Chunk(m.out[from:], packetSize) {
		b = append(append(b, p...), p...)
	}
	s.write(b)
	if us := s.came(); len(us) != 1 || !bytes.Equal(us[0].NALs[2], big(idr, 900)) || s.d.Lost() != 0 {
		t.Fatalf("%d units, %d lost", len(us), s.d.Lost())
	}
}

func TestASourceThatPadsInThePictureIsLearnt(t *testing.T) {
	s := newSink(t)
	var m muxer
	m.program(0, video)
	for i := range int64(6) {
		nal := big(idr, 1000)
		b := append([]byte{0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5}, mark(2, i*3600)...)
		b = append(b, annexB(sps, pps, nal)...)
		b = m.packet(0x100, true, nil, b)
		for len(b) > 0 {
			b = m.packet(0x100, false, []byte{0, 0xff, 0xff}, b)
		}
	}
	s.packets(m.out)
	s.d.Flush()
	n := 0
	for _, u := range s.came() {
		if len(u.NALs) == 3 && bytes.Equal(u.NALs[2], big(idr, 1000)) {
			n++
		}
	}
	if n != 5 || s.d.Lost() != 1 {
		t.Fatalf("%d of 6 pictures are whole and %d were lost, want 5 and 1", n, s.d.Lost())
	}
}

func TestAnnouncedSoundIsNotWaitedFor(t *testing.T) {
	s := newSink(t)
	var m muxer
	m.program(0, track{0x0f, 0x101, ""}, video, track{0x02, 0x102, ""})
	m.pes(0x100, 0, 0, false, annexB(sps, pps, idr))
	s.write(m.out)
	if us := s.came(); len(us) != 1 {
		t.Fatalf("%d units", len(us))
	}
	if n := s.s.State().Notes; !slices.Contains(n, stream.AACDropped) || !slices.Contains(n, stream.Foreign) {
		t.Fatalf("notes %v", n)
	}
}

func TestOpusIsTakenApart(t *testing.T) {
	s := newSink(t)
	var m muxer
	m.program(0, video, track{0x06, 0x101, "\x05\x04Opus\x7f\x02\x80\x01"})
	m.pes(0x100, 0, 0, false, annexB(sps, pps, idr))
	long := big(nil, 300)
	m.pes(0x101, 9000, 9000, true, slices.Concat([]byte{0x7f, 0xe0, 3, 1, 2, 3, 0x7f, 0xf0, 0xff, 45, 9, 9}, long))
	s.write(m.out)
	us := s.came()
	if len(us) != 3 || !bytes.Equal(us[1].Sound, []byte{1, 2, 3}) || !bytes.Equal(us[2].Sound, long) || us[2].Time-us[1].Time != 960 {
		t.Fatalf("%d units", len(us))
	}
}

func TestAChangedTableIsFollowed(t *testing.T) {
	s := newSink(t)
	var m muxer
	m.program(0, video)
	m.pes(0x100, 0, 0, false, annexB(sps, pps, idr))
	m.program(1, track{0x24, 0x200, ""})
	m.pes(0x200, 3600, 3600, false, annexB(vpsH, spsH, ppsH, idrH))
	m.pes(0x100, 7200, 7200, false, annexB(sps, pps, idr)) // no longer of it
	s.write(m.out)
	us := s.came()
	if len(us) != 2 || us[0].Codec != stream.H264 || us[1].Codec != stream.H265 {
		t.Fatalf("%d units", len(us))
	}
}

func TestASpoiledTableIsNotBelieved(t *testing.T) {
	s := newSink(t)
	var m muxer
	m.program(0, video)
	bad := slices.Clone(m.out)
	bad[packetSize+5+13] ^= 0x40 // the kind or the PID of the track
	var n muxer
	n.pes(0x100, 0, 0, false, annexB(sps, pps, idr))
	s.write(slices.Concat(bad, n.out))
	if us := s.came(); len(us) != 0 || s.d.tracks.video != 0 {
		t.Fatalf("%d units", len(us))
	}
}

func TestALongTableInSeveralPackets(t *testing.T) {
	s := newSink(t)
	var m muxer
	var all []track
	for i := range uint16(30) {
		all = append(all, track{0x06, 0x300 + i, "\x05\x04KLVA"})
	}
	m.program(0, append(all, video)...)
	m.pes(0x100, 0, 0, false, annexB(sps, pps, idr))
	s.write(m.out)
	if us := s.came(); len(us) != 1 {
		t.Fatalf("%d units", len(us))
	}
}

func TestTheWrapOf33BitsIsNoJump(t *testing.T) {
	s := newSink(t)
	var m muxer
	m.program(0, video)
	const wrap = 1 << 33
	m.pes(0x100, wrap-3600, wrap-7200, false, annexB(sps, pps, idr))
	m.pes(0x100, 0, wrap-3600, false, annexB(inter))
	m.pes(0x100, 3600, 0, false, annexB(inter))
	s.write(m.out)
	us := s.came()
	if len(us) != 3 || us[2].Time-us[0].Time != 7200 || us[2].Gap {
		t.Fatalf("%d units, %v", len(us), us)
	}
}

func TestAPictureIsBounded(t *testing.T) {
	s := newSink(t)
	var m muxer
	m.program(0, video)
	m.pes(0x100, 0, 0, false, annexB(big(idr, pesSize)))
	from := len(m.out)
	s.write(m.out)
	if cap(s.d.video.b) > 2*pesSize || s.d.Lost() != 1 {
		t.Fatalf("%d bytes are kept, %d lost", cap(s.d.video.b), s.d.Lost())
	}
	m.pes(0x100, 3600, 3600, false, annexB(sps, pps, idr))
	s.write(m.out[from:])
	if us := s.came(); len(us) != 1 {
		t.Fatalf("%d units after it", len(us))
	}
}

// gomedia's muxer is not ours: what it writes must be understood.
func TestWhatGomediaWritesIsUnderstood(t *testing.T) {
	for _, c := range []struct {
		kind  mpeg2.TS_STREAM_TYPE
		codec stream.Codec
		key   []byte
	}{
		{mpeg2.TS_STREAM_H264, stream.H264, annexB(sps, pps, big(idr, 3000))},
		{mpeg2.TS_STREAM_H265, stream.H265, annexB(vpsH, spsH, ppsH, big(idrH, 3000))},
	} {
		s := newSink(t)
		mux := mpeg2.NewTSMuxer()
		mux.OnPacket = func(b []byte) { s.write(b) }
		mux.AddStream(mpeg2.TS_STREAM_AAC)
		pid := mux.AddStream(c.kind)
		for i := range uint64(4) {
			if err := mux.Write(pid, slices.Clone(c.key), 1000+i*40, 1000+i*40); err != nil {
				t.Fatal(err)
			}
		}
		s.d.Flush()
		us := s.came()
		if len(us) != 4 || us[0].Codec != c.codec || !us[3].Key || us[3].Time-us[0].Time != 3*3600 || s.d.Lost() != 0 {
			t.Fatalf("%v: %d units, %d lost", c.codec, len(us), s.d.Lost())
		}
	}
}

func FuzzDemuxer(f *testing.F) {
	var m muxer
	m.program(0, video, track{0x06, 0x101, "\x05\x04Opus"})
	m.pes(0x100, 3600, 0, false, annexB(sps, pps, idr))
	m.pes(0x101, 0, 0, true, []byte{0x7f, 0xe0, 3, 1, 2, 3})
	f.Add(m.out, 188)
	f.Add(m.out[packetSize:], 1)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		if len(b) > 1<<16 {
			return
		}
		s := newSink(t)
		// Behind good tables too, and with the packets' sync put right: else little is reached.
		for i := 0; i < len(b); i += packetSize {
			if cut%2 == 0 {
				b[i] = syncByte
			}
		}
		s.write(m.out[:2*packetSize])
		for p := range slices.Chunk(b, 1+max(cut, -cut)%3000) {
			s.write(p)
		}
		s.d.Flush()
		if p := bare(b); len(p)%packetSize != 0 {
			t.Fatalf("%d bytes of a datagram are no packets", len(p))
		}
		if n := cap(s.d.pat.b) + cap(s.d.pmt.b) + cap(s.d.rest); n > 3*(tableSize+4*packetSize)+len(b) {
			t.Fatalf("%d bytes kept", n)
		}
	})
}
