package ear

import (
	"math"
	"time"
)

// pieceLong is how much of a voice is looked for at once: longer than a pitch is the same.
const pieceLong = 300 * time.Millisecond

// pauseBelow is how many dB below the whole voice a piece is a pause.
const pauseBelow = 12

// Like tells how well a voice is met in a sound: the mean of the best normalised correlations of its
// pieces, each near its place, since a loudspeaker of a busy machine leaves gaps; and where it
// begins. 1 is the same voice, whatever its level; two voices are alike by
// about a half. The sound's rate must be a multiple of the voice's.
func (s Sound) Like(voice []int16, rate int) (at time.Duration, c float64) {
	step := max(1, s.Rate/rate)
	var low []float64
	for i := 0; i+step <= len(s.Samples); i += step {
		low = append(low, float64(s.Samples[i]))
	}
	n := int(pieceLong * time.Duration(rate) / time.Second)
	place, sum, pieces := 0, 0.0, 0
	whole := Sound{Rate: rate, Samples: voice}.RMS()
	for p := 0; p+n <= len(voice); p += n {
		if (Sound{Rate: rate, Samples: voice[p : p+n]}).RMS() < whole-pauseBelow {
			continue // a pause is like any other
		}
		from, to := p+place-rate/2, p+place+rate
		if pieces == 0 {
			from, to = 0, len(low)
		}
		where, x := best(voice[p:p+n], low, from, to)
		if pieces == 0 {
			place, at = where-p, time.Duration(where-p)*time.Second/time.Duration(rate)
		}
		sum, pieces = sum+x, pieces+1
	}
	return at, sum / float64(max(1, pieces))
}

// best finds where a piece is best met.
func best(piece []int16, in []float64, from, to int) (where int, most float64) {
	from, to = max(0, from), min(to, len(in)-len(piece)+1)
	try := func(j int) {
		if x := correlation(piece, in[j:]); x > most {
			where, most = j, x
		}
	}
	for j := from; j < to; j += 2 {
		try(j)
	}
	for j := max(from, where-1); j < min(to, where+2); j++ {
		try(j)
	}
	return where, most
}

func correlation(piece []int16, in []float64) float64 {
	var dot, a, b float64
	for i, v := range piece {
		x, h := float64(v), in[i]
		dot, a, b = dot+x*h, a+x*x, b+h*h
	}
	if a == 0 || b == 0 {
		return 0
	}
	return dot / math.Sqrt(a*b)
}
