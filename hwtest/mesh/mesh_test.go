package mesh

import (
	"bytes"
	"encoding/hex"
	"testing"
	"testing/synctest"
	"time"
)

// buffer is a port that says what it holds, then nothing, and keeps what it is
// told.
type buffer struct {
	in   chan []byte
	rest []byte
	out  chan []byte
}

func (b *buffer) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		b.rest = <-b.in
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	if n == 0 {
		return 0, bytes.ErrTooLarge // the test is over
	}
	return n, nil
}

func (b *buffer) Write(p []byte) (int, error) { b.out <- append([]byte(nil), p...); return len(p), nil }

func heard(b *buffer) (out [][]byte) {
	for {
		select {
		case m := <-b.out:
			out = append(out, m)
		case <-time.After(time.Minute):
			return out
		}
	}
}

func frame(h string) []byte {
	b, err := hex.DecodeString(h)
	if err != nil {
		panic(err)
	}
	return append([]byte{0x94, 0xC3, 0, byte(len(b))}, b...)
}

// The bytes are written out by hand from the field numbers.
func TestBytesWrittenByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMesh(1, time.Second)
		a, z := m.Node(0x11), m.Node(0x22)
		m.Join(a, z, 0)
		pa, pz := &buffer{in: make(chan []byte, 9), out: make(chan []byte, 99)}, &buffer{in: make(chan []byte, 9), out: make(chan []byte, 99)}
		go a.Serve(pa)
		go z.Serve(pz)
		defer func() { pa.in <- nil; pz.in <- nil }()
		// A packet before the settings were asked for goes nowhere.
		packet := "0a15" + "1522000000" + "2207" + "088002" + "12026869" + "3507000000" + "5001"
		pa.in <- frame(packet)
		time.Sleep(time.Minute)
		if len(m.Aired()) != 0 {
			t.Fatal("it sends before it was asked for its settings")
		}
		pa.in <- frame("1805") // want_config_id 5
		pz.in <- frame("1806")
		got := heard(pa)
		if n := len(got); n != 8 || !bytes.HasSuffix(got[0], []byte{0x1a, 4, 8, 0x11, 0x40, 0x0c}) || !bytes.HasSuffix(got[n-1], []byte{0x38, 5}) {
			t.Fatalf("%x", got)
		}
		heard(pz)
		pa.in <- frame(packet)
		said := heard(pz)
		if len(said) != 1 || !bytes.Contains(said[0], []byte{0x22, 7, 8, 0x80, 2, 0x12, 2, 'h', 'i'}) || !bytes.Contains(said[0], []byte{0x0d, 0x11, 0, 0, 0, 0x15, 0x22, 0, 0, 0}) {
			t.Errorf("%x", said)
		}
		back := heard(pa)
		if len(back) != 2 || !bytes.Contains(back[0], []byte{0x5a, 8, 8, 0, 0x10, 15, 0x18, 16, 0x20, 7}) || !bytes.Contains(back[1], []byte{8, 5, 0x12, 2, 0x18, 0, 0x35, 7, 0, 0, 0}) {
			t.Errorf("%x", back)
		}
		pa.in <- frame(packet) // the same write again is dropped
		heard(pa)
		if len(m.Aired()) != 1 {
			t.Errorf("%d aired", len(m.Aired()))
		}
	})
}
