package output

import (
	"time"

	"tocsin/firmware/phrase"
)

// voice is what is known of a loudspeaker's player.
type voice struct {
	busy      bool
	job       *job
	cancelled bool
	retryAt   time.Duration
	// beat is when it last got on.
	beat time.Duration
	mute bool
}

func (m *machine) stepVoice(now time.Duration, a *acts) {
	v, j := &m.voice, m.job
	switch {
	case v.busy && v.job != j:
		if !v.cancelled {
			v.cancelled, a.cancelVoice = true, true
		}
	case v.busy || j == nil:
	case now < v.retryAt:
		a.wake(v.retryAt)
	case m.s.Relay == nil || m.relay.told == toldOn:
		v.busy, v.job, v.cancelled = true, j, false
		a.play = j
	}
	if j == nil {
		return
	}
	// Neither an open nor a write may hang unseen.
	if limit := v.beat + 2*m.s.Patience; now >= limit {
		m.muteFails(now, phrase.M("sound.mute_hangs", "output", m.s.Name))
	} else {
		a.wake(limit)
	}
}

func (m *machine) muteFails(now time.Duration, why phrase.Message) {
	if !m.voice.mute {
		m.voice.mute = true
		m.fault(Mute, true, why)
	}
	m.failJob(now, Mute, why)
}

// voiceBeat says that samples are being taken; at is when the first was heard.
func (m *machine) voiceBeat(now time.Duration, j *job, at time.Duration) {
	m.voice.beat = now
	if j != m.job {
		return
	}
	j.voice = 0
	m.back(Mute, now)
	if m.voice.mute {
		m.voice.mute = false
		m.fault(Mute, false, phrase.Message{})
	}
	if !j.started {
		j.started, j.begun = true, at
		m.emit(j, Started, Unmeasured, m.notMeasured(), at)
	}
}

// voiceDone takes the end of playing: over where the programme has ended and
// all of it was heard.
func (m *machine) voiceDone(now time.Duration, j *job, over bool, err error) {
	v := &m.voice
	v.busy, v.cancelled, v.job = false, false, nil
	if j != m.job {
		return
	}
	if over {
		m.over(now, Finished, phrase.Message{})
		return
	}
	j.voice++
	v.retryAt = now + backoff(j.voice, time.Second)
	if j.voice >= m.s.Retries {
		m.muteFails(now, phrase.M("sound.mute", "output", m.s.Name, "cause", err.Error()))
	}
}
