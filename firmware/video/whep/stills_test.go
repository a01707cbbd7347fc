package whep

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/pion/interceptor"
	"github.com/pion/sdp/v3"
)

func partOf(number, part, parts uint16, b []byte) []byte {
	out := binary.BigEndian.AppendUint16(nil, number)
	out = binary.BigEndian.AppendUint16(out, part)
	return append(binary.BigEndian.AppendUint16(out, parts), b...)
}

func TestAStillShowsOnlyWhole(t *testing.T) {
	a, b := bytes.Repeat([]byte{1}, stillPart), []byte{2, 3}
	for name, c := range map[string]struct {
		parts [][]byte
		want  []byte
	}{
		"whole":                   {[][]byte{partOf(1, 0, 2, a), partOf(1, 1, 2, b)}, append(slices.Clone(a), b...)},
		"one part":                {[][]byte{partOf(9, 0, 1, b)}, b},
		"a part is missing":       {[][]byte{partOf(1, 1, 2, b)}, nil},
		"a part twice":            {[][]byte{partOf(1, 1, 2, b), partOf(1, 1, 2, b)}, nil},
		"two stills":              {[][]byte{partOf(1, 0, 2, a), partOf(2, 1, 2, b)}, nil},
		"after one that was left": {[][]byte{partOf(1, 0, 3, a), partOf(2, 0, 1, b)}, b},
		"no part":                 {[][]byte{partOf(1, 0, 0, b)}, nil},
		"beyond the last":         {[][]byte{partOf(1, 2, 2, b)}, nil},
		"too many":                {[][]byte{partOf(1, 0, 65535, b)}, nil},
		"too long":                {[][]byte{partOf(1, 0, 1, append(slices.Clone(a), 0))}, nil},
		"a head alone":            {[][]byte{partOf(1, 0, 1, nil)}, nil},
	} {
		var w whole
		var got []byte
		for _, p := range c.parts {
			got = w.put(p)
		}
		if !bytes.Equal(got, c.want) {
			t.Errorf("%s: %d bytes, not %d", name, len(got), len(c.want))
		}
	}
}

// Whoever gives stills gives any bytes.
func FuzzStillParts(f *testing.F) {
	f.Add(partOf(1, 0, 2, []byte{0xff, 0xd8}), partOf(1, 1, 2, []byte{0xff, 0xd9}))
	f.Add(partOf(1, 0, 1, []byte{0xff, 0xd8}), []byte{})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var w whole
		for _, p := range [][]byte{a, b, a} {
			if got := w.put(p); len(got) > stillMost+stillPart {
				t.Errorf("%d bytes", len(got))
			}
		}
	})
}

func TestWhatCameIsCountedInItsOwnBytes(t *testing.T) {
	now := time.Duration(0)
	w := &wire{now: func() time.Duration { return now }}
	out := w.BindLocalStream(&interceptor.StreamInfo{RTPHeaderExtensions: []interceptor.RTPHeaderExtension{{URI: sdp.TransportCCURI, ID: 1}}},
		interceptor.RTPWriterFunc(func(*rtp.Header, []byte, interceptor.Attributes) (int, error) { return 0, nil }))
	total := 0
	send := func(seq uint16, size int) int {
		h := &rtp.Header{Version: 2}
		b, _ := (&rtp.TransportCCExtension{TransportSequence: seq}).Marshal()
		h.SetExtension(1, b)
		out.Write(h, make([]byte, size), nil)
		return h.MarshalSize() + size
	}
	for seq := uint16(65530); seq != 4; seq++ { // over the end of the numbers
		total += send(seq, 1000+int(seq%7))
	}
	now = 100 * time.Millisecond
	all := &rtcp.TransportLayerCC{BaseSequenceNumber: 65530, PacketStatusCount: 10, PacketChunks: []rtcp.PacketStatusChunk{
		&rtcp.RunLengthChunk{PacketStatusSymbol: rtcp.TypeTCCPacketReceivedSmallDelta, RunLength: 10}}}
	if came, lost, way := w.tells(now, all); came != total || lost != 0 || way != now {
		t.Errorf("%d of %d came, %d lost, %v", came, total, lost, way)
	}
	if came, _, _ := w.tells(now, all); came != 0 {
		t.Errorf("told twice, %d bytes came again", came)
	}
	// Lost ones count while they are fresh: what was lost at the end of a flow is told when the next begins.
	none := func(base uint16) *rtcp.TransportLayerCC {
		return &rtcp.TransportLayerCC{BaseSequenceNumber: base, PacketStatusCount: 2, PacketChunks: []rtcp.PacketStatusChunk{
			&rtcp.StatusVectorChunk{SymbolList: []uint16{rtcp.TypeTCCPacketNotReceived, rtcp.TypeTCCPacketNotReceived, rtcp.TypeTCCPacketNotReceived}}}}
	}
	size := send(10, 500) + send(11, 500)
	now += time.Second
	if came, lost, _ := w.tells(now, none(10)); came != 0 || lost != size {
		t.Errorf("%d lost, not %d", lost, size)
	}
	send(20, 500)
	send(21, 500)
	now += wordFor
	if _, lost, _ := w.tells(now, none(20)); lost != 0 {
		t.Errorf("%d lost of long ago", lost)
	}
}
