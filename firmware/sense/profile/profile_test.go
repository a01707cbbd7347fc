package profile

import (
	"math"
	"strings"
	"testing"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

// skeleton is a good profile; tests replace its points.
const skeleton = `version: 1
profile: x
name: {zh: 表, en: x}
manual: none
via: modbus
points:
  - {id: v, name: {zh: 值, en: v}, read: holding 0, unit: m}
proof:
  - {sent: "01 03 00 00 00 01 84 0A", heard: "01 03 02 00 07 F9 86", gives: {v: 7}}
`

const vLine = "  - {id: v, name: {zh: 值, en: v}, read: holding 0, unit: m}\n"

func with(point string) string { return strings.Replace(skeleton, vLine, point, 1) }

func good(t testing.TB, yaml string) *Profile {
	t.Helper()
	p, problems := Parse("x.yaml", []byte(yaml))
	for _, pr := range problems {
		t.Errorf("%s", pr.In(phrase.EN))
	}
	if p == nil {
		t.FailNow()
	}
	return p
}

func TestEveryFaultOfAProfileNamesItsPlaceAndTheMend(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"unknown key":   {with("  - {id: v, name: {zh: 值, en: v}, read: holding 0, unti: m}\n"), "x.yaml:7:52: points has no key unti (it knows id, ids,"},
		"unknown unit":  {strings.Replace(skeleton, "unit: m", "unit: furlong", 1), "x.yaml:7:58: the unit furlong is not known"},
		"no unit":       {strings.Replace(skeleton, ", unit: m", "", 1), "x.yaml:7:6: points lacks unit"},
		"no proof":      {skeleton[:strings.Index(skeleton, "proof:")], "profile lacks proof"},
		"bad register":  {strings.Replace(skeleton, "holding 0", "holdin 0", 1), "x.yaml:7:41: read: holdin 0 is no register"},
		"past the end":  {strings.Replace(skeleton, "holding 0, ", "holding 0xFFFF, type: uint32, ", 1), "past the end"},
		"not YAML":      {"a: [", "x.yaml:1"},
		"a list":        {"- a", "profile must be written as key: value"},
		"empty":         {"", "the profile is empty"},
		"alias":         {strings.Replace(skeleton, "manual: none", "manual: &a none", 1), "x.yaml:4:9: manual must be one plain value"},
		"a bad CRC":     {strings.Replace(skeleton, "84 0A", "84 0B", 1), "x.yaml:9:12: the CRC of sent is wrong; it must end in 84 0A"},
		"other name":    {strings.Replace(skeleton, "profile: x", "profile: y", 1), "x.yaml:2:10: profile is y; it must be the file's name, x"},
		"version":       {strings.Replace(skeleton, "version: 1", "version: 9", 1), "x.yaml:1:10: version: 9 must be a whole number from 1 to 1"},
		"no Chinese":    {strings.Replace(skeleton, "zh: 表, ", "", 1), "name lacks zh"},
		"bool register": {strings.Replace(skeleton, "unit: m", "type: bool", 1), "type bool does not fit holding 0"},
		"zero scale":    {strings.Replace(skeleton, "unit: m", "unit: m, scale: 0", 1), "scale must not be 0"},
		"range":         {strings.Replace(skeleton, "unit: m", "unit: m, range: [5, 1]", 1), "range must be [least, most]"},
		"rate":          {strings.Replace(skeleton, "unit: m", "unit: m, rate: fast", 1), "the rate fast must be written like 8/min"},
		"every":         {strings.Replace(skeleton, "unit: m", "unit: m, every: 10", 1), "every: 10 is no length of time"},
		"twice":         {with(vLine + vLine), "x.yaml:8:6: v is written twice"},
		"two types on one register": {with(vLine + "  - {id: w, name: {zh: 值, en: w}, read: holding 0, unit: m, type: int16}\n"),
			"x.yaml:8:6: points v (uint16) and w (int16) read the same register holding 0x0000 as different types"},
		"overlap":   {with(vLine + "  - {id: w, name: {zh: 值, en: w}, read: holding 0, unit: m, type: float32}\n"), "read the same register"},
		"in a hole": {skeleton + "holes: [0x0000-0x0003]\n", "point v lies in a hole"},
		"far status": {with(vLine + "  - {id: s, name: {zh: 态, en: s}, read: holding 200, type: enum, states: {0: {zh: 好, en: ok}}, status_of: [v]}\n"),
			"must fit one read"},
		"status of nobody": {with(vLine + "  - {id: s, name: {zh: 态, en: s}, read: holding 2, type: enum, states: {0: {zh: 好, en: ok}}, status_of: [w]}\n"),
			"there is no w (there are s, v)"},
		"status apart": {with(vLine + "  - {id: s, name: {zh: 态, en: s}, read: input 2, type: enum, states: {0: {zh: 好, en: ok}}, status_of: [v]}\n"),
			"in different tables"},
		"enum without states": {strings.Replace(skeleton, "unit: m", "type: enum", 1), "points lacks states"},
		"write an input":      {skeleton + "writes: [{id: 1, name: {zh: 出, en: out}, write: input 0}]\n", "only the coils and holding registers"},
		"proof of nothing":    {strings.Replace(skeleton, "gives: {v: 7}", "gives: {w: 7}", 1), "there is no w"},
		"text without record": {strings.Replace(skeleton, "via: modbus", "via: text", 1), "lacks record"},
	} {
		t.Run(name, func(t *testing.T) {
			p, problems := Parse("x.yaml", []byte(c.yaml))
			if p != nil || len(problems) == 0 {
				t.Fatal("it was taken")
			}
			var all []string
			for _, pr := range problems {
				all = append(all, pr.In(phrase.EN))
				if pr.In(phrase.ZH) == pr.In(phrase.EN) {
					t.Errorf("says the same in both languages: %s", pr.In(phrase.ZH))
				}
			}
			if got := strings.Join(all, "\n"); !strings.Contains(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAProofThatDoesNotHoldFails(t *testing.T) {
	for name, yaml := range map[string]string{
		"other value":    strings.Replace(skeleton, "gives: {v: 7}", "gives: {v: 8}", 1),
		"other quality":  strings.Replace(skeleton, "gives: {v: 7}", "gives: {v: sensor_fault}", 1),
		"unshown point":  with(vLine + "  - {id: w, name: {zh: 值, en: w}, read: holding 9, unit: m}\n"),
		"unshown write":  skeleton + "writes: [{id: 1, name: {zh: 出, en: out}, write: coil 0}]\n",
		"other function": strings.Replace(skeleton, `sent: "01 03 00 00 00 01 84 0A"`, `sent: "01 04 00 00 00 01 31 CA"`, 1),
	} {
		p := good(t, yaml)
		if len(p.Prove()) == 0 {
			t.Errorf("%s: it holds", name)
		}
	}
	if got := good(t, skeleton).Prove(); len(got) != 0 {
		t.Errorf("a good one: %v", got)
	}
}

func TestEachTypeAndOrderGivesItsNumber(t *testing.T) {
	for _, c := range []struct {
		typ   Type
		order Order
		data  []byte
		want  float64
	}{
		{Uint16, ABCD, []byte{0xFF, 0xFE}, 65534},
		{Int16, ABCD, []byte{0xFF, 0xFE}, -2},
		{Uint16, BADC, []byte{0xFE, 0xFF}, 65534},
		{Uint32, ABCD, []byte{1, 2, 3, 4}, 0x01020304},
		{Uint32, CDAB, []byte{3, 4, 1, 2}, 0x01020304},
		{Uint32, BADC, []byte{2, 1, 4, 3}, 0x01020304},
		{Uint32, DCBA, []byte{4, 3, 2, 1}, 0x01020304},
		{Int32, CDAB, []byte{0xFF, 0xFE, 0xFF, 0xFF}, -2},
		{Float32, ABCD, []byte{0x40, 0x98, 0, 0}, 4.75},
		{Float32, DCBA, []byte{0, 0, 0x98, 0x40}, 4.75},
		{Uint64, ABCD, []byte{0, 0, 1, 2, 3, 4, 5, 6}, 0x010203040506},
		{Uint64, CDAB, []byte{5, 6, 3, 4, 1, 2, 0, 0}, 0x010203040506},
		{Uint64, BADC, []byte{0, 0, 2, 1, 4, 3, 6, 5}, 0x010203040506},
		{Uint64, DCBA, []byte{6, 5, 4, 3, 2, 1, 0, 0}, 0x010203040506},
		{Int64, ABCD, []byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE}, -2},
		{Float64, ABCD, []byte{0x40, 0x13, 0, 0, 0, 0, 0, 0}, 4.75},
	} {
		p := &Profile{Points: []Point{{ID: "v", Table: drivers.Holding, Bit: -1, Type: c.typ, Order: c.order, Scale: 1, Unit: "m"}}}
		req := Request{Table: drivers.Holding, Count: uint16(len(c.data) / 2), Points: []int{0}}
		if v := p.Decode(req, c.data)[0]; v.Value != c.want || v.Quality != point.Good {
			t.Errorf("%s %s % X: %v %v, want %v", c.typ, c.order, c.data, v.Value, v.Quality, c.want)
		}
		if v := p.Decode(req, c.data[1:])[0]; v.Quality != point.CommFault || !math.IsNaN(v.Value) {
			t.Errorf("%s: a short answer is %v", c.typ, v.Quality)
		}
	}
}

func TestWhatIsNoValueIsNeverANumber(t *testing.T) {
	nan := []byte{0x7F, 0xC0, 0, 0}
	inf := []byte{0x7F, 0x80, 0, 0}
	for name, c := range map[string]struct {
		pt   Point
		data []byte
		want point.Quality
	}{
		"NaN":          {Point{Type: Float32}, nan, point.SensorFault},
		"infinite":     {Point{Type: Float32}, inf, point.SensorFault},
		"absent":       {Point{Type: Uint16, Absent: []uint64{0xFFFF}}, []byte{0xFF, 0xFF}, point.SensorFault},
		"below":        {Point{Type: Int16, Range: &Range{0, 10}}, []byte{0xFF, 0xFF}, point.OutOfRange},
		"above":        {Point{Type: Int16, Range: &Range{0, 10}}, []byte{0, 11}, point.OutOfRange},
		"unknown code": {Point{Type: Enum, States: []State{{Code: 0, Makes: point.Good}}}, []byte{0, 9}, point.SensorFault},
		"warming up":   {Point{Type: Enum, States: []State{{Code: 1, Makes: point.Suspect}}}, []byte{0, 1}, point.Suspect},
	} {
		c.pt.ID, c.pt.Table, c.pt.Bit, c.pt.Scale, c.pt.Order = "v", drivers.Holding, -1, 1, ABCD
		p := &Profile{Points: []Point{c.pt}}
		v := p.Decode(Request{Table: drivers.Holding, Count: uint16(len(c.data) / 2), Points: []int{0}}, c.data)[0]
		if v.Quality != c.want || v.Why.IsZero() {
			t.Errorf("%s: %v %v %v", name, v.Value, v.Quality, v.Why)
		}
		if v.Quality == point.SensorFault && c.pt.Type != Enum && !math.IsNaN(v.Value) {
			t.Errorf("%s: a number: %v", name, v.Value)
		}
	}
}

func at(d time.Duration) clock.Stamp { return clock.Stamp{Mono: d, Boot: "b"} }

func TestASpikeIsSuspectAndANewLevelIsBelievedWhenThreeAgree(t *testing.T) {
	pt := Point{Scale: 0.01, Unit: "m", Rate: &Rate{Most: 1, Per: time.Minute}}
	j := pt.NewJudge()
	look := func(s float64, v float64) point.Quality {
		return j.Look(Value{Value: v, Quality: point.Good}, at(time.Duration(s*float64(time.Second)))).Quality
	}
	for i, c := range []struct {
		at, v float64
		want  point.Quality
	}{
		{0, 2, point.Good}, {10, 2.1, point.Good},
		{20, 6, point.Suspect}, {30, 2.2, point.Good}, // a spike
		{40, 9, point.Suspect}, {50, 4, point.Suspect}, {60, 7, point.Suspect}, // noise never agrees
		{70, 2.3, point.Good},
		{80, 5, point.Suspect}, {90, 5.1, point.Suspect}, {100, 5.2, point.Good}, // a wall of water
		{110, 5.3, point.Good},
		{110 + 600, 14, point.Good}, // ten minutes of silence: 10 m are possible
	} {
		if got := look(c.at, c.v); got != c.want {
			t.Errorf("%d: %v at %v s is %v, want %v", i, c.v, c.at, got, c.want)
		}
	}
	bad := Value{Value: math.NaN(), Quality: point.CommFault}
	if got := j.Look(bad, at(time.Hour)); got.Quality != point.CommFault {
		t.Errorf("a fault became %v", got.Quality)
	}
}

func TestAValueThatNeverMovesIsSuspect(t *testing.T) {
	pt := Point{Scale: 1, Stuck: time.Hour}
	j := pt.NewJudge()
	for m := range 200 {
		got := j.Look(Value{Value: 3, Quality: point.Good}, at(time.Duration(m)*time.Minute)).Quality
		if want := map[bool]point.Quality{true: point.Good, false: point.Suspect}[m <= 60]; got != want {
			t.Fatalf("minute %d: %v", m, got)
		}
	}
	if got := j.Look(Value{Value: 4, Quality: point.Good}, at(201*time.Minute)).Quality; got != point.Good {
		t.Errorf("it moved: %v", got)
	}
}

func TestATimedCommandIsRoundedUpAndNeverBeyondTheDevice(t *testing.T) {
	w := Timed{Unit: 100 * time.Millisecond, Longest: 3276700 * time.Millisecond}
	for d, want := range map[time.Duration]uint16{0: 1, time.Millisecond: 1, 700 * time.Millisecond: 7, 701 * time.Millisecond: 8, time.Hour * 99: 32767} {
		v, is := w.Value(d)
		if v != want || is != time.Duration(want)*w.Unit {
			t.Errorf("%v: %d %v", d, v, is)
		}
	}
}

func TestALineOfTextIsTakenOnlyWhole(t *testing.T) {
	r := &Record{Start: "$RAIN", Separator: ",", Checksum: "xor", Fields: 2}
	sum := func(s string) string {
		var x byte
		for _, b := range []byte(s[1:]) {
			x ^= b
		}
		return s + "*" + string("0123456789ABCDEF"[x>>4]) + string("0123456789ABCDEF"[x&15])
	}
	if f, err := r.Cut(sum("$RAIN,1.5,7") + "\r\n"); err != nil || f[0] != "1.5" || f[1] != "7" {
		t.Errorf("%v %v", f, err)
	}
	for _, s := range []string{"", "*", "$RAIN,1.5,7", sum("$RAIN,1.5"), sum("$SNOW,1.5,7"), strings.Replace(sum("$RAIN,1.5,7"), "1.5", "9.5", 1), sum("$RAIN,1,2,3"), strings.Repeat("x", 600)} {
		if f, err := r.Cut(s); err == nil {
			t.Errorf("%q gave %v", s, f)
		}
	}
	for _, s := range []string{"", "abc", "0x10", "NaN", "inf", "1e9", "1.2.3", "--1", strings.Repeat("9", 40)} {
		if n, ok := parseNumber(s); ok {
			t.Errorf("%q is %v", s, n)
		}
	}
}

func TestAScaledValueIsTheOneAPersonWouldWrite(t *testing.T) {
	for _, c := range []struct {
		scale, offset, raw, want float64
	}{
		{0.1, 0, 1234, 123.4}, {0.1, 0, 3, 0.3}, {0.01, 0, 57, 0.57}, {-0.001, 0, 4001, -4.001}, {0.254, 0, 3, 0.762},
		{0.1, -40, 655, 25.5}, {10, 5, 7, 75}, {0.1, 0.05, 1, 0.15},
	} {
		p := Point{Scale: c.scale, Offset: c.offset, decimal: decimalOf(c.scale, c.offset)}
		if got := p.scaled(c.raw); got != c.want {
			t.Errorf("%v × %v + %v = %v, want %v", c.raw, c.scale, c.offset, got, c.want)
		}
	}
	third := Point{Scale: 1.0 / 3, decimal: decimalOf(1.0/3, 0)}
	if got := third.scaled(9); math.Abs(got-3) > 1e-12 {
		t.Errorf("a third of 9 is %v", got)
	}
}

// BenchmarkDecode is one answer of 100 registers of one point each: with 50
// units asked ten times a second it runs 500 times a second.
func BenchmarkDecode(b *testing.B) {
	p := &Profile{}
	r := Request{Table: drivers.Holding, Count: 100}
	for i := range 100 {
		p.Points = append(p.Points, Point{ID: "v", Table: drivers.Holding, Addr: uint16(i), Bit: -1, Type: Uint16, Scale: 0.1, decimal: decimalOf(0.1, 0), Unit: "m"})
		r.Points = append(r.Points, i)
	}
	data := make([]byte, 200)
	for b.Loop() {
		p.Decode(r, data)
	}
}
