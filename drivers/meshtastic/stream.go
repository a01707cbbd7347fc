package meshtastic

import (
	"bytes"
	"time"
)

const (
	start1, start2 = 0x94, 0xC3
	// longestFrame is what the firmware's own buffer holds.
	longestFrame = 512
	// frameIn is how long the rest of a frame may take. Debug text that happens to
	// look like a beginning must not hold back the frames behind it.
	frameIn = 500 * time.Millisecond
)

// frame puts the header around a protobuf.
func frame(b []byte) []byte {
	return append([]byte{start1, start2, byte(len(b) >> 8), byte(len(b))}, b...)
}

// reader finds frames between debug text.
type reader struct {
	buf []byte
	at  time.Time // the last byte
}

func (r *reader) add(b []byte, at time.Time) { r.buf, r.at = append(r.buf, b...), at }

// next gives the first frame; nil where none is whole. keep or skip must follow.
func (r *reader) next() []byte {
	for {
		i := bytes.IndexByte(r.buf, start1)
		if i < 0 {
			r.buf = r.buf[:0]
			return nil
		}
		r.buf = r.buf[i:]
		if len(r.buf) >= 2 && r.buf[1] != start2 {
			r.skip()
			continue
		}
		if len(r.buf) < 4 {
			return nil
		}
		n := int(r.buf[2])<<8 | int(r.buf[3])
		if n > longestFrame {
			r.skip()
			continue
		}
		if len(r.buf) < 4+n {
			return nil
		}
		return r.buf[4 : 4+n]
	}
}

// keep takes the frame that next gave; skip says that it was none, so that what
// is within it is searched.
func (r *reader) keep(n int) { r.buf = append(r.buf[:0], r.buf[4+n:]...) }
func (r *reader) skip()      { r.buf = r.buf[1:] }

// stale gives up a beginning whose rest does not come. It tells whether there was
// one.
func (r *reader) stale(now time.Time) bool {
	if len(r.buf) == 0 || now.Sub(r.at) < frameIn {
		return false
	}
	r.skip()
	return true
}
