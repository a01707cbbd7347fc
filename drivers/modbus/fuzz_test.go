package modbus

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"tocsin/drivers"
)

func seal(p ...byte) []byte { return binary.LittleEndian.AppendUint16(p, crc16(p)) }

// Whatever is heard, in whatever pieces: no panic (fault G13), no memory
// without bound, and nothing taken but a whole frame of the shape asked for.
func FuzzRTUFraming(f *testing.F) {
	req := seal(1, 3, 0, 10, 0, 2)
	f.Add(seal(1, 3, 4, 1, 2, 3, 4), uint8(3), uint8(3))
	f.Add(append(append([]byte{1, 3, 4, 9}, req...), seal(1, 3, 4, 1, 2, 3, 4)...), uint8(0), uint8(3))
	f.Add(seal(1, 0x83, 2), uint8(1), uint8(3))
	f.Add(append(seal(2, 3, 2, 0, 1), seal(1, 4, 2, 0, 1)...), uint8(200), uint8(3))
	f.Add(seal(1, 5, 0, 1, 0xff, 0), uint8(2), uint8(5))
	f.Add([]byte{1, 3, 255}, uint8(0), uint8(3))
	f.Add([]byte{}, uint8(0), uint8(16))
	f.Add(seal(1, 17, 3, 9, 0xff, 'x'), uint8(1), uint8(17))
	f.Add(append(seal(1, 17), seal(1, 17, 2, 9, 0)...), uint8(0), uint8(17))
	f.Add(seal(1, 43, 14, 1, 1, 0, 0, 2, 0, 2, 'A', 'B', 1, 1, 'C'), uint8(2), uint8(43))
	f.Add(seal(1, 43, 14, 1, 1, 0, 0, 255, 0, 255), uint8(0), uint8(43))
	f.Fuzz(func(t *testing.T, heard []byte, step, fn uint8) {
		pdu := []byte{fn, 0, 1, 0, 2, 4, 0, 1, 0, 2}
		switch fn {
		case reportServer:
			pdu = pdu[:1]
		case encapsulated:
			pdu = []byte{fn, meiDevice, 1, 0}
		}
		s, err := shapeOf(1, pdu)
		if err != nil {
			return
		}
		r := &rtu{led: newLedger(time.Second, time.Second), char: time.Millisecond, instant: true}
		r.port = deaf{}
		now := time.Unix(1000, 0)
		// Some debts, so that their search runs too.
		r.led.owe(shape{unit: 1, fn: 3, head: [4]byte{8}, n: 1, size: 13}, []byte{1, 3, 0, 0, 0, 4}, now, now.Add(time.Hour))
		r.led.owe(shape{unit: 2, fn: 4, head: [4]byte{2}, n: 1, size: 7}, []byte{2, 4, 0, 0, 0, 1}, now, now.Add(time.Hour))
		r.led.owe(s, []byte("another"), now, now)
		r.led.expire(now)
		q := &query{shape: s, req: seal(append([]byte{1}, pdu...)...)}
		for p := heard; len(p) > 0; {
			n := min(len(p), int(step)+1)
			a := r.take(drivers.Chunk{At: now, B: p[:n]}, q)
			p = p[n:]
			if a != nil {
				if !sealed(a.b) || a.b[0] != 1 || !bytes.Contains(heard, a.b) {
					t.Fatalf("took % x", a.b)
				}
				if f, n := s.fit(a.b); f != fits || n != len(a.b) {
					if f, n := s.refusal(a.b); f != fits || n != len(a.b) {
						t.Fatalf("took % x for fn %d", a.b, fn)
					}
				}
				q = nil
			}
			if len(r.buf) > 2*maxFrame || q != nil && len(q.heard) > 2*maxFrame {
				t.Fatalf("%d bytes held", len(r.buf))
			}
		}
		if q != nil && q.failure() == nil {
			t.Fatal("no fault")
		}
	})
}

type deaf struct{ drivers.Port }

func (deaf) Expect(int) {}

// Whatever a server sends: a frame that is whole and of a legal length, or an
// error.
func FuzzTCPFraming(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 5, 1, 3, 2, 0, 7})
	f.Add([]byte{0, 1, 0, 0, 0, 3, 1, 0x83, 2})
	f.Add([]byte{1, 3, 2, 0, 7, 0xb8, 0xfa, 1})
	f.Add([]byte{0, 1, 0, 0, 0xff, 0xff, 1})
	f.Add([]byte{0, 1, 0, 0, 0, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		// The same bytes, looked at for an RTU answer: it claims none that is not
		// there whole.
		if s, _ := shapeOf(1, []byte{readHoldings, 0, 0, 0, 1}); (&lookout{}).heard(b, s) {
			there := false
			for i := range b {
				for _, n := range []int{exceptionLen, s.size} {
					there = there || i+n <= len(b) && sealed(b[i:i+n])
				}
			}
			if !there {
				t.Fatalf("an RTU answer in % x", b)
			}
		}
		frame, err := readFrame(bytes.NewReader(b))
		if err != nil {
			return
		}
		if n := int(binary.BigEndian.Uint16(frame[4:])); len(frame) != 6+n || n < 3 || !bytes.HasPrefix(b, frame) {
			t.Fatalf("% x of % x", frame, b)
		}
	})
}
