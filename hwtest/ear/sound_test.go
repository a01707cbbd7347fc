package ear

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const rate = 16000

// tone is d of a sine of hz at a peak in dBFS.
func tone(hz, peak float64, d time.Duration) []int16 {
	s := make([]int16, int(d.Seconds()*rate))
	a := math.Pow(10, peak/20) * 32767
	for i := range s {
		s[i] = int16(math.Round(a * math.Sin(2*math.Pi*hz*float64(i)/rate)))
	}
	return s
}

func hush(d time.Duration) []int16 { return make([]int16, int(d.Seconds()*rate)) }

func join(p ...[]int16) (s []int16) {
	for _, x := range p {
		s = append(s, x...)
	}
	return s
}

// header is a WAV's 44 bytes.
func header(hz, channels, size int) []byte {
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00")
	le := binary.LittleEndian
	le.PutUint32(b[4:], uint32(36+size))
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(hz))
	b = le.AppendUint32(b, uint32(hz*channels*2))
	b = le.AppendUint16(b, uint16(channels*2))
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	return le.AppendUint32(b, uint32(size))
}

func raw(s []int16) (b []byte) {
	for _, v := range s {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return b
}

func about(t *testing.T, name string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance || math.IsNaN(got) {
		t.Errorf("%s is %.3f, want %.3f ± %.3f", name, got, want, tolerance)
	}
}

func near(t *testing.T, name string, got, want, tolerance time.Duration) {
	t.Helper()
	if d := got - want; d > tolerance || d < -tolerance {
		t.Errorf("%s is %v, want %v ± %v", name, got, want, tolerance)
	}
}

func TestLevelsAreThoseOfASine(t *testing.T) {
	s := Sound{rate, tone(1000, -6, time.Second)}
	about(t, "peak", s.Peak(), -6, 0.1)
	about(t, "RMS", s.RMS(), -9.01, 0.05)
	about(t, "level at its pitch", s.Level(1000), -9.01, 0.1)
	if l := s.Level(1500); l > -60 {
		t.Errorf("level beside its pitch is %v", l)
	}
	about(t, "pitch", s.Dominant(), 1000, 1)
	about(t, "voice band", s.Band(300, 3400), 1, 0.001)
	about(t, "pitch of a cut", s.Cut(100*time.Millisecond, 140*time.Millisecond).Dominant(), 1000, 5)
	if s.Clipped() != 0 {
		t.Errorf("clipped %v", s.Clipped())
	}
	if d := s.Duration(); d != time.Second {
		t.Errorf("lasts %v", d)
	}
}

func TestClippingShows(t *testing.T) {
	s := Sound{rate, tone(1000, 6, time.Second)} // twice the scale: beyond it for 2/3 of the time
	for i, v := range s.Samples {
		x := 2 * 32767 * math.Sin(2*math.Pi*1000*float64(i)/rate)
		if math.Abs(x) > 32767 {
			v = int16(math.Copysign(32767, x))
		} else {
			v = int16(x)
		}
		s.Samples[i] = v
	}
	if c := s.Clipped(); c < 0.5 || c > 0.75 {
		t.Errorf("clipped %v", c)
	}
}

func TestSilencesAreFound(t *testing.T) {
	s := Sound{rate, join(hush(300*time.Millisecond), tone(800, -10, 500*time.Millisecond), hush(2*time.Second), tone(800, -10, 200*time.Millisecond))}
	g := s.Gaps(-40, 50*time.Millisecond)
	if len(g) != 2 {
		t.Fatalf("gaps %v", g)
	}
	near(t, "first gap", g[0].Long(), 300*time.Millisecond, 2*time.Millisecond)
	near(t, "second gap", g[1].Long(), 2*time.Second, 2*time.Millisecond)
	near(t, "its begin", g[1].From, 800*time.Millisecond, 2*time.Millisecond)
	empty := Sound{rate, hush(time.Second)}
	if !math.IsInf(empty.RMS(), -1) || empty.Dominant() != 0 || empty.Band(300, 3400) != 0 || len(empty.Tones(0)) != 0 {
		t.Error("something is heard in silence")
	}
	var none Sound
	if none.Duration() != 0 || none.Track() != nil || none.Cadence(500) != nil || len(none.Gaps(-40, 0)) != 0 {
		t.Error("something is heard in nothing")
	}
}

func TestATonesCadenceIsFoundUnderNoise(t *testing.T) {
	var s []int16
	for range 4 {
		s = append(s, tone(960, -12, 600*time.Millisecond)...)
		s = append(s, hush(400*time.Millisecond)...)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range s {
		s[i] += int16(r.NormFloat64() * 200) // 20 dB below the tone
	}
	on := Sound{rate, s}.Cadence(960)
	if len(on) != 4 {
		t.Fatalf("on %v", on)
	}
	for i, x := range on {
		near(t, "begin", x.From, time.Duration(i)*time.Second, 25*time.Millisecond)
		near(t, "length", x.Long(), 600*time.Millisecond, 30*time.Millisecond)
	}
	if on := (Sound{rate, s}).Cadence(700); len(on) != 0 {
		t.Errorf("another tone: %v", on)
	}
}

func TestTwoTonesInTurnAreTold(t *testing.T) {
	s := Sound{rate, join(
		tone(660, -10, 500*time.Millisecond), tone(880, -10, 500*time.Millisecond),
		tone(660, -10, 500*time.Millisecond), hush(300*time.Millisecond), tone(880, -10, 500*time.Millisecond))}
	got := s.Tones(100 * time.Millisecond)
	want := []struct {
		hz   float64
		from time.Duration
	}{{660, 0}, {880, 500 * time.Millisecond}, {660, time.Second}, {880, 1800 * time.Millisecond}}
	if len(got) != len(want) {
		t.Fatalf("tones %+v", got)
	}
	for i, w := range want {
		about(t, "pitch", got[i].Hz, w.hz, 6)
		near(t, "begin", got[i].From, w.from, 30*time.Millisecond)
		near(t, "length", got[i].Long(), 500*time.Millisecond, 45*time.Millisecond)
	}
}

func TestAWailIsASlope(t *testing.T) {
	s := make([]int16, 2*rate)
	phase := 0.0
	for i := range s {
		hz := 400 + 400*float64(i)/float64(len(s))
		phase += 2 * math.Pi * hz / rate
		s[i] = int16(8000 * math.Sin(phase))
	}
	for _, p := range (Sound{rate, s}).Track() {
		about(t, "pitch at "+p.At.String(), p.Hz, 400+200*p.At.Seconds(), 8)
	}
}

func TestSoundOutsideTheVoiceBandShows(t *testing.T) {
	s := Sound{rate, join(tone(100, -10, time.Second), tone(1000, -10, time.Second))}
	about(t, "voice band", s.Band(300, 3400), 0.5, 0.02)
}

func TestAWholeFileIsLoaded(t *testing.T) {
	dir := t.TempDir()
	s := tone(1000, -6, 100*time.Millisecond)
	two := make([]int16, 0, 2*len(s))
	for _, v := range s {
		two = append(two, v, v)
	}
	b := append(header(rate, 2, 4*len(s)), raw(two)...)
	b = append(b, "LIST\x04\x00\x00\x00abcd"...)
	name := filepath.Join(dir, "a.wav")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(name)
	if err != nil || got.Rate != rate || !bytes.Equal(raw(got.Samples), raw(s)) {
		t.Errorf("%d samples at %d, %v", len(got.Samples), got.Rate, err)
	}
	for _, bad := range []string{"", "RIFF", "hello, world: no sound", string(b[:30])} {
		if err := os.WriteFile(name, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(name); !errors.Is(err, ErrNotSound) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzAnyHeaderIsBornWith(f *testing.F) {
	f.Add(header(rate, 1, 0))
	f.Add(header(48000, 2, 1<<20))
	f.Add([]byte("RIFF\xff\xff\xff\xffWAVEdata\x00\x00\x00\x00"))
	f.Add([]byte("RIFF0000WAVEfmt \xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, p []byte) {
		h, err := readHead(p)
		if err == nil && (h.data > len(p) || h.rate < 1000 || h.channels < 1) {
			t.Errorf("%+v of %d bytes", h, len(p))
		}
		if err == nil {
			mono(p[h.data:], h.channels)
		}
	})
}
