package scan

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/configs"
	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/sense/profile"
)

// wall is a wire with units that hear one setting only, in virtual time.
type wall struct {
	at    map[Setting]map[uint8]*device
	now   Setting
	open  int
	asked map[Setting]int
	gone  bool
}

type device struct {
	regs     map[Range]uint16 // Count is 0
	only     drivers.Table    // other tables are refused with 1; 0 for none
	garbled  bool
	step     uint16 // added to the first register at each read
	silentOn drivers.Table
	id       [][]byte // answers to function 43, by part; nil is refused
	server   []byte
	mute     bool // stays silent at functions 17 and 43
	basic    bool // refuses the regular category
}

func (w *wall) opener(ctx context.Context, s Setting) (drivers.Registers, error) {
	if w.open++; w.open > 1 {
		panic("the port is opened twice")
	}
	w.now = s
	if w.gone {
		w.open--
		return nil, &drivers.Fault{Kind: drivers.FaultGone}
	}
	return &port{w}, nil
}

type port struct{ w *wall }

func (p *port) Read(ctx context.Context, u uint8, t drivers.Table, addr, count uint16) (drivers.Answer, error) {
	p.w.asked[p.w.now]++
	d := p.w.at[p.w.now][u]
	wait := 300 * time.Millisecond
	if d != nil && d.silentOn != t {
		wait = 20 * time.Millisecond
	}
	select {
	case <-ctx.Done():
		return drivers.Answer{}, &drivers.Fault{Kind: drivers.FaultCancelled, Err: ctx.Err()}
	case <-time.After(wait):
	}
	switch {
	case d == nil || d.silentOn == t:
		return drivers.Answer{}, &drivers.Fault{Kind: drivers.FaultTimeout}
	case d.garbled:
		return drivers.Answer{}, &drivers.Fault{Kind: drivers.FaultGarbled}
	case d.only != 0 && d.only != t:
		return drivers.Answer{}, &drivers.Fault{Kind: drivers.FaultRefused, Code: 1}
	}
	var a drivers.Answer
	for i := range count {
		v, ok := d.regs[Range{t, addr + i, 0}]
		if !ok {
			return a, &drivers.Fault{Kind: drivers.FaultRefused, Code: 2}
		}
		if i == 0 {
			d.regs[Range{t, addr, 0}] += d.step
		}
		a.Data = binary.BigEndian.AppendUint16(a.Data, v)
	}
	return a, nil
}

func (p *port) whoever(ctx context.Context, u uint8, f func(*device) []byte) (drivers.Answer, error) {
	p.w.asked[p.w.now]++
	d := p.w.at[p.w.now][u]
	if d == nil || d.mute {
		<-time.After(300 * time.Millisecond)
		return drivers.Answer{}, &drivers.Fault{Kind: drivers.FaultTimeout}
	}
	if b := f(d); b != nil {
		return drivers.Answer{Data: b}, nil
	}
	return drivers.Answer{}, &drivers.Fault{Kind: drivers.FaultRefused, Code: 1}
}

func (p *port) ServerID(ctx context.Context, u uint8) (drivers.Answer, error) {
	return p.whoever(ctx, u, func(d *device) []byte { return d.server })
}

func (p *port) Identification(ctx context.Context, u uint8, code, from byte) (drivers.Answer, error) {
	if d := p.w.at[p.w.now][u]; d != nil && d.basic && code != 1 {
		return drivers.Answer{}, &drivers.Fault{Kind: drivers.FaultRefused, Code: 3}
	}
	return p.whoever(ctx, u, func(d *device) []byte {
		if int(from) < len(d.id) {
			return d.id[from]
		}
		return nil
	})
}

func (p *port) WriteCoil(context.Context, uint8, uint16, bool) error { panic("a scan wrote") }
func (p *port) WriteSingle(context.Context, uint8, drivers.Table, uint16, uint16) error {
	panic("a scan wrote")
}
func (p *port) WriteRegisters(context.Context, uint8, uint16, []uint16) error {
	panic("a scan wrote")
}
func (p *port) Cost(drivers.Table, uint16) time.Duration { return 20 * time.Millisecond }
func (p *port) Close() error                             { p.w.open--; return nil }
func (p *port) String() string                           { return "wall" }

func newWall() *wall { return &wall{at: map[Setting]map[uint8]*device{}, asked: map[Setting]int{}} }

func holding(from uint16, vs ...uint16) map[Range]uint16 {
	m := map[Range]uint16{}
	for i, v := range vs {
		m[Range{drivers.Holding, from + uint16(i), 0}] = v
	}
	return m
}

func quiet(Event) error { return nil }

func TestAnUnknownUnitIsFoundAtItsRateAndParity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWall()
		odd := Setting{4800, "8E1"}
		w.at[odd] = map[uint8]*device{7: {regs: holding(0, 1234, 5)}}
		var told []Event
		began := time.Now()
		fs, err := Run(t.Context(), Plan{Settings: Settings(nil, nil), First: true}, w.opener, func(e Event) error { told = append(told, e); return nil })
		if err != nil || len(fs) != 1 || fs[0].Unit != 7 || fs[0].Setting != odd || fs[0].How != Answers {
			t.Fatalf("%v %+v", err, fs)
		}
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("a small unit number took %v", took)
		}
		hits := slices.DeleteFunc(slices.Clone(told), func(e Event) bool { return e.Kind != Hit })
		if len(hits) != 1 || told[len(told)-1].Kind != Done || len(told) < 20 {
			t.Errorf("%d events, %d hits", len(told), len(hits))
		}
		if w.open != 0 {
			t.Error("the port was kept")
		}
	})
}

func TestEveryUnitOfEverySettingIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWall()
		if fs, err := Run(t.Context(), Plan{Settings: Settings(nil, nil), Tables: []drivers.Table{drivers.Holding}}, w.opener, quiet); err != nil || len(fs) != 0 {
			t.Fatal(err, fs)
		}
		if len(w.asked) != 24 {
			t.Errorf("%d settings", len(w.asked))
		}
		for s, n := range w.asked {
			if n != 247 {
				t.Errorf("%s: %d askings", s, n)
			}
		}
	})
}

func TestWhatIsAliveInAnyWayIsToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWall()
		s := Setting{9600, "8N1"}
		input := map[Range]uint16{{drivers.Input, 0, 0}: 5}
		w.at[s] = map[uint8]*device{
			2: {regs: holding(100, 1)}, // refuses register 0
			3: {garbled: true},
			4: {regs: input, silentOn: drivers.Holding},
			5: {only: drivers.Coil},
			9: {regs: holding(0, 1)},
		}
		fs, err := Run(t.Context(), Plan{Settings: []Setting{s, {9600, "8N2"}}, Own: s, Known: map[uint8]string{9: "rain"}}, w.opener, quiet)
		if err != nil {
			t.Fatal(err)
		}
		got := map[uint8]string{}
		for _, f := range fs {
			if got[f.Unit] != "" {
				t.Errorf("unit %d twice", f.Unit)
			}
			got[f.Unit] = f.How
			if (f.How == Garbled) == f.Hint.IsZero() {
				t.Errorf("unit %d: hint %q", f.Unit, f.Hint.In(phrase.EN))
			}
		}
		for u, how := range map[uint8]string{2: Refuses, 3: Garbled, 4: Answers, 5: Refuses, 9: Known} {
			if got[u] != how {
				t.Errorf("unit %d: %q, want %q", u, got[u], how)
			}
		}
		if len(got) != 5 {
			t.Errorf("%v", got)
		}
	})
}

func TestAScanEndsWithItsContextAndGivesThePortBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWall()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		_, err := Run(ctx, Plan{Settings: Settings(nil, nil)}, w.opener, quiet)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 3*time.Second || w.open != 0 {
			t.Errorf("%v after %v, %d open", err, time.Since(began), w.open)
		}
		w.gone = true
		if _, err := Run(t.Context(), Plan{}, w.opener, quiet); drivers.KindOf(err) != drivers.FaultGone {
			t.Errorf("without a port: %v", err)
		}
	})
}

func TestASweepReadsAroundHolesAndSeesWhatMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWall()
		d := &device{regs: holding(0, 1, 2, 3, 4, 5), only: drivers.Holding, step: 1}
		for a, v := range holding(8, 7, 8) {
			d.regs[a] = v
		}
		for a, v := range holding(0x1000, 9) {
			d.regs[a] = v
		}
		w.at[Setting{}] = map[uint8]*device{1: d}
		fs, err := Run(t.Context(), Plan{Units: []uint8{1}, Sweep: true}, w.opener, quiet)
		if err != nil || len(fs) != 1 {
			t.Fatal(err, fs)
		}
		got, moved := map[uint16]bool{}, false
		for _, b := range fs[0].Blocks {
			for i := range b.Words {
				got[b.Addr+uint16(i)] = true
			}
			moved = moved || slices.Contains(b.Moved, true)
			if !sealed(b.Sent) || !sealed(b.Heard) {
				t.Errorf("frames % x | % x", b.Sent, b.Heard)
			}
		}
		for _, a := range []uint16{0, 1, 2, 3, 4, 8, 9, 0x1000} {
			if !got[a] {
				t.Errorf("%#x was not read", a)
			}
		}
		if len(got) != 8 || !moved {
			t.Errorf("%v, moved %v", got, moved)
		}
		if n := w.asked[Setting{}]; n > mostReads {
			t.Errorf("%d reads", n)
		}
	})
}

func floats(f float32, o profile.Order) (a, b uint16) {
	u := math.Float32bits(f)
	hi, lo := uint16(u>>16), uint16(u)
	switch o {
	case profile.CDAB:
		return lo, hi
	case profile.BADC:
		return uint16(swap(hi)), uint16(swap(lo))
	case profile.DCBA:
		return uint16(swap(lo)), uint16(swap(hi))
	}
	return hi, lo
}

func TestTheRightOrderOfAFloatIsAmongTheLikely(t *testing.T) {
	for _, o := range Orders {
		for _, f := range []float32{3.4567, 98.341, -12.25, 1013.25, 0.0712, 12.5, 4321.987} {
			a, b := floats(f, o)
			rows := Rows([]Block{{Table: drivers.Holding, Words: []uint16{a, b}, Moved: make([]bool, 2)}})
			if len(rows) != 2 || !rows[0].Pair || rows[1].Pair {
				t.Fatalf("%+v", rows)
			}
			i := slices.Index(Orders[:], o)
			if rows[0].F32[i] != f {
				t.Errorf("%v as %s reads %v", f, o, rows[0].F32[i])
			}
			if !slices.Contains(rows[0].Likely, "float32 "+string(o)) {
				t.Errorf("%v as %s (%04x %04x): likely %v", f, o, a, b, rows[0].Likely)
			}
		}
	}
}

func TestSmallNumbersAndTextAreTold(t *testing.T) {
	words := []uint16{1234, 0xFFCE, 0, 0, 'G'<<8 | 'A', 'U'<<8 | 'G', 'E'<<8 | '1', 0}
	rows := Rows([]Block{{Table: drivers.Input, Addr: 4, Words: words, Moved: make([]bool, len(words))}})
	for i, want := range map[int]string{0: "uint16", 1: "int16", 4: "text", 6: "text"} {
		if !slices.Contains(rows[i].Likely, want) {
			t.Errorf("row %d: %v, want %s", i, rows[i].Likely, want)
		}
	}
	if len(rows[2].Likely) != 0 || rows[1].Int != -50 {
		t.Errorf("%+v", rows[1:3])
	}
}

func shipped(t *testing.T, name string) *profile.Profile {
	t.Helper()
	p, ps := profile.Load(configs.FS, name)
	if p == nil {
		t.Fatal(ps)
	}
	return p
}

func TestAProfileIsFoundByItsFingerprintOrByWhatFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const printed = `version: 1
profile: printed
name: {zh: 印, en: printed}
manual: none
via: modbus
fingerprint: {read: holding 0x0005, is: 777}
points:
  - {id: v, name: {zh: 值, en: value}, read: holding 0, unit: m}
proof:
  - {sent: "01 03 00 00 00 01 84 0A", heard: "01 03 02 00 07 F9 86", gives: {v: 7}}
`
		p, ps := profile.Parse("printed.yaml", []byte(printed))
		if p == nil {
			t.Fatal(ps)
		}
		radar := shipped(t, "generic-radar-level-rs485")
		rain := shipped(t, "generic-rain-rs485")
		w := newWall()
		regs := map[Range]uint16{}
		for _, d := range radar.Proof[:1] {
			tables := []drivers.Table{0, drivers.Coil, drivers.Discrete, drivers.Holding, drivers.Input}
			for i := 3; i+3 < len(d.Heard); i += 2 {
				regs[Range{tables[d.Sent[1]], uint16(d.Sent[2])<<8 + uint16(d.Sent[3]) + uint16(i-3)/2, 0}] = uint16(d.Heard[i])<<8 | uint16(d.Heard[i+1])
			}
		}
		w.at[Setting{}] = map[uint8]*device{1: {regs: holding(0, 1, 2, 3, 4, 5, 777)}, 2: {regs: regs}, 3: {regs: holding(0, make([]uint16, 64)...)}}
		fs, err := Run(t.Context(), Plan{Units: []uint8{1, 2, 3}, Profiles: []*profile.Profile{rain, radar, p}}, w.opener, quiet)
		if err != nil || len(fs) != 3 {
			t.Fatal(err, fs)
		}
		if m := fs[0].Matches; len(m) == 0 || m[0].Profile != "printed" || !m[0].Fingerprint {
			t.Errorf("unit 1: %+v", m)
		}
		if !slices.ContainsFunc(fs[1].Matches, func(m Match) bool { return m.Profile == radar.Name && !m.Fingerprint }) {
			t.Errorf("unit 2: %+v", fs[1].Matches)
		}
		if len(fs[2].Matches) != 0 {
			t.Errorf("a unit that gives zeros only fits %+v", fs[2].Matches)
		}
	})
}

func TestAFingerprintIsARangeAndNoProofWithoutThePoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		detcon := shipped(t, "detcon-1000-h2s")
		w := newWall()
		w.at[Setting{}] = map[uint8]*device{
			1: {regs: holding(0, 0x0264, 100, 0, 10, 20, 0x0550)}, // clean air: nothing but zeros to measure
			2: {regs: holding(0, 0x0164, 100, 7, 10, 20, 0x0550)}, // another gas
			3: {regs: holding(0, 0x0264, 100)},                    // the mark alone
		}
		fs, err := Run(t.Context(), Plan{Units: []uint8{1, 2, 3}, Profiles: []*profile.Profile{detcon}}, w.opener, quiet)
		if err != nil || len(fs) != 3 {
			t.Fatal(err, fs)
		}
		if m := fs[0].Matches; len(m) != 1 || !m[0].Fingerprint || m[0].Profile != detcon.Name {
			t.Errorf("unit 1: %+v", m)
		}
		if len(fs[1].Matches) != 0 || len(fs[2].Matches) != 0 {
			t.Errorf("others: %+v %+v", fs[1].Matches, fs[2].Matches)
		}
	})
}

func TestAPickBecomesAProfileThatProvesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWall()
		a, b := floats(3.25, profile.CDAB)
		w.at[Setting{4800, "8E1"}] = map[uint8]*device{7: {regs: holding(2, a, b, 215)}}
		var picks []Pick
		var rs []Range
		for _, s := range []string{"level=holding 0x0002 float32 CDAB m 0..20", "temp = holding 4 int16 x0.1 °C"} {
			p, err := ParsePick(s)
			if err != nil {
				t.Fatal(phrase.In(err, phrase.EN))
			}
			picks, rs = append(picks, p), append(rs, p.Range())
		}
		fs, err := Run(t.Context(), Plan{Units: []uint8{7}, Settings: []Setting{{4800, "8E1"}}, Sweep: true, Ranges: rs}, w.opener, quiet)
		if err != nil {
			t.Fatal(err)
		}
		text, es, err := Skeleton("my-gauge", fs[0], picks, time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(phrase.In(err, phrase.EN))
		}
		p, ps := profile.Parse("my-gauge.yaml", text)
		if p == nil || len(p.Prove()) > 0 || p.Line.Baud != 4800 || p.Line.Format != "8E1" {
			t.Fatalf("%v\n%s", ps, text)
		}
		if len(es) != 2 || es[0].Values[0].Value != 3.25 || es[1].Values[0].Value != 21.5 {
			t.Errorf("%+v", es)
		}
		picks[0].Order = profile.ABCD
		if _, _, err := Skeleton("my-gauge", fs[0], picks, time.Now()); err == nil {
			t.Error("a wrong order was taken")
		}
		// Another reading, added to the text, must hold too; a broken frame must not.
		more := es[0]
		more.Sent, more.Heard = Frames(7, drivers.Holding, 2, 2, []byte{0, 0, 0x40, 0x60})
		es2, err := Record(p, []Exchange{more.Exchange, {es[1].Sent, es[1].Heard}})
		if err != nil || len(es2) != 2 || es2[0].Values[0].Value != 3.5 {
			t.Fatalf("%v %+v", err, es2)
		}
		if out, err := Add("my-gauge", text, es2); err != nil || strings.Count(string(out), "- sent:") != 4 {
			t.Errorf("%v\n%s", err, out)
		}
		broken := slices.Clone(more.Heard)
		broken[4] ^= 1
		if _, err := Record(p, []Exchange{{more.Sent, broken}, {es[1].Sent, es[1].Heard}}); err == nil {
			t.Error("a broken frame proved something")
		}
		_, dry := Frames(7, drivers.Holding, 2, 2, []byte{0, 0, 0x42, 0x60}) // 56 m, above the range
		if _, err := Record(p, []Exchange{{more.Sent, dry}, {es[1].Sent, es[1].Heard}}); err == nil || !strings.Contains(err.Error(), "level") {
			t.Errorf("a value out of range proved something: %v", err)
		}
	})
}

func FuzzAPickIsReadOrRefused(f *testing.F) {
	f.Add("level=holding 0x0002 float32 CDAB x0.001 m 0..20")
	f.Add("a=coil 1")
	f.Add("x=input 65535 uint64 1..2")
	f.Add("version: 1\nprofile: draft\nname: {zh: 表, en: x}\nmanual: none\nvia: modbus\npoints:\n  - {id: v, name: {zh: 值, en: v}, read: holding 0, unit: m}\n")
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := ParsePick(s); err == nil {
			if p.ID == "" || p.Scale == 0 || p.Unit == "" || p.Min != nil && *p.Min >= *p.Max {
				t.Errorf("%q gives %+v", s, p)
			}
		}
		if p, err := Draft("draft", s); err == nil && (p.Name != "draft" || p.Proof != nil) {
			t.Errorf("%q gives a draft %+v", s, p)
		}
	})
}

func FuzzAnExchangeProvesOnlyWhatItSays(f *testing.F) {
	p, ps := profile.Load(configs.FS, "generic-radar-level-rs485")
	if p == nil {
		f.Fatal(ps)
	}
	for _, d := range p.Proof {
		f.Add(d.Sent, d.Heard)
	}
	f.Fuzz(func(t *testing.T, sent, heard []byte) {
		es, err := Record(p, []Exchange{{sent, heard}})
		if err == nil && (len(es) == 0 || !sealed(heard)) {
			t.Errorf("% x gives %+v", heard, es)
		}
		Add(p.Name, heard, es)
	})
}
