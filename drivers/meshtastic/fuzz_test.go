package meshtastic

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"tocsin/drivers"
)

func sub(n protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
}

// FuzzHeard gives whatever comes on the port: nothing may hang, grow or be taken
// for more than it is.
func FuzzHeard(f *testing.F) {
	o := outgoing{to: everybody, id: 7, port: portPrivate, payload: []byte("abc")}
	packet := append(protowire.AppendFixed32(protowire.AppendTag(nil, 1, protowire.Fixed32Type), 9), o.toRadio()[2:]...)
	f.Add(frame(sub(2, packet)), uint8(3))
	f.Add(append([]byte("DEBUG \x94\xC3\x00\x94"), frame(wantConfig(5))...), uint8(1))
	f.Add(append(frame(sub(3, []byte{8, 1})), frame(sub(5, sub(6, []byte{8, 1, 16, 0, 56, 4, 72, 1, 80, 14})))...), uint8(200))
	f.Add(frame(sub(11, []byte{16, 0, 24, 16, 32, 7})), uint8(9))
	f.Add(frame([]byte{0x40, 1}), uint8(9))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		o := licensed()
		o.Buffer, o.Airtime = 8, time.Second
		d, err := New(nil, o)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(1700000000, 0)
		wait := &job{Reply: make(drivers.Reply[drivers.Sent], 1), at: at}
		d.open[7], d.wanted = wait, 5
		for in := b; len(in) > 0; {
			n := min(len(in), int(step)+1)
			d.hear(drivers.Chunk{At: at, B: in[:n]})
			in, at = in[n:], at.Add(100*time.Millisecond)
			if d.read.stale(at) {
				d.frames(at)
			}
			if len(d.read.buf) > 4+longestFrame {
				t.Fatalf("%d bytes held", len(d.read.buf))
			}
		}
		if l := d.Limits(); l.Bytes < 0 || l.Bytes > mostBytes || l.Next.Sub(at) > dutyFor {
			t.Fatalf("%+v", l)
		}
		if len(wait.Reply) > 1 {
			t.Fatal("answered twice")
		}
		for len(d.in) > 0 {
			m := <-d.in
			if (len(m.Bytes) == 0) == (m.Text == "") || len(m.Bytes)+len(m.Text) > longestFrame {
				t.Fatalf("%+v", m)
			}
		}
	})
}

// FuzzFrame holds that a frame which is read is the one that was written, wherever
// the stream is cut.
func FuzzFrame(f *testing.F) {
	f.Add([]byte{8, 1}, []byte("noise"), uint8(2))
	f.Add([]byte{}, []byte("\x94\xC3"), uint8(0))
	f.Fuzz(func(t *testing.T, body, noise []byte, step uint8) {
		if len(body) > longestFrame || len(noise) > 4096 {
			return
		}
		for _, x := range noise {
			if x == start1 {
				return // then it may look like a beginning
			}
		}
		var r reader
		in := slices.Concat(noise, frame(body), noise)
		got := 0
		for len(in) > 0 {
			n := min(len(in), int(step)+1)
			r.add(in[:n], time.Unix(1, 0))
			in = in[n:]
			for f := r.next(); f != nil; f = r.next() {
				if string(f) != string(body) {
					t.Fatalf("%x, not %x", f, body)
				}
				got++
				r.keep(len(f))
			}
		}
		if got != 1 {
			t.Fatalf("%d frames", got)
		}
	})
}
