package speech

import "math"

// halfTaps is half the length, in samples of the slower rate, of the windowed
// sinc by which rates are converted: enough for speech through a horn.
const halfTaps = 12

// converter gives samples of a clip at another rate, block by block and from
// any place, without state: sample i lies at i*down/up of the source.
type converter struct {
	up, down int
	half     int         // taps on each side, in source samples
	taps     [][]float32 // by phase; nil where the rates are equal
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func newConverter(from, to int) *converter {
	if from == to {
		return &converter{up: 1, down: 1}
	}
	g := gcd(from, to)
	c := &converter{up: to / g, down: from / g}
	// Below the lower of the two half rates, with room for the filter's slope.
	cut := 0.94 * min(1, float64(to)/float64(from))
	c.half = int(math.Ceil(halfTaps / min(1, float64(to)/float64(from))))
	c.taps = make([][]float32, c.up)
	flat := make([]float32, c.up*2*c.half)
	for p := range c.taps {
		row := flat[p*2*c.half : (p+1)*2*c.half]
		frac, sum := float64(p)/float64(c.up), 0.0
		for k := range row {
			x := float64(k-c.half+1) - frac
			v := cut
			if x != 0 {
				v = math.Sin(math.Pi*cut*x) / (math.Pi * x)
			}
			v *= 0.5 + 0.5*math.Cos(math.Pi*x/float64(c.half)) // Hann
			row[k] = float32(v)
			sum += v
		}
		for k := range row {
			row[k] /= float32(sum)
		}
		c.taps[p] = row
	}
	return c
}

// length gives how many samples n of the source make.
func (c *converter) length(n int) int { return int(int64(n) * int64(c.up) / int64(c.down)) }

// at fills dst with the converted samples from on.
func (c *converter) at(src []int16, from int, dst []float32) {
	if c.taps == nil {
		for i := range dst {
			dst[i] = 0
			if from+i < len(src) {
				dst[i] = float32(src[from+i])
			}
		}
		return
	}
	for i := range dst {
		pos := int64(from+i) * int64(c.down)
		base, row := int(pos/int64(c.up))-c.half+1, c.taps[pos%int64(c.up)]
		var sum float32
		for k, w := range row {
			if j := base + k; j >= 0 && j < len(src) {
				sum += w * float32(src[j])
			}
		}
		dst[i] = sum
	}
}

// Resample converts to another rate.
func Resample(p PCM, rate int) PCM {
	if p.Rate == rate {
		return p
	}
	c := newConverter(p.Rate, rate)
	f := make([]float32, c.length(len(p.Samples)))
	c.at(p.Samples, 0, f)
	out := PCM{Rate: rate, Samples: make([]int16, len(f))}
	for i, v := range f {
		out.Samples[i] = limited(v)
	}
	return out
}

// limited rounds to 16 bits. Above 0.89 of full scale (-1 dBFS) it bends
// smoothly, so that an overshoot of the conversion never wraps or clips hard.
func limited(v float32) int16 {
	const knee, full = 29204, 32767
	a := v
	if a < 0 {
		a = -a
	}
	if a > knee {
		over := (a - knee) / (full - knee)
		a = knee + (full-knee)*over/(1+over)
	}
	if v < 0 {
		a = -a
	}
	return int16(math.Round(float64(a)))
}
