package recorder

import "encoding/binary"

var be = binary.BigEndian

// boxes writes boxes of ISO/IEC 14496-12 4.2 into one slice.
type boxes struct{ b []byte }

func (w *boxes) box(kind string, body func()) {
	at := len(w.b)
	w.b = append(w.b, 0, 0, 0, 0)
	w.b = append(w.b, kind...)
	body()
	be.PutUint32(w.b[at:], uint32(len(w.b)-at))
}

// full is a box with a version and flags (FullBox).
func (w *boxes) full(kind string, version uint8, flags uint32, body func()) {
	w.box(kind, func() {
		w.u32(uint32(version)<<24 | flags)
		body()
	})
}

func (w *boxes) u8(v ...uint8) { w.b = append(w.b, v...) }
func (w *boxes) u16(v uint16)  { w.b = be.AppendUint16(w.b, v) }
func (w *boxes) u32(v ...uint32) {
	for _, x := range v {
		w.b = be.AppendUint32(w.b, x)
	}
}
func (w *boxes) u64(v uint64)   { w.b = be.AppendUint64(w.b, v) }
func (w *boxes) zeros(n int)    { w.b = append(w.b, make([]byte, n)...) }
func (w *boxes) text(s string)  { w.b = append(w.b, s...) }
func (w *boxes) bytes(p []byte) { w.b = append(w.b, p...) }

// matrix is the unity matrix of 8.2.2.
func (w *boxes) matrix() { w.u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000) }

// boxIn finds the first box of a kind among the boxes in b: where it begins and its
// bytes; nil where there is none or a length is wrong.
func boxIn(b []byte, kind string) (at int, box []byte) {
	for at = 0; len(b)-at >= 8; {
		n := int(be.Uint32(b[at:]))
		if n < 8 || n > len(b)-at {
			return 0, nil
		}
		if string(b[at+4:at+8]) == kind {
			return at, b[at : at+n]
		}
		at += n
	}
	return 0, nil
}
