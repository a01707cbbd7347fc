package profile

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tocsin/drivers"
)

func holding(id string, addr uint16, every time.Duration) Point {
	return Point{ID: id, Table: drivers.Holding, Addr: addr, Bit: -1, Type: Uint16, Scale: 1, Every: every}
}

func TestHolesAreFilledWhereThatIsCheaperThanAnotherRead(t *testing.T) {
	p := &Profile{Via: Modbus, Line: Line{Baud: 9600, Turnaround: 20 * time.Millisecond, MaxRegisters: 100}}
	// A second read costs 20 characters and a turnaround of 17; a register two.
	p.Points = []Point{holding("a", 0, time.Second), holding("b", 15, time.Second), holding("c", 60, time.Second), holding("d", 61, time.Minute)}
	got := fmt.Sprint(shapes(p.Plan()))
	if want := "[0+16 [0 1] 60+1 [2] 61+1 [3]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	p.Holes = []Hole{{From: 7, To: 7}}
	if got, want := fmt.Sprint(shapes(p.Plan())), "[0+1 [0] 15+1 [1] 60+1 [2] 61+1 [3]]"; got != want {
		t.Errorf("with a hole: got %s, want %s", got, want)
	}
}

func shapes(rs []Request) []string {
	var out []string
	for _, r := range rs {
		out = append(out, fmt.Sprintf("%d+%d %v", r.Addr, r.Count, r.Points))
	}
	return out
}

func TestAStatusIsNeverReadApartFromWhatItSpeaksFor(t *testing.T) {
	p := &Profile{Via: Modbus, Line: Line{Baud: 115200, MaxRegisters: 32}}
	p.Points = []Point{holding("level", 0, time.Second), holding("status", 30, time.Minute)}
	p.Points[1].StatusOf = []string{"level"}
	rs := p.Plan()
	if len(rs) != 1 || rs[0].Every != time.Second || rs[0].Count != 31 {
		t.Errorf("got %+v", rs)
	}
}

func TestAPlanCoversEveryPointOnceWithinTheDevicesLimits(t *testing.T) {
	types := []Type{Uint16, Int32, Float64, Bool}
	rapid.Check(t, func(t *rapid.T) {
		p := &Profile{Via: Modbus, Line: Line{Baud: rapid.SampledFrom([]int{1200, 9600, 115200}).Draw(t, "baud"),
			Turnaround: time.Duration(rapid.IntRange(0, 100).Draw(t, "turnaround")) * time.Millisecond, MaxRegisters: rapid.IntRange(4, 125).Draw(t, "most")}}
		for range rapid.IntRange(0, 4).Draw(t, "holes") {
			from := rapid.IntRange(0, 290).Draw(t, "from")
			p.Holes = append(p.Holes, Hole{Table: drivers.Table(rapid.IntRange(0, 4).Draw(t, "hole table")), From: uint16(from), To: uint16(from + rapid.IntRange(0, 9).Draw(t, "len"))})
		}
		for i := range rapid.IntRange(1, 20).Draw(t, "points") {
			pt := Point{ID: fmt.Sprint(i), Table: drivers.Table(rapid.IntRange(1, 4).Draw(t, "table")), Addr: uint16(rapid.IntRange(0, 300).Draw(t, "addr")), Bit: -1,
				Type: rapid.SampledFrom(types).Draw(t, "type"), Every: time.Duration(rapid.IntRange(0, 2).Draw(t, "every")) * time.Second, Alarm: rapid.Bool().Draw(t, "alarm"), Scale: 1}
			ok := !p.inHole(pt.Table, int(pt.Addr), int(pt.Addr)+pt.words()-1)
			for j := range p.Points { // as Parse demands: no two types on one register
				o := &p.Points[j]
				ok = ok && (o.Table != pt.Table || int(pt.Addr) >= int(o.Addr)+o.words() || int(o.Addr) >= int(pt.Addr)+pt.words())
			}
			if ok {
				p.Points = append(p.Points, pt)
			}
		}
		seen := make([]int, len(p.Points))
		for _, r := range p.Plan() {
			if int(r.Count) > p.most(r.Table) || r.Count == 0 {
				t.Fatalf("%+v exceeds %d", r, p.most(r.Table))
			}
			if p.inHole(r.Table, int(r.Addr), int(r.Addr)+int(r.Count)-1) {
				t.Fatalf("%+v reads across a hole of %+v", r, p.Holes)
			}
			for _, i := range r.Points {
				pt := &p.Points[i]
				seen[i]++
				if pt.Table != r.Table || pt.Every != r.Every || pt.Alarm != r.Alarm || pt.Addr < r.Addr || int(pt.Addr)+pt.words() > int(r.Addr)+int(r.Count) {
					t.Fatalf("%+v does not cover %+v", r, pt)
				}
			}
			data := make([]byte, 2*int(r.Count))
			if r.Table.Bits() {
				data = make([]byte, (int(r.Count)+7)/8)
			}
			if vs := p.Decode(r, data); len(vs) != len(r.Points) {
				t.Fatalf("%d values of %d points", len(vs), len(r.Points))
			}
		}
		if slices.ContainsFunc(seen, func(n int) bool { return n != 1 }) {
			t.Fatalf("covered %v", seen)
		}
	})
}
