package wire

import "slices"

// thinning says for each channel which values are left out. The nil thinning
// leaves none out.
type thinning struct {
	s     Series
	last  []bool
	level []int // 0: whole; n: within 1<<(n-1) units
	kept  [][]bool
	bits  []int
}

// levelMost is a tolerance of 16,384 units: then hardly more than the ends of a run are left.
const levelMost = 15

func newThinning(s Series, d Dictionary) *thinning {
	return &thinning{s: s, last: d.Last, level: make([]int, d.Channels), kept: make([][]bool, d.Channels), bits: make([]int, d.Channels)}
}

func (t *thinning) any() bool {
	return t != nil && slices.ContainsFunc(t.level, func(l int) bool { return l > 0 })
}

func (t *thinning) cost(ch, bits int) {
	if t != nil {
		t.bits[ch] = bits
	}
}

// more thins one channel further: that which costs most, levels and rain only after all others. It
// tells whether there was one.
func (t *thinning) more() bool {
	for _, late := range []bool{false, true} {
		best := -1
		for ch := range t.level {
			if t.last[ch] == late && t.level[ch] < levelMost && (best < 0 || t.bits[ch] > t.bits[best]) {
				best = ch
			}
		}
		if best >= 0 {
			t.level[best]++
			t.kept[best] = simplify(t.s.Rows, best, 1<<(t.level[best]-1))
			return true
		}
	}
	return false
}

// write codes which values of a channel are left and takes the others off kept.
func (t *thinning) write(c *coder, ch int, kept []bool) {
	c.raw(uint64(t.level[ch]), 4)
	if t.level[ch] == 0 {
		return
	}
	present := slices.Clone(kept)
	for i := range kept {
		kept[i] = kept[i] && t.kept[ch][i]
	}
	flags(c, kept, present)
}

func readThin(d *decoder, present []bool) (tolerance int64, kept []bool) {
	level := d.raw(4)
	if level == 0 {
		return 0, present
	}
	return 1 << (level - 1), readFlags(d, len(present), present)
}

// shown is what the other end will see of rows.
func (t *thinning) shown(rows [][]Value) [][]Value {
	if !t.any() {
		return rows
	}
	out := make([][]Value, len(rows))
	for i := range rows {
		out[i] = slices.Clone(rows[i])
	}
	for ch, l := range t.level {
		if l == 0 {
			continue
		}
		present := make([]bool, len(out))
		for i := range out {
			if present[i] = out[i][ch].State != Missing; !t.kept[ch][i] {
				out[i][ch] = Value{}
			}
		}
		between(out, ch, present, t.kept[ch])
	}
	return out
}

// between fills in what was left out, on straight lines between what was kept. It never
// fills in what was missing, nor across it.
func between(rows [][]Value, ch int, present, kept []bool) {
	from := -1
	for i := range rows {
		switch {
		case !present[i]:
			from = -1
		case kept[i]:
			for j := from + 1; from >= 0 && j < i; j++ {
				rows[j][ch] = Value{int32(line(from, i, j, int64(rows[from][ch].V), int64(rows[i][ch].V))), Between}
			}
			from = i
		}
	}
}

// line is the straight line from (a, va) to (b, vb) at x, rounded to the nearest, halves up.
func line(a, b, x int, va, vb int64) int64 {
	n, d := (vb-va)*int64(x-a)*2+int64(b-a), int64(b-a)*2
	q := n / d
	if n%d < 0 {
		q--
	}
	return va + q
}

// simplify says which values of a channel to keep so that lines between them are within
// tolerance of all others (Ramer 1972, Douglas and Peucker 1973), run by run between gaps.
func simplify(rows [][]Value, ch int, tolerance int64) []bool {
	keep := make([]bool, len(rows))
	for i := 0; i < len(rows); i++ {
		if rows[i][ch].State == Missing {
			continue
		}
		j := i
		for j+1 < len(rows) && rows[j+1][ch].State != Missing {
			j++
		}
		split(rows, ch, i, j, tolerance, keep)
		i = j
	}
	return keep
}

func split(rows [][]Value, ch, a, b int, tolerance int64, keep []bool) {
	keep[a], keep[b] = true, true
	worst, at := tolerance, -1
	for x := a + 1; x < b; x++ {
		if off := distance(line(a, b, x, int64(rows[a][ch].V), int64(rows[b][ch].V)), int64(rows[x][ch].V)); off > worst {
			worst, at = off, x
		}
	}
	if at > 0 {
		split(rows, ch, a, at, tolerance, keep)
		split(rows, ch, at, b, tolerance, keep)
	}
}
