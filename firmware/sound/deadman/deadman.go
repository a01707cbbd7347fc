// Package deadman tells whether a finger still holds a button that is somewhere
// else: what sounds by it falls silent when the finger lets go, when the way to it
// breaks off, and when the time is up.
//
// Whoever holds says again and again the last beat that was told to them. A beat
// proves that the finger was down when it was told or later, however long the
// answer was on its way, so that what a slow network brings late holds nothing: the
// sound ends within Grace of the last moment at which the finger is proved to have
// been down. Nothing sounds before the first beat has come back, since a press that
// was long on its way may be of a finger that has gone.
//
// It knows no clock, no network and no output: times come in, and it never waits.
//
// Source: hold-to-run control as in IEC 60204-1 (2016), 9.2.3.7, which ends the
// motion on release and with the loss of the control's signal.
package deadman

import "time"

// Grace is how long after the finger was last proved to be down the sound is ended.
// With the look of its owner (Look) and what outputs take to fall silent it is within a
// second.
const Grace = 650 * time.Millisecond

// Look is how often whoever owns a Hold looks at it.
const Look = 50 * time.Millisecond

// Beat is how often whoever holds is to say so.
const Beat = 200 * time.Millisecond

// Why says why a hold is over.
type Why uint8

// The reasons.
const (
	// Held: it is not over.
	Held Why = iota
	// Released: the finger let go, or nothing more was heard of it.
	Released
	// TimeUp: it was held for as long as it may be.
	TimeUp
)

// told is how many beats back may still be said: those that were on their way.
const told = 8

// Hold is one finger on one button. It is not safe for several goroutines.
type Hold struct {
	most  time.Duration
	begun time.Duration
	down  time.Duration // when the finger is last known to have been down
	proof bool          // a beat came back
	over  Why
	beat  uint64
	at    [told]time.Duration // when the last beats were told
}

// New begins a hold that may last for most; its first beat is told by the answer.
func New(now, most time.Duration) *Hold {
	h := &Hold{most: most, begun: now, down: now}
	h.tell(now)
	return h
}

func (h *Hold) tell(now time.Duration) {
	h.beat++
	h.at[h.beat%told] = now
}

// Last gives the beat that is to be said next.
func (h *Hold) Last() uint64 { return h.beat }

// Say takes the beat that the holder says. One that was never told, or too long ago,
// proves nothing. It gives the next beat.
func (h *Hold) Say(now time.Duration, beat uint64) uint64 {
	if h.Look(now) != Held || beat == 0 || beat > h.beat || h.beat-beat >= told {
		return h.beat
	}
	h.down, h.proof = max(h.down, h.at[beat%told]), true
	h.tell(now)
	return h.beat
}

// Release says that the finger let go.
func (h *Hold) Release() {
	if h.over == Held {
		h.over = Released
	}
}

// Look tells how it stands now. What is over stays over.
func (h *Hold) Look(now time.Duration) Why {
	switch {
	case h.over != Held:
	case now-h.begun >= h.most:
		h.over = TimeUp
	case now-h.down >= Grace:
		h.over = Released
	}
	return h.over
}

// Proved tells whether a beat has come back: before, nothing may sound.
func (h *Hold) Proved() bool { return h.proof }

// Left is how long it may still be held.
func (h *Hold) Left(now time.Duration) time.Duration {
	if h.over != Held {
		return 0
	}
	return max(0, h.most-(now-h.begun))
}
