package profile

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/drivers"
	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// TestHalfFloatsAreThoseOfTheStandard: the limits and examples of IEEE 754-2008,
// binary16 (table 3.5 and clause 3.4), worked out by hand.
func TestHalfFloatsAreThoseOfTheStandard(t *testing.T) {
	for bits, want := range map[uint16]float64{
		0x0000: 0, 0x0001: math.Pow(2, -24), 0x03FF: math.Pow(2, -14) - math.Pow(2, -24), 0x0400: math.Pow(2, -14),
		0x3555: 0.333251953125, 0x3BFF: 1 - math.Pow(2, -11), 0x3C00: 1, 0x3C01: 1 + math.Pow(2, -10),
		0x4248: 3.140625, 0x7BFF: 65504, 0xC000: -2, 0xFBFF: -65504, 0x7C00: math.Inf(1), 0xFC00: math.Inf(-1),
	} {
		if got := half(bits); got != want {
			t.Errorf("%04X is %v, want %v", bits, got, want)
		}
	}
	if got := half(0x8000); got != 0 || !math.Signbit(got) {
		t.Errorf("8000 is %v", got)
	}
	// All of them, against the same number widened to single precision bit by bit.
	for i := range 1 << 16 {
		b := uint32(i)
		sign, exponent, fraction := b>>15<<31, b>>10&0x1F, b&0x3FF
		var wide uint32
		switch {
		case exponent == 0x1F:
			wide = sign | 0xFF<<23 | fraction<<13
		case exponent != 0:
			wide = sign | (exponent+112)<<23 | fraction<<13
		case fraction != 0:
			exponent = 113
			for fraction&0x400 == 0 {
				fraction <<= 1
				exponent--
			}
			wide = sign | exponent<<23 | fraction&0x3FF<<13
		default:
			wide = sign
		}
		want, got := float64(math.Float32frombits(wide)), half(uint16(i))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("%04X is %v, want %v", i, got, want)
		}
	}
}

// TestEveryTypeInEveryOrder: one value of each type as its registers hold it, in
// each order of bytes that the type has.
func TestEveryTypeInEveryOrder(t *testing.T) {
	for _, c := range []struct {
		point string // of the profile's line
		bytes string
		want  float64
	}{
		{"type: int8", "12FE", -2}, {"type: uint8", "12FE", 254},
		{"read: holding 0.high, type: int8", "FE12", -2}, {"read: holding 0.high", "FE12", 254}, {"read: holding 0.low", "FE12", 18},
		{"type: int16", "FFFE", -2}, {"type: uint16, order: BADC", "0100", 1},
		{"type: int32", "FFFFFFFE", -2}, {"type: int32, order: CDAB", "FFFEFFFF", -2}, {"type: uint32, order: DCBA", "78563412", 0x12345678}, {"type: uint32, order: BADC", "34127856", 0x12345678},
		{"type: uint64", "000000E8D4A51000", 1e12}, {"type: int64, order: DCBA", "FEFFFFFFFFFFFFFF", -2}, {"type: uint64, order: CDAB", "1000D4A500E80000", 1e12},
		{"type: float16", "4248", 3.140625}, {"type: float16, order: DCBA", "4842", 3.140625},
		{"type: float32", "40980000", 4.75}, {"type: float32, order: CDAB", "00004098", 4.75}, {"type: float32, order: BADC", "98400000", 4.75}, {"type: float32, order: DCBA", "00009840", 4.75},
		{"type: float64", "4013000000000000", 4.75}, {"type: float64, order: DCBA", "0000000000001340", 4.75},
		{"type: bcd16", "9999", 9999}, {"type: bcd16, order: BADC", "3412", 1234},
		{"type: bcd32", "12345678", 12345678}, {"type: bcd32, order: CDAB", "56781234", 12345678}, {"type: bcd64", "0012345678901234", 12345678901234},
		{"type: bcd16, scale: 0.1", "0427", 42.7},
		{"type: bcd16", "12A4", math.NaN()}, {"type: bcd32", "F0000000", math.NaN()},
		{"type: float16", "7E00", math.NaN()}, {"type: float16", "7C00", math.NaN()},
		{"table: [[4, 0], [12, 5], [20, 15]]", "0004", 0}, {"table: [[4, 0], [12, 5], [20, 15]]", "0008", 2.5}, {"table: [[4, 0], [12, 5], [20, 15]]", "0010", 10},
		{"table: [[4, 0], [20, 15]]", "0014", 15}, {"table: [[4, 10], [20, 2]]", "000C", 6},
		{"range: [-5, 105], clamp: [0, 100], type: int16", "FFFD", 0}, {"range: [-5, 105], clamp: [0, 100]", "0066", 100}, {"range: [-5, 105], clamp: [0, 100]", "0032", 50},
	} {
		text := c.point
		if !strings.Contains(text, "read:") {
			text = "read: holding 0, " + text
		}
		p := good(t, with("  - {id: v, name: {zh: 值, en: v}, unit: m, "+text+"}\n"))
		b, err := hex.DecodeString(c.bytes)
		if err != nil {
			t.Fatal(err)
		}
		v := p.Decode(Request{Table: drivers.Holding, Count: uint16(len(b) / 2), Points: []int{0}}, b)[0]
		switch {
		case math.IsNaN(c.want):
			if v.Quality != point.SensorFault || !math.IsNaN(v.Value) {
				t.Errorf("{%s} of %s: %v %v, want a fault", c.point, c.bytes, v.Value, v.Quality)
			}
		case v.Quality != point.Good || v.Value != c.want:
			t.Errorf("{%s} of %s: %v %v, want %v", c.point, c.bytes, v.Value, v.Quality, c.want)
		}
	}
}

func TestATableHasNoValueBeyondItsEndsAndAClampHidesNoFault(t *testing.T) {
	for _, c := range []struct{ point, bytes string }{
		{"table: [[4, 0], [20, 15]]", "0003"}, {"table: [[4, 0], [20, 15]]", "0015"}, {"table: [[4, 0], [20, 15]], range: [0, 10]", "0014"},
		{"range: [-5, 105], clamp: [0, 100]", "006A"}, {"range: [-5, 105], clamp: [0, 100], type: int16", "FFFA"},
	} {
		p := good(t, with("  - {id: v, name: {zh: 值, en: v}, unit: m, read: holding 0, "+c.point+"}\n"))
		b, _ := hex.DecodeString(c.bytes)
		if v := p.Decode(Request{Table: drivers.Holding, Count: 1, Points: []int{0}}, b)[0]; v.Quality != point.OutOfRange || v.Why.IsZero() {
			t.Errorf("{%s} of %s: %v %v", c.point, c.bytes, v.Value, v.Quality)
		}
	}
}

func TestATableRisesOrFallsThroughout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(t, "n")
		falls := rapid.Bool().Draw(t, "falls")
		pt := Point{Scale: 1}
		x, y := rapid.Float64Range(-1e4, 1e4).Draw(t, "x"), 0.0
		for range n {
			x += rapid.Float64Range(0.01, 100).Draw(t, "dx")
			y += rapid.Float64Range(0.01, 100).Draw(t, "dy")
			k := Knot{x, y}
			if falls {
				k.Value = -y
			}
			pt.Curve = append(pt.Curve, k)
		}
		a, b := rapid.Float64Range(pt.Curve[0].Raw, x).Draw(t, "a"), rapid.Float64Range(pt.Curve[0].Raw, x).Draw(t, "b")
		va, ok := pt.curved(min(a, b))
		vb, ok2 := pt.curved(max(a, b))
		if !ok || !ok2 || !falls && va > vb+1e-9 || falls && va < vb-1e-9 {
			t.Fatalf("%v → %v, %v → %v", a, va, b, vb)
		}
	})
}

func TestTextIsShownAndIsNoNumber(t *testing.T) {
	for _, c := range []struct {
		order, bytes, want string
		quality            point.Quality
	}{
		{"ABCD", "534E2D303432", "SN-042", point.Good}, {"BADC", "4E53302D3234", "SN-042", point.Good},
		{"ABCD", "56312E320000", "V1.2", point.Good}, {"ABCD", "202056312020", "V1", point.Good},
		{"ABCD", "000000000000", "", point.SensorFault}, {"ABCD", "FFFFFFFFFFFF", "", point.SensorFault}, {"ABCD", "202020202020", "", point.SensorFault},
		{"ABCD", "534E1B5B324A", "", point.SensorFault}, {"ABCD", "C4E3BAC30000", "", point.SensorFault},
	} {
		p := good(t, with("  - {id: v, name: {zh: 编号, en: serial}, read: holding 0, type: string, length: 3, order: "+c.order+"}\n"))
		b, _ := hex.DecodeString(c.bytes)
		r := p.Plan()
		if len(r) != 1 || r[0].Count != 3 {
			t.Fatalf("plan %+v", r)
		}
		v := p.Decode(r[0], b)[0]
		if v.Text != c.want || v.Quality != c.quality || !math.IsNaN(v.Value) || (v.Quality != point.Good) == v.Why.IsZero() {
			t.Errorf("%s %s: %q %v %v", c.order, c.bytes, v.Text, v.Quality, v.Why.In(phrase.EN))
		}
		if j := p.Points[0].NewJudge(); j.Look(v, clock.Stamp{}).Quality != c.quality {
			t.Errorf("%s: judged", c.bytes)
		}
		if (point.Reading{Value: v.Value, Quality: v.Quality}).IsGood() {
			t.Errorf("%q may decide", v.Text)
		}
	}
}

func TestAProofOfTextHoldsTheText(t *testing.T) {
	frame := func(s string) string {
		b, _ := hex.DecodeString(s)
		c := CRC(b)
		return fmt.Sprintf("% X %02X %02X", b, byte(c), byte(c>>8))
	}
	text := with("  - {id: v, name: {zh: 编号, en: serial}, read: holding 0, type: string, length: 2}\n")
	text = text[:strings.Index(text, "proof:")] + fmt.Sprintf("proof:\n  - {sent: %q, heard: %q, gives: {v: SN42}}\n  - {sent: %q, heard: %q, gives: {v: sensor_fault}}\n",
		frame("010300000002"), frame("010304534E3432"), frame("010300000002"), frame("01030400000000"))
	if ps := good(t, text).Prove(); len(ps) > 0 {
		t.Error(ps[0].In(phrase.EN))
	}
	if ps := good(t, strings.Replace(text, "SN42", "SN43", 1)).Prove(); len(ps) == 0 || !strings.Contains(ps[0].In(phrase.EN), `v (holding 0x0000) is "SN42", the proof says "SN43"`) {
		t.Errorf("a wrong proof: %v", ps)
	}
}

func TestWhatATypeCannotHaveIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ point, says string }{
		"a turning table":            {"table: [[0, 0], [1, 5], [2, 3]]", "the table turns at raw 2"},
		"a flat table":               {"table: [[0, 0], [1, 5], [2, 5]]", "the table turns at raw 2"},
		"a table out of order":       {"table: [[0, 0], [2, 5], [1, 7]]", "must rise; 1 comes after 2"},
		"a table of one":             {"table: [[0, 0]]", "2 to 64 entries"},
		"a table of triples":         {"table: [[0, 0, 1], [1, 2, 3]]", "a pair of numbers"},
		"a table and a scale":        {"table: [[0, 0], [1, 5]], scale: 2", "exactly one of table and scale"},
		"a clamp without a range":    {"clamp: [0, 100]", "clamp must lie within range"},
		"a clamp beyond its range":   {"range: [0, 100], clamp: [-1, 100]", "clamp must lie within range"},
		"a byte of a float":          {"read: holding 0.high, type: float32", "int8 or uint8, not float32"},
		"length of a number":         {"length: 3", "only for points of type string"},
		"text without a length":      {"type: string", "lacks length"},
		"text of a mile":             {"type: string, length: 500", "from 1 to 32"},
		"a range of text":            {"type: string, length: 2, range: [0, 1]", "no measured number; remove range"},
		"text by words":              {"type: string, length: 2, order: CDAB", "order cannot be CDAB"},
		"an intensity below":         {"unit: mm, counter: {intensity: [[1, 1.1]]}", "at least 4 mm/min"},
		"a factor that is a scale":   {"unit: mm, counter: {intensity: [[5, 2]]}", "factors from 0.8 to 1.5"},
		"the intensity of no rain":   {"unit: m, counter: {intensity: [[5, 1.1]]}", "for rain in mm, not m"},
		"a jump in another quantity": {"jump: 3 kPa", "converts to m"},
		"a jump of a counter":        {"jump: 3 m, counter: {}", "exactly one of jump and counter"},
	} {
		text := c.point
		if !strings.Contains(text, "read:") {
			text = "read: holding 0, " + text
		}
		if !strings.Contains(text, "unit:") {
			text += ", unit: m"
		}
		_, ps := Parse("x.yaml", []byte(with("  - {id: v, name: {zh: 值, en: v}, "+text+"}\n")))
		found := false
		var all []string
		for _, p := range ps {
			all = append(all, p.In(phrase.EN))
			found = found || strings.Contains(p.In(phrase.EN), c.says) && strings.HasPrefix(p.In(phrase.EN), "x.yaml:7:")
		}
		if !found {
			t.Errorf("%s: want %q, got %q", name, c.says, all)
		}
	}
}

func TestBytesOfOneRegisterAreReadOnce(t *testing.T) {
	p := good(t, with("  - {id: v, name: {zh: 甲, en: a}, read: holding 0.high, unit: m}\n  - {id: w, name: {zh: 乙, en: b}, read: holding 0.low, unit: m}\n"))
	if r := p.Plan(); len(r) != 1 || r[0].Count != 1 || len(r[0].Points) != 2 {
		t.Errorf("%+v", p.Plan())
	}
}

// TestAJumpIsSuspectUntilItHasStayed, in virtual time, however slowly it is asked.
func TestAJumpIsSuspectUntilItHasStayed(t *testing.T) {
	pt := &Point{ID: "level", Type: Float32, Scale: 1, Unit: "m", Jump: 0.5}
	for _, every := range []time.Duration{500 * time.Millisecond, 10 * time.Second, time.Hour} {
		j := pt.NewJudge()
		now := time.Duration(0)
		look := func(v float64) Value {
			now += every
			return j.Look(Value{Value: v, Quality: point.Good}, clock.Stamp{Mono: now, Boot: "a"})
		}
		look(3)
		if v := look(3.5); v.Quality != point.Good {
			t.Errorf("a step within: %v", v.Quality)
		}
		if v := look(4.2); v.Quality != point.Suspect || v.Why.Code != "sense.jump" {
			t.Errorf("a jump: %v %v", v.Quality, v.Why.Code)
		}
		if v := look(3.5); v.Quality != point.Good {
			t.Errorf("back again: %v", v.Quality)
		}
		good := -1
		for i := range 40 {
			if look(4.4).Quality == point.Good {
				good = i
				break
			}
		}
		if min := max(settleAfter-1, int(settleFor/every)); good < min {
			t.Errorf("every %v: believed after %d readings, want %d", every, good+1, min+1)
		}
	}
}

// TestACounterIsJudgedByTheOneAccountOfGains: what the rules would not count is
// suspect here, and a restart that the profile tells of is not.
func TestACounterIsJudgedByTheOneAccountOfGains(t *testing.T) {
	p := good(t, with("  - {id: v, name: {zh: 雨, en: rain}, read: holding 0, scale: 0.1, unit: mm, rate: 8/min, counter: {wrap: 65536, resets: true, tip: 0.2 mm}}\n"))
	c := p.Points[0].Counter
	if c.Burst != 0.4 || math.Abs(c.Most-8.0/60) > 1e-12 || math.Abs(c.Wrap-6553.6) > 1e-9 {
		t.Fatalf("%+v", c)
	}
	j := p.Points[0].NewJudge()
	for _, k := range []struct {
		at   time.Duration
		v    float64
		code string
	}{
		{0, 100, ""}, {time.Second, 100.4, ""}, {2 * time.Second, 103, "sense.surge"}, {3 * time.Second, 100.4, ""},
		{4 * time.Second, 0, ""}, {5 * time.Second, 0.2, ""}, {6 * time.Second, 60, "sense.surge"}, {7 * time.Second, 60.2, "sense.surge"},
		{17 * time.Second, 60.4, ""}, {18 * time.Second, 30, "sense.fell"},
	} {
		if v := j.Look(Value{Value: k.v, Quality: point.Good}, clock.Stamp{Mono: k.at, Boot: "a"}); v.Why.Code != k.code {
			t.Errorf("%v at %v: %q, want %q", k.v, k.at, v.Why.Code, k.code)
		}
	}
}

// TestEveryWideTypeInAllFourOrders: the bytes of a value as the wire has them,
// by places written out here and not reckoned as the package does. What no shipped
// profile uses is held by this and by TestEveryTypeInEveryOrder.
func TestEveryWideTypeInAllFourOrders(t *testing.T) {
	places := map[int]map[Order][]int{
		2: {ABCD: {0, 1}, CDAB: {0, 1}, BADC: {1, 0}, DCBA: {1, 0}},
		4: {ABCD: {0, 1, 2, 3}, CDAB: {2, 3, 0, 1}, BADC: {1, 0, 3, 2}, DCBA: {3, 2, 1, 0}},
		8: {ABCD: {0, 1, 2, 3, 4, 5, 6, 7}, CDAB: {6, 7, 4, 5, 2, 3, 0, 1}, BADC: {1, 0, 3, 2, 5, 4, 7, 6}, DCBA: {7, 6, 5, 4, 3, 2, 1, 0}},
	}
	for _, c := range []struct {
		typ   Type
		big   string // most significant byte first
		value float64
	}{
		{Int16, "8001", -32767}, {Uint16, "8001", 32769}, {Float16, "C248", -3.140625}, {BCD16, "1234", 1234},
		{Int32, "80000102", -2147483390}, {Uint32, "80000102", 2147483906}, {Float32, "C0980000", -4.75}, {BCD32, "12345678", 12345678},
		{Int64, "FFFFFF1234567890", -1021324134256}, {Uint64, "0000001234567890", 78187493520}, {Float64, "C013000000000000", -4.75}, {BCD64, "0012345678901234", 12345678901234},
	} {
		big, err := hex.DecodeString(c.big)
		if err != nil {
			t.Fatal(err)
		}
		for order, at := range places[len(big)] {
			wire := make([]byte, len(big))
			for i, p := range at {
				wire[i] = big[p]
			}
			p := good(t, with("  - {id: v, name: {zh: 值, en: v}, read: holding 0, unit: m, type: "+string(c.typ)+", order: "+string(order)+"}\n"))
			v := p.Decode(Request{Table: drivers.Holding, Count: uint16(len(wire) / 2), Points: []int{0}}, wire)[0]
			if v.Quality != point.Good || v.Value != c.value {
				t.Errorf("%s %s of % X is %v %v, want %v", c.typ, order, wire, v.Value, v.Quality, c.value)
			}
		}
	}
}
