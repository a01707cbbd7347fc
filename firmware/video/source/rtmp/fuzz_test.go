package rtmp

import (
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"tocsin/firmware/video/source"
)

func FuzzChunks(f *testing.F) {
	f.Add(appendMessage(nil, 6, message{kind: 9, time: 0x2000000, body: make([]byte, 300)}, 128))
	f.Add([]byte{0x04, 0, 3, 0xe8, 0, 0, 2, 8, 1, 0, 0, 0, 'a', 'a', 0xc4, 'b', 'b'})
	f.Add([]byte{0x01, 1, 1, 0xff, 0xff, 0xff, 0, 0, 1, 8, 0, 0, 0, 0, 1, 2, 3, 4, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		c := reader(b, 4096)
		for {
			m, err := c.next()
			if err != nil {
				break
			}
			if len(m.body) > 4096 {
				t.Fatalf("a message of %d bytes", len(m.body))
			}
		}
		held := 0
		for _, s := range c.streams {
			held += len(s.body)
			if cap(s.body) > 4096 {
				t.Fatalf("%d bytes put aside", cap(s.body))
			}
		}
		if held != c.held || held > 4096 || len(c.streams) > chunkStreams || c.got > uint64(len(b)) {
			t.Fatalf("%d held, %d counted, %d chunk streams, %d of %d bytes", held, c.held, len(c.streams), c.got, len(b))
		}
	})
}

func FuzzAMF(f *testing.F) {
	f.Add(appendAMF(nil, "connect", 1, object{{"app", "live"}, {"fourCcList", []any{"hvc1"}}}))
	f.Add([]byte("\x08\x00\x00\x00\x02\x00\x01a\x01\x01\x00\x00\x09"))
	f.Add([]byte("\x10\x00\x01T\x00\x00\x09\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decodeAMF(b)
		if len(v) > amfValues {
			t.Fatalf("%d values", len(v))
		}
		if err != nil {
			return
		}
		again := appendAMF(nil, v...)
		w, err := decodeAMF(again)
		if err != nil || !bytes.Equal(again, appendAMF(nil, w...)) {
			t.Fatalf("%v is read back as %v: %v", v, w, err)
		}
	})
}

func FuzzTags(f *testing.F) {
	f.Add(old(1, 7, 0, 0, avcC(4, sps, pps)), old(1, 7, 1, 80, lengths(4, idr)))
	f.Add(old(1, 12, 0, 0, hvcC(2, vpsH, spsH, ppsH)), old(1, 12, 1, -1, lengths(2, idrH)))
	f.Add(enhanced(1, 0, "hvc1", hvcC(4, vpsH, spsH, ppsH)), enhanced(1, 1, "hvc1", append([]byte{0, 0, 9}, lengths(4, idrH)...)))
	f.Add([]byte{0x97, 0, 0, 0x01, 'a', 'v', 'c', '1', 0, 0, 0}, []byte{0x72, 1, 2})
	f.Add([]byte{0x91, 'O', 'p', 'u', 's', 1}, []byte{0x9f, 0xff})
	f.Fuzz(func(t *testing.T, config, body []byte) {
		s := newDesk().s
		w, err := s.Open("fuzz")
		if err != nil {
			t.Fatal(err)
		}
		d := feed{w: w, log: slog.New(slog.DiscardHandler)}
		for i, b := range [][]byte{config, body, body, config, body} {
			d.picture(uint32(i)*40, bytes.Clone(b))
			d.sound(uint32(i)*40, bytes.Clone(b))
		}
		w.Close(nil)
		if len(d.rec.sets) > recordSets {
			t.Fatalf("%d parameter sets", len(d.rec.sets))
		}
		if coded(body) != bytes.Contains(body, startCode) {
			t.Fatal("a start code is overlooked, or seen where none is")
		}
		if v, err := readVideo(body); err == nil && v.part == partFrames {
			nals, _ := split(v.data, 4)
			n := 0
			for _, x := range nals {
				if len(x) == 0 {
					t.Fatal("an empty NAL unit")
				}
				n += len(x)
			}
			if n > len(body) {
				t.Fatal("more than came")
			}
		}
	})
}

// A deaf conn gives what it has and takes everything.
type deafConn struct {
	io.Reader
	said int
}

func (c *deafConn) Write(b []byte) (int, error)      { c.said += len(b); return len(b), nil }
func (c *deafConn) Close() error                     { return nil }
func (c *deafConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *deafConn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }
func (c *deafConn) SetDeadline(time.Time) error      { return nil }
func (c *deafConn) SetReadDeadline(time.Time) error  { return nil }
func (c *deafConn) SetWriteDeadline(time.Time) error { return nil }

// begin is all that an encoder says before its first picture.
func begin() []byte {
	b := make([]byte, 1+2*handshakeSize)
	b[0] = version
	for _, v := range [][]any{{"connect", 1, object{{"app", "live"}}}, {"createStream", 2, nil}, {"publish", 3, nil, "drone?key=geheim"}} {
		b = appendMessage(b, 3, message{kind: kindCommand, body: appendAMF(nil, v...)}, firstChunk)
	}
	return appendMessage(b, 2, message{kind: kindSetChunkSize, body: binary.BigEndian.AppendUint32(nil, 4096)}, firstChunk)
}

func FuzzSession(f *testing.F) {
	b := begin()
	f.Add(false, b)
	var media []byte
	for i, m := range [][]byte{old(1, 7, 0, 0, avcC(4, sps, pps)), old(1, 7, 1, 0, lengths(4, idr)), old(2, 7, 1, 0, lengths(4, inter))} {
		media = appendMessage(media, 6, message{kind: kindVideo, time: uint32(i * 40), stream: 1, body: m}, 4096)
	}
	f.Add(true, media)
	f.Add(true, appendMessage(nil, 4, message{kind: kindData, stream: 1, body: appendAMF(nil, "@setDataFrame", "onMetaData", object{{"audiocodecid", 10}})}, 4096))
	f.Add(true, appendMessage(nil, 3, message{kind: kindCommand, body: appendAMF(nil, "FCUnpublish", 6, nil, "drone")}, 4096))
	f.Add(true, appendMessage(nil, 6, message{kind: kindAggregate, body: append([]byte{9, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0x57, 0}, 0, 0, 0, 13)}, 4096))
	f.Fuzz(func(t *testing.T, published bool, b []byte) {
		if published {
			b = append(begin(), b...)
		}
		d := newDesk()
		s := New(Opts{Desk: d, Log: slog.New(slog.DiscardHandler)})
		c := &deafConn{Reader: bytes.NewReader(b)}
		s.attend(c)
		if s.publishers != 0 || s.gate.Waiting() != 0 || d.s.State().From != "" {
			t.Fatal("it still publishes")
		}
		if c.said > 64<<10+4*len(b) {
			t.Fatalf("%d bytes were said to %d", c.said, len(b))
		}
	})
}

var _ source.Desk = (*desk)(nil)
