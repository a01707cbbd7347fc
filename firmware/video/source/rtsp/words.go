package rtsp

import (
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// oneLine makes a text fit for a status line.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "")
	}
	return s
}
