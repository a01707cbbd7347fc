package ear

import (
	"math"
	"math/cmplx"
	"time"
)

// Level is how loud a sine of hz is in it, in dBFS of its RMS, by Goertzel's
// recurrence.
func (s Sound) Level(hz float64) float64 {
	n := len(s.Samples)
	if n == 0 {
		return math.Inf(-1)
	}
	c := 2 * math.Cos(2*math.Pi*hz/float64(s.Rate))
	var a, b, norm float64
	for i, v := range s.Samples {
		w := hann(i, n)
		norm += w
		a, b = float64(v)*w+c*a-b, a
	}
	power := a*a + b*b - c*a*b
	return decibel(2 * math.Sqrt(max(power, 0)) / norm / 32768 / math.Sqrt2)
}

func hann(i, n int) float64 {
	if n < 3 {
		return 1
	}
	return 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(n-1))
}

const (
	frame   = 40 * time.Millisecond // of which a pitch is taken
	hop     = 10 * time.Millisecond
	silence = -50 // dBFS RMS of a frame in which no pitch is looked for
)

// Pitch is the strongest frequency of a short while.
type Pitch struct {
	At   time.Duration // the middle of the while
	Hz   float64       // 0 in silence
	DBFS float64       // RMS of the while
}

// Track is the pitch each 10 ms: steps are tones, slopes are wails.
func (s Sound) Track() (out []Pitch) {
	n, step := int(frame.Seconds()*float64(s.Rate)), int(hop.Seconds()*float64(s.Rate))
	if n < 16 || step < 1 {
		return nil
	}
	for i := 0; i+n <= len(s.Samples); i += step {
		w := Sound{Rate: s.Rate, Samples: s.Samples[i : i+n]}
		p := Pitch{At: s.time(i + n/2), DBFS: w.RMS()}
		if p.DBFS > silence {
			p.Hz = w.Dominant()
		}
		out = append(out, p)
	}
	return out
}

// Tone is a stretch of one pitch.
type Tone struct {
	Stretch
	Hz   float64
	DBFS float64 // RMS
}

// Tones are the stretches of at least min that keep one pitch within 3 %.
func (s Sound) Tones(min time.Duration) (out []Tone) {
	track := s.Track()
	for i := 0; i < len(track); {
		if track[i].Hz == 0 {
			i++
			continue
		}
		sum, j := track[i].Hz, i+1
		for ; j < len(track) && math.Abs(track[j].Hz-sum/float64(j-i)) <= 0.03*sum/float64(j-i); j++ {
			sum += track[j].Hz
		}
		// A frame has the pitch of what fills most of it, so the ends are at the frames' middles.
		t := Tone{Stretch: Stretch{track[i].At - hop/2, track[j-1].At + hop/2}, Hz: sum / float64(j-i)}
		if i == 0 {
			t.From = 0
		}
		if j == len(track) {
			t.To = s.Duration()
		}
		if t.Long() >= min {
			t.DBFS = s.Cut(t.From, t.To).RMS()
			out = append(out, t)
		}
		i = j
	}
	return out
}

// Cadence are the stretches in which a tone of hz carries at least half of the
// energy, whatever else there is.
func (s Sound) Cadence(hz float64) (on []Stretch) {
	n, step := int(0.02*float64(s.Rate)), int(0.005*float64(s.Rate))
	if n < 16 || step < 1 {
		return nil
	}
	open := false
	for i := 0; i+n <= len(s.Samples); i += step {
		w := Sound{Rate: s.Rate, Samples: s.Samples[i : i+n]}
		rms := w.RMS()
		is := rms > silence && w.Level(hz) > rms-3.02
		mid := s.time(i + n/2)
		switch {
		case is && !open:
			on = append(on, Stretch{From: mid})
			open = true
		case !is && open:
			on[len(on)-1].To = mid
			open = false
		}
	}
	if open {
		on[len(on)-1].To = s.Duration()
	}
	return on
}

// Dominant is the strongest frequency in Hz; 0 if there is none.
func (s Sound) Dominant() float64 {
	p := s.spectrum()
	best := 0
	for i := 1; i < len(p)-1; i++ {
		if p[i] > p[best] || best == 0 {
			best = i
		}
	}
	if best == 0 || p[best] == 0 {
		return 0
	}
	// A parabola through the logarithms of the peak and its neighbours.
	a, b, c := math.Log(p[best-1]+1e-12), math.Log(p[best]+1e-12), math.Log(p[best+1]+1e-12)
	shift := 0.0
	if d := a - 2*b + c; d != 0 {
		shift = 0.5 * (a - c) / d
	}
	return (float64(best) + shift) * float64(s.Rate) / float64(2*(len(p)-1))
}

// Band is the share of the energy from lo to hi in Hz, 0 to 1. What has no
// energy at all has 0. The voice band of a telephone line is 300 to 3400.
func (s Sound) Band(lo, hi float64) float64 {
	const n = 4096
	var in, all float64
	for i := 0; i < len(s.Samples); i += n {
		w := Sound{Rate: s.Rate, Samples: s.Samples[i:min(i+n, len(s.Samples))]}
		p := w.spectrum()
		for k := 1; k < len(p); k++ {
			hz := float64(k) * float64(s.Rate) / float64(2*(len(p)-1))
			all += p[k]
			if hz >= lo && hz <= hi {
				in += p[k]
			}
		}
	}
	if all == 0 {
		return 0
	}
	return in / all
}

// spectrum is the power in n/2+1 equal steps from 0 to half the rate, with a
// Hann window, n the next power of two.
func (s Sound) spectrum() []float64 {
	n := 16
	for n < len(s.Samples) && n < 1<<20 {
		n *= 2
	}
	have := min(len(s.Samples), n)
	x := make([]complex128, n)
	for i := range have {
		x[i] = complex(float64(s.Samples[i])*hann(i, have), 0)
	}
	fft(x)
	p := make([]float64, n/2+1)
	for i := range p {
		a := cmplx.Abs(x[i])
		p[i] = a * a
	}
	return p
}

// fft transforms in place; the length is a power of two.
func fft(x []complex128) {
	n := len(x)
	for i, j := 1, 0; i < n; i++ {
		bit := n >> 1
		for ; j&bit != 0; bit >>= 1 {
			j ^= bit
		}
		j ^= bit
		if i < j {
			x[i], x[j] = x[j], x[i]
		}
	}
	for size := 2; size <= n; size *= 2 {
		half := size / 2
		for k := range half {
			w := cmplx.Rect(1, -2*math.Pi*float64(k)/float64(size))
			for i := k; i < n; i += size {
				t := w * x[i+half]
				x[i], x[i+half] = x[i]+t, x[i]-t
			}
		}
	}
}
