package blackbox

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/firmware/guard"
)

func rules(t testing.TB) guard.BlackBox {
	t.Helper()
	r, err := guard.LoadRules(os.DirFS("../../../configs"))
	if err != nil {
		t.Fatal(err)
	}
	return r.BlackBox
}

func line(i int, k Kind) Record {
	return Record{Kind: k, Wall: time.Unix(1_800_000_000+int64(i), 0).UTC(), Mono: time.Duration(i) * time.Second, Text: fmt.Sprintf("line %d 警", i)}
}

func lines(n int, k Kind) (rs []Record) {
	for i := range n {
		rs = append(rs, line(i, k))
	}
	return rs
}

func plain(s string) string { return s }

func open(t *testing.T, dir string, most int) *Store {
	t.Helper()
	s, err := Open(dir, most)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func read(t *testing.T, dir string) ([]Record, int) {
	t.Helper()
	rs, damaged, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return rs, damaged
}

func TestWhatWasWrittenIsReadWhereverThePowerWasCut(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	want := lines(20, Log)
	if err := s.Write(want); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(name(dir, 0))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		rs, _, end := Decode(whole[:cut])
		if len(rs) > 0 {
			rs = rs[1:] // the head
		}
		if !slices.Equal(rs, want[:len(rs)]) || end > cut {
			t.Fatalf("cut at %d: %v", cut, rs)
		}
		if next := cut - end; next >= around+MostText {
			t.Fatalf("cut at %d only %d bytes were read", cut, end)
		}
	}
	// A run after a cut goes on behind the last whole record.
	cut := len(whole) - 7
	if err := os.WriteFile(name(dir, 0), whole[:cut], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir, 1<<20).Write([]Record{line(99, Log)}); err != nil {
		t.Fatal(err)
	}
	rs, damaged := read(t, dir)
	if len(rs) != 20 || rs[18] != want[18] || rs[19] != line(99, Log) || damaged != 0 {
		t.Errorf("%d records, %d bytes damaged: %v", len(rs), damaged, rs[max(0, len(rs)-2):])
	}
}

func TestDamageCostsWhatItCoversAndNoMore(t *testing.T) {
	var b []byte
	want := lines(200, Log)
	for _, r := range want {
		b = r.Append(b)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		bad := slices.Clone(b)
		from := rnd.IntN(len(bad))
		n := min(1+rnd.IntN(100), len(bad)-from)
		for i := range n {
			bad[from+i] = byte(rnd.Uint32())
		}
		rs, damaged, _ := Decode(bad)
		for _, r := range rs {
			if !slices.Contains(want, r) {
				t.Fatalf("a record that was never written: %v", r)
			}
		}
		if lost := len(want) - len(rs); lost > n/want[0].size()+2 || damaged > (n+2*want[199].size()) {
			t.Fatalf("%d bytes damaged cost %d records and %d bytes", n, lost, damaged)
		}
	}
}

func TestTheRegionIsBoundedAndKeepsTheNewest(t *testing.T) {
	dir := t.TempDir()
	const most = 128 << 10
	all := lines(15_000, Log)
	for run := range 5 {
		s := open(t, dir, most)
		if err := s.Write([]Record{{Kind: Boot, Text: fmt.Sprint("run ", run)}}); err != nil {
			t.Fatal(err)
		}
		for i := range 60 {
			if err := s.Write(all[run*3000+50*i:][:50]); err != nil {
				t.Fatal(err)
			}
		}
		size := 0
		for i := range 2 {
			st, err := os.Stat(name(dir, i))
			if err != nil {
				t.Fatal(err)
			}
			size += int(st.Size())
		}
		if size > most {
			t.Fatalf("%d bytes", size)
		}
		s.Close()
	}
	rs, damaged := read(t, dir)
	if damaged != 0 || rs[len(rs)-1] != line(14999, Log) {
		t.Errorf("damaged %d, the last %v", damaged, rs[len(rs)-1])
	}
	if n := len(rs) * rs[len(rs)-1].size(); n < most/2-around-MostText {
		t.Errorf("only %d bytes are kept", n)
	}
	for i := 1; i < len(rs); i++ {
		if rs[i].Kind == Log && rs[i-1].Kind == Log && rs[i].Mono != rs[i-1].Mono+time.Second {
			t.Fatalf("%v after %v", rs[i], rs[i-1])
		}
	}
}

func TestTheBoxPushesOutTheOldestAndCountsIt(t *testing.T) {
	dir := t.TempDir()
	b := New(64 << 10)
	b.Put(lines(20_000, Log)...)
	held := b.Held()
	bytes := 0
	for _, r := range held {
		bytes += r.size()
	}
	if bytes > 64<<10 || held[len(held)-1] != line(19_999, Log) {
		t.Errorf("%d bytes, the last %v", bytes, held[len(held)-1])
	}
	s := open(t, dir, 1<<20)
	if err := b.Write(s, false, plain); err != nil {
		t.Fatal(err)
	}
	rs, _ := read(t, dir)
	if rs[0].Kind != Lost || rs[0].Text != fmt.Sprintf("%d records of kind log found no room", 20_000-len(held)) || len(rs) != len(held)+1 {
		t.Errorf("%d records, first %v", len(rs), rs[0])
	}
	if err := b.Write(s, true, plain); err != nil {
		t.Fatal(err)
	}
	if again, _ := read(t, dir); len(again) != len(rs) {
		t.Errorf("written twice: %d", len(again))
	}
	b.Put(Record{Kind: Log, Text: strings.Repeat("警", 5000) + "\xff"})
	if r := b.Held(); len(r[len(r)-1].Text) > MostText {
		t.Error("too long")
	}
}

func TestFramesWaitForAnEventAndThenStandInTheirPlace(t *testing.T) {
	dir := t.TempDir()
	b, s := New(64<<10), open(t, dir, 1<<20)
	for i := range 10 {
		b.Put(line(i, Log), line(i, Frame))
	}
	if err := b.Write(s, false, plain); err != nil {
		t.Fatal(err)
	}
	if rs, _ := read(t, dir); len(rs) != 10 || slices.ContainsFunc(rs, func(r Record) bool { return r.Kind == Frame }) {
		t.Errorf("%v", rs)
	}
	if err := b.Write(s, true, plain); err != nil {
		t.Fatal(err)
	}
	rs, _ := read(t, dir)
	rs = InOrder(rs)
	if len(rs) != 20 || rs[0].Mono != rs[1].Mono || rs[19] != line(9, Frame) {
		t.Errorf("%v", rs)
	}
}

func TestADiskThatRefusesCostsNothingThatStillFits(t *testing.T) {
	dir := t.TempDir()
	b, s := New(64<<10), open(t, dir, 1<<20)
	b.Put(lines(10, Log)...)
	s.f.Close() // the disk is gone
	if err := b.Write(s, true, plain); err == nil {
		t.Fatal("written to a disk that is gone")
	}
	b.Put(line(10, Log))
	if err := b.Write(open(t, filepath.Join(dir, "again"), 1<<20), true, plain); err != nil {
		t.Fatal(err)
	}
	if rs, _ := read(t, filepath.Join(dir, "again")); !slices.Equal(rs, lines(11, Log)) {
		t.Errorf("%v", rs)
	}
}

func TestThePenSparesTheFlash(t *testing.T) {
	r := rules(t)
	for name, c := range map[string]struct {
		happens     func(s int) bool
		least, most int // writings in a day
	}{
		"nothing happens":             {func(int) bool { return false }, 280, 290},
		"a fault comes and goes":      {func(int) bool { return true }, 1440, 24*r.Hourly + 290},
		"once an hour, and after it":  {func(s int) bool { return s%3600 == 100 }, 48, 48 + 290},
		"all at once, and then quiet": {func(s int) bool { return s < 60 }, 285, 305},
	} {
		p := NewPen(r, 0)
		n, all, waited := 0, 0, time.Duration(0)
		since := time.Duration(-1)
		for s := range 24 * 3600 {
			now := time.Duration(s) * time.Second
			if c.happens(s) {
				p.Happened(now)
				if since < 0 {
					since = now
				}
			}
			if write, whole := p.Due(now); write {
				n++
				p.Wrote(now, whole)
				if whole {
					all++
					if since >= 0 {
						waited = max(waited, now-since)
					}
					since = -1
				}
			}
		}
		if n < c.least || n > c.most {
			t.Errorf("%s: %d writings a day (%d whole)", name, n, all)
		}
		if name == "once an hour, and after it" && (all != 48 || waited > 0) {
			t.Errorf("%s: %d whole, waited %v", name, all, waited)
		}
	}
}

func TestARegionOfAnotherFormatIsBegunAnew(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(name(dir, 1), Record{Kind: Head, Text: "9 1"}.Append(nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir, 1<<20).Write([]Record{line(1, Log)}); err != nil {
		t.Fatal(err)
	}
	if rs, _ := read(t, dir); len(rs) != 1 {
		t.Errorf("%v", rs)
	}
	if _, err := Open(filepath.Join(dir, "0", "x"), 1<<20); !errors.Is(err, os.ErrExist) && err == nil {
		t.Error("opened below a file")
	}
}

func FuzzDecode(f *testing.F) {
	var b []byte
	for _, r := range lines(3, Log) {
		b = r.Append(b)
	}
	f.Add(b)
	f.Add(b[:len(b)-3])
	f.Add([]byte{markA, markB, 'L', 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		rs, damaged, end := Decode(b)
		total := damaged
		var again []byte
		for _, r := range rs {
			total += r.size()
			again = r.Append(again)
			if len(r.Text) > MostText {
				t.Fatal("too long")
			}
			_ = r.String()
		}
		if total != len(b) || end > len(b) {
			t.Fatalf("%d of %d bytes accounted for, end %d", total, len(b), end)
		}
		if back, bad, _ := Decode(again); bad != 0 || !slices.EqualFunc(back, rs, func(a, b Record) bool {
			return a.Text == b.Text && a.Kind == b.Kind && a.Mono == b.Mono && a.Wall.Equal(b.Wall)
		}) {
			t.Fatal("what was read is not what is written of it")
		}
	})
}
