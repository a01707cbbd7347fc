package profile

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// words gives how many registers (or bits, for a bit table) a point takes.
func (p *Point) words() int {
	if p.Table.Bits() {
		return 1
	}
	switch p.Type {
	case Int32, Uint32, Float32, BCD32:
		return 2
	case Int64, Uint64, Float64, BCD64:
		return 4
	case String:
		return max(1, p.Length)
	}
	return 1
}

// raw gives the bits of a value whose registers are b, most significant first.
func (p *Point) raw(b []byte) uint64 {
	var w [8]byte
	n := copy(w[:], b)
	d := w[:n]
	if p.Order == DCBA || p.Order == CDAB { // words reversed
		for i, j := 0, n-2; i < j; i, j = i+2, j-2 {
			d[i], d[i+1], d[j], d[j+1] = d[j], d[j+1], d[i], d[i+1]
		}
	}
	if p.Order == DCBA || p.Order == BADC { // bytes swapped in each word
		for i := 0; i+1 < n; i += 2 {
			d[i], d[i+1] = d[i+1], d[i]
		}
	}
	switch n {
	case 2:
		return uint64(binary.BigEndian.Uint16(d))
	case 4:
		return uint64(binary.BigEndian.Uint32(d))
	}
	return binary.BigEndian.Uint64(w[:])
}

// number gives the number that raw bits stand for, before scale and offset.
func (p *Point) number(raw uint64) float64 {
	switch p.Type {
	case Int8:
		return float64(int8(p.byteOf(raw)))
	case Uint8:
		return float64(p.byteOf(raw))
	case Float16:
		return half(uint16(raw))
	case BCD16, BCD32, BCD64:
		return bcd(raw)
	case Int16:
		return float64(int16(raw))
	case Int32:
		return float64(int32(raw))
	case Int64:
		return float64(int64(raw))
	case Float32:
		return float64(math.Float32frombits(uint32(raw)))
	case Float64:
		return math.Float64frombits(raw)
	case Bool:
		if p.Bit >= 0 {
			raw >>= uint(p.Bit)
		}
		return float64(raw & 1)
	}
	return float64(raw)
}

// decimal is scale and offset as integers over a power of ten: 0.1 is 1/10. The
// zero value is none.
type decimal struct{ num, off, den float64 }

// decimalOf finds the decimal of a scale and an offset that a person wrote;
// none where they have more digits than a float64 holds exactly.
func decimalOf(scale, offset float64) decimal {
	const most = 1 << 40
	for den := 1.0; den <= 1e9; den *= 10 {
		num, off := math.Round(scale*den), math.Round(offset*den)
		if math.Abs(num) < most && math.Abs(off) < most && num/den == scale && off/den == offset {
			return decimal{num, off, den}
		}
	}
	return decimal{}
}

// scaled gives n × Scale + Offset as a person would write it: 1234 × 0.1 is
// 123.4 and not 123.4000…01, since an integer divided by a power of ten is
// rounded once.
func (p *Point) scaled(n float64) float64 {
	if p.Scale == 1 && p.Offset == 0 {
		return n
	}
	const exact = 1 << 53
	if v := n*p.decimal.num + p.decimal.off; p.decimal.den != 0 && n == math.Trunc(n) && math.Abs(v) < exact {
		return v / p.decimal.den
	}
	return n*p.Scale + p.Offset
}

// Decode gives the value of each point of a request from the bytes of its
// answer, as on the wire. Data of another length than the request asked for
// gives each point as CommFault. A state that a status point reports is laid on
// the points that it speaks for.
func (p *Profile) Decode(req Request, data []byte) []Value {
	return p.DecodeInto(make([]Value, 0, len(req.Points)), req, data)
}

// DecodeInto is Decode into room that is used again: what was in it is lost.
func (p *Profile) DecodeInto(room []Value, req Request, data []byte) []Value {
	out := room[:0]
	want := 2 * int(req.Count)
	if req.Table.Bits() {
		want = (int(req.Count) + 7) / 8
	}
	for _, i := range req.Points {
		if i < 0 || i >= len(p.Points) {
			continue
		}
		pt := &p.Points[i]
		at := int(pt.Addr) - int(req.Addr)
		if len(data) != want || pt.Table != req.Table || at < 0 || at+pt.words() > int(req.Count) {
			out = append(out, Value{Point: pt.ID, Index: i, Value: math.NaN(), Quality: point.CommFault,
				Why: phrase.M("sense.answer_length", "got", len(data), "want", want)})
			continue
		}
		var raw uint64
		if req.Table.Bits() {
			raw = uint64(data[at/8]>>(at%8)) & 1
		} else if pt.Type == String {
			out = append(out, pt.string(i, data[2*at:2*(at+pt.words())]))
			continue
		} else {
			raw = pt.raw(data[2*at : 2*(at+pt.words())])
		}
		out = append(out, pt.value(i, raw))
	}
	p.lay(out)
	return out
}

// value gives the value that raw bits stand for, by the point alone.
func (p *Point) value(i int, raw uint64) Value {
	v := Value{Point: p.ID, Index: i}
	if slices.Contains(p.Absent, raw) {
		v.Value, v.Quality, v.Why = math.NaN(), point.SensorFault, phrase.M("sense.absent")
		return v
	}
	return p.judgeNumber(v, p.number(raw))
}

// judgeNumber scales a number and holds it against the point's range and
// states.
func (p *Point) judgeNumber(v Value, n float64) Value {
	if len(p.Curve) > 0 {
		var ok bool
		if v.Value, ok = p.curved(n); !ok && !math.IsNaN(n) {
			v.Quality = point.OutOfRange
			v.Why = phrase.M("sense.off_table", "raw", n, "min", p.Curve[0].Raw, "max", p.Curve[len(p.Curve)-1].Raw)
			return v
		}
	} else {
		v.Value = p.scaled(n)
	}
	v.Quality = point.Good
	switch {
	case math.IsNaN(v.Value) || math.IsInf(v.Value, 0):
		v.Value, v.Quality, v.Why = math.NaN(), point.SensorFault, phrase.M("sense.not_a_number")
	case p.Range != nil && (v.Value < p.Range.Min || v.Value > p.Range.Max):
		v.Quality = point.OutOfRange
		v.Why = phrase.M("sense.out_of_range", "value", v.Value, "unit", string(p.Unit), "min", p.Range.Min, "max", p.Range.Max)
	case len(p.States) > 0 && len(p.StatusOf) == 0:
		if q, why := p.state(n); q != point.Good {
			v.Quality, v.Why = q, why
		}
	}
	if c := p.Clamp; c != nil && v.Quality == point.Good {
		v.Value = min(max(v.Value, c.Min), c.Max)
	}
	return v
}

// state gives what a status word says: the worst of its states. A code that
// the profile does not know is a fault, since it cannot be called normal.
func (p *Point) state(n float64) (point.Quality, phrase.Message) {
	if math.IsNaN(n) || n < 0 || n > math.MaxUint16 || n != math.Trunc(n) {
		return point.SensorFault, phrase.M("sense.state_unknown", "code", n)
	}
	w := uint16(n)
	if p.Type != Bits {
		for _, s := range p.States {
			if s.Code == w {
				if s.Makes == point.Good {
					return point.Good, phrase.Message{}
				}
				return s.Makes, phrase.M("sense.state", "state", s.Name)
			}
		}
		return point.SensorFault, phrase.M("sense.state_unknown", "code", int(w))
	}
	q, why := point.Good, phrase.Message{}
	for _, s := range p.States {
		if w>>s.Code&1 == 1 && worse(s.Makes, q) {
			q, why = s.Makes, phrase.M("sense.state", "state", s.Name)
		}
	}
	return q, why
}

// lay puts what status points say on the points that they speak for. Where the
// status itself could not be read, they are no better than it.
func (p *Profile) lay(vs []Value) {
	for _, s := range vs {
		pt := &p.Points[s.Index]
		if len(pt.StatusOf) == 0 {
			continue
		}
		q, why := s.Quality, s.Why
		if q == point.Good {
			q, why = pt.state(s.Value)
		}
		if q == point.Good {
			continue
		}
		for j := range vs {
			if slices.Contains(pt.StatusOf, vs[j].Point) && worse(q, vs[j].Quality) {
				vs[j].Quality, vs[j].Why = q, why
				if q != point.Suspect {
					vs[j].Value = math.NaN()
				}
			}
		}
	}
}

// rank orders qualities by how little they may be trusted.
var rank = map[point.Quality]int{point.Good: 0, point.Suspect: 1, point.OutOfRange: 2, point.SensorFault: 3, point.CommFault: 4}

func worse(a, b point.Quality) bool { return rank[a] > rank[b] }

// DecodeFields gives the value of each point of a text device from the fields
// of a line after its start.
func (p *Profile) DecodeFields(fields []string) []Value {
	out := make([]Value, 0, len(p.Points))
	for i := range p.Points {
		pt := &p.Points[i]
		v := Value{Point: pt.ID, Index: i, Value: math.NaN()}
		if pt.Field < 1 || pt.Field > len(fields) {
			v.Quality, v.Why = point.CommFault, phrase.M("sense.field_missing", "field", pt.Field, "got", len(fields))
			out = append(out, v)
			continue
		}
		n, ok := parseNumber(fields[pt.Field-1])
		if !ok {
			v.Quality, v.Why = point.SensorFault, phrase.M("sense.field_no_number", "field", pt.Field)
			out = append(out, v)
			continue
		}
		out = append(out, pt.judgeNumber(v, n))
	}
	p.lay(out)
	return out
}

// parseNumber reads a plain decimal number: no hex, no words, at most 32
// characters.
func parseNumber(s string) (float64, bool) {
	for len(s) > 0 && s[0] == ' ' {
		s = s[1:]
	}
	for len(s) > 0 && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	if s == "" || len(s) > 32 {
		return 0, false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' {
			return 0, false
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && !math.IsInf(n, 0)
}

// DecodePin gives the value of a GPIO device's point from its pin's level.
func (p *Profile) DecodePin(pin int, level bool) []Value {
	var out []Value
	for i := range p.Points {
		if pt := &p.Points[i]; pt.Pin == pin {
			n := 0.0
			if level {
				n = 1
			}
			out = append(out, pt.judgeNumber(Value{Point: pt.ID, Index: i}, n))
		}
	}
	return out
}
