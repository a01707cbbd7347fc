package profile

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/goccy/go-yaml/ast"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// Setting says what a holding register takes: the same type, order, scale and
// unit as a point that would read it, and the values that may be asked for.
type Setting struct {
	p Point
	// Range is what may be asked for, in Unit. It is the profile's word, and
	// nobody's wish goes beyond it.
	Range Range
	// Multiple: written by function 16 though it is one register.
	Multiple bool
}

// FailSafe is the value that a write goes back to where nobody asked for one
// for a while.
type FailSafe struct {
	Value float64 // in the write's unit; 0 and 1 of a switch
	After time.Duration
}

// Bounds of a fail-safe: shorter is a job for the device's own timer, longer is
// no safety.
const (
	failSafeLeast = 5 * time.Second
	failSafeMost  = 24 * time.Hour
)

// Type, Order, Unit, Scale and States say how a value is written.
func (s *Setting) Type() Type       { return s.p.Type }
func (s *Setting) Order() Order     { return s.p.Order }
func (s *Setting) Unit() point.Unit { return s.p.Unit }
func (s *Setting) States() []State  { return s.p.States }

// Step is the least difference between two values; 0 for a floating one.
func (s *Setting) Step() float64 {
	if s.p.Type == Float32 || s.p.Type == Float64 {
		return 0
	}
	return math.Abs(s.p.Scale)
}

// Words is how many registers a value takes.
func (s *Setting) Words() int { return s.p.words() }

// Encode gives the registers of a value, or says why it may not be asked for:
// beyond the range, between two steps, or no state that the device knows.
// Nothing is rounded: a person who asks for 0.25 must not get 0.2.
func (s *Setting) Encode(v float64) ([]uint16, error) {
	p := &s.p
	if math.IsNaN(v) || v < s.Range.Min || v > s.Range.Max {
		return nil, phrase.E("profile.set_range", "value", v, "unit", string(p.Unit), "min", s.Range.Min, "max", s.Range.Max)
	}
	n := (v - p.Offset) / p.Scale
	var raw uint64
	switch p.Type {
	case Float32:
		raw = uint64(math.Float32bits(float32(n)))
	case Float64:
		raw = math.Float64bits(n)
	default:
		whole := math.Round(n)
		if p.scaled(whole) != v && math.Abs(n-whole) > 1e-9*max(1, math.Abs(n)) {
			return nil, phrase.E("profile.set_step", "value", v, "unit", string(p.Unit), "step", s.Step())
		}
		if p.Type == Enum && !p.knows(whole) {
			return nil, phrase.E("profile.set_state", "value", v)
		}
		least, most := span(p.Type)
		if whole < least || whole > most {
			return nil, phrase.E("profile.set_type", "value", v, "type", string(p.Type))
		}
		raw = uint64(int64(whole))
	}
	w := p.words()
	b := make([]byte, 8)
	binary.BigEndian.PutUint64(b, raw)
	b = b[8-2*w:]
	// Reordering undoes itself: the same swaps read and write.
	switch ordered := p.raw(b); w {
	case 1:
		binary.BigEndian.PutUint16(b, uint16(ordered))
	case 2:
		binary.BigEndian.PutUint32(b, uint32(ordered))
	case 4:
		binary.BigEndian.PutUint64(b, ordered)
	}
	out := make([]uint16, w)
	for i := range out {
		out[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return out, nil
}

// knows tells whether a code is one of the states.
func (p *Point) knows(n float64) bool {
	for _, s := range p.States {
		if float64(s.Code) == n {
			return true
		}
	}
	return false
}

// span is what an integer type holds. Up to 2^53 only: beyond it a float64
// does not name every integer.
func span(t Type) (least, most float64) {
	const exact = 1 << 53
	switch t {
	case Int16:
		return math.MinInt16, math.MaxInt16
	case Int32:
		return math.MinInt32, math.MaxInt32
	case Uint32:
		return 0, math.MaxUint32
	case Int64:
		return -exact, exact
	case Uint64:
		return 0, exact
	}
	return 0, math.MaxUint16
}

// Decode gives what registers that were read back hold, in the unit; false
// where the bytes are none of it.
func (s *Setting) Decode(data []byte) (float64, bool) {
	if len(data) != 2*s.p.words() {
		return math.NaN(), false
	}
	v := s.p.scaled(s.p.number(s.p.raw(data)))
	return v, !math.IsNaN(v) && !math.IsInf(v, 0)
}

// Span gives the least and the most that may be asked of a write, and its unit.
func (w *Write) Span() (Range, point.Unit) {
	if w.Setting == nil {
		return Range{0, 1}, "on/off"
	}
	return w.Setting.Range, w.Setting.Unit()
}

// Takes says whether a value may be asked of a write.
func (w *Write) Takes(v float64) error {
	if w.Setting != nil {
		_, err := w.Setting.Encode(v)
		return err
	}
	if v != 0 && v != 1 {
		return phrase.E("profile.set_switch", "value", v)
	}
	return nil
}

// setting reads what belongs to a write of a holding register, and refuses it
// for a coil.
func (r *reader) setting(n ast.Node, m map[string]ast.Node, w *Write) {
	if w.Table != drivers.Holding {
		for _, k := range []string{"type", "order", "scale", "offset", "unit", "range", "states", "function"} {
			if m[k] != nil {
				r.at(m[k], phrase.M("profile.only_holding", "key", k))
			}
		}
		return
	}
	s := &Setting{p: Point{Table: drivers.Holding, Addr: w.Addr, Bit: -1}}
	s.p.Type = Type(r.choice(m["type"], "type", string(Uint16), string(Int16), string(Int32), string(Uint32), string(Int64), string(Uint64), string(Float32), string(Float64), string(Enum)))
	s.p.Order = Order(r.choice(m["order"], "order", string(ABCD), string(DCBA), string(BADC), string(CDAB)))
	s.p.Scale, s.p.Offset = r.number(m["scale"], "scale", 1), r.number(m["offset"], "offset", 0)
	s.p.States = r.states(m["states"], n, s.p.Type)
	if s.p.Scale == 0 || math.Abs(s.p.Scale) > 1e12 || math.Abs(s.p.Offset) > 1e12 || s.p.Type == Enum && (s.p.Scale != 1 || s.p.Offset != 0) {
		r.at(n, phrase.M("profile.bad_scale"))
		s.p.Scale = 1
	}
	s.p.decimal = decimalOf(s.p.Scale, s.p.Offset)
	s.p.Unit = r.unit(m["unit"], n, s.p.Type)
	s.Multiple = s.p.words() > 1 || r.whole(m["function"], "function", 6, 6, 16) == 16
	if f := m["function"]; f != nil && r.text(f, "function") != "6" && r.text(f, "function") != "16" {
		r.at(f, phrase.M("profile.bad_choice", "key", "function", "got", r.text(f, "function"), "known", "6, 16"))
	}
	switch {
	case s.p.Type == Enum && m["range"] == nil:
		for i, x := range s.p.States {
			c := float64(x.Code)
			if i == 0 {
				s.Range = Range{c, c}
			}
			s.Range.Min, s.Range.Max = min(s.Range.Min, c), max(s.Range.Max, c)
		}
	case m["range"] == nil:
		r.at(n, phrase.M("profile.missing", "key", "range", "in", "writes"))
	default:
		g := r.rangeOf(m["range"])
		if g == nil {
			return
		}
		s.Range = *g
		for _, v := range []float64{g.Min, g.Max} {
			if _, err := s.Encode(v); err != nil {
				r.at(m["range"], phrase.M("profile.set_bounds", "value", v, "why", said(err)))
			}
		}
	}
	w.Setting = s
}

func said(err error) phrase.Text {
	return phrase.Text{ZH: phrase.In(err, phrase.ZH), EN: phrase.In(err, phrase.EN)}
}

// Defaults of a read-back of a set-point, which every one has.
const (
	confirmWithin = time.Second
	confirmRetry  = 2
)

// confirm reads how a write is read back. A set-point is always read back, from
// its own register unless told; a coil only where the profile says where.
func (r *reader) confirm(n ast.Node, w *Write) {
	if n == nil {
		if w.Setting != nil {
			w.Confirm = &Confirm{Table: w.Table, Addr: w.Addr, Within: confirmWithin, Retry: confirmRetry}
		}
		return
	}
	within := "!within"
	if w.Setting != nil {
		within = "within"
	}
	read := "!read"
	if w.Setting != nil {
		read = "read"
	}
	k := r.object(n, "confirm", read, within, "retry")
	w.Confirm = &Confirm{Table: w.Table, Addr: w.Addr, Within: r.span(k["within"], "within", confirmWithin), Retry: int(r.whole(k["retry"], "retry", 0, 0, 10))}
	if k["read"] == nil {
		return
	}
	w.Confirm.Table, w.Confirm.Addr = r.register(k["read"], "read")
	switch {
	case w.Confirm.Table == 0: // told
	case w.Setting != nil && w.Confirm.Table.Bits():
		r.at(k["read"], phrase.M("profile.confirm_register"))
	case w.Setting == nil && !w.Confirm.Table.Bits():
		r.at(k["read"], phrase.M("profile.confirm_bit"))
	}
}

// failSafe reads "fail_safe: {value: 0, after: 10m}".
func (r *reader) failSafe(n ast.Node, w *Write) {
	if n == nil {
		return
	}
	k := r.object(n, "fail_safe", "!value", "!after")
	f := &FailSafe{After: r.span(k["after"], "after", 0)}
	if k["value"] != nil {
		if w.Setting == nil {
			f.Value = 0
			if r.yes(k["value"], "value") {
				f.Value = 1
			}
		} else {
			f.Value = r.number(k["value"], "value", 0)
			if err := w.Takes(f.Value); err != nil {
				r.at(k["value"], phrase.M("profile.set_bounds", "value", f.Value, "why", said(err)))
			}
		}
	}
	if k["after"] != nil && (f.After < failSafeLeast || f.After > failSafeMost) {
		r.at(k["after"], phrase.M("profile.fail_safe_after", "least", point.Span(failSafeLeast).String(), "most", point.Span(failSafeMost).String()))
	}
	w.FailSafe = f
}

// value reads what a proof says is written: a number, or on and off.
func (r *reader) doesValue(k map[string]ast.Node, n ast.Node) (on bool, value *float64) {
	if (k["on"] == nil) == (k["value"] == nil) {
		r.at(n, phrase.M("profile.one_of", "a", "on", "b", "value"))
		return false, nil
	}
	if k["on"] != nil {
		return r.yes(k["on"], "on"), nil
	}
	v := r.number(k["value"], "value", 0)
	return false, &v
}
