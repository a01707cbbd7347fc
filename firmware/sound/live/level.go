package live

import "math"

// loud tells whether samples are above a level, in dB of full scale.
func loud(s []int16, floor float64) bool { return rms(s) > amplitude(floor) }

func rms(s []int16) float64 {
	if len(s) == 0 {
		return 0
	}
	var sum float64
	for _, x := range s {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum / float64(len(s)))
}

func amplitude(db float64) float64 { return 32768 * math.Pow(10, db/20) }

// leveller brings speech to a level. It turns down at once and up slowly, it does not
// turn up what is no speech, and lets no sample above the peak.
type leveller struct {
	target, peak, floor float64 // amplitudes
	gain, most, least   float64
	up, smooth          float64 // a slot
	mean                float64 // of the loudness of speech
}

// The pace: 6 dB a second upwards, a mean over about 300 ms.
const (
	upEach   = 6.0
	meanOver = 0.3
)

func newLeveller(b Bounds, each float64) leveller {
	return leveller{target: amplitude(b.RMS), peak: amplitude(b.Peak), floor: amplitude(b.Floor), gain: 1,
		most: math.Pow(10, b.Gain/20), least: math.Pow(10, -b.Gain/20), up: math.Pow(10, upEach/20/each), smooth: 1 - math.Exp(-1/(each*meanOver))}
}

// bring levels a slot.
func (l *leveller) bring(s []int16) {
	now := rms(s)
	from := l.gain
	if now > l.floor {
		if l.mean == 0 {
			l.mean = now // the first word counts in full
			l.gain = min(l.most, max(l.least, l.target/now))
			from = min(l.gain, 1)
		}
		l.mean += (now - l.mean) * l.smooth
		want := min(l.most, max(l.least, l.target/l.mean))
		if want < l.gain {
			l.gain = want
		} else {
			l.gain = min(want, l.gain*l.up)
		}
	}
	var top float64
	for _, x := range s {
		top = max(top, math.Abs(float64(x)))
	}
	if top*l.gain > l.peak {
		l.gain = l.peak / top
	}
	if top*from > l.peak {
		from = l.gain
	}
	l.apply(s, from, l.gain)
}

// keep leaves the gain as it is, for what was not said.
func (l *leveller) keep(s []int16) { l.apply(s, l.gain, l.gain) }

// apply moves from one gain to the next over a slot, so that nothing clicks.
func (l *leveller) apply(s []int16, from, to float64) {
	step := (to - from) / float64(max(1, len(s)))
	for i, x := range s {
		from += step
		s[i] = int16(max(-l.peak, min(l.peak, float64(x)*from)))
	}
}

// limit holds a sample to the peak, which the turn to another rate may pass.
func (l *leveller) limit(x float32) int16 { return int16(max(-l.peak, min(l.peak, float64(x)))) }
