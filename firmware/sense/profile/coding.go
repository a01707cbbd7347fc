package profile

import (
	"bytes"
	"math"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// mostString and mostKnots bound what a String and a table may hold.
const (
	mostString = 32
	mostKnots  = 64
)

// byteOf gives the byte of a register that an 8-bit point is.
func (p *Point) byteOf(raw uint64) uint8 {
	if p.High {
		return uint8(raw >> 8)
	}
	return uint8(raw)
}

// half gives what a 16-bit float stands for (IEEE 754-2008, binary16: a sign, 5
// bits of exponent with a bias of 15, 10 bits of fraction).
func half(b uint16) float64 {
	exponent, fraction := int(b>>10&0x1F), float64(b&0x3FF)
	var v float64
	switch exponent {
	case 0:
		v = math.Ldexp(fraction, -24)
	case 0x1F:
		if v = math.Inf(1); fraction != 0 {
			return math.NaN()
		}
	default:
		v = math.Ldexp(1024+fraction, exponent-25)
	}
	if b>>15 == 1 {
		return -v
	}
	return v
}

// bcd gives what packed decimal digits stand for; NaN where one of them is none.
func bcd(raw uint64) float64 {
	n := uint64(0)
	for shift := 60; shift >= 0; shift -= 4 {
		d := raw >> shift & 0xF
		if d > 9 {
			return math.NaN()
		}
		n = 10*n + d
	}
	return float64(n)
}

// string gives the text of registers: printable ASCII, cut at the first NUL,
// without the blanks around it. Anything else is a fault, and so is none.
func (p *Point) string(i int, b []byte) Value {
	v := Value{Point: p.ID, Index: i, Value: math.NaN()}
	b = slices.Clone(b)
	if p.Order == BADC {
		for k := 0; k+1 < len(b); k += 2 {
			b[k], b[k+1] = b[k+1], b[k]
		}
	}
	b, _, _ = bytes.Cut(b, []byte{0})
	blank := func(c byte) bool { return c == ' ' || c == 0xFF }
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && blank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	s := string(b)
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7E {
			v.Quality, v.Why = point.SensorFault, phrase.M("sense.not_text")
			return v
		}
	}
	if s == "" {
		v.Quality, v.Why = point.SensorFault, phrase.M("sense.absent")
		return v
	}
	v.Text, v.Quality = s, point.Good
	return v
}

// curved gives the value of a raw one by the table; false beyond its ends.
func (p *Point) curved(n float64) (float64, bool) {
	c := p.Curve
	i, _ := slices.BinarySearchFunc(c, n, func(k Knot, n float64) int {
		switch {
		case k.Raw < n:
			return -1
		case k.Raw > n:
			return 1
		}
		return 0
	})
	switch {
	case math.IsNaN(n) || i == len(c) || i == 0 && n < c[0].Raw:
		return math.NaN(), false
	case n == c[i].Raw:
		return c[i].Value, true
	}
	a, b := c[i-1], c[i]
	return a.Value + (b.Value-a.Value)*(n-a.Raw)/(b.Raw-a.Raw), true
}

// pairs reads [[a, b], …] whose first numbers rise.
func (r *reader) pairs(n ast.Node, key string, least int) [][2]float64 {
	var out [][2]float64
	for _, e := range r.list(n, key) {
		l := r.list(e, key)
		if len(l) != 2 {
			r.at(e, phrase.M("profile.bad_pair", "key", key))
			return nil
		}
		x, y := r.number(l[0], key, math.NaN()), r.number(l[1], key, math.NaN())
		if math.IsNaN(x) || math.IsNaN(y) {
			return nil // told
		}
		if k := len(out); k > 0 && !(x > out[k-1][0]) {
			r.at(e, phrase.M("profile.table_order", "key", key, "got", x, "before", out[k-1][0]))
			return nil
		}
		out = append(out, [2]float64{x, y})
	}
	if len(out) < least || len(out) > mostKnots {
		r.at(n, phrase.M("profile.table_length", "key", key, "min", least, "max", mostKnots))
		return nil
	}
	return out
}

// tableOf reads "table: [[4, 0], [20, 10]]", whose values must rise or fall
// throughout: otherwise two raw values would be one level.
func (r *reader) tableOf(m map[string]ast.Node, pt *Point) {
	n := m["table"]
	if n == nil {
		return
	}
	for _, k := range []string{"scale", "offset"} {
		if m[k] != nil {
			r.at(m[k], phrase.M("profile.one_of", "a", "table", "b", k))
		}
	}
	switch pt.Type {
	case Bool, Bits, Enum, String:
		r.at(n, phrase.M("profile.no_number_type", "key", "table", "type", string(pt.Type)))
		return
	}
	if m["counter"] != nil {
		r.at(n, phrase.M("profile.one_of", "a", "table", "b", "counter"))
	}
	ps := r.pairs(n, "table", 2)
	for i, p := range ps {
		if i > 1 && (p[1] > ps[i-1][1]) != (ps[1][1] > ps[0][1]) || i > 0 && p[1] == ps[i-1][1] {
			r.at(n, phrase.M("profile.table_turns", "raw", p[0]))
			return
		}
		pt.Curve = append(pt.Curve, Knot{p[0], p[1]})
	}
}

// clampOf reads "clamp: [0, 100]". It must lie within range, so that it never
// makes a plausible value of a fault.
func (r *reader) clampOf(n ast.Node, pt *Point) {
	if n == nil {
		return
	}
	c := r.rangeOf(n)
	if c != nil && (pt.Range == nil || c.Min < pt.Range.Min || c.Max > pt.Range.Max) {
		r.at(n, phrase.M("profile.clamp_range"))
		return
	}
	pt.Clamp = c
}

// stringOf reads what belongs to a text in registers.
func (r *reader) stringOf(m map[string]ast.Node, n ast.Node, pt *Point) {
	if pt.Type != String {
		if m["length"] != nil {
			r.at(m["length"], phrase.M("profile.only_string", "key", "length"))
		}
		return
	}
	if m["length"] == nil {
		r.at(n, phrase.M("profile.missing", "key", "length", "in", "points"))
	}
	pt.Length = int(r.whole(m["length"], "length", 1, 1, mostString))
	if pt.Order != ABCD && pt.Order != BADC {
		r.at(m["order"], phrase.M("profile.bad_choice", "key", "order", "got", string(pt.Order), "known", "ABCD, BADC"))
	}
	for _, k := range []string{"scale", "offset", "range", "clamp", "rate", "jump", "stuck", "absent", "counter", "status_of"} {
		if m[k] != nil {
			r.at(m[k], phrase.M("profile.no_number_type", "key", k, "type", string(String)))
		}
	}
}

// counter reads how a running total behaves.
func (r *reader) counter(n ast.Node, m map[string]ast.Node, pt *Point) *point.Counter {
	k := r.object(n, "counter", "wrap", "resets", "tip", "burst", "intensity", "funnel")
	c := &point.Counter{Wrap: math.Abs(r.number(k["wrap"], "wrap", 0) * pt.Scale), Resets: r.yes(k["resets"], "resets"),
		Tip: r.amount(k["tip"], "tip", pt.Unit, math.Abs(pt.Scale))}
	c.Burst = r.amount(k["burst"], "burst", pt.Unit, 2*c.Tip)
	if f := k["funnel"]; f != nil {
		if c.Funnel = r.amount(f, "funnel", "mm", 0); pt.Unit != "mm" || c.Funnel < funnelLeast || c.Funnel > funnelMost {
			r.at(f, phrase.M("profile.bad_funnel", "min", funnelLeast, "max", funnelMost))
		}
	}
	if pt.Rate != nil {
		c.Most = pt.Rate.Most / pt.Rate.Per.Seconds()
	}
	if m["jump"] != nil {
		r.at(m["jump"], phrase.M("profile.one_of", "a", "jump", "b", "counter"))
	}
	if t := k["intensity"]; t != nil {
		if pt.Unit != "mm" {
			r.at(t, phrase.M("profile.intensity_unit", "unit", string(pt.Unit)))
		}
		for _, p := range r.pairs(t, "intensity", 1) {
			if p[0] < intensityFrom || p[1] < intensityFactorLeast || p[1] > intensityFactorMost {
				r.at(t, phrase.M("profile.bad_intensity", "from", intensityFrom, "min", intensityFactorLeast, "max", intensityFactorMost))
				return c
			}
			c.Intensity = append(c.Intensity, point.Correction{PerMinute: p[0], Factor: p[1]})
		}
	}
	return c
}

// Collectors of rain gauges are 100 to 1000 mm wide.
const funnelLeast, funnelMost = 50.0, 1200.0

// Tipping buckets are held to their accuracy up to 4 mm/min (GB/T 21978.2);
// beyond, they lose what falls while the bucket tips. A factor outside these
// bounds is no such loss but a wrong scale.
const (
	intensityFrom        = 4.0
	intensityFactorLeast = 0.8
	intensityFactorMost  = 1.5
)
