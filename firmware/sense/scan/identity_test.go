package scan

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
)

// objects is an answer to function 43 from the conformity level on.
func objects(more bool, next byte, from byte, texts ...string) []byte {
	b := []byte{1, 0, next, byte(len(texts))}
	if more {
		b[1] = 0xFF
	}
	for i, s := range texts {
		b = append(append(b, from+byte(i), byte(len(s))), s...)
	}
	return b
}

func TestAUnitIsNamedByWhatItSays(t *testing.T) {
	for name, c := range map[string]struct {
		d     device
		want  Identity
		asked int // of functions 17 and 43
	}{
		"in one part":            {device{id: [][]byte{objects(false, 0, 0, "Maker", "G-7", "1.02")}}, Identity{Vendor: "Maker", Product: "G-7", Revision: "1.02"}, 2},
		"in two parts":           {device{id: [][]byte{objects(true, 1, 0, "Maker"), objects(false, 0, 1, "G-7", "1.02", "http://x", "Gauge")}}, Identity{Vendor: "Maker", Product: "G-7", Revision: "1.02", URL: "http://x", Name: "Gauge"}, 3},
		"basic only":             {device{basic: true, id: [][]byte{objects(false, 0, 0, "Maker")}}, Identity{Vendor: "Maker"}, 2},
		"of the maker's own":     {device{id: [][]byte{objects(false, 0, 0x80, "S/N 4711")}}, Identity{Other: []string{"S/N 4711"}}, 2},
		"by function 17":         {device{server: append([]byte{9, 0xFF}, "VEGAPULS 66"...)}, Identity{Server: append([]byte{9, 0xFF}, "VEGAPULS 66"...), Text: "VEGAPULS 66"}, 2},
		"by two bytes":           {device{server: []byte{0x42, 0xFF}}, Identity{Server: []byte{0x42, 0xFF}}, 2},
		"never at an end":        {device{id: [][]byte{objects(true, 0, 0, "Maker")}}, Identity{Vendor: "Maker"}, 2},
		"a list that breaks off": {device{id: [][]byte{objects(false, 0, 0, "Maker", "G-7")[:12]}}, Identity{Vendor: "Maker"}, 2},
		"with control bytes":     {device{id: [][]byte{objects(false, 0, 0, " Ma\x1b[31mker\n\x00 ")}}, Identity{Vendor: "Ma[31mker"}, 2},
		"nothing":                {device{}, Identity{}, 2},
		"silence":                {device{mute: true}, Identity{}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := c.d
				d.regs = holding(0, 5)
				w := newWall()
				w.at[Setting{}] = map[uint8]*device{1: &d}
				fs, err := Run(t.Context(), Plan{Units: []uint8{1}}, w.opener, quiet)
				if err != nil || len(fs) != 1 || fs[0].How != Answers {
					t.Fatal(err, fs)
				}
				got := Identity{}
				if fs[0].Identity != nil {
					got = *fs[0].Identity
				}
				if got.Vendor != c.want.Vendor || got.Product != c.want.Product || got.Revision != c.want.Revision || got.URL != c.want.URL || got.Name != c.want.Name ||
					got.Text != c.want.Text || !slices.Equal(got.Other, c.want.Other) || !slices.Equal(got.Server, c.want.Server) {
					t.Errorf("%+v, not %+v", got, c.want)
				}
				if (fs[0].Identity == nil) != c.want.IsZero() {
					t.Errorf("%+v", fs[0].Identity)
				}
				if n := w.asked[Setting{}] - 1; n > c.asked+1 {
					t.Errorf("it was asked %d times", n)
				}
			})
		})
	}
}

func TestAUnitThatSaysNothingCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWall()
		w.at[Setting{}] = map[uint8]*device{1: {regs: holding(0, 5), mute: true}}
		began := time.Now()
		if _, err := Run(t.Context(), Plan{Units: []uint8{1}}, w.opener, quiet); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%v", took)
		}
	})
}

// Whatever a unit says of itself: bounded, and nothing that a terminal would
// obey.
func FuzzWhatAUnitSaysOfItself(f *testing.F) {
	f.Add(objects(true, 1, 0, "Maker", "G-7"), []byte{9, 0xFF, 'v', '1', '.', '0'})
	f.Add([]byte{1, 0, 0, 255, 0, 255}, []byte{})
	f.Add(objects(false, 0, 0x7F, "\u202e\u0085\xff"), []byte("plain text"))
	f.Fuzz(func(t *testing.T, b, server []byte) {
		d := &Identity{}
		os, next, more := ParseIdentification(b)
		for _, o := range os {
			d.take(o)
		}
		d.Server, d.Text = ParseServerID(server)
		if len(os) > 255 || !more && next != 0 || more && (len(b) < 4 || b[1] != 0xFF) {
			t.Fatalf("%d objects, more %v, next %d", len(os), more, next)
		}
		for _, s := range append([]string{d.Vendor, d.Product, d.Revision, d.URL, d.Name, d.Model, d.Application, d.Text}, d.Other...) {
			if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }) || len([]rune(s)) > max(mostObject, serverBytes) {
				t.Fatalf("%q", s)
			}
		}
		if len(d.Other) > mostOther || len(d.Server) > serverBytes {
			t.Fatalf("%d others, %d bytes", len(d.Other), len(d.Server))
		}
	})
}
