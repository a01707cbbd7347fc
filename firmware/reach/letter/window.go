package letter

import (
	"encoding/binary"
	"hash/crc32"
)

// windowBits is how far behind the newest a counter may come.
const windowBits = 256

// windowSize is a kept window: the newest counter, the bits, a checksum.
const windowSize = 8 + windowBits/8 + 4

// Window accepts each counter once. The zero Window has seen none.
type Window struct {
	newest uint64
	seen   [windowBits / 64]uint64 // bit i: newest-i was seen
}

// Newest is the highest counter that was accepted.
func (w *Window) Newest() uint64 { return w.newest }

// Accept tells whether a counter is new, and remembers it. What lies further
// back than the window is taken as seen.
func (w *Window) Accept(c uint64) bool {
	if c == 0 || c > counterMost {
		return false
	}
	if c > w.newest {
		w.shift(c - w.newest)
		w.newest = c
		w.seen[0] |= 1
		return true
	}
	back := w.newest - c
	if back >= windowBits {
		return false
	}
	bit := uint64(1) << (back % 64)
	if w.seen[back/64]&bit != 0 {
		return false
	}
	w.seen[back/64] |= bit
	return true
}

func (w *Window) shift(n uint64) {
	if n >= windowBits {
		w.seen = [windowBits / 64]uint64{}
		return
	}
	words, bits := int(n/64), n%64
	for i := len(w.seen) - 1; i >= 0; i-- {
		var v uint64
		if i >= words {
			v = w.seen[i-words] << bits
			if bits > 0 && i > words {
				v |= w.seen[i-words-1] >> (64 - bits)
			}
		}
		w.seen[i] = v
	}
}

// Join takes what another window has seen as seen.
func (w *Window) Join(o Window) {
	if o.newest > w.newest {
		*w, o = o, *w
	}
	back := w.newest - o.newest
	o.shift(back)
	for i := range w.seen {
		w.seen[i] |= o.seen[i]
	}
}

// Bytes is the window as it is kept over a restart.
func (w *Window) Bytes() []byte {
	b := binary.BigEndian.AppendUint64(nil, w.newest)
	for _, v := range w.seen {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// ReadWindow reads what Bytes wrote; false where it is damaged.
func ReadWindow(b []byte) (Window, bool) {
	if len(b) != windowSize || crc32.ChecksumIEEE(b[:windowSize-4]) != binary.BigEndian.Uint32(b[windowSize-4:]) {
		return Window{}, false
	}
	w := Window{newest: binary.BigEndian.Uint64(b)}
	for i := range w.seen {
		w.seen[i] = binary.BigEndian.Uint64(b[8+8*i:])
	}
	return w, w.newest <= counterMost
}
