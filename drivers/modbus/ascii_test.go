package modbus

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	goburrow "github.com/goburrow/modbus"

	"tocsin/drivers"
)

// goburrow's packager was written from the same standard by others.
func TestASCIIFramesAreThoseOfAnotherPackager(t *testing.T) {
	h := goburrow.NewASCIIClientHandler("")
	for _, unit := range []byte{1, 17, 247} {
		h.SlaveId = unit
		for _, data := range [][]byte{{0, 0, 0, 1}, {0xff, 0x38, 0, 125}, {1, 2, 0xff, 0}} {
			want, err := h.Encode(&goburrow.ProtocolDataUnit{FunctionCode: 3, Data: data})
			if err != nil {
				t.Fatal(err)
			}
			rtu := seal(append([]byte{unit, 3}, data...)...)
			if got := dress(nil, rtu); !bytes.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
			var a undress
			for step := 1; step < len(want); step++ {
				var got []byte
				for p := want; len(p) > 0; {
					n := min(step, len(p))
					got = append(got, a.feed(p[:n])...)
					p = p[n:]
				}
				if !bytes.Equal(got, rtu) {
					t.Fatalf("in pieces of %d: % x, want % x", step, got, rtu)
				}
			}
		}
	}
}

// The example of Serial Line V1.02 is a figure; this one is reckoned by hand:
// 11 03 00 6B 00 03 sums to 0x82, its complement is 0x7E.
func TestTheSumIsTheStandards(t *testing.T) {
	if got := dress(nil, seal(0x11, 3, 0, 0x6b, 0, 3)); string(got) != ":1103006B00037E\r\n" {
		t.Errorf("%q", got)
	}
}

func TestWhatIsNoASCIIFrameIsNoise(t *testing.T) {
	good := seal(1, 3, 2, 0, 7)
	text := string(dress(nil, good))
	for _, c := range []struct {
		name, heard string
		frames      int
		noise       bool
	}{
		{"alone", text, 1, false},
		{"lower case", ":0103020007f3\r\n", 1, false},
		{"after noise", "\x00\xff4g" + text, 1, true},
		{"after the half of another", text[:8] + text, 1, true},
		{"two", text + text, 2, false},
		{"a wrong sum", ":0103020007F4\r\n", 0, true},
		{"a digit too few", ":010302000F3\r\n", 0, true},
		{"no line feed", ":0103020007F3\r" + text, 1, true},
		{"too short", ":01\r\n", 0, true},
		{"raw RTU", string(good), 0, true},
	} {
		var a undress
		out := bytes.Clone(a.feed([]byte(c.heard)))
		if n := bytes.Count(out, good); n != c.frames {
			t.Errorf("%s: %d frames in % x, want %d", c.name, n, out, c.frames)
		}
		if noise := len(out) > c.frames*len(good); noise != c.noise {
			t.Errorf("%s: % x", c.name, out)
		}
	}
}

// Whatever is heard on an ASCII line: no panic, no memory without bound, and
// nothing taken whose characters were not there with their sum.
func FuzzASCIIFraming(f *testing.F) {
	f.Add([]byte(":0103020007F3\r\n"), uint8(3))
	f.Add([]byte(":018302 7A\r\n:0183027A\r\n"), uint8(0))
	f.Add([]byte(":::\r\r\n0103"), uint8(1))
	f.Add(bytes.Repeat([]byte("0"), 600), uint8(200))
	f.Add(append([]byte{':'}, bytes.Repeat([]byte("01"), 400)...), uint8(7))
	f.Fuzz(func(t *testing.T, heard []byte, step uint8) {
		s, err := shapeOf(1, []byte{3, 0, 1, 0, 1})
		if err != nil {
			t.Fatal(err)
		}
		r := &rtu{led: newLedger(time.Second, time.Second), char: time.Millisecond, instant: true, bare: &undress{}, port: deaf{}}
		q := &query{shape: s, req: seal(1, 3, 0, 1, 0, 1)}
		now := time.Unix(1000, 0)
		for p := heard; len(p) > 0 && q != nil; {
			n := min(len(p), int(step)+1)
			a := r.hear(drivers.Chunk{At: now, B: p[:n]}, q)
			p = p[n:]
			if a != nil {
				if !bytes.Contains(bytes.ToUpper(heard), dress(nil, a.b)) {
					t.Fatalf("took % x", a.b)
				}
				q = nil
			}
			if len(r.bare.body) > maxASCII || len(r.buf) > 2*maxFrame || q != nil && len(q.heard) > 2*maxFrame {
				t.Fatalf("%d and %d bytes held", len(r.bare.body), len(r.buf))
			}
		}
	})
}

// What comes out of the dress is what went in.
func FuzzASCIIRoundTrip(f *testing.F) {
	f.Add([]byte{1, 3, 2, 0, 7}, uint8(2))
	f.Fuzz(func(t *testing.T, body []byte, step uint8) {
		if len(body) < 2 || len(body) > maxASCII-1 {
			return
		}
		rtu := binary.LittleEndian.AppendUint16(bytes.Clone(body), crc16(body))
		var a undress
		var got []byte
		for p := dress(nil, rtu); len(p) > 0; {
			n := min(len(p), int(step)+1)
			got = append(got, a.feed(p[:n])...)
			p = p[n:]
		}
		if !bytes.Equal(got, rtu) {
			t.Fatalf("% x became % x", rtu, got)
		}
	})
}
