package point

import (
	"math"
	"strconv"
	"strings"
)

// digits are how many decimals a value is shown with, at least and at most:
// what a gauge of that unit can mean, so that a column of values lines up.
var digits = map[Unit][2]int{"m": {2, 2}, "mm": {1, 2}, "mm/h": {1, 1}, "%": {0, 1}, "°C": {1, 1}, "V": {1, 2}, "on/off": {0, 0}}

// Write gives a value of the unit as people read it, without the unit.
func (u Unit) Write(v float64) string {
	d, ok := digits[u]
	if !ok {
		d = [2]int{0, 3}
	}
	p := math.Pow10(d[1])
	s := strconv.FormatFloat(math.Round(v*p)/p, 'f', d[1], 64)
	for n := d[1]; n > d[0] && strings.HasSuffix(s, "0"); n-- {
		s = s[:len(s)-1]
	}
	s = strings.TrimSuffix(s, ".")
	if strings.Trim(s, "-0.") == "" {
		s = strings.TrimPrefix(s, "-")
	}
	return s
}
