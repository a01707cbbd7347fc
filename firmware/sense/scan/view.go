package scan

import (
	"math"
	"strconv"

	"tocsin/drivers"
	"tocsin/firmware/sense/profile"
)

// Orders are the byte orders, in the order of a row's values.
var Orders = [4]profile.Order{profile.ABCD, profile.CDAB, profile.BADC, profile.DCBA}

// Row is one register in all types and orders.
type Row struct {
	Table drivers.Table
	Addr  uint16
	Word  uint16
	Int   int16
	Text  string // its two bytes, where they can be printed
	Moved bool
	// Pair tells that the register after it is there; the values of both follow,
	// by Orders.
	Pair bool
	U32  [4]uint32
	I32  [4]int32
	F32  [4]float32
	// Likely are the readings that would be plausible, e.g. "float32 CDAB",
	// "int16", "text".
	Likely []string
}

// Rows lays out the registers of blocks; bits are left out.
func Rows(blocks []Block) []Row {
	var out []Row
	for _, b := range blocks {
		if b.Table.Bits() {
			continue
		}
		for i, w := range b.Words {
			r := Row{Table: b.Table, Addr: b.Addr + uint16(i), Word: w, Int: int16(w), Text: printable(w), Moved: b.Moved[i]}
			next, ok := wordAt(blocks, b.Table, int(r.Addr)+1)
			if r.Pair = ok; ok {
				for o, order := range Orders {
					u := pair(order, w, next)
					r.U32[o], r.I32[o], r.F32[o] = u, int32(u), math.Float32frombits(u)
				}
			}
			out = append(out, r)
		}
	}
	hint(out)
	return out
}

func wordAt(blocks []Block, t drivers.Table, addr int) (uint16, bool) {
	for _, b := range blocks {
		if i := addr - int(b.Addr); b.Table == t && i >= 0 && i < len(b.Words) {
			return b.Words[i], true
		}
	}
	return 0, false
}

func swap(w uint16) uint32 { return uint32(w<<8 | w>>8) }

// pair joins two registers as profile.Order says.
func pair(o profile.Order, a, b uint16) uint32 {
	switch o {
	case profile.CDAB:
		return uint32(b)<<16 | uint32(a)
	case profile.BADC:
		return swap(a)<<16 | swap(b)
	case profile.DCBA:
		return swap(b)<<16 | swap(a)
	}
	return uint32(a)<<16 | uint32(b)
}

func printable(w uint16) string {
	hi, lo := byte(w>>8), byte(w)
	if hi < ' ' || hi > '~' || lo < ' ' && lo != 0 || lo > '~' {
		return ""
	}
	if lo == 0 {
		return string(rune(hi))
	}
	return string([]byte{hi, lo})
}

// measures tells whether a float may be something that was measured: neither
// tiny nor huge.
func measures(f float32) bool {
	v := math.Abs(float64(f))
	return !math.IsNaN(v) && v >= 1e-3 && v < 1e6
}

// hint marks what would be plausible. It is a help to the eye: a wrong order
// scatters the exponent, so that most wrong floats are tiny, huge or none.
func hint(rows []Row) {
	inFloat := -1 // the last row that is the second half of one
	for i := range rows {
		r := &rows[i]
		if text(rows, i) {
			r.Likely = append(r.Likely, "text")
			continue
		}
		if r.Pair && i != inFloat && (r.F32[0] != 0 || r.U32[0] != 0) {
			next := rows[i+1]
			switch {
			case r.Word == 0 || next.Word == 0:
				// One of the two is empty: a float whose lower half is zero, such as
				// 12.5, or a small number with an empty register beside it.
				for o := range Orders {
					if f := r.F32[o]; measures(f) && halfFloat(f) {
						r.Likely = append(r.Likely, "float32 "+string(Orders[o]))
					}
				}
			default:
				for o := range Orders {
					if measures(r.F32[o]) {
						r.Likely = append(r.Likely, "float32 "+string(Orders[o]))
					}
				}
			}
			if len(r.Likely) > 0 && len(r.Likely) <= 2 {
				inFloat = i + 1
			}
			for o := range Orders[:2] { // a total that has outgrown one register
				if u := r.U32[o]; u > 0xFFFF && u < 1<<24 && u&0xFFFF >= 20000 && inFloat != i+1 {
					r.Likely = append(r.Likely, "uint32 "+string(Orders[o]))
				}
			}
		}
		if i == inFloat {
			continue
		}
		switch {
		case r.Word == 0 || inFloat == i+1:
		case r.Int < 0 && r.Int > -10000:
			r.Likely = append(r.Likely, "int16")
		case r.Word < 20000:
			r.Likely = append(r.Likely, "uint16")
		}
	}
}

// halfFloat tells whether a float has few digits, as those with an empty half
// have.
func halfFloat(f float32) bool {
	return len(strconv.FormatFloat(math.Abs(float64(f)), 'g', -1, 32)) <= 6
}

// text tells whether a row is part of four printable characters or more.
func text(rows []Row, i int) bool {
	full := func(j int) bool { return j >= 0 && j < len(rows) && len(rows[j].Text) == 2 }
	if !full(i) {
		return len(rows[i].Text) == 1 && full(i-1) && full(i-2) // the end of one
	}
	run := 1
	for j := i - 1; full(j) && rows[j].Addr+1 == rows[j+1].Addr; j-- {
		run++
	}
	for j := i + 1; full(j) && rows[j].Addr == rows[j-1].Addr+1; j++ {
		run++
	}
	return run >= 3
}
