package recorder

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tocsin/firmware/video/stream"
)

// FuzzScan holds a file of any bytes to three things: scanning ends, what it calls good
// it calls good again, and a film of what it believes can be made or is refused.
func FuzzScan(f *testing.F) {
	w := newWorld()
	r := recordIn(f, w, f.TempDir(), nil)
	r.play(numbered(f, 40, 15, 20, w.now.Mono))
	r.stop()
	whole, err := os.ReadFile(segments(f, r.dir)[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-endSize])
	f.Add(whole[:len(whole)/2])
	f.Add(append(bytes.Clone(whole), whole...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		s := scan(bytes.NewReader(b), int64(len(b)), true, func(piece) error { n++; return nil })
		if s.good > int64(len(b)) || s.good < int64(len(b)) && s.why == nil {
			t.Fatal(s)
		}
		again := 0
		if x := scan(bytes.NewReader(b[:s.good]), s.good, true, func(piece) error { again++; return nil }); x.good != s.good || again != n {
			t.Fatal(s, x)
		}
		// What stands between the seals is foreign too where the sums are not asked.
		path := filepath.Join(t.TempDir(), "x"+suffix)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		k := kept{size: int64(len(b)), from: 0, to: mostMono}
		m, err := film("x", []filmed{{path, k}}, "x", time.Time{}, 0, mostMono)
		if err != nil {
			return
		}
		defer m.Close()
		var out bytes.Buffer
		if n, err := out.ReadFrom(m); err == nil && n != m.Size() {
			t.Fatalf("%d bytes of %d", n, m.Size())
		} else if errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	})
}

// FuzzRecords reads boxes of any bytes as each of the recorder's own records, and as the
// parts of a fragment that a film rewrites.
func FuzzRecords(f *testing.F) {
	head, sum := label{stream: "cam", boot: "b", order: 1}.appendTo(nil)
	f.Add(head)
	f.Add(seal{key: true, to: 1}.appendTo(nil, 0, sum))
	f.Add(ending{fragments: 1}.appendTo(nil, sum))
	us := numbered(f, 2, 25, 20, time.Second)
	c := &cutter{longest: time.Second, most: 1 << 20}
	c.take(us[0])
	c.take(us[1])
	x := c.flush()
	f.Add(x.marshal(nil, 0, sum, seal{}))
	f.Add(x.format.head())
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, _, err := readLabel(b); err == nil {
			again, _ := l.appendTo(nil)
			if m, _, err := readLabel(again); err != nil || m != l {
				t.Fatalf("%+v, %+v, %v", l, m, err)
			}
		}
		readSeal(b)
		readEnding(b, sum)
		digest(string(b))
		orderOf(string(b))
		if _, moof := boxIn(b, "moof"); moof != nil {
			rebase(bytes.Clone(moof), 1, time.Hour, rates(b))
		}
		rates(b)
		formatIn(b)
		pictures, sounds, err := samplesIn(b)
		n := 0
		for _, x := range append(pictures, sounds...) {
			n += len(x.sound)
			for _, nal := range x.nals {
				n += len(nal)
			}
		}
		if err == nil && n > 2*len(b) {
			t.Fatalf("%d bytes of samples in %d", n, len(b))
		}
	})
}

// FuzzFormat reads any bytes as the parameter sets of a key picture.
func FuzzFormat(f *testing.F) {
	for _, c := range []uint8{0, 1} {
		for _, u := range film25(f, stream.H264+stream.Codec(c), 1, 0) {
			var b []byte
			for _, n := range u.NALs {
				b = append(append(b, n...), 0, 0, 1)
			}
			f.Add(c, b)
		}
	}
	f.Fuzz(func(t *testing.T, c uint8, b []byte) {
		m, err := formatOf(stream.H264+stream.Codec(c%2), bytes.Split(b, []byte{0, 0, 1}), 0)
		if err != nil {
			return
		}
		head := m.head()
		if i, moov := boxIn(head, "moov"); moov == nil || i+len(moov) != len(head) {
			t.Fatal("a head that is not boxes")
		}
		if len(rates(head)) != 1 {
			t.Fatal("a head without a clock")
		}
		if again, err := formatIn(head); err != nil || !again.equal(m) {
			t.Fatalf("a head that reads back as another: %v", err)
		}
	})
}
