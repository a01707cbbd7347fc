package main

import (
	"io"
	"strings"
	"unicode"
)

// table is rows of cells, the first row the headings.
type table [][]string

// write aligns the columns by their width on a terminal, where a Chinese
// character takes two places. Column right, counted from 0, is aligned to the
// right; -1 for none.
func (t table) write(w io.Writer, right int) error {
	var widths []int
	for _, row := range t {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(c))
		}
	}
	for _, row := range t {
		var b strings.Builder
		for i, c := range row {
			if i > 0 {
				b.WriteString("  ")
			}
			if i == right {
				b.WriteString(padLeft(c, widths[i]))
			} else {
				b.WriteString(pad(c, widths[i]))
			}
		}
		if _, err := io.WriteString(w, strings.TrimRight(b.String(), " ")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

func pad(s string, to int) string     { return s + strings.Repeat(" ", max(0, to-width(s))) }
func padLeft(s string, to int) string { return strings.Repeat(" ", max(0, to-width(s))) + s }

// width gives how many places a text takes on a terminal.
func width(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Cc):
		case unicode.Is(wide, r):
			n += 2
		default:
			n++
		}
	}
	return n
}

// wide are the characters that take two places: classes W and F of Unicode
// Standard Annex 11, as far as this product's texts can hold them.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x1100, 0x115F, 1}, {0x2E80, 0x303E, 1}, {0x3041, 0x33FF, 1}, {0x3400, 0x4DBF, 1}, {0x4E00, 0xA4CF, 1},
		{0xAC00, 0xD7A3, 1}, {0xF900, 0xFAFF, 1}, {0xFE30, 0xFE6F, 1}, {0xFF00, 0xFF60, 1}, {0xFFE0, 0xFFE6, 1},
	},
	R32: []unicode.Range32{{0x1F300, 0x1F64F, 1}, {0x1F900, 0x1F9FF, 1}, {0x20000, 0x3FFFD, 1}},
}
