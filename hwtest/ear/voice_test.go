package ear

import (
	"math/rand/v2"
	"testing"
	"time"
)

// murmur is noise of a seed, 8 kHz.
func murmur(seed uint64, d time.Duration) []int16 {
	r, s := rand.New(rand.NewPCG(seed, 1)), make([]int16, int(d.Seconds()*8000))
	x := 0.0
	for i := range s {
		x += 0.3 * (r.NormFloat64()*4000 - x)
		s[i] = int16(x)
	}
	return s
}

func TestAVoiceIsFoundWhateverItsLevelAndItsGaps(t *testing.T) {
	voice := murmur(1, 2*time.Second)
	heard := Sound{Rate: 48000, Samples: make([]int16, 24000)}
	for i, v := range voice {
		if i == 8000 { // a gap of 100 ms
			heard.Samples = append(heard.Samples, make([]int16, 4800)...)
		}
		for range 6 {
			heard.Samples = append(heard.Samples, v/3)
		}
	}
	at, c := heard.Like(voice, 8000)
	if c < 0.95 || at < 499*time.Millisecond || at > 501*time.Millisecond {
		t.Errorf("%.3f at %v", c, at)
	}
	if _, other := heard.Like(murmur(2, 2*time.Second), 8000); other > 0.5 {
		t.Errorf("another is like it by %.3f", other)
	}
	if _, c := (Sound{Rate: 48000}).Like(voice, 8000); c != 0 {
		t.Errorf("nothing is like it by %.3f", c)
	}
}
