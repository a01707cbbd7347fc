package rtmp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

func reader(b []byte, most int) *chunkReader {
	return newChunkReader(bufio.NewReader(bytes.NewReader(b)), most)
}

func TestMessagesOfEveryLengthAndTimeComeBack(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 129, 256, 70_000} {
		for _, at := range []uint32{0, 0xfffffe, 0xffffff, 0x1000000, 0xffffffff} {
			in := message{kind: kindVideo, time: at, stream: 1, body: bytes.Repeat([]byte{7}, n)}
			c := reader(appendMessage(appendMessage(nil, 6, in, 128), 6, in, 128), 1<<20)
			for range 2 {
				m, err := c.next()
				if err != nil || m.time != at || m.stream != 1 || m.kind != kindVideo || !bytes.Equal(m.body, in.body) {
					t.Fatalf("%d bytes at %d: %d bytes at %d, %v", n, at, len(m.body), m.time, err)
				}
			}
			if c.held != 0 {
				t.Fatalf("%d bytes are still counted", c.held)
			}
		}
	}
}

// Headers of all forms, in the order of the specification's examples (5.3.2).
func TestHeadersOfEveryFormAreUnderstood(t *testing.T) {
	var b []byte
	b = append(b, 0x04, 0, 3, 0xe8, 0, 0, 2, 8, 1, 0, 0, 0, 'a', 'a') // form 0, at 1000
	b = append(b, 0x44, 0, 0, 20, 0, 0, 3, 9, 'b', 'b', 'b')          // form 1: +20, other length and kind
	b = append(b, 0x84, 0, 0, 30, 'c', 'c', 'c')                      // form 2: +30
	b = append(b, 0xc4, 'd', 'd', 'd')                                // form 3: +30 again
	b = append(b, 0x00, 1, 0, 0, 5, 0, 0, 1, 8, 0, 0, 0, 0, 'e')      // chunk stream 65
	b = append(b, 0x01, 1, 1, 0, 0, 6, 0, 0, 1, 8, 0, 0, 0, 0, 'f')   // chunk stream 321
	c := reader(b, 1000)
	for _, w := range []message{{8, 1000, 1, []byte("aa")}, {9, 1020, 1, []byte("bbb")}, {9, 1050, 1, []byte("ccc")}, {9, 1080, 1, []byte("ddd")}, {8, 5, 0, []byte("e")}, {8, 6, 0, []byte("f")}} {
		m, err := c.next()
		if err != nil || m.kind != w.kind || m.time != w.time || m.stream != w.stream || !bytes.Equal(m.body, w.body) {
			t.Fatalf("%+v, %v; want %+v", m, err, w)
		}
	}
	if _, err := c.next(); err != io.EOF {
		t.Fatal(err)
	}
	if len(c.streams) != 3 || c.streams[321] == nil || c.got != uint64(len(b)) {
		t.Fatalf("%d chunk streams, %d bytes", len(c.streams), c.got)
	}
}

func TestMessagesMayBeInterleaved(t *testing.T) {
	v := appendMessage(nil, 6, message{kind: 9, body: bytes.Repeat([]byte{1}, 200)}, 128)
	a := appendMessage(nil, 4, message{kind: 8, body: []byte{2}}, 128)
	c := reader(bytes.Join([][]byte{v[:12+128], a, v[12+128:]}, nil), 1000)
	first, _ := c.next()
	second, err := c.next()
	if first.kind != 8 || second.kind != 9 || len(second.body) != 200 || err != nil {
		t.Fatalf("%d, %d, %v", first.kind, second.kind, err)
	}
}

// Some encoders leave the extended time out of headers of form 3.
func TestTheExtendedTimeMayBeMissingInLaterChunks(t *testing.T) {
	body := bytes.Repeat([]byte{9}, 300)
	with := appendMessage(nil, 6, message{kind: 9, time: 0x1234567, body: body}, 128)
	var without []byte
	without = append(without, with[:16+128]...)
	without = append(append(without, 0xc6), body[128:256]...)
	without = append(append(without, 0xc6), body[256:]...)
	for _, b := range [][]byte{with, without} {
		m, err := reader(b, 1000).next()
		if err != nil || m.time != 0x1234567 || !bytes.Equal(m.body, body) {
			t.Fatalf("at %#x, %d bytes, %v", m.time, len(m.body), err)
		}
	}
}

func TestAnAbortedMessageIsForgotten(t *testing.T) {
	v := appendMessage(nil, 6, message{kind: 9, body: make([]byte, 200)}, 128)
	c := reader(append(v[:12+128:12+128], appendMessage(nil, 6, message{kind: 9, body: []byte{5}}, 128)...), 250)
	if _, _, err := c.chunk(); err != nil {
		t.Fatal(err)
	}
	c.abort(6)
	c.abort(77)
	if m, err := c.next(); err != nil || len(m.body) != 1 || c.held != 0 {
		t.Fatalf("%d bytes, %d counted, %v", len(m.body), c.held, err)
	}
}

func TestWhatIsUnfinishedIsBounded(t *testing.T) {
	var many, held []byte
	for i := range byte(chunkStreams + 1) {
		many = appendMessage(many, 3+i, message{kind: 8, body: []byte{1}}, 128)
		held = append(held, appendMessage(nil, 3+i, message{kind: 8, body: make([]byte, 900)}, 128)[:12+128]...)
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"chunk streams":     {many, errChunkStreams},
		"unfinished":        {held, errHeld},
		"a long message":    {[]byte{3, 0, 0, 0, 0, 4, 1, 8, 0, 0, 0, 0}, errLongMessage},
		"no header":         {[]byte{0xc3}, errNoHeader},
		"no header, form 2": {[]byte{0x83, 0, 0, 0}, errNoHeader},
	} {
		r := reader(c.b, 1024)
		var err error
		for err == nil {
			_, err = r.next()
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// Memory follows what came, not what was announced.
func TestNothingIsPutAsideForBytesThatDoNotCome(t *testing.T) {
	b := binary.LittleEndian.AppendUint32([]byte{6, 0, 0, 0, 0x3f, 0xff, 0xff, 9}, 1)
	c := reader(append(b, make([]byte, 1000)...), 4<<20)
	c.size = largestChunk
	if _, err := c.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if got := cap(c.streams[6].body); got > 128<<10 {
		t.Fatalf("%d bytes put aside for 1000", got)
	}
}
