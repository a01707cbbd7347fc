package stream

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"testing"
	"time"
)

// Parameter sets of 320×180 as x264 writes them.
var (
	sps = unhex("674d400bda05067e7c0440000003004000000523c50aa8")
	pps = unhex("68ef0fc8")
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func idr(n int) []byte  { return append([]byte{0x65, 0x88}, bytes.Repeat([]byte{7}, n)...) } // first_mb 0, slice_type 7 (I)
func p(n int) []byte    { return append([]byte{0x41, 0x9a}, bytes.Repeat([]byte{5}, n)...) } // slice_type 5 (P)
func b(n int) []byte    { return append([]byte{0x01, 0x9e}, bytes.Repeat([]byte{6}, n)...) } // slice_type 6 (B), nal_ref_idc 0
func refB(n int) []byte { return append([]byte{0x41, 0x9e}, bytes.Repeat([]byte{6}, n)...) }
func part(n int) []byte { return append([]byte{0x41, 0x4a}, bytes.Repeat([]byte{5}, n)...) } // first_mb 1
func userData(n int) []byte {
	return append(append([]byte{6, 5, byte(n)}, bytes.Repeat([]byte{0xd1}, n)...), 0x80)
}

type bench struct {
	t   *testing.T
	now time.Duration
	s   *Stream
	w   *Writer
}

func open(t *testing.T, o Opts) *bench {
	b := &bench{t: t, now: time.Hour}
	o.Now = func() time.Duration { return b.now }
	b.s = New(o)
	var err error
	if b.w, err = b.s.Open("test"); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) put(pts, dts int64, nals ...[]byte) {
	b.t.Helper()
	if err := b.w.Picture(H264, pts, dts, nals); err != nil {
		b.t.Fatal(err)
	}
}

// frame puts one picture of a source of 25 a second.
func (b *bench) frame(i int, nals ...[]byte) {
	b.t.Helper()
	b.put(int64(i)*3600, int64(i)*3600, nals...)
	b.now += 40 * time.Millisecond
}

func (b *bench) all(r *Reader) (out []*Unit) {
	for u := r.Ready(); u != nil; u = r.Ready() {
		out = append(out, u)
	}
	return out
}

func TestAKeyPictureHasItsParameterSets(t *testing.T) {
	b := open(t, Opts{})
	r := b.s.Reader(ReaderOpts{})
	b.frame(0, p(3)) // nothing can be shown yet
	if us := b.all(r); len(us) != 0 {
		t.Errorf("%d units", len(us))
	}
	b.frame(1, sps, pps)
	b.frame(2, []byte{9, 0xf0}, idr(9))
	b.frame(3, p(4))
	b.frame(4, sps, idr(8))
	us := b.all(r)
	if len(us) != 3 || !us[0].Key || us[1].Key || !us[2].Key {
		t.Fatalf("%d units", len(us))
	}
	for _, u := range []*Unit{us[0], us[2]} {
		if len(u.NALs) != 3 || !bytes.Equal(u.NALs[0], sps) || !bytes.Equal(u.NALs[1], pps) {
			t.Errorf("%x", u.NALs)
		}
	}
	if p := b.s.Parameters(); p.Width != 320 || p.Height != 180 || p.Version != 2 {
		t.Errorf("%+v", p)
	}
	if us[1].Time-us[0].Time != 3600 || us[2].Gap {
		t.Error("times")
	}
}

func TestPartsOfAPictureAreOne(t *testing.T) {
	b := open(t, Opts{})
	r := b.s.Reader(ReaderOpts{})
	// The supplemental information comes in a message of its own, with the same time.
	b.put(0, 0, sps, pps)
	b.put(0, 0, userData(20))
	b.put(0, 0, idr(5))
	if us := b.all(r); len(us) != 1 || len(us[0].NALs) != 4 {
		t.Fatalf("%d", len(us))
	}
	// The first split picture goes out in two, all after it in one.
	b.put(3600, 3600, p(4))
	b.put(3600, 3600, part(4))
	b.all(r)
	b.put(7200, 7200, p(4))
	if us := b.all(r); len(us) != 0 {
		t.Error("a part went out alone")
	}
	b.put(7200, 7200, part(4))
	b.put(10800, 10800, p(4))
	if us := b.all(r); len(us) != 1 || len(us[0].NALs) != 2 {
		t.Errorf("%d units", len(us))
	}
	if !slices.Contains(b.s.State().Notes, Split) {
		t.Error("not noted")
	}
}

func TestTimeRunsForward(t *testing.T) {
	for _, c := range []struct {
		name string
		src  []int64 // in pictures of 40 ms
		gaps int
	}{
		{"as it should", []int64{0, 3600, 7200, 10800}, 0},
		{"from anywhere", []int64{1 << 40, 1<<40 + 3600, 1<<40 + 7200, 1<<40 + 10800}, 0},
		{"back a little", []int64{0, 3600, 3500, 7200}, 0},
		{"the same twice", []int64{0, 3600, 3600, 7200}, 0},
		{"far ahead", []int64{0, 3600, 3600 + 90000*3600, 7200 + 90000*3600}, 1},
		{"far back", []int64{1 << 33, 1<<33 + 3600, 0, 3600}, 1},
		{"the extremes", []int64{-1 << 62, 1 << 62, -1 << 62, 0}, 3},
	} {
		b := open(t, Opts{})
		r := b.s.Reader(ReaderOpts{})
		last, gaps := int64(-1), 0
		for i, at := range c.src {
			n := [][]byte{p(3)}
			if i == 0 {
				n = [][]byte{sps, pps, idr(3)}
			}
			b.put(at, at, n...)
			b.now += 40 * time.Millisecond
		}
		us := b.all(r)
		for i, u := range us {
			if u.Time <= last || u.Decode > u.Time || i > 0 && u.Time-last > 90000 {
				t.Errorf("%s: %d after %d", c.name, u.Time, last)
			}
			if last = u.Time; i > 0 && u.Gap {
				gaps++
			}
		}
		if len(us) != len(c.src) || gaps != c.gaps {
			t.Errorf("%s: %d units, %d gaps", c.name, len(us), gaps)
		}
	}
}

func TestReorderedPicturesAreTold(t *testing.T) {
	for _, c := range []struct {
		name  string
		bpic  []byte
		notes []Note
		dts   bool
	}{
		{"with decode times", b(3), []Note{Reordered}, true},
		{"without", b(3), []Note{Reordered}, false},
		{"others need them", refB(3), []Note{Reordered, Referenced}, true},
		{"others need them, without", refB(3), []Note{Reordered, Referenced}, false},
	} {
		b := open(t, Opts{})
		r := b.s.Reader(ReaderOpts{})
		shown := []int64{0, 2, 1, 4, 3, 6, 5}
		for i, at := range shown {
			n := [][]byte{p(3)}
			if i == 0 {
				n = [][]byte{sps, pps, idr(3)}
			} else if at%2 == 1 {
				n = [][]byte{c.bpic}
			}
			pts, dts := at*3600+3600, int64(i)*3600
			if !c.dts {
				dts = pts
			}
			b.put(pts, dts, n...)
			b.now += 40 * time.Millisecond
		}
		us := b.all(r)
		if len(us) != len(shown) || !slices.Equal(b.s.State().Notes, c.notes) {
			t.Fatalf("%s: %d units, %v", c.name, len(us), b.s.State().Notes)
		}
		decode := int64(-1 << 60)
		for i, u := range us {
			if u.Decode <= decode || u.Decode > u.Time || u.Reordered != (shown[i]%2 == 1) {
				t.Errorf("%s: picture %d: %d %d %v", c.name, i, u.Decode, u.Time, u.Reordered)
			}
			decode = u.Decode
			if want := us[0].Time + shown[i]*3600; u.Time != want && i > 2 {
				t.Errorf("%s: picture %d at %d, not %d", c.name, i, u.Time, want)
			}
		}
	}
}

func TestASlowReaderLosesWholeGroupsAndHoldsUpNobody(t *testing.T) {
	b := open(t, Opts{})
	slow, fast := b.s.Reader(ReaderOpts{}), b.s.Reader(ReaderOpts{})
	got := 0
	for i := range 100 {
		if i%10 == 0 {
			b.frame(i, sps, pps, idr(100))
		} else {
			b.frame(i, p(20))
		}
		got += len(b.all(fast))
		if i == 3 {
			slow.Ready()
		}
	}
	us := b.all(slow)
	if got != 100 || len(us) != 10 || !us[0].Key || us[0].Number() != 91 || slow.Skipped() != 89 || b.s.State().Skipped != 89 {
		t.Errorf("%d, %d units from %d, %d skipped", got, len(us), us[0].Number(), slow.Skipped())
	}
	// Seek: the rest of this group is not for it.
	b.frame(101, p(3))
	slow.Seek()
	b.frame(102, p(3))
	if us := b.all(slow); len(us) != 0 {
		t.Errorf("%d units", len(us))
	}
	b.frame(103, idr(3))
	if us := b.all(slow); len(us) != 1 {
		t.Errorf("%d units", len(us))
	}
}

func TestANewReaderBeginsAtTheKeptKeyPicture(t *testing.T) {
	b := open(t, Opts{CacheBytes: 5000})
	b.frame(0, sps, pps, idr(100))
	for i := 1; i < 10; i++ {
		b.frame(i, p(20))
	}
	if us := b.all(b.s.Reader(ReaderOpts{})); len(us) != 10 || !us[0].Key {
		t.Errorf("%d units", len(us))
	}
	if us := b.all(b.s.Reader(ReaderOpts{Live: true})); len(us) != 0 {
		t.Errorf("%d units", len(us))
	}
	if st := b.s.State(); st.GroupAge != 400*time.Millisecond || st.Group < 300 || st.Readers != 2 {
		t.Errorf("%+v", st)
	}
	for i := 10; i < 20; i++ { // beyond the bound nothing is kept
		b.frame(i, p(900))
	}
	if us := b.all(b.s.Reader(ReaderOpts{})); len(us) != 0 || !slices.Contains(b.s.State().Notes, Unkept) {
		t.Errorf("%d units", len(us))
	}
	if b.s.bytes > 5000 {
		t.Errorf("%d bytes kept", b.s.bytes)
	}
}

func TestWhatWasBeforeIsNotShownAsNow(t *testing.T) {
	b := open(t, Opts{})
	b.frame(0, sps, pps, idr(10))
	b.frame(1, p(10))
	last := b.all(b.s.Reader(ReaderOpts{}))[1].Time
	if _, err := b.s.Open("other"); !errors.Is(err, ErrTaken) {
		t.Error(err)
	}
	b.w.Close(nil)
	b.w.Close(nil)
	if err := b.w.Picture(H264, 0, 0, [][]byte{idr(3)}); err == nil {
		t.Error("written after its end")
	}
	r := b.s.Reader(ReaderOpts{})
	if us := b.all(r); len(us) != 0 {
		t.Errorf("%d units", len(us))
	}
	var err error
	if b.w, err = b.s.Open("other"); err != nil {
		t.Fatal(err)
	}
	b.frame(0, sps, pps, idr(10))
	us := b.all(r)
	if len(us) != 1 || us[0].Time <= last || !us[0].Gap {
		t.Errorf("%+v", us)
	}
	b.s.End()
	if _, err := r.Next(context.Background()); err != io.EOF {
		t.Error(err)
	}
}

func TestKeyPicturesAreAskedForOnceASecond(t *testing.T) {
	b := open(t, Opts{})
	if b.s.AskKey() {
		t.Error("asked nobody")
	}
	n := 0
	b.w.OnKey(func() { n++ })
	for range 30 {
		b.s.AskKey()
		b.now += 100 * time.Millisecond
	}
	if n != 3 {
		t.Errorf("%d times", n)
	}
}

func TestUserDataIsNotForBrowsers(t *testing.T) {
	other := []byte{6, 1, 2, 0xaa, 0xbb, 0x80}
	mixed := append([]byte{6, 5, 3, 0, 0, 3, 1, 1, 2, 0xaa, 0xbb}, 0x80) // emulation prevention within
	for _, c := range []struct {
		in, want []byte
	}{
		{userData(16), nil}, {other, other}, {mixed, other}, {p(3), p(3)},
		{[]byte{6, 5, 0xff, 0xff}, nil}, {[]byte{6, 1, 200, 1}, nil}, {[]byte{6}, []byte{6}},
	} {
		if got := withoutUserData(H264, c.in); !bytes.Equal(got, c.want) {
			t.Errorf("%x: %x, not %x", c.in, got, c.want)
		}
	}
	u := &Unit{Codec: H264, NALs: [][]byte{userData(16), idr(5000)}}
	n := 0
	for _, p := range u.Payloads() {
		if n += len(p); len(p) > PayloadMax || bytes.Contains(p, userData(16)[1:10]) {
			t.Errorf("%x", p[:20])
		}
	}
	if len(u.Payloads()) != 5 || n < 5000 {
		t.Errorf("%d payloads of %d bytes", len(u.Payloads()), n)
	}
}

func TestHostileUnits(t *testing.T) {
	bn := open(t, Opts{})
	for _, n := range [][][]byte{nil, make([][]byte, maxNALs+1), {make([]byte, maxUnit+1)}} {
		if err := bn.w.Picture(H264, 0, 0, n); !errors.Is(err, ErrUnit) {
			t.Error(err)
		}
	}
	if err := bn.w.Sound(H264, 0, []byte{1}); !errors.Is(err, ErrUnit) {
		t.Error(err)
	}
	for i := range 10000 { // parts that never make a picture stay bounded
		bn.put(int64(i), 0, userData(100))
	}
	if len(bn.w.held) > maxNALs {
		t.Errorf("%d parts held", len(bn.w.held))
	}
}

func FuzzPicture(f *testing.F) {
	f.Add([]byte{0, 0x67, 1, 2}, int64(0), int64(0), true)
	f.Add(append([]byte{5}, userData(9)...), int64(3600), int64(0), false)
	f.Fuzz(func(t *testing.T, raw []byte, pts, dts int64, hevc bool) {
		c := H264
		if hevc {
			c = H265
		}
		now := time.Hour
		s := New(Opts{Now: func() time.Duration { return now }, CacheBytes: 10000})
		w, _ := s.Open("fuzz")
		r := s.Reader(ReaderOpts{})
		if hevc {
			w.Picture(c, 0, 0, [][]byte{{64, 1, 1}, {66, 1, 1}, {68, 1, 1}, {38, 1, 0x80}})
		} else {
			w.Picture(c, 0, 0, [][]byte{sps, pps, idr(3)})
		}
		for len(raw) > 1 {
			n := min(int(raw[0])+1, len(raw)-1)
			nal := bytes.Clone(raw[1 : 1+n])
			w.Picture(c, pts, dts, [][]byte{nal})
			if !HasKey(c, [][]byte{nal}) && w.Sound(PCMA, dts, nal) != nil {
				t.Fatal("sound was refused")
			}
			if s.Show(nal) == nil && (len(nal) < 4 || nal[0] != 0xff) {
				t.Fatal("shown as a still: ", nal)
			}
			raw = raw[1+n:]
			pts, dts = pts+dts, dts-pts
			now += 33 * time.Millisecond
		}
		decode := int64(-1)
		for u := r.Ready(); u != nil; u = r.Ready() {
			if u.Decode <= decode || u.Time < u.Decode {
				t.Fatalf("%d after %d, shown at %d", u.Decode, decode, u.Time)
			}
			decode = u.Decode
			for _, p := range u.Payloads() {
				if len(p) > PayloadMax {
					t.Fatal(len(p))
				}
			}
		}
	})
}
