package speech

import "math"

// Loudness is what a clip is brought to, in dB of full scale. Crest above Peak
// is limited, not clipped.
type Loudness struct {
	RMS  float64 `yaml:"rms"`
	Peak float64 `yaml:"peak"`
}

// DefaultLoudness is that of the clips: speech of -16 dBFS under peaks of -3.
var DefaultLoudness = Loudness{RMS: -16, Peak: -3}

func gain(db float64) float64 { return math.Pow(10, db/20) }

// Measure gives the level of samples in dB of full scale (a sine that just
// does not clip has a peak of 0 and an RMS of -3), -120 for silence.
func Measure(s []int16) (rms, peak float64) {
	var sum, top float64
	for _, v := range s {
		f := float64(v) / 32768
		sum += f * f
		top = max(top, math.Abs(f))
	}
	db := func(v float64) float64 { return max(-120, 20*math.Log10(max(v, 1e-9))) }
	if len(s) == 0 {
		return -120, -120
	}
	return db(math.Sqrt(sum / float64(len(s)))), db(top)
}

// Trim cuts silence (below -45 dB of the peak) from both ends and leaves
// 20 ms before and 60 ms after the sound.
func Trim(p PCM) PCM {
	var top int
	for _, v := range p.Samples {
		top = max(top, abs(int(v)))
	}
	floor := max(1, int(float64(top)*gain(-45)))
	first, last := 0, len(p.Samples)
	for first < last && abs(int(p.Samples[first])) < floor {
		first++
	}
	for last > first && abs(int(p.Samples[last-1])) < floor {
		last--
	}
	if first == last {
		return PCM{Rate: p.Rate}
	}
	first, last = max(0, first-p.Rate/50), min(len(p.Samples), last+p.Rate*3/50)
	return PCM{Rate: p.Rate, Samples: p.Samples[first:last]}
}

func abs(v int) int {
	if v < 0 {
		return -v
	}
	return v
}

// Horn keeps what a horn loudspeaker carries: it takes away below 300 Hz,
// where a compression driver is only heated, and lifts 1 to 4 kHz, where
// consonants live, by about 4 dB.
func Horn(p PCM) PCM {
	out := PCM{Rate: p.Rate, Samples: make([]int16, len(p.Samples))}
	hp := highPass(float64(p.Rate), 300)
	hp2 := hp
	lift := peaking(float64(p.Rate), 2200, 4)
	for i, v := range p.Samples {
		// Half scale on the way in: the lift must not clip before levelling.
		f := lift.step(hp2.step(hp.step(float64(v) / 2)))
		out.Samples[i] = int16(max(-32768, min(32767, math.Round(f))))
	}
	return out
}

// biquad is a second-order filter. Source of the coefficients: R.
// Bristow-Johnson, Cookbook formulae for audio equalizer biquad filter
// coefficients.
type biquad struct{ b0, b1, b2, a1, a2, x1, x2, y1, y2 float64 }

func (q *biquad) step(x float64) float64 {
	y := q.b0*x + q.b1*q.x1 + q.b2*q.x2 - q.a1*q.y1 - q.a2*q.y2
	q.x2, q.x1, q.y2, q.y1 = q.x1, x, q.y1, y
	return y
}

func highPass(rate, hz float64) biquad {
	w := 2 * math.Pi * hz / rate
	c, a := math.Cos(w), math.Sin(w)/(2*math.Sqrt2/2)
	n := 1 + a
	return biquad{b0: (1 + c) / 2 / n, b1: -(1 + c) / n, b2: (1 + c) / 2 / n, a1: -2 * c / n, a2: (1 - a) / n}
}

func peaking(rate, hz, db float64) biquad {
	w, amp := 2*math.Pi*hz/rate, math.Pow(10, db/40)
	c, a := math.Cos(w), math.Sin(w)/(2*0.8)
	n := 1 + a/amp
	return biquad{b0: (1 + a*amp) / n, b1: -2 * c / n, b2: (1 - a*amp) / n, a1: -2 * c / n, a2: (1 - a/amp) / n}
}

// Level brings a clip to a loudness: gain, then a limiter that looks 5 ms
// ahead, repeated until the RMS is met within 0.2 dB or the limiter would take
// more than 12 dB. Silence stays silence.
func Level(p PCM, to Loudness) PCM {
	rms, _ := Measure(p.Samples)
	if rms <= -100 {
		return p
	}
	db, out := to.RMS-rms, PCM{}
	for range 12 {
		out = PCM{Rate: p.Rate, Samples: limit(p, gain(db), gain(to.Peak))}
		got, _ := Measure(out.Samples)
		if math.Abs(to.RMS-got) < 0.2 || db > to.RMS-rms+12 {
			break
		}
		db += to.RMS - got
	}
	return out
}

// limit applies g and turns it down before each peak that would exceed top:
// down over 5 ms, up again with a time constant of 60 ms.
func limit(p PCM, g, top float64) []int16 {
	n, ahead := len(p.Samples), max(1, p.Rate/200)
	need := make([]float64, n)
	for i, v := range p.Samples {
		need[i] = 1
		if a := math.Abs(float64(v)/32768) * g; a > top {
			need[i] = top / a
		}
	}
	// Backwards: at most a straight line down to each peak.
	slope := 1 / float64(ahead)
	for i := n - 2; i >= 0; i-- {
		need[i] = min(need[i], need[i+1]+slope*(1-need[i+1])+1e-6)
	}
	out, cur, up := make([]int16, n), 1.0, 1-math.Exp(-1/(0.06*float64(p.Rate)))
	for i, v := range p.Samples {
		cur = min(need[i], cur+(1-cur)*up)
		out[i] = int16(math.Round(float64(v) * g * cur))
	}
	return out
}
