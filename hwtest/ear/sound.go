package ear

import (
	"math"
	"time"
)

// Sound is a stretch of sound, one channel.
type Sound struct {
	Rate    int
	Samples []int16
}

// Stretch is a part of a Sound, from its beginning.
type Stretch struct{ From, To time.Duration }

// Long is how long it lasts.
func (s Stretch) Long() time.Duration { return s.To - s.From }

func (s Sound) time(i int) time.Duration {
	return time.Duration(float64(i) / float64(s.Rate) * float64(time.Second))
}

// Duration is how long it lasts.
func (s Sound) Duration() time.Duration {
	if s.Rate == 0 {
		return 0
	}
	return s.time(len(s.Samples))
}

// Cut is the part from a to b.
func (s Sound) Cut(a, b time.Duration) Sound {
	n := len(s.Samples)
	i := min(max(int(a.Seconds()*float64(s.Rate)), 0), n)
	j := min(max(int(b.Seconds()*float64(s.Rate)), i), n)
	return Sound{Rate: s.Rate, Samples: s.Samples[i:j]}
}

// RMS is the level over all of it in dBFS; -Inf if there is nothing.
func (s Sound) RMS() float64 {
	var sum float64
	for _, v := range s.Samples {
		sum += float64(v) * float64(v)
	}
	return decibel(math.Sqrt(sum/float64(max(1, len(s.Samples)))) / 32768)
}

// Peak is the loudest sample in dBFS.
func (s Sound) Peak() float64 {
	var top float64
	for _, v := range s.Samples {
		top = max(top, math.Abs(float64(v)))
	}
	return decibel(top / 32768)
}

// Clipped is the share of samples at either end of the scale, 0 to 1.
func (s Sound) Clipped() float64 {
	n := 0
	for _, v := range s.Samples {
		if v == 32767 || v <= -32767 {
			n++
		}
	}
	return float64(n) / float64(max(1, len(s.Samples)))
}

// Gaps are the stretches of at least min in which no sample is as loud as
// level, in dBFS of its amplitude. With min below half a period of a tone, its
// zero crossings are gaps.
func (s Sound) Gaps(level float64, min time.Duration) (out []Stretch) {
	th := amplitude(level)
	from := 0
	end := func(i int) {
		if g := (Stretch{s.time(from), s.time(i)}); i > from && g.Long() >= min {
			out = append(out, g)
		}
	}
	for i, v := range s.Samples {
		if loud(v, th) {
			end(i)
			from = i + 1
		}
	}
	end(len(s.Samples))
	return out
}

func loud(v int16, th float64) bool { return math.Abs(float64(v)) >= th }

// amplitude is the sample value of a level in dBFS.
func amplitude(level float64) float64 { return 32768 * math.Pow(10, level/20) }

func decibel(x float64) float64 { return 20 * math.Log10(x) }
