package live

import "math"

// converter turns samples to a card's rate by a windowed sinc, in as many phases as
// the ear can tell.
type converter struct {
	phases  [][taps]float32
	past    [taps]float32 // the newest last
	in, out int
	at      int // of the next one out, after past[taps/2-1], in 1/out of a sample
}

const (
	taps     = 16
	ofPhases = 48 // from 8,000 and 16,000 to 48,000 a second each sample meets one exactly
)

func newConverter(in, out int) converter {
	c := converter{in: in, out: out, at: out}
	cut := min(1, float64(out)/float64(in)) * 0.94
	for p := range ofPhases {
		var row [taps]float32
		sum := 0.0
		for i := range row {
			x := float64(i) - (taps/2 - 1) - float64(p)/ofPhases
			v := 0.5 + 0.5*math.Cos(math.Pi*x/(taps/2)) // Hann
			if x != 0 {
				v *= math.Sin(math.Pi*cut*x) / (math.Pi * cut * x)
			}
			row[i] = float32(v)
			sum += v
		}
		for i := range row {
			row[i] /= float32(sum)
		}
		c.phases = append(c.phases, row)
	}
	return c
}

// turn appends what in becomes. The sound is late by half the taps: 1 ms at 8 kHz.
func (c *converter) turn(dst []float32, in []int16) []float32 {
	for _, s := range in {
		copy(c.past[:], c.past[1:])
		c.past[taps-1] = float32(s)
		for c.at -= c.out; c.at < c.out; c.at += c.in {
			row, y := &c.phases[c.at*ofPhases/c.out], float32(0)
			for i, w := range row {
				y += c.past[i] * w
			}
			dst = append(dst, y)
		}
	}
	return dst
}
