package wire

// The arithmetic coder of Witten, Neal and Cleary (CACM 30(6), 1987) with registers of 32 bits and
// frequencies that add up to 2^16. It costs less than two bits a block over what the
// model asks for.
const (
	top     = 1<<32 - 1
	half    = 1 << 31
	quarter = 1 << 30
	whole16 = 1 << 16
)

type coder struct {
	w         *bitWriter
	low, high uint64
	pending   int
}

func newCoder(w *bitWriter) *coder { return &coder{w: w, high: top} }

// code narrows to [from, to) of whole16.
func (c *coder) code(from, to uint64) {
	r := c.high - c.low + 1
	c.high = c.low + r*to/whole16 - 1
	c.low += r * from / whole16
	for {
		switch {
		case c.high < half:
			c.out(0)
		case c.low >= half:
			c.out(1)
			c.low -= half
			c.high -= half
		case c.low >= quarter && c.high < 3*quarter:
			c.pending++
			c.low -= quarter
			c.high -= quarter
		default:
			return
		}
		c.low <<= 1
		c.high = c.high<<1 | 1
	}
}

func (c *coder) out(bit int) {
	c.w.bit(bit)
	for ; c.pending > 0; c.pending-- {
		c.w.bit(1 - bit)
	}
}

// raw codes n bits as they are.
func (c *coder) raw(v uint64, n int) {
	for n > 0 {
		k := min(n, 8)
		n -= k
		x := v >> n & (1<<k - 1)
		c.code(x<<(16-k), (x+1)<<(16-k))
	}
}

// end writes what tells the last interval from its neighbours.
func (c *coder) end() {
	c.pending++
	if c.low < quarter {
		c.out(0)
	} else {
		c.out(1)
	}
}

type decoder struct {
	r         *bitReader
	low, high uint64
	value     uint64
}

func newDecoder(r *bitReader) *decoder {
	return &decoder{r: r, high: top, value: r.take(32)}
}

// at gives which of whole16 the next interval holds; code then takes it.
func (d *decoder) at() uint64 {
	r := d.high - d.low + 1
	return min(((d.value-d.low+1)*whole16-1)/r, whole16-1)
}

func (d *decoder) code(from, to uint64) {
	r := d.high - d.low + 1
	d.high = d.low + r*to/whole16 - 1
	d.low += r * from / whole16
	for {
		switch {
		case d.high < half:
		case d.low >= half:
			d.low -= half
			d.high -= half
			d.value -= half
		case d.low >= quarter && d.high < 3*quarter:
			d.low -= quarter
			d.high -= quarter
			d.value -= quarter
		default:
			return
		}
		d.low <<= 1
		d.high = d.high<<1 | 1
		d.value = d.value<<1 | uint64(d.r.bit())
	}
}

func (d *decoder) raw(n int) (v uint64) {
	for n > 0 {
		k := min(n, 8)
		n -= k
		x := d.at() >> (16 - k)
		d.code(x<<(16-k), (x+1)<<(16-k))
		v = v<<k | x
	}
	return v
}
