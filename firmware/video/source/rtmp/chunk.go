package rtmp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// The kinds of messages (RTMP 1.0, sections 5.4 and 7.1).
const (
	kindSetChunkSize  = 1
	kindAbort         = 2
	kindAck           = 3
	kindUserControl   = 4
	kindWindow        = 5
	kindPeerBandwidth = 6
	kindAudio         = 8
	kindVideo         = 9
	kindDataAMF3      = 15
	kindCommandAMF3   = 17
	kindData          = 18
	kindCommand       = 20
	kindAggregate     = 22
)

const (
	// firstChunk is the chunk size until one is set (5.4.1), largestChunk the largest that
	// means anything, as no message is longer.
	firstChunk   = 128
	largestChunk = 1<<24 - 1
	// extended in a header's time says that the time follows in 32 bits (5.3.1.3).
	extended = 1<<24 - 1
	// chunkStreams is how many a publisher may use; encoders use up to six.
	chunkStreams = 24
)

var (
	errChunkStreams = errors.New("too many chunk streams")
	errNoHeader     = errors.New("chunk without a header before it")
	errLongMessage  = errors.New("message is too long")
	errHeld         = errors.New("too many unfinished messages")
)

// A message is one of RTMP's. Its body is fresh memory.
type message struct {
	kind   byte
	time   uint32 // ms
	stream uint32
	body   []byte
}

// chunkStream is what the last headers of one said.
type chunkStream struct {
	time, delta uint32
	ext         uint32 // the extended time of its last header, where it had one
	hasExt      bool
	length      int
	kind        byte
	stream      uint32
	body        []byte // of an unfinished message
	open        bool
}

// chunkReader puts messages together of chunks (5.3).
type chunkReader struct {
	r       *bufio.Reader
	size    int
	most    int // bytes of a message, and of all that are unfinished
	held    int
	streams map[uint32]*chunkStream
	got     uint64 // bytes read
	head    [11]byte
}

func newChunkReader(r *bufio.Reader, most int) *chunkReader {
	return &chunkReader{r: r, size: firstChunk, most: most, streams: map[uint32]*chunkStream{}}
}

// next reads chunks until a message is whole.
func (c *chunkReader) next() (message, error) {
	for {
		m, whole, err := c.chunk()
		if err != nil || whole {
			return m, err
		}
	}
}

// abort forgets what is there of a message (5.4.2).
func (c *chunkReader) abort(id uint32) {
	if s := c.streams[id]; s != nil {
		c.drop(s)
	}
}

func (c *chunkReader) drop(s *chunkStream) {
	c.held -= len(s.body)
	s.body, s.open = nil, false
}

func (c *chunkReader) read(b []byte) error {
	n, err := io.ReadFull(c.r, b)
	c.got += uint64(n)
	return err
}

// basic reads a chunk's basic header (5.3.1.1).
func (c *chunkReader) basic() (form byte, id uint32, err error) {
	b := c.head[:1]
	if err := c.read(b); err != nil {
		return 0, 0, err
	}
	form, id = b[0]>>6, uint32(b[0]&0x3f)
	if id > 1 {
		return form, id, nil
	}
	b = c.head[:1+id]
	if err := c.read(b); err != nil {
		return 0, 0, err
	}
	id = uint32(b[0]) + 64
	if len(b) == 2 {
		id += uint32(b[1]) << 8
	}
	return form, id, nil
}

func (c *chunkReader) chunk() (message, bool, error) {
	form, id, err := c.basic()
	if err != nil {
		return message{}, false, err
	}
	s := c.streams[id]
	if s == nil {
		// Some encoders begin a chunk stream by form 1: the stream's id is then 0.
		if form > 1 {
			return message{}, false, errNoHeader
		}
		if len(c.streams) >= chunkStreams {
			return message{}, false, errChunkStreams
		}
		s = &chunkStream{}
		c.streams[id] = s
	}
	if err := c.header(form, s); err != nil {
		return message{}, false, err
	}
	if s.length > c.most {
		return message{}, false, errLongMessage
	}
	return c.body(s)
}

// header reads a message header (5.3.1.2). One that is not of form 3 begins a message,
// also where the last was not finished.
func (c *chunkReader) header(form byte, s *chunkStream) error {
	if form == 3 {
		return c.again(s)
	}
	c.drop(s)
	b := c.head[:[...]int{11, 7, 3}[form]]
	if err := c.read(b); err != nil {
		return err
	}
	t := uint24(b)
	if form < 2 {
		s.length, s.kind = int(uint24(b[3:])), b[6]
	}
	if form == 0 {
		s.stream = binary.LittleEndian.Uint32(b[7:])
	}
	if s.hasExt = t == extended; s.hasExt {
		b := c.head[:4]
		if err := c.read(b); err != nil {
			return err
		}
		t = binary.BigEndian.Uint32(b)
		s.ext = t
	}
	s.delta = t
	if form == 0 {
		s.time = t
	} else {
		s.time += t
	}
	s.open = true
	return nil
}

// again reads a header of form 3, which has nothing but perhaps the extended time. Some
// encoders leave that out, though it stands in 5.3.1.3; it is there if it is what it was.
func (c *chunkReader) again(s *chunkStream) error {
	if s.hasExt {
		b, err := c.r.Peek(4)
		if err != nil {
			return err
		}
		if binary.BigEndian.Uint32(b) == s.ext {
			if err := c.read(c.head[:4]); err != nil {
				return err
			}
		}
	}
	if !s.open {
		// A new message, as far from the last as that was from the one before (5.3.1.2.4).
		s.time += s.delta
		s.open = true
	}
	return nil
}

// body reads a chunk's part of a message.
func (c *chunkReader) body(s *chunkStream) (message, bool, error) {
	n := min(c.size, s.length-len(s.body))
	if c.held+n > c.most {
		return message{}, false, errHeld
	}
	for n > 0 {
		// In steps, so that memory follows what really came.
		step := min(n, 64<<10)
		at := len(s.body)
		if cap(s.body) < at+step {
			// To begin with, room for what most messages are; of a stranger, little.
			grown := make([]byte, at, min(s.length, max(2*cap(s.body), at+step, c.most/64)))
			copy(grown, s.body)
			s.body = grown
		}
		s.body = s.body[:at+step]
		c.held += step
		if err := c.read(s.body[at:]); err != nil {
			return message{}, false, err
		}
		n -= step
	}
	if len(s.body) < s.length {
		return message{}, false, nil
	}
	m := message{kind: s.kind, time: s.time, stream: s.stream, body: s.body}
	c.drop(s)
	return m, true, nil
}

// appendMessage writes a message in chunks: the first with a header of form 0, the others
// of form 3.
func appendMessage(b []byte, id byte, m message, size int) []byte {
	t := min(m.time, extended)
	b = append(b, id&0x3f)
	b = append24(b, t)
	b = append24(b, uint32(len(m.body)))
	b = append(b, m.kind)
	b = binary.LittleEndian.AppendUint32(b, m.stream)
	for i := 0; ; i += size {
		if i > 0 {
			b = append(b, 0xc0|id&0x3f)
		}
		if t == extended {
			b = binary.BigEndian.AppendUint32(b, m.time)
		}
		n := min(size, len(m.body)-i)
		b = append(b, m.body[i:i+n]...)
		if i+n == len(m.body) {
			return b
		}
	}
}

func uint24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }

func append24(b []byte, v uint32) []byte { return append(b, byte(v>>16), byte(v>>8), byte(v)) }
