package letter

import (
	"bytes"
	"testing"
)

// FuzzOpen brings a datagram's outside, and what a station with the right key
// may have put inside.
func FuzzOpen(f *testing.F) {
	k := key(f, 1)
	for _, g := range sample() {
		b, err := k.Seal(FromStation, &g)
		if err != nil {
			f.Fatal(err)
		}
		p, _ := g.plain()
		f.Add(b, byte(g.Kind), p)
	}
	f.Add([]byte{}, byte(0), []byte{0, 255})
	f.Fuzz(func(t *testing.T, b []byte, kind byte, inside []byte) {
		if g, err := k.Open(FromStation, b); err == nil {
			again, err := k.Seal(FromStation, g)
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("what opened does not seal to the same: %v", err)
			}
		}
		g := Datagram{Kind: Kind(kind % byte(kinds))}
		if g.read(inside) {
			p, err := g.plain()
			if err != nil || !bytes.Equal(p, inside) {
				t.Fatalf("what was read of %x writes as %x: %v", inside, p, err)
			}
		}
	})
}

// FuzzSubject holds that what is read is one of the package's own.
func FuzzSubject(f *testing.F) {
	s := Station("330483105203-2")
	for _, x := range []string{s.Up(0), s.Down(5), s.Kept("a"), s.Taken("b_-"), "up..", "rcpt.33.330483.330483105203.up.*"} {
		f.Add(x)
	}
	f.Fuzz(func(t *testing.T, x string) {
		p, ok := ParseSubject(x)
		if !ok {
			return
		}
		want := p.Station.Up(p.Class)
		switch {
		case p.Receipt && p.Way == "up":
			want = p.Station.Kept(p.ID)
		case p.Receipt:
			want = p.Station.Taken(p.ID)
		case p.Way == "down":
			want = p.Station.Down(p.Class)
		}
		if want != x {
			t.Fatalf("%q was read as %q", x, want)
		}
	})
}

// FuzzTold holds that a catalogue's subject is the place of the station that it names.
func FuzzTold(f *testing.F) {
	s := Station("330483105203-2")
	for _, x := range []string{s.Told(), s.Ask(), ToldAll, "see.33.330402.330483105203.told", "see....told"} {
		f.Add(x)
	}
	f.Fuzz(func(t *testing.T, x string) {
		if s, ok := ParseTold(x); ok && (!s.Valid() || s.Told() != x) {
			t.Fatalf("%q was read as %q's", x, s)
		}
	})
}

// FuzzWindow reads what a disk gives back, and goes on with it.
func FuzzWindow(f *testing.F) {
	var w Window
	for _, c := range []uint64{1, 3, 300, 299} {
		w.Accept(c)
		f.Add(w.Bytes(), c)
	}
	f.Add([]byte{}, uint64(1)<<48)
	f.Fuzz(func(t *testing.T, b []byte, c uint64) {
		w, ok := ReadWindow(b)
		if ok && !bytes.Equal(w.Bytes(), b) {
			t.Fatal("what was read writes otherwise")
		}
		if first := w.Accept(c); w.Accept(c) {
			t.Fatalf("%d was accepted again (first: %v)", c, first)
		}
	})
}
