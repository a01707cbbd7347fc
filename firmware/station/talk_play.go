package station

import (
	"time"

	"tocsin/drivers"
	"tocsin/firmware/sound/live"
	"tocsin/firmware/sound/output"
)

// samples is what comes before a voice.
type samples func(f drivers.Format) output.Reader

// spokenBy is a person's voice as an output plays it.
type spokenBy struct {
	first  samples
	voice  *live.Voice
	volume int32 // percent; 0 leaves it
}

// Samples begins with the words that tell a drill apart.
func (p spokenBy) Samples(f drivers.Format) output.Reader {
	var r output.Reader
	if p.first == nil {
		r = p.voice.Samples(f)
	} else {
		r = &inTurn{now: p.first(f), then: func() output.Reader { return p.voice.Samples(f) }}
	}
	if p.volume > 0 && p.volume < 100 {
		return softer{r, p.volume}
	}
	return r
}

// Cadence keeps every relay off: a siren cannot speak.
func (spokenBy) Cadence(output.Kind) output.Cadence { return output.Cadence{{Off: time.Second}} }

// inTurn plays one thing and then another, which is opened when its turn comes.
type inTurn struct {
	now  output.Reader
	then func() output.Reader
}

// Read fills buf.
func (r *inTurn) Read(buf []int16) (n int, done bool) {
	n, done = r.now.Read(buf)
	if done && r.then != nil {
		r.now, r.then, done = r.then(), nil, false
	}
	return n, done
}
