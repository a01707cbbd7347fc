package speech

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
	"time"
)

func TestAWAVComesBackAsItWas(t *testing.T) {
	p := hum(22050, 300*time.Millisecond, -3)
	var b bytes.Buffer
	if err := WriteWAV(&b, p); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	got, err := ReadWAV(bytes.NewReader(whole))
	if err != nil || got.Rate != p.Rate || !slices.Equal(got.Samples, p.Samples) {
		t.Fatalf("%v, %d samples at %d Hz", err, len(got.Samples), got.Rate)
	}
	// A recording that was cut off gives what is there.
	if got, err := ReadWAV(bytes.NewReader(whole[:44+1001])); err != nil || !slices.Equal(got.Samples, p.Samples[:500]) {
		t.Errorf("cut off: %v, %d samples", err, len(got.Samples))
	}
}

func TestANonsenseWAVIsRefused(t *testing.T) {
	good := pack(header(16000, 1, 4), []int16{1, 2, 3, 4})
	edit := func(at int, b ...byte) []byte {
		c := slices.Clone(good)
		copy(c[at:], b)
		return c
	}
	for name, b := range map[string][]byte{
		"empty": {}, "short": good[:11], "no format": append(slices.Clone(good[:12]), good[36:]...),
		"not RIFF": edit(0, 'X'), "compressed": edit(20, 2), "8 bits": edit(34, 8), "no channel": edit(22, 0),
		"nine channels": edit(22, 9), "rate 0": edit(24, 0, 0, 0, 0), "rate of a bat": edit(24, 0, 0, 0, 1),
		"huge chunk before": edit(16, 0xff, 0xff, 0xff, 0xff), "no data": good[:36], "tiny format": edit(16, 2),
	} {
		if p, err := ReadWAV(bytes.NewReader(b)); !errors.Is(err, ErrWAV) {
			t.Errorf("%s: %v, %d samples", name, err, len(p.Samples))
		}
	}
}

// noise is how far b is from a, in dB below a.
func noise(a, b []int16) float64 {
	var s, n float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		s, n = s+float64(a[i])*float64(a[i]), n+d*d
	}
	return 10 * math.Log10(s/(n+1))
}

func TestFourBitsASampleKeepAVoice(t *testing.T) {
	for _, n := range []int{1, 2, 3, 500, 1016, 1017, 1018, 16000} {
		p := hum(16000, time.Second, -6)
		p.Samples = p.Samples[:n]
		var b bytes.Buffer
		if err := WriteADPCM(&b, p); err != nil {
			t.Fatal(err)
		}
		got, err := ReadWAV(bytes.NewReader(b.Bytes()))
		if err != nil || got.Rate != p.Rate || len(got.Samples) != n {
			t.Errorf("%d samples came back as %d at %d Hz, %v", n, len(got.Samples), got.Rate, err)
			continue
		}
		if db := noise(p.Samples, got.Samples); n > 1000 && db < 25 {
			t.Errorf("%d samples: the noise is only %.1f dB below", n, db)
		}
		// A recording that was cut off gives what is there.
		if got, err := ReadWAV(bytes.NewReader(b.Bytes()[:60+min(n/4, 100)])); err == nil && len(got.Samples) > n {
			t.Errorf("%d samples of a file of %d that was cut off", len(got.Samples), n)
		}
	}
	var b bytes.Buffer
	if err := WriteADPCM(&b, hum(16000, time.Second, -6)); err != nil {
		t.Fatal(err)
	}
	bad := b.Bytes()
	bad[60+2] = 89 // the step of the first block
	if _, err := ReadWAV(bytes.NewReader(bad)); !errors.Is(err, ErrWAV) {
		t.Errorf("a step beyond the table: %v", err)
	}
}

func TestResamplingKeepsPitchAndLevel(t *testing.T) {
	for _, r := range [][2]int{{16000, 48000}, {16000, 44100}, {22050, 16000}, {48000, 16000}, {44100, 16000}, {16000, 8000}} {
		p := Resample(hum(r[0], time.Second, -6), r[1])
		mid := p.Samples[len(p.Samples)/4 : len(p.Samples)*3/4]
		if hz := loudest(mid, r[1], 900, 1100); math.Abs(hz-1000) > 5 {
			t.Errorf("%v: %.0f Hz", r, hz)
		}
		if rms, _ := Measure(mid); math.Abs(rms+9) > 0.2 {
			t.Errorf("%v: %.2f dBFS", r, rms)
		}
	}
	// What the lower rate cannot hold is gone, not folded down.
	high := PCM{Rate: 48000, Samples: make([]int16, 48000)}
	for i := range high.Samples {
		high.Samples[i] = int16(16000 * math.Sin(2*math.Pi*10000*float64(i)/48000))
	}
	if rms, _ := Measure(Resample(high, 16000).Samples[1000:15000]); rms > -55 {
		t.Errorf("10 kHz folds down at %.0f dBFS", rms)
	}
}

func TestLevellingLimitsWithoutClipping(t *testing.T) {
	// A quiet voice with one clap.
	p := hum(16000, 2*time.Second, -30)
	for i := 16000; i < 16080; i++ {
		p.Samples[i] = 32767
	}
	got := Level(p, DefaultLoudness)
	rms, peak := Measure(got.Samples)
	if math.Abs(rms+16) > 1 || peak > -2.99 {
		t.Errorf("%.1f dBFS RMS, %.1f peak", rms, peak)
	}
	if s := Level(PCM{Rate: 16000, Samples: make([]int16, 100)}, DefaultLoudness); loud(s.Samples) {
		t.Error("silence became loud")
	}
	long := PCM{Rate: 16000, Samples: append(append(make([]int16, 8000), hum(16000, time.Second, -10).Samples...), make([]int16, 8000)...)}
	if n := len(Trim(long).Samples); n < 16000+16000*7/100 || n > 16000+16000*9/100 {
		t.Errorf("trimmed to %d", n)
	}
	if n := len(Trim(PCM{Rate: 16000, Samples: make([]int16, 100)}).Samples); n != 0 {
		t.Errorf("silence trimmed to %d", n)
	}
}

func FuzzReadWAV(f *testing.F) {
	f.Add(pack(header(16000, 1, 4), []int16{1, 2, 3, 4}))
	f.Add(pack(header(44100, 2, 4), []int16{1, 2, 3, 4}))
	f.Add([]byte("RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00"))
	var four bytes.Buffer
	if err := WriteADPCM(&four, hum(8000, 20*time.Millisecond, -6)); err != nil {
		f.Fatal(err)
	}
	f.Add(four.Bytes())
	var bank bytes.Buffer
	if err := WriteADPCM(&bank, hum(BankRate, 200*time.Millisecond, -6)); err != nil {
		f.Fatal(err)
	}
	f.Add(bank.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if w, err := parseWAV(bytes.NewReader(b)); err == nil && w.rate == BankRate {
			if c, err := clipOf(clipKey{"x", Mandarin}, w, BankRate); err == nil && c.proven() == nil {
				if _, err := c.level(BankRate, maxBankBytes); err != nil || len(c.pcm(nil)) != c.length() {
					t.Errorf("%d samples of %d, %v", len(c.pcm(nil)), c.length(), err)
				}
			}
		}
		p, err := ReadWAV(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, ErrWAV) {
				t.Error(err)
			}
			return
		}
		if p.Rate < minRate || p.Rate > maxRate || len(p.Samples) > 2*len(b) {
			t.Errorf("%d samples at %d Hz of %d bytes", len(p.Samples), p.Rate, len(b))
		}
	})
}
