package live

// filler puts in what is missing: the last period of the voice again, fading.
type filler struct {
	rate  int
	last  []int16 // what was said last, 40 ms
	lost  int     // samples in a row that were put in
	pitch int
	at    int
}

func newFiller(rate int) filler { return filler{rate: rate, last: make([]int16, rate/25)} }

// had remembers what was said.
func (f *filler) had(s []int16) {
	if f.lost > 0 {
		f.blend(s)
	}
	f.lost = 0
	copy(f.last, f.last[len(s):])
	copy(f.last[len(f.last)-len(s):], s)
}

// blend goes over from what was put in to what was said, in 2.5 ms.
func (f *filler) blend(s []int16) {
	n := min(len(s), f.rate/400)
	for i := range n {
		s[i] = int16((int(f.sample())*(n-i) + int(s[i])*i) / n)
	}
}

// miss puts in.
func (f *filler) miss(s []int16) {
	if f.lost == 0 {
		f.pitch, f.at = f.period(), 0
	}
	for i := range s {
		s[i] = f.sample()
	}
}

// sample is the next that is put in: at full strength for 10 ms, silent after 60.
func (f *filler) sample() int16 {
	ms := f.lost * 1000 / f.rate
	f.lost++
	if ms >= 60 || f.pitch == 0 {
		return 0
	}
	x := int(f.last[len(f.last)-f.pitch+f.at])
	f.at = (f.at + 1) % f.pitch
	if ms > 10 {
		x = x * (60 - ms) / 50
	}
	return int16(x)
}

// period finds the pitch, 66 to 200 Hz (G.711 Appendix I: 40 to 120 samples at 8 kHz),
// by the best normalised correlation of the last 10 ms of what was said with what was
// said before.
func (f *filler) period() int {
	n := f.rate / 100 // 10 ms are compared
	tail := f.last[len(f.last)-n:]
	best, at := 0.0, f.rate/200
	for p := f.rate / 200; p <= f.rate/66 && p+n <= len(f.last); p++ {
		before := f.last[len(f.last)-n-p : len(f.last)-p]
		var dot, power float64
		for i := range tail {
			dot += float64(tail[i]) * float64(before[i])
			power += float64(before[i]) * float64(before[i])
		}
		if power > 0 && dot > 0 {
			if c := dot * dot / power; c > best {
				best, at = c, p
			}
		}
	}
	return at
}
