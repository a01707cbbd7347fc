package profile

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

func seeds(f *testing.F) [][]byte {
	files, err := filepath.Glob("../../../configs/profiles/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal("no profiles to begin with")
	}
	var out [][]byte
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, b)
	}
	return append(out, []byte(everyType), []byte(skeleton))
}

// everyType has a point of each type that no shipped profile may have.
var everyType = with(`  - {id: v, name: {zh: 值, en: v}, read: holding 0, unit: m}
  - {id: hi, name: {zh: 值, en: v}, read: holding 1.high, type: int8, unit: m}
  - {id: lo, name: {zh: 值, en: v}, read: holding 1.low, unit: m, clamp: [0, 100], range: [0, 200]}
  - {id: half, name: {zh: 值, en: v}, read: holding 2, type: float16, unit: m, order: DCBA, jump: 0.5 m}
  - {id: bcd, name: {zh: 值, en: v}, read: holding 3, type: bcd64, unit: m, order: CDAB, absent: [0xFFFFFFFFFFFFFFFF]}
  - {id: curve, name: {zh: 值, en: v}, read: holding 7, unit: m, table: [[4, 0], [12, 5.5], [20, 100]]}
  - {id: serial, name: {zh: 值, en: v}, read: holding 8, type: string, length: 6, order: BADC}
  - {id: rain, name: {zh: 值, en: v}, read: holding 14, type: bcd32, unit: mm, rate: 8/min, counter: {wrap: 99999999, resets: true, tip: 0.2 mm, burst: 1 mm, intensity: [[4, 1], [8, 1.06]]}}
writes:
  - {id: set, name: {zh: 设, en: s}, write: holding 20, type: int32, order: BADC, scale: 0.1, unit: m, range: [-3, 3], function: 16, confirm: {read: input 4, within: 1s, retry: 1}, fail_safe: {value: 0, after: 10m}}
  - {id: mode, name: {zh: 式, en: m}, write: holding 22, type: enum, states: {0: {zh: 关, en: off}, 3: {zh: 开, en: on}}}
  - {id: lamp, name: {zh: 灯, en: l}, write: coil 9, fail_safe: {value: off, after: 1m}}
`)

// FuzzParse: any bytes give a profile or problems, never both or neither; a
// profile has a plan that covers it, and its proof can be tried.
func FuzzParse(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b)
	}
	f.Add([]byte("a: &a [*a, *a]"))
	f.Add([]byte("? [\n: {"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, problems := Parse("x.yaml", b)
		if (p == nil) == (len(problems) == 0) {
			t.Fatalf("profile %v, problems %v", p != nil, problems)
		}
		for _, pr := range problems {
			if pr.In(phrase.ZH) == "" || pr.Line < 1 || pr.Col < 1 {
				t.Fatalf("a problem without words or place: %+v", pr)
			}
		}
		if p == nil {
			return
		}
		p.Prove()
		n := 0
		for _, r := range p.Plan() {
			n += len(r.Points)
			p.Decode(r, make([]byte, 2*int(r.Count)))
		}
		if p.Via == Modbus && n != len(p.Points) {
			t.Fatalf("%d of %d points planned", n, len(p.Points))
		}
	})
}

// FuzzDecode: any answer gives each point once, and a Good value is a number
// within its range.
func FuzzDecode(f *testing.F) {
	all := seeds(f)
	f.Add(0, 0, []byte{0x40, 0x98, 0, 0, 0, 0}, "$RAIN,1,2*00")
	f.Add(1, 0, []byte{0, 1}, "")
	f.Fuzz(func(t *testing.T, which, request int, data []byte, line string) {
		p, _ := Parse("x.yaml", all[len(all)-1])
		if n := len(all); which >= 0 {
			if q, _ := Parse(nameOf(all[which%n]), all[which%n]); q != nil {
				p = q
			}
		}
		for i := range p.Writes {
			w := &p.Writes[i]
			if w.Setting == nil {
				continue
			}
			v, ok := w.Setting.Decode(data)
			if ok != (len(data) == 2*w.Setting.Words() && !math.IsNaN(v) && !math.IsInf(v, 0)) {
				t.Fatalf("%s of % x: %v %v", w.ID, data, v, ok)
			}
			if words, err := w.Setting.Encode(v); ok && err == nil {
				var b []byte
				for _, x := range words {
					b = append(b, byte(x>>8), byte(x))
				}
				if got, ok := w.Setting.Decode(b); !ok || got != v {
					t.Fatalf("%s: %v is written so that it reads %v", w.ID, v, got)
				}
			}
		}
		var vs []Value
		if p.Via == Text {
			fields, err := p.Record.Cut(line)
			if err != nil {
				fields = []string{line}
			}
			vs = p.DecodeFields(fields)
		} else {
			plan := p.Plan()
			if len(plan) == 0 {
				return // channels, which FuzzSentence and FuzzAnswers try
			}
			r := plan[int(uint(request)%uint(len(plan)))]
			if vs = p.Decode(r, data); len(vs) != len(r.Points) {
				t.Fatalf("%d values of %d points", len(vs), len(r.Points))
			}
		}
		for _, v := range vs {
			pt := p.Points[v.Index]
			if (v.Text != "") != (pt.Type == String && v.Quality == point.Good) || pt.Type == String && !math.IsNaN(v.Value) {
				t.Fatalf("%s: text %q, value %v, %v", v.Point, v.Text, v.Value, v.Quality)
			}
			if pt.Type == String {
				continue
			}
			if v.Quality == point.Good && (math.IsNaN(v.Value) || math.IsInf(v.Value, 0) || pt.Range != nil && (v.Value < pt.Range.Min || v.Value > pt.Range.Max)) {
				t.Fatalf("%s is good: %v", v.Point, v.Value)
			}
			if v.Quality == point.Unknown || v.Quality != point.Good && v.Why.IsZero() {
				t.Fatalf("%s: %v without a reason", v.Point, v.Quality)
			}
		}
	})
}

func nameOf(b []byte) string {
	const key = "\nprofile: "
	for i := range b {
		if i+len(key) < len(b) && string(b[i:i+len(key)]) == key {
			j := i + len(key)
			for j < len(b) && b[j] != '\n' {
				j++
			}
			return string(b[i+len(key):j]) + ".yaml"
		}
	}
	return "x.yaml"
}
