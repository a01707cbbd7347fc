package history

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
)

func sealed(resolution float64, values ...float64) []byte {
	s := &series{key: key{"a.b", "m", resolution}, period: time.Second, limit: 5 * time.Second}
	for i, v := range values {
		r := point.Reading{Value: v, Quality: point.Good}
		if math.IsNaN(v) {
			r.Quality, r.Why = point.CommFault, phrase.Message{Code: "line.timeout"}
		}
		s.add(int64(i*i)*1000, r)
	}
	return s.seal()
}

// FuzzOpenChunk holds that any bytes, with a checksum that fits, are samples in
// order or an error.
func FuzzOpenChunk(f *testing.F) {
	for _, r := range []float64{0, 0.01} {
		b := sealed(r, 1, 1.01, math.NaN(), math.NaN(), 2, 1e300, 3, 3)
		f.Add(b[:len(b)-4], r > 0)
	}
	f.Fuzz(func(t *testing.T, b []byte, onGrid bool) {
		resolution := 0.0
		if onGrid {
			resolution = 0.01
		}
		b = binary.LittleEndian.AppendUint32(b[:len(b):len(b)], crc32.ChecksumIEEE(b))
		samples, err := open(b, resolution, time.Second)
		if err != nil {
			return
		}
		for i, s := range samples {
			if s.until < s.at || i > 0 && s.at < samples[i-1].at || i > 0 && samples[i-1].until > s.at || s.quality > point.CommFault {
				t.Fatalf("%+v", samples)
			}
			whyOf(s.why, s.quality).In(phrase.ZH)
		}
	})
}

// FuzzOpenHour is the same for a roll-up.
func FuzzOpenHour(f *testing.F) {
	b := bucket{}
	b.add(span{value: 3, quality: point.Good}, 1000)
	b.add(span{value: math.NaN(), quality: point.CommFault, why: `{"code":"x"}`}, 1000)
	p := b.pack()
	f.Add(p[:len(p)-4])
	f.Fuzz(func(t *testing.T, p []byte) {
		var b bucket
		p = binary.LittleEndian.AppendUint32(p[:len(p):len(p)], crc32.ChecksumIEEE(p))
		if b.unpack(p) == nil && !b.any {
			t.Error("nothing came of it")
		}
	})
}

// FuzzOpenFile holds that whatever lies where the file should be, history works.
func FuzzOpenFile(f *testing.F) {
	f.Add([]byte("SQLite format 3\x00"), uint32(0))
	f.Add([]byte{0xff, 0, 1, 2}, uint32(4096))
	f.Fuzz(func(t *testing.T, bytes []byte, where uint32) {
		dir, c := t.TempDir(), newHand()
		b := openBox(t, dir, c, nil)
		b.seconds(40, 1)
		b.end()
		path := filepath.Join(dir, fileName)
		p, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copy(p[int(where)%len(p):], bytes)
		if len(bytes) > 0 && bytes[0]&1 == 1 {
			p = bytes
		}
		if err := os.WriteFile(path, p, 0o600); err != nil {
			t.Fatal(err)
		}
		c.add(time.Hour)
		b = openBox(t, dir, c, nil)
		b.seconds(40, 2)
		b.written()
		b.Query(context.Background(), Query{Point: "a.b", From: t0, To: c.Now().Wall, Raw: true, Most: 1000})
		b.seconds(40, 3)
		b.written()
		until(t, "what is new is there", func() bool {
			a, err := b.Query(context.Background(), Query{Point: "a.b", From: c.Now().Wall.Add(-20 * time.Second), To: c.Now().Wall.Add(-10 * time.Second), Raw: true, Most: 10})
			if err != nil {
				b.seconds(1, 3)
				b.written()
				return false
			}
			return len(a.Rows) == 1 && a.Rows[0].Value == 3 && a.Rows[0].Quality == point.Good
		})
	})
}
