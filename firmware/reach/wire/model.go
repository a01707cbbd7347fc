package wire

// channel is what both ends know of one channel: where it is, where it goes, how
// well that was guessed. All is whole numbers, so that both ends agree to the bit.
// Fine means 256ths of a unit.
type channel struct {
	Seen   bool  // a value was coded since the key frame
	Last   int64 // the last one
	Smooth [4]int64
	Slope  int64
	Miss   [guesses]int64 // how far each guess was off, of late
	Scale  int64          // how wide what is left lies
	Count  int64
}

const (
	guesses   = 8
	fine      = 256
	scaleMost = 1 << 40
	reach     = 255 // buckets on each side of the guess
	escaped   = 513 // the share of whole16 that is left for what lies beyond
	spreadAll = whole16 - escaped - (2*reach + 1)
)

// start takes a channel's first value.
func (c *channel) start(v int64) {
	*c = channel{Seen: true, Last: v, Scale: 2 * fine}
	for i := range c.Smooth {
		c.Smooth[i] = v * fine
	}
	for i := range c.Miss {
		c.Miss[i] = fine + int64(i)
	}
}

// lead is how many slopes, in halves, each smoothed value lags behind.
var lead = [4]int64{2, 3, 5, 10}

// guess gives guess j of the next value, fine.
func (c *channel) guess(j int) int64 {
	if j < 4 {
		return c.Smooth[j]
	}
	return c.Smooth[j-4] + c.Slope*lead[j-4]>>1
}

// best is the guess that was least off; of equals the first.
func (c *channel) best() int64 {
	b := 0
	for j := range c.Miss {
		if c.Miss[j] < c.Miss[b] {
			b = j
		}
	}
	return c.guess(b)
}

func distance(a, b int64) int64 {
	if a < b {
		return b - a
	}
	return a - b
}

// learn takes the value that came.
func (c *channel) learn(v int64) {
	off := min(distance(v*fine, c.best()), 16*c.Scale+fine) // one outlier does not undo the day
	c.Count = min(c.Count+1, 16)
	m := max(2, c.Count)
	c.Scale = min(max((c.Scale*(m-1)+off*5/4)/m, fine/16), scaleMost)
	for j := range c.Miss {
		c.Miss[j] += (distance(v*fine, c.guess(j)) - c.Miss[j]) >> 4
	}
	c.Slope += ((v-c.Last)*fine - c.Slope) >> 3
	for i := range c.Smooth {
		c.Smooth[i] += (v*fine - c.Smooth[i]) >> i
	}
	c.Last = v
}

// buckets is how the next value is cut: around centre, in buckets of 1<<shift
// values.
type buckets struct {
	centre, guess, scale int64
	shift                int
}

func (c *channel) buckets() buckets {
	b := buckets{guess: c.best(), scale: c.Scale}
	b.centre = (b.guess + fine/2) >> 8
	for c.Scale>>8>>b.shift >= 64 {
		b.shift++
	}
	return b
}

// below is how much of whole16 lies below bucket d.
func (b buckets) below(d int64) uint64 {
	switch {
	case d <= -reach:
		return 0
	case d > reach:
		return whole16 - escaped
	}
	x := (b.centre+d<<b.shift)*fine - fine/2 - b.guess
	t := x * 1024 / b.scale // toward zero
	return uint64(int64(share(t))*spreadAll>>22 + d + reach)
}

// share is the logistic curve 1/(1+exp(-πx/√3)) at x = t/1024, times 2^22.
func share(t int64) int64 {
	neg := t < 0
	if neg {
		t = -t
	}
	t = min(t, 8*1024-1)
	i, f := t>>5, t&31
	v := logistic[i] + (logistic[i+1]-logistic[i])*f>>5
	if neg {
		return 1<<22 - v
	}
	return v
}

// encode codes v and learns it.
func (c *channel) encode(to *coder, v int64) {
	if !c.Seen {
		u := fold(v)
		n := bitLen(u)
		to.raw(uint64(n), 6)
		to.raw(u, n)
		c.start(v)
		return
	}
	b := c.buckets()
	d := (v - b.centre) >> b.shift
	if d < -reach || d > reach {
		to.code(whole16-escaped, whole16)
		to.raw(fold(v), 32)
	} else {
		to.code(b.below(d), b.below(d+1))
		to.raw(uint64(v-b.centre)&(1<<b.shift-1), b.shift)
	}
	c.learn(v)
}

// decode gives the next value and learns it; false where it cannot be one.
func (c *channel) decode(from *decoder) (int64, bool) {
	if !c.Seen {
		n := int(from.raw(6))
		if n > 32 {
			return 0, false
		}
		v := unfold(from.raw(n))
		if v < ValueLeast || v > ValueMost {
			return 0, false
		}
		c.start(v)
		return v, true
	}
	b := c.buckets()
	at := from.at()
	var v int64
	if at >= whole16-escaped {
		from.code(whole16-escaped, whole16)
		v = unfold(from.raw(32))
	} else {
		low, high := int64(-reach), int64(reach) // the last d whose below is at most at
		for low < high {
			mid := (low + high + 1) >> 1
			if b.below(mid) <= at {
				low = mid
			} else {
				high = mid - 1
			}
		}
		from.code(b.below(low), b.below(low+1))
		v = b.centre + low<<b.shift + int64(from.raw(b.shift))
	}
	if v < ValueLeast || v > ValueMost {
		return 0, false
	}
	c.learn(v)
	return v, true
}

func fold(v int64) uint64   { return uint64(v<<1 ^ v>>63) }
func unfold(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

func bitLen(u uint64) (n int) {
	for ; u > 0; u >>= 1 {
		n++
	}
	return n
}
