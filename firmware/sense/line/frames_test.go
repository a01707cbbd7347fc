package line

import (
	"bytes"
	"testing"
	"time"

	"tocsin/drivers"
	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/sense/profile"
)

// watchedBus is a bus whose frames the test writes.
type watchedBus struct {
	*fakeBus
	show func(drivers.Frame)
}

func (b *watchedBus) Watch(f func(drivers.Frame)) { b.show = f }

func (b *watchedBus) frame(k drivers.FrameKind, unit byte, pdu ...byte) {
	wire := append(append([]byte{unit}, pdu...), 0xC0, 0xDE)
	b.show(drivers.Frame{At: time.Now(), Kind: k, Unit: unit, PDU: wire[1 : len(wire)-2], Wire: wire})
}

const twoYAML = `version: 1
profile: two
name: {zh: 双路, en: Two}
manual: none
via: modbus
points:
  - {id: level, name: {zh: 水位, en: Level}, read: holding 0x0002, type: uint16, scale: 0.01, unit: m, every: 1s}
  - {id: total, name: {zh: 累计, en: Total}, read: holding 0x0003, type: uint32, order: CDAB, scale: 0.1, unit: mm, every: 1s}
proof:
  - sent: "01 03 00 02 00 03 A4 0B"
    heard: "01 03 06 04 D2 00 05 00 00 88 E2"
    gives: {level: 12.34, total: 0.5}
`

func framesLine(t *testing.T) (*Line, *watchedBus) {
	t.Helper()
	p := parse(t, "two", twoYAML)
	b := &watchedBus{fakeBus: newFake()}
	l := New(Config{Name: "west", Units: []Unit{{Device: "rain", Unit: 7, Profile: p}}}, b, opts(&sink{}))
	return l, b
}

func TestFramesSayWhatTheyMean(t *testing.T) {
	l, b := framesLine(t)
	b.frame(drivers.FrameAsked, 7, 3, 0, 2, 0, 3)
	b.frame(drivers.FrameAsked, 7, 3, 0, 2, 0, 1)
	b.frame(drivers.FrameLate, 7, 3, 6, 4, 0xD2, 0, 5, 0, 0)
	b.frame(drivers.FrameAnswer, 7, 3, 2, 4, 0xD3)
	b.frame(drivers.FrameAsked, 7, 3, 0, 9, 0, 1)
	b.frame(drivers.FrameAnswer, 7, 0x83, 2)
	b.frame(drivers.FrameAsked, 7, 5, 0, 0, 0xFF, 0)
	b.frame(drivers.FrameStray, 9, 4, 2, 0, 1)
	b.show(drivers.Frame{At: time.Now(), Kind: drivers.FrameStray, Wire: []byte{1, 2, 3}})
	l.frames.missing(time.Now(), 7, drivers.FaultTimeout)
	fs := l.Frames()
	want := []struct {
		kind, code string
		values     map[point.ID]float64
	}{
		{"asked", "line.frame_read", nil},
		{"asked", "line.frame_read", nil},
		{"late", "line.frame_late", map[point.ID]float64{"rain.level": 12.34, "rain.total": 0.5}},
		{"answer", "line.frame_answer", map[point.ID]float64{"rain.level": 12.35}},
		{"asked", "line.frame_read", nil},
		{"answer", "line.frame_refused", nil},
		{"asked", "line.frame_write", nil},
		{"stray", "line.frame_stray", nil},
		{"stray", "line.frame_noise", nil},
		{"fault", "line.frame_no_answer", nil},
	}
	if len(fs) != len(want) {
		t.Fatalf("%d frames", len(fs))
	}
	for i, w := range want {
		f := fs[i]
		if f.Seq != uint64(i+1) || f.Kind != w.kind || f.Meaning.Code != w.code || len(f.Values) != len(w.values) {
			t.Errorf("%d: %+v, want %+v", i, f, w)
			continue
		}
		for _, v := range f.Values {
			if v.Value != w.values[v.Point] || v.Quality != point.Good {
				t.Errorf("%d: %+v, want %v", i, v, w.values)
			}
		}
		for _, lang := range phrase.Languages {
			if s := f.Meaning.In(lang); s == "" || s == f.Meaning.Code {
				t.Errorf("%d: nothing said in %s", i, lang)
			}
		}
	}
	if f := fs[2]; f.Device != "rain" || f.Addr != 2 || f.Count != 3 || !bytes.Equal(f.Bytes, []byte{7, 3, 6, 4, 0xD2, 0, 5, 0, 0, 0xC0, 0xDE}) {
		t.Errorf("%+v", f)
	}
}

func TestTheLastTwoHundredFramesAreKeptWithoutAllocating(t *testing.T) {
	l, b := framesLine(t)
	for i := range 3 * framesKept {
		b.frame(drivers.FrameAsked, 7, 3, byte(i>>8), byte(i), 0, 1)
	}
	fs := l.Frames()
	if len(fs) != framesKept || fs[0].Seq != 2*framesKept+1 || fs[framesKept-1].Addr != 3*framesKept-1 {
		t.Fatalf("%d frames, first %+v", len(fs), fs[0])
	}
	f := drivers.Frame{Kind: drivers.FrameAnswer, Unit: 7, PDU: []byte{3, 2, 0, 1}, Wire: []byte{7, 3, 2, 0, 1, 9, 9}}
	for range framesKept {
		l.frames.put(f)
	}
	if n := testing.AllocsPerRun(1000, func() { l.frames.put(f) }); n > 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func TestAUnitThatSaysWhatItIsConfirmsNoWrite(t *testing.T) {
	l, b := framesLine(t)
	b.frame(drivers.FrameAsked, 7, 43, 14, 2, 0)
	b.frame(drivers.FrameAnswer, 7, 43, 14, 2, 1, 0, 0, 1, 0, 1, 'M')
	b.frame(drivers.FrameAsked, 7, 17)
	b.frame(drivers.FrameLate, 7, 17, 2, 9, 0xFF)
	want := []string{"function 43: asks what the unit is", "answer: the unit says what it is, 10 bytes", "function 17: asks what the unit is", "answer: the unit says what it is, 4 bytes"}
	for i, f := range l.Frames() {
		if got := f.Meaning.In(phrase.EN); got != want[i] {
			t.Errorf("%s, not %s", got, want[i])
		}
	}
}

// Whatever is heard on a line can be shown: no panic, one meaning a frame, in
// both languages.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{3, 0, 2, 0, 3}, []byte{3, 6, 4, 0xD2, 0, 5, 0, 0}, uint8(drivers.FrameAnswer))
	f.Add([]byte{43, 14, 1, 0}, []byte{43}, uint8(drivers.FrameLate))
	f.Add([]byte{1}, []byte{0x81}, uint8(drivers.FrameAnswer))
	f.Add([]byte{6, 0, 1}, []byte{6, 0}, uint8(drivers.FrameStray))
	p, ps := profile.Parse("two.yaml", []byte(twoYAML))
	if p == nil {
		f.Fatal(ps)
	}
	f.Fuzz(func(t *testing.T, asked, heard []byte, kind uint8) {
		if len(asked) > 300 || len(heard) > 300 {
			return
		}
		b := &watchedBus{fakeBus: newFake()}
		l := New(Config{Name: "west", Units: []Unit{{Device: "rain", Unit: 7, Profile: p}}}, b, opts(&sink{}))
		k := drivers.FrameKind(kind%4) + drivers.FrameAsked
		b.frame(drivers.FrameAsked, 7, asked...)
		b.frame(k, 7, heard...)
		b.show(drivers.Frame{Kind: k, Unit: 9, PDU: heard, Wire: asked})
		for _, fr := range l.Frames() {
			if fr.Meaning.In(phrase.EN) == "" || fr.Meaning.In(phrase.ZH) == fr.Meaning.In(phrase.EN) {
				t.Fatalf("% x after % x: %q", heard, asked, fr.Meaning.In(phrase.EN))
			}
		}
	})
}
