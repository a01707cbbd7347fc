package wire

// bitWriter writes bits, the highest of a byte first.
type bitWriter struct {
	b []byte
	n int // bits so far
}

func (w *bitWriter) put(v uint64, n int) {
	for i := n - 1; i >= 0; i-- {
		w.bit(int(v >> i & 1))
	}
}

func (w *bitWriter) bit(v int) {
	if w.n%8 == 0 {
		w.b = append(w.b, 0)
	}
	w.b[w.n/8] |= byte(v) << (7 - w.n%8)
	w.n++
}

// bitReader reads them. Beyond the end it reads zeros and counts them: the
// arithmetic coder's last bits may be left out where they are zero.
type bitReader struct {
	b    []byte
	n    int
	over int
}

func (r *bitReader) bit() int {
	if r.n >= len(r.b)*8 {
		r.over++
		return 0
	}
	v := int(r.b[r.n/8]>>(7-r.n%8)) & 1
	r.n++
	return v
}

func (r *bitReader) take(n int) (v uint64) {
	for range n {
		v = v<<1 | uint64(r.bit())
	}
	return v
}
